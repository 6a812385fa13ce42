/** Intersection over union of predicted and true regions, for segmentation. */
import { bool, defineSpec, int, list, number, type OptionsOf, type Spec, type ValuesOf } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import * as g from "../graph/ops/index.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor, type TensorLike } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { Metric, metricFields } from "./metric.ts";

const epsilon = 1e-7;

interface Reading {
  readonly numClasses: number;
  readonly targets: readonly number[];
  readonly ignoreClass: number | null;
  readonly sparseTrue: boolean;
  readonly sparsePred: boolean;
  readonly axis: number;
}

/** Base: a matrix of counts, true class by predicted class. */
abstract class OverlapMetric<S extends Spec> extends Metric<S> {
  private readonly reading: Reading;
  private readonly matrix: Variable;

  constructor(spec: S, options: OptionsOf<S>, reading: (values: ValuesOf<S>) => Reading) {
    super(spec, options);
    this.reading = reading(this.options);
    const { numClasses, targets } = this.reading;
    const bad = targets.find((c) => c < 0 || c >= numClasses);
    if (bad !== undefined) {
      throw new LayerwiseError("there is no such class", {
        code: "E202",
        layer: this.name,
        received: `targetClassIds with ${bad}`,
        expected: `0 to ${numClasses - 1}`,
      });
    }
    this.matrix = this.addState("total_confusion_matrix", [numClasses, numClasses]);
  }
  protected predicted(yPred: Tensor): Tensor {
    return this.reading.sparsePred ? yPred : ops.argmax(yPred, this.reading.axis);
  }
  updateState(yTrue: TensorLike, yPred: TensorLike, sampleWeight: TensorLike | null = null): void {
    const { numClasses: n, ignoreClass, sparseTrue, axis } = this.reading;
    const given = Tensor.of(yTrue);
    const t = ops.ravel(ops.cast(sparseTrue ? given : ops.argmax(given, axis), "i32"));
    const p = ops.ravel(ops.cast(this.predicted(Tensor.of(yPred)), "i32"));
    if (t.size !== p.size) {
      throw new LayerwiseError("targets and predictions have different numbers of elements", {
        code: "L105",
        layer: this.name,
        received: `${t.size} and ${p.size}`,
        expected: "equal numbers",
      });
    }
    const weight =
      sampleWeight === null ? null : ops.broadcastTo(ops.ravel(ops.cast(Tensor.of(sampleWeight), "f32")), t.shape);
    // Classes out of range fall into no cell of the matrix, because they equal no number of a row or column.
    const cell = (x: Tensor) => ops.equal(ops.expandDims(x, -1), new Tensor(g.iota([1, n], 1)));
    let rows = ops.cast(cell(t), "f32");
    if (ignoreClass !== null) rows = ops.where(ops.expandDims(ops.equal(t, ignoreClass), -1), 0, rows);
    if (weight !== null) rows = ops.multiply(rows, ops.expandDims(weight, -1));
    const counts = ops.matmul(ops.transpose(rows), ops.cast(cell(p), "f32"));
    this.matrix.assign(ops.add(this.matrix.read(), counts));
  }
  result(): Tensor {
    const { targets, numClasses: n } = this.reading;
    const matrix = this.matrix.read();
    const diagonal = ops.equal(new Tensor(g.iota([n, n], 0)), new Tensor(g.iota([n, n], 1)));
    const right = ops.sum(ops.where(diagonal, matrix, 0), 0);
    const union = ops.subtract(ops.add(ops.sum(matrix, 0), ops.sum(matrix, 1)), right);
    const wanted = Tensor.of(Array.from({ length: n }, (_, i) => targets.filter((c) => c === i).length));
    const valid = ops.multiply(ops.cast(ops.greater(union, 1e-9), "f32"), wanted);
    const each = ops.multiply(ops.divide(right, ops.add(union, epsilon)), valid);
    return ops.divide(ops.sum(each), ops.add(ops.sum(valid), epsilon));
  }
}

const classCount = () => int({ min: 1 }).doc("number of classes");
const targetIds = () => list(int({ min: 0 })).doc("the classes that count");
const ignored = () => int().nullable().doc("targets of this class do not count");
const range = (n: number) => Array.from({ length: n }, (_, i) => i);

