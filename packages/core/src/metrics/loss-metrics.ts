/** Means of losses over all samples seen. */
import { axes, bool, defineSpec, int, number, type OptionsOf, type Spec } from "../config/index.ts";
import { alignTargets } from "../losses/align.ts";
import * as losses from "../losses/index.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor, type TensorLike } from "../tensor/tensor.ts";
import { metricFields } from "./metric.ts";
import { MeanMetric } from "./reductions.ts";

/** Base: the values of a loss, before its reduction, are averaged. */
abstract class LossMetric<S extends Spec> extends MeanMetric<S> {
  protected abstract readonly loss: losses.Loss;

  updateState(yTrue: TensorLike, yPred: TensorLike, sampleWeight: TensorLike | null = null): void {
    const result = this.loss.call(Tensor.of(yTrue), Tensor.of(yPred));
    if (result instanceof Tensor) this.add(result, sampleWeight);
    else {
      // As in Keras, what the loss ignores is left out of the mean only where there are weights.
      const { values, mask } = result;
      if (sampleWeight === null) this.add(values, null);
      else {
        const weight = ops.cast(Tensor.of(sampleWeight), "f32");
        const rank = values.ndim - weight.ndim;
        const aligned = rank > 0 ? ops.reshape(weight, [...weight.shape, ...new Array(rank).fill(1)]) : weight;
        this.add(values, ops.multiply(ops.cast(mask, "f32"), aligned));
      }
    }
  }
}

const mseSpec = defineSpec("keras.metrics", "MeanSquaredError", metricFields("mean_squared_error"));
export class MeanSquaredError extends LossMetric<typeof mseSpec> {
  static readonly spec = mseSpec;
  protected readonly loss = new losses.MeanSquaredError();
  constructor(options: OptionsOf<typeof mseSpec> = {}) {
    super(mseSpec, options);
  }
}

const maeSpec = defineSpec("keras.metrics", "MeanAbsoluteError", metricFields("mean_absolute_error"));
export class MeanAbsoluteError extends LossMetric<typeof maeSpec> {
  static readonly spec = maeSpec;
  protected readonly loss = new losses.MeanAbsoluteError();
  constructor(options: OptionsOf<typeof maeSpec> = {}) {
    super(maeSpec, options);
  }
}

const mapeSpec = defineSpec(
  "keras.metrics",
  "MeanAbsolutePercentageError",
  metricFields("mean_absolute_percentage_error"),
);
export class MeanAbsolutePercentageError extends LossMetric<typeof mapeSpec> {
  static readonly spec = mapeSpec;
  protected readonly loss = new losses.MeanAbsolutePercentageError();
  constructor(options: OptionsOf<typeof mapeSpec> = {}) {
    super(mapeSpec, options);
  }
}

const msleSpec = defineSpec(
  "keras.metrics",
  "MeanSquaredLogarithmicError",
  metricFields("mean_squared_logarithmic_error"),
);
export class MeanSquaredLogarithmicError extends LossMetric<typeof msleSpec> {
  static readonly spec = msleSpec;
  protected readonly loss = new losses.MeanSquaredLogarithmicError();
  constructor(options: OptionsOf<typeof msleSpec> = {}) {
    super(msleSpec, options);
  }
}

const logCoshSpec = defineSpec("keras.metrics", "LogCoshError", metricFields("logcosh"));
export class LogCoshError extends LossMetric<typeof logCoshSpec> {
  static readonly spec = logCoshSpec;
  protected readonly loss = new losses.LogCosh();
  constructor(options: OptionsOf<typeof logCoshSpec> = {}) {
    super(logCoshSpec, options);
  }
}

const poissonSpec = defineSpec("keras.metrics", "Poisson", metricFields("poisson"));
export class Poisson extends LossMetric<typeof poissonSpec> {
  static readonly spec = poissonSpec;
  protected readonly loss = new losses.Poisson();
  constructor(options: OptionsOf<typeof poissonSpec> = {}) {
    super(poissonSpec, options);
  }
}

const klSpec = defineSpec("keras.metrics", "KLDivergence", metricFields("kl_divergence"));
export class KLDivergence extends LossMetric<typeof klSpec> {
  static readonly spec = klSpec;
  protected readonly loss = new losses.KLDivergence();
  constructor(options: OptionsOf<typeof klSpec> = {}) {
    super(klSpec, options);
  }
}

const hingeSpec = defineSpec("keras.metrics", "Hinge", metricFields("hinge"));
export class Hinge extends LossMetric<typeof hingeSpec> {
  static readonly spec = hingeSpec;
  protected readonly loss = new losses.Hinge();
  constructor(options: OptionsOf<typeof hingeSpec> = {}) {
    super(hingeSpec, options);
  }
}

