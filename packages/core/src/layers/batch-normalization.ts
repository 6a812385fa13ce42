/** BatchNormalization: zero mean and unit variance per channel over the batch (Ioffe and Szegedy 2015). */
import { bool, defineSpec, int, json, number, type OptionsOf } from "../config/index.ts";
import { initializerField } from "../initializers/index.ts";
import { stopGradient } from "../tensor/functions.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { isTensor, oneShape, type ShapeTree } from "./arguments.ts";
import { weightFields } from "./fields.ts";
import { knownSize } from "./input-spec.ts";
import { type CallContext, Layer, layerFields } from "./layer.ts";

const spec = defineSpec("keras.layers", "BatchNormalization", {
  ...layerFields,
  axis: int().default(-1).doc("the axis of the channels"),
  momentum: number().default(0.99).doc("share of the old value in the moving averages"),
  epsilon: number().default(0.001).doc("added to the variance"),
  center: bool().default(true).doc("whether beta is added"),
  scale: bool().default(true).doc("whether to multiply by gamma"),
  ...weightFields("beta", "zeros"),
  ...weightFields("gamma", "ones"),
  movingMeanInitializer: initializerField().default("zeros"),
  movingVarianceInitializer: initializerField().default("ones"),
  synchronized: bool().default(false).doc("statistics over all processes; with one process the same as without"),
  renorm: bool().default(false).doc("batch renormalisation (Ioffe 2017)"),
  renormClipping: json().nullable().doc("{ rmax, rmin, dmax } of the renormalisation"),
  renormMomentum: number().default(0.99).doc("momentum of the averages that renormalisation uses"),
});
export type BatchNormalizationOptions = OptionsOf<typeof spec>;

/** What the normalisation itself needs; each of shape [C]. */
interface Moments {
  readonly mean: Tensor;
  readonly variance: Tensor;
}

/** Training: normalises by the batch and updates the moving averages; otherwise by the moving averages. */
export class BatchNormalization extends Layer<typeof spec> {
  static readonly spec = spec;
  override readonly masking = "pass";
  override readonly castsIntegers = true;
  gamma: Variable | null = null;
  beta: Variable | null = null;
  movingMean!: Variable;
  movingVariance!: Variable;
  movingStddev: Variable | null = null;
  renormMean: Variable | null = null;
  renormStddev: Variable | null = null;

  constructor(options: BatchNormalizationOptions = {}) {
    super(options, spec);
  }
  override build(inputShape: ShapeTree): void {
    const { axis, scale, center, renorm } = this.options;
    const shape = oneShape(inputShape, this.name);
    const channels = knownSize(shape, axis, this, "channels");
    if (scale) this.gamma = this.addOptionWeight("gamma", [channels]);
    if (center) this.beta = this.addOptionWeight("beta", [channels]);
    this.movingMean = this.addOptionWeight("movingMean", [channels], false);
    this.movingVariance = this.addOptionWeight("movingVariance", [channels], false);
    if (renorm) {
      const plain = (name: string, initializer: "zeros" | "ones") =>
        this.addWeight({ name, shape: [channels], initializer, trainable: false });
      this.movingStddev = plain("moving_stddev", "ones");
      this.renormMean = plain("renorm_mean", "zeros");
      this.renormStddev = plain("renorm_stddev", "ones");
    }
    this.inputSpec = { axes: { [axis]: channels }, unit: "channels", ndim: shape.length };
  }
  call(x: Tensor, { training, mask }: CallContext): Tensor {
    const { epsilon } = this.options;
    const axis = this.options.axis < 0 ? this.options.axis + x.ndim : this.options.axis;
    const others = x.shape.map((_, i) => i).filter((i) => i !== axis);
    const wide = (v: Tensor) => v.reshape(x.shape.map((d, i) => (i === axis ? d : 1)));
    const gamma = this.gamma ? this.read(this.gamma) : null;
    const beta = this.beta ? this.read(this.beta) : null;
    if (!training || !this.trainable) {
      const inverse = ops.rsqrt(this.read(this.movingVariance).add(epsilon));
      return affine(
        x.sub(wide(this.read(this.movingMean))),
        wide(gamma ? inverse.mul(gamma) : inverse),
        beta && wide(beta),
      );
    }
    const { mean, variance } = isTensor(mask) ? maskedMoments(x, mask, others) : moments(x, others);
    if (this.options.renorm) return this.renormalized(x, { mean, variance }, wide, gamma, beta);
    this.average(this.movingMean, mean);
    this.average(this.movingVariance, variance);
    const inverse = ops.rsqrt(variance.add(epsilon));
    return affine(x.sub(wide(mean)), wide(gamma ? inverse.mul(gamma) : inverse), beta && wide(beta));
  }