const iouSpec = defineSpec("keras.metrics", "IoU", {
  numClasses: classCount(),
  targetClassIds: targetIds(),
  ignoreClass: ignored(),
  sparseYTrue: bool().default(true).as("sparse_y_true").doc("whether targets are class numbers, not one-hot"),
  sparseYPred: bool().default(true).as("sparse_y_pred").doc("whether predictions are class numbers, not scores"),
  axis: int().default(-1),
  ...metricFields(),
});
/** The mean over some classes of overlap over union. */
export class IoU extends OverlapMetric<typeof iouSpec> {
  static readonly spec = iouSpec;
  constructor(options: OptionsOf<typeof iouSpec>) {
    super(iouSpec, options, (o) => ({
      numClasses: o.numClasses,
      targets: o.targetClassIds,
      ignoreClass: o.ignoreClass,
      sparseTrue: o.sparseYTrue,
      sparsePred: o.sparseYPred,
      axis: o.axis,
    }));
  }
}

const meanSpec = defineSpec("keras.metrics", "MeanIoU", {
  numClasses: classCount(),
  ignoreClass: ignored(),
  sparseYTrue: bool().default(true).as("sparse_y_true"),
  sparseYPred: bool().default(true).as("sparse_y_pred"),
  axis: int().default(-1),
  ...metricFields(),
});
/** IoU of all classes. */
export class MeanIoU extends OverlapMetric<typeof meanSpec> {
  static readonly spec = meanSpec;
  constructor(options: OptionsOf<typeof meanSpec>) {
    super(meanSpec, options, (o) => ({
      numClasses: o.numClasses,
      targets: range(o.numClasses),
      ignoreClass: o.ignoreClass,
      sparseTrue: o.sparseYTrue,
      sparsePred: o.sparseYPred,
      axis: o.axis,
    }));
  }
}

const oneHotSpec = defineSpec("keras.metrics", "OneHotIoU", {
  numClasses: classCount(),
  targetClassIds: targetIds(),
  ignoreClass: ignored(),
  sparseYPred: bool().default(false).as("sparse_y_pred"),
  axis: int().default(-1),
  ...metricFields(),
});
/** IoU for one-hot targets. */
export class OneHotIoU extends OverlapMetric<typeof oneHotSpec> {
  static readonly spec = oneHotSpec;
  constructor(options: OptionsOf<typeof oneHotSpec>) {
    super(oneHotSpec, options, (o) => ({
      numClasses: o.numClasses,
      targets: o.targetClassIds,
      ignoreClass: o.ignoreClass,
      sparseTrue: false,
      sparsePred: o.sparseYPred,
      axis: o.axis,
    }));
  }
}

const oneHotMeanSpec = defineSpec("keras.metrics", "OneHotMeanIoU", {
  numClasses: classCount(),
  ignoreClass: ignored(),
  sparseYPred: bool().default(false).as("sparse_y_pred"),
  axis: int().default(-1),
  ...metricFields(),
});
/** IoU of all classes for one-hot targets. */
export class OneHotMeanIoU extends OverlapMetric<typeof oneHotMeanSpec> {
  static readonly spec = oneHotMeanSpec;
  constructor(options: OptionsOf<typeof oneHotMeanSpec>) {
    super(oneHotMeanSpec, options, (o) => ({
      numClasses: o.numClasses,
      targets: range(o.numClasses),
      ignoreClass: o.ignoreClass,
      sparseTrue: false,
      sparsePred: o.sparseYPred,
      axis: o.axis,
    }));
  }
}

const binarySpec = defineSpec("keras.metrics", "BinaryIoU", {
  targetClassIds: targetIds().default([0, 1]),
  threshold: number().default(0.5).doc("scores from here on are class 1"),
  ...metricFields(),
});
/** IoU of two classes, from scores of one. */
export class BinaryIoU extends OverlapMetric<typeof binarySpec> {
  static readonly spec = binarySpec;
  constructor(options: OptionsOf<typeof binarySpec> = {}) {
    super(binarySpec, options, (o) => ({
      numClasses: 2,
      targets: o.targetClassIds,
      ignoreClass: null,
      sparseTrue: true,
      sparsePred: true,
      axis: -1,
    }));
  }
  protected override predicted(yPred: Tensor): Tensor {
    return ops.greaterEqual(ops.cast(yPred, "f32"), this.options.threshold);
  }
}
