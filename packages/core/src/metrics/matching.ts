/** Accuracies: shares of predictions that match their targets. */
import { bool, defineSpec, int, number, type OptionsOf, type Spec } from "../config/index.ts";
import { alignTargets, shapeMismatch } from "../losses/align.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor, type TensorLike } from "../tensor/tensor.ts";
import { metricFields } from "./metric.ts";
import { MeanMetric } from "./reductions.ts";

/** Base: a mean of matches (1 or 0), each of them one value per sample. */
abstract class MatchMetric<S extends Spec> extends MeanMetric<S> {
  protected abstract matches(yTrue: Tensor, yPred: Tensor): Tensor;

  updateState(yTrue: TensorLike, yPred: TensorLike, sampleWeight: TensorLike | null = null): void {
    this.add(ops.cast(this.matches(Tensor.of(yTrue), Tensor.of(yPred)), "f32"), sampleWeight);
  }
}

const accuracySpec = defineSpec("keras.metrics", "Accuracy", metricFields("accuracy"));
/** How often predictions equal targets. */
export class Accuracy extends MatchMetric<typeof accuracySpec> {
  static readonly spec = accuracySpec;
  constructor(options: OptionsOf<typeof accuracySpec> = {}) {
    super(accuracySpec, options);
  }
  protected matches(yTrue: Tensor, yPred: Tensor): Tensor {
    const [t, p] = alignTargets(yTrue, yPred, this.name);
    return ops.equal(t, p);
  }
}

const binarySpec = defineSpec("keras.metrics", "BinaryAccuracy", {
  ...metricFields("binary_accuracy"),
  threshold: number({ above: 0, below: 1 }).nullable().default(0.5),
});
/** How often a probability is on the right side of the threshold. */
export class BinaryAccuracy extends MatchMetric<typeof binarySpec> {
  static readonly spec = binarySpec;
  constructor(options: OptionsOf<typeof binarySpec> = {}) {
    super(binarySpec, options);
  }
  protected matches(yTrue: Tensor, yPred: Tensor): Tensor {
    const [t, p] = alignTargets(ops.cast(yTrue, "f32"), ops.cast(yPred, "f32"), this.name);
    const said = ops.cast(ops.greater(p, this.options.threshold ?? 0.5), "f32");
    return ops.equal(t, said);
  }
}

const categoricalSpec = defineSpec("keras.metrics", "CategoricalAccuracy", metricFields("categorical_accuracy"));
/** How often the highest score is at the 1 of a one-hot row. */
export class CategoricalAccuracy extends MatchMetric<typeof categoricalSpec> {
  static readonly spec = categoricalSpec;
  constructor(options: OptionsOf<typeof categoricalSpec> = {}) {
    super(categoricalSpec, options);
  }
  protected matches(yTrue: Tensor, yPred: Tensor): Tensor {
    const [t, p] = alignTargets(yTrue, yPred, this.name);
    return ops.equal(ops.argmax(t, -1), ops.argmax(p, -1));
  }
}

/** Class numbers as i32 of the shape of the predictions without their last axis. */
function classNumbers(yTrue: Tensor, yPred: Tensor, owner: string): Tensor {
  const rows = yPred.shape.slice(0, -1);
  const same = (shape: readonly number[]) => shape.length === rows.length && shape.every((d, i) => d === rows[i]);
  if (same(yTrue.shape)) return ops.cast(yTrue, "i32");
  const last = yTrue.shape[yTrue.ndim - 1];
  if (yTrue.ndim > 0 && last === 1 && same(yTrue.shape.slice(0, -1))) return ops.reshape(ops.cast(yTrue, "i32"), rows);
  throw shapeMismatch(yTrue, yPred, rows, owner);
}

const sparseSpec = defineSpec(
  "keras.metrics",
  "SparseCategoricalAccuracy",
  metricFields("sparse_categorical_accuracy"),
);
/** How often the highest score is that of the class. */
export class SparseCategoricalAccuracy extends MatchMetric<typeof sparseSpec> {
  static readonly spec = sparseSpec;
  constructor(options: OptionsOf<typeof sparseSpec> = {}) {
    super(sparseSpec, options);
  }
  protected matches(yTrue: Tensor, yPred: Tensor): Tensor {
    return ops.equal(classNumbers(yTrue, yPred, this.name), ops.argmax(yPred, -1));
  }
}

/** Whether the class is among the k highest scores: fewer than k scores are higher than its own, which is finite. */
function inTopK(classes: Tensor, yPred: Tensor, k: number): Tensor {
  return ops.inTopK(ops.reshape(classes, [-1]), ops.reshape(yPred, [-1, yPred.shape[yPred.ndim - 1]]), k);
}

const topKSpec = defineSpec("keras.metrics", "TopKCategoricalAccuracy", {
  ...metricFields("top_k_categorical_accuracy"),
  k: int({ min: 1 }).default(5),
});
/** How often the 1 of a one-hot row is among the k highest scores. */
export class TopKCategoricalAccuracy extends MatchMetric<typeof topKSpec> {
  static readonly spec = topKSpec;
  constructor(options: OptionsOf<typeof topKSpec> = {}) {
    super(topKSpec, options);
  }
  protected matches(yTrue: Tensor, yPred: Tensor): Tensor {
    const [t, p] = alignTargets(yTrue, yPred, this.name);
    return ops.reshape(inTopK(ops.argmax(t, -1), p, this.options.k), p.shape.slice(0, -1));
  }
}

const sparseTopKSpec = defineSpec("keras.metrics", "SparseTopKCategoricalAccuracy", {
  ...metricFields("sparse_top_k_categorical_accuracy"),
  k: int({ min: 1 }).default(5),
  fromSortedIds: bool().default(false),
});
/** How often the class is among the k highest scores. */
export class SparseTopKCategoricalAccuracy extends MatchMetric<typeof sparseTopKSpec> {
  static readonly spec = sparseTopKSpec;
  constructor(options: OptionsOf<typeof sparseTopKSpec> = {}) {
    super(sparseTopKSpec, options);
  }
  protected matches(yTrue: Tensor, yPred: Tensor): Tensor {
    const { k, fromSortedIds } = this.options;
    const classes = classNumbers(yTrue, yPred, this.name);
    if (fromSortedIds) {
      const first = ops.sliceAxis(ops.cast(yPred, "i32"), yPred.ndim - 1, 0, Math.min(k, yPred.shape[yPred.ndim - 1]));
      return ops.any(ops.equal(first, ops.expandDims(classes, -1)), -1);
    }
    return ops.reshape(inTopK(classes, yPred, k), classes.shape);
  }
}
