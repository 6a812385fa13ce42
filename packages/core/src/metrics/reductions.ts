/** Mean and sum of values, and means of functions of targets and predictions. */
import { defineSpec, type OptionsOf, type Spec } from "../config/index.ts";
import { alignWeights } from "../losses/reduction.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor, type TensorLike } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { Metric, metricFields } from "./metric.ts";

/** Σ weight·value and Σ weight (the number of values without weights). */
export function weightedSums(
  values: Tensor,
  sampleWeight: TensorLike | null,
  owner: string,
): { total: Tensor; count: Tensor } {
  const v = ops.cast(values, "f32");
  if (sampleWeight === null) return { total: ops.sum(v), count: Tensor.of(v.size) };
  let w = ops.cast(Tensor.of(sampleWeight), "f32");
  // Values of one number per sample are weighed per sample; weights per element make means of what they cover.
  w = alignWeights(v, w, owner);
  const weights = v.ndim === 0 ? w : ops.broadcastTo(w, v.shape);
  return { total: ops.sum(ops.multiply(v, w)), count: ops.sum(weights) };
}

/** Base of metrics that are a weighted mean; subclasses call `add` from `updateState`. */
export abstract class MeanMetric<S extends Spec = Spec> extends Metric<S> {
  protected readonly total: Variable;
  protected readonly count: Variable;

  constructor(spec: S, options: OptionsOf<S>) {
    super(spec, options);
    this.total = this.addState("total");
    this.count = this.addState("count");
  }
  protected add(values: Tensor, sampleWeight: TensorLike | null): void {
    const { total, count } = weightedSums(values, sampleWeight, this.name);
    this.total.assign(ops.add(this.total.read(), total));
    this.count.assign(ops.add(this.count.read(), count));
  }
  result(): Tensor {
    return ops.divideNoNan(this.total.read(), this.count.read());
  }
}

const meanSpec = defineSpec("keras.metrics", "Mean", metricFields("mean"));
/** Weighted mean of values. */
export class Mean extends MeanMetric<typeof meanSpec> {
  static readonly spec = meanSpec;
  constructor(options: OptionsOf<typeof meanSpec> = {}) {
    super(meanSpec, options);
  }
  updateState(values: TensorLike, sampleWeight: TensorLike | null = null): void {
    this.add(Tensor.of(values), sampleWeight);
  }
}

const sumSpec = defineSpec("keras.metrics", "Sum", metricFields("sum"));
/** Weighted sum of values. */
export class Sum extends Metric<typeof sumSpec> {
  static readonly spec = sumSpec;
  private readonly total: Variable;
  constructor(options: OptionsOf<typeof sumSpec> = {}) {
    super(sumSpec, options);
    this.total = this.addState("total");
  }
  updateState(values: TensorLike, sampleWeight: TensorLike | null = null): void {
    const { total } = weightedSums(Tensor.of(values), sampleWeight, this.name);
    this.total.assign(ops.add(this.total.read(), total));
  }
  result(): Tensor {
    return this.total.read();
  }
}

const functionSpec = defineSpec("keras.metrics", "MeanMetricWrapper", metricFields("mean_metric_wrapper"));
/** The mean of a function of one's own: (yTrue, yPred) → values per sample. */
export class FunctionMetric extends MeanMetric<typeof functionSpec> {
  static readonly spec = functionSpec;
  private readonly fn: (yTrue: Tensor, yPred: Tensor) => Tensor;
  constructor(fn: (yTrue: Tensor, yPred: Tensor) => Tensor, name: string = fn.name || "metric") {
    super(functionSpec, { name });
    this.fn = fn;
  }
  updateState(yTrue: TensorLike, yPred: TensorLike, sampleWeight: TensorLike | null = null): void {
    this.add(this.fn(Tensor.of(yTrue), Tensor.of(yPred)), sampleWeight);
  }
}