const squaredHingeSpec = defineSpec("keras.metrics", "SquaredHinge", metricFields("squared_hinge"));
export class SquaredHinge extends LossMetric<typeof squaredHingeSpec> {
  static readonly spec = squaredHingeSpec;
  protected readonly loss = new losses.SquaredHinge();
  constructor(options: OptionsOf<typeof squaredHingeSpec> = {}) {
    super(squaredHingeSpec, options);
  }
}

const categoricalHingeSpec = defineSpec("keras.metrics", "CategoricalHinge", metricFields("categorical_hinge"));
export class CategoricalHinge extends LossMetric<typeof categoricalHingeSpec> {
  static readonly spec = categoricalHingeSpec;
  protected readonly loss = new losses.CategoricalHinge();
  constructor(options: OptionsOf<typeof categoricalHingeSpec> = {}) {
    super(categoricalHingeSpec, options);
  }
}

const binarySpec = defineSpec("keras.metrics", "BinaryCrossentropy", {
  ...metricFields("binary_crossentropy"),
  fromLogits: bool().default(false),
  labelSmoothing: number({ min: 0, max: 1 }).default(0),
});
export class BinaryCrossentropy extends LossMetric<typeof binarySpec> {
  static readonly spec = binarySpec;
  protected readonly loss: losses.Loss;
  constructor(options: OptionsOf<typeof binarySpec> = {}) {
    super(binarySpec, options);
    const { fromLogits, labelSmoothing } = this.options;
    this.loss = new losses.BinaryCrossentropy({ fromLogits, labelSmoothing });
  }
}

const categoricalSpec = defineSpec("keras.metrics", "CategoricalCrossentropy", {
  ...metricFields("categorical_crossentropy"),
  fromLogits: bool().default(false),
  labelSmoothing: number({ min: 0, max: 1 }).default(0),
  axis: int().default(-1),
});
export class CategoricalCrossentropy extends LossMetric<typeof categoricalSpec> {
  static readonly spec = categoricalSpec;
  protected readonly loss: losses.Loss;
  constructor(options: OptionsOf<typeof categoricalSpec> = {}) {
    super(categoricalSpec, options);
    const { fromLogits, labelSmoothing, axis } = this.options;
    this.loss = new losses.CategoricalCrossentropy({ fromLogits, labelSmoothing, axis });
  }
}

const sparseSpec = defineSpec("keras.metrics", "SparseCategoricalCrossentropy", {
  ...metricFields("sparse_categorical_crossentropy"),
  fromLogits: bool().default(false),
  ignoreClass: int().nullable(),
  axis: int().default(-1),
});
export class SparseCategoricalCrossentropy extends LossMetric<typeof sparseSpec> {
  static readonly spec = sparseSpec;
  protected readonly loss: losses.Loss;
  constructor(options: OptionsOf<typeof sparseSpec> = {}) {
    super(sparseSpec, options);
    const { fromLogits, ignoreClass, axis } = this.options;
    this.loss = new losses.SparseCategoricalCrossentropy({ fromLogits, ignoreClass, axis });
  }
}

const cosineSpec = defineSpec("keras.metrics", "CosineSimilarity", {
  ...metricFields("cosine_similarity"),
  axis: axes().default(-1),
});
/** The mean cosine of the angle between target and prediction: 1 for equal directions (the loss has the other sign). */
export class CosineSimilarity extends MeanMetric<typeof cosineSpec> {
  static readonly spec = cosineSpec;
  private readonly loss: losses.CosineSimilarity;
  constructor(options: OptionsOf<typeof cosineSpec> = {}) {
    super(cosineSpec, options);
    this.loss = new losses.CosineSimilarity({ axis: this.options.axis });
  }
  updateState(yTrue: TensorLike, yPred: TensorLike, sampleWeight: TensorLike | null = null): void {
    this.add(ops.negative(this.loss.call(Tensor.of(yTrue), Tensor.of(yPred))), sampleWeight);
  }
}

const rmseSpec = defineSpec("keras.metrics", "RootMeanSquaredError", metricFields("root_mean_squared_error"));
/** The root of the mean squared error over all elements. */
export class RootMeanSquaredError extends MeanMetric<typeof rmseSpec> {
  static readonly spec = rmseSpec;
  constructor(options: OptionsOf<typeof rmseSpec> = {}) {
    super(rmseSpec, options);
  }
  updateState(yTrue: TensorLike, yPred: TensorLike, sampleWeight: TensorLike | null = null): void {
    const [t, p] = alignTargets(ops.cast(Tensor.of(yTrue), "f32"), ops.cast(Tensor.of(yPred), "f32"), this.name);
    this.add(ops.square(ops.subtract(p, t)), sampleWeight);
  }
  override result(): Tensor {
    return ops.sqrt(super.result());
  }
}