  private average(moving: Variable, now: Tensor, momentum = this.options.momentum): void {
    moving.assign(
      moving
        .read()
        .mul(momentum)
        .add(ops.cast(stopGradient(now), moving.dtype).mul(1 - momentum)),
    );
  }
  /** ((x - mean) / σ · r + d) · gamma + beta with r = σ / σ_moving and d = (mean - mean_moving) / σ_moving, both clipped. */
  private renormalized(
    x: Tensor,
    { mean, variance }: Moments,
    wide: (v: Tensor) => Tensor,
    gamma: Tensor | null,
    beta: Tensor | null,
  ): Tensor {
    const { epsilon, renormMomentum } = this.options;
    const clipping = (this.options.renormClipping ?? {}) as { rmax?: number; rmin?: number; dmax?: number };
    const stddev = ops.sqrt(variance.add(epsilon));
    const renormMean = this.read(this.renormMean!);
    const renormStddev = ops.maximum(this.read(this.renormStddev!), Math.sqrt(epsilon));
    let r = stopGradient(stddev.div(renormStddev));
    let d = stopGradient(mean.sub(renormMean).div(renormStddev));
    if (clipping.rmin !== undefined) r = ops.maximum(r, clipping.rmin);
    if (clipping.rmax !== undefined) r = ops.minimum(r, clipping.rmax);
    if (clipping.dmax !== undefined) d = ops.clip(d, -clipping.dmax, clipping.dmax);
    this.average(this.renormMean!, mean, renormMomentum);
    this.average(this.renormStddev!, stddev, renormMomentum);
    this.average(this.movingMean, mean);
    this.average(this.movingStddev!, stddev);
    this.movingVariance.assign(ops.maximum(ops.square(this.movingStddev!.read()).sub(epsilon), 0));
    const y = x
      .sub(wide(mean))
      .mul(wide(ops.rsqrt(variance.add(epsilon)).mul(r)))
      .add(wide(d));
    return affine(y, gamma && wide(gamma), beta && wide(beta));
  }
}

function affine(x: Tensor, factor: Tensor | null, offset: Tensor | null): Tensor {
  const y = factor ? x.mul(factor) : x;
  return offset ? y.add(offset) : y;
}

/** Mean and (biased) variance over axes. */
function moments(x: Tensor, axes: readonly number[]): Moments {
  const mean = ops.mean(x, axes, true);
  const variance = ops.mean(ops.square(x.sub(mean)), axes);
  return { mean: ops.squeeze(mean, axes), variance };
}

/** Moments over what the mask (of the leading axes) lets count. */
function maskedMoments(x: Tensor, mask: Tensor, axes: readonly number[]): Moments {
  const shape = x.shape.map((d, i) => (i < mask.ndim ? d : 1));
  const weight = ops.broadcastTo(ops.cast(mask, x.dtype).reshape(shape), x.shape);
  const total = ops.sum(weight, axes, true).add(1e-7);
  const mean = ops.sum(x.mul(weight), axes, true).div(total);
  const variance = ops.sum(ops.square(x.sub(mean)).mul(weight), axes, true).div(total);
  return { mean: ops.squeeze(mean, axes), variance: ops.squeeze(variance, axes) };
}

/** Normalises each channel over the batch. */
export function batchNormalization(options: BatchNormalizationOptions = {}): BatchNormalization {
  return new BatchNormalization(options);
}
