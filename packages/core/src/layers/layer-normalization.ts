/** LayerNormalization: zero mean and unit variance within each sample (Ba et al. 2016). */

import { axes, bool, defineSpec, number, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { oneShape, type ShapeTree } from "./arguments.ts";
import { weightFields } from "./fields.ts";
import { knownSize } from "./input-spec.ts";
import { Layer, layerFields } from "./layer.ts";
import { onLastAxis } from "./stepping.ts";

const spec = defineSpec("keras.layers", "LayerNormalization", {
  ...layerFields,
  axis: axes().default(-1).doc("axes that are normalised together"),
  epsilon: number().default(0.001).doc("added to the variance"),
  center: bool().default(true).doc("whether beta is added"),
  scale: bool().default(true).doc("whether to multiply by gamma"),
  ...weightFields("beta", "zeros"),
  ...weightFields("gamma", "ones"),
});
export type LayerNormalizationOptions = OptionsOf<typeof spec>;

/** (x - mean) / sqrt(variance + epsilon) · gamma + beta over `axis`; [N, …] → the same shape. */
export class LayerNormalization extends Layer<typeof spec> {
  static readonly spec = spec;
  override readonly masking = "pass";
  override get timewise(): boolean {
    return onLastAxis(this.options.axis, this.buildShape);
  }
  override readonly castsIntegers = true;
  gamma: Variable | null = null;
  beta: Variable | null = null;
  private axes: number[] = [];

  constructor(options: LayerNormalizationOptions = {}) {
    super(options, spec);
  }
  override build(inputShape: ShapeTree): void {
    const shape = oneShape(inputShape, this.name);
    const { axis, scale, center } = this.options;
    this.axes = (typeof axis === "number" ? [axis] : [...axis]).map((a) => (a < 0 ? a + shape.length : a));
    const sizes = this.axes.map((a) => knownSize(shape, a, this, "features"));
    if (scale) this.gamma = this.addOptionWeight("gamma", sizes);
    if (center) this.beta = this.addOptionWeight("beta", sizes);
    this.inputSpec = {
      ndim: shape.length,
      axes: Object.fromEntries(this.axes.map((a, i) => [a, sizes[i]])),
      unit: "features",
    };
  }
  call(x: Tensor): Tensor {
    const { axes } = this;
    const centered = x.sub(ops.mean(x, axes, true));
    const variance = ops.mean(ops.square(centered), axes, true);
    let y = centered.mul(ops.rsqrt(variance.add(this.options.epsilon)));
    if (this.gamma) y = y.mul(this.wide(this.gamma, x.ndim));
    if (this.beta) y = y.add(this.wide(this.beta, x.ndim));
    return y;
  }
  /** A weight laid along the normalised axes, in the order of the input's axes. */
  private wide(weight: Variable, rank: number): Tensor {
    const sorted = [...this.axes].sort((a, b) => a - b);
    const ordered = ops.transpose(
      this.read(weight),
      sorted.map((a) => this.axes.indexOf(a)),
    );
    const shape = new Array<number>(rank).fill(1);
    sorted.forEach((a, i) => {
      shape[a] = ordered.shape[i];
    });
    return ordered.reshape(shape);
  }
}

/** Normalises within each sample. */
export function layerNormalization(options: LayerNormalizationOptions = {}): LayerNormalization {
  return new LayerNormalization(options);
}
