/** Correlation of targets and predictions along an axis, averaged over samples. */
import { axes, defineSpec, type OptionsOf, type Spec } from "../config/index.ts";
import { alignTargets } from "../losses/align.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor, type TensorLike } from "../tensor/tensor.ts";
import { metricFields } from "./metric.ts";
import { MeanMetric } from "./reductions.ts";

type Axis = number | readonly number[];

abstract class CorrelationMetric<S extends Spec> extends MeanMetric<S> {
  protected abstract correlation(t: Tensor, p: Tensor, axis: Axis): Tensor;

  updateState(yTrue: TensorLike, yPred: TensorLike, sampleWeight: TensorLike | null = null): void {
    const float = (x: TensorLike) => ops.cast(Tensor.of(x), "f32");
    const [t, p] = alignTargets(float(yTrue), float(yPred), this.name);
    const { axis } = this.options as unknown as { axis: Axis };
    this.add(this.correlation(t, p, axis), sampleWeight);
  }
}

const pearsonSpec = defineSpec("keras.metrics", "PearsonCorrelation", {
  ...metricFields("pearson_correlation"),
  axis: axes().default(-1),
});
/** Pearson's correlation coefficient. */
export class PearsonCorrelation extends CorrelationMetric<typeof pearsonSpec> {
  static readonly spec = pearsonSpec;
  constructor(options: OptionsOf<typeof pearsonSpec> = {}) {
    super(pearsonSpec, options);
  }
  protected correlation(t: Tensor, p: Tensor, axis: Axis): Tensor {
    const standard = (x: Tensor) => {
      const centred = ops.subtract(x, ops.mean(x, axis, true));
      return ops.divide(centred, ops.std(centred, axis, true));
    };
    return ops.mean(ops.multiply(standard(t), standard(p)), axis);
  }
}

const concordanceSpec = defineSpec("keras.metrics", "ConcordanceCorrelation", {
  ...metricFields("concordance_correlation"),
  axis: axes().default(-1),
});
/** Lin's concordance: correlation that also wants equal means and variances. */
export class ConcordanceCorrelation extends CorrelationMetric<typeof concordanceSpec> {
  static readonly spec = concordanceSpec;
  constructor(options: OptionsOf<typeof concordanceSpec> = {}) {
    super(concordanceSpec, options);
  }
  protected correlation(t: Tensor, p: Tensor, axis: Axis): Tensor {
    const [tMean, pMean] = [ops.mean(t, axis, true), ops.mean(p, axis, true)];
    const variance = (x: Tensor) => ops.var(x, axis, true);
    // Both factors are taken from the mean of the predictions, which in the mean gives the covariance all the same.
    const covariance = ops.multiply(ops.subtract(t, pMean), ops.subtract(p, pMean));
    const spread = ops.add(ops.add(variance(t), variance(p)), ops.square(ops.subtract(tMean, pMean)));
    return ops.mean(ops.divide(ops.multiply(covariance, 2), ops.add(spread, 1e-7)), axis);
  }
}
