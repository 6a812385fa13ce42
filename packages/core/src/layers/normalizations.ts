/** Further normalisations: group, root-mean-square, unit norm. */

import { axes, bool, defineSpec, int, number, type OptionsOf } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { oneShape, type ShapeTree } from "./arguments.ts";
import { weightFields } from "./fields.ts";
import { knownSize } from "./input-spec.ts";
import { Layer, layerFields } from "./layer.ts";
import { onLastAxis } from "./stepping.ts";

const groupSpec = defineSpec("keras.layers", "GroupNormalization", {
  ...layerFields,
  groups: int().default(32).doc("number of groups of channels; -1: one per channel"),
  axis: int().default(-1).doc("the axis of the channels"),
  epsilon: number().default(0.001).doc("added to the variance"),
  center: bool().default(true).doc("whether beta is added"),
  scale: bool().default(true).doc("whether to multiply by gamma"),
  ...weightFields("beta", "zeros"),
  ...weightFields("gamma", "ones"),
});

/** Zero mean and unit variance over each group of channels of a sample (Wu and He 2018). */
export class GroupNormalization extends Layer<typeof groupSpec> {
  static readonly spec = groupSpec;
  override readonly castsIntegers = true;
  override readonly masking = "pass";
  gamma: Variable | null = null;
  beta: Variable | null = null;
  private groups = 1;

  constructor(options: OptionsOf<typeof groupSpec> = {}) {
    super(options, groupSpec);
  }
  override build(inputShape: ShapeTree): void {
    const { axis, groups, scale, center } = this.options;
    const channels = knownSize(oneShape(inputShape, this.name), axis, this, "channels");
    this.groups = groups === -1 ? channels : groups;
    if (channels % this.groups !== 0) {
      throw new LayerwiseError(`${this.describe()} cannot split its input`, {
        code: "E103",
        layer: this.name,
        received: `${channels} channels in ${this.groups} groups`,
        expected: "channels divisible by groups",
      });
    }
    if (scale) this.gamma = this.addOptionWeight("gamma", [channels]);
    if (center) this.beta = this.addOptionWeight("beta", [channels]);
    this.inputSpec = { axes: { [axis]: channels }, unit: "channels" };
  }
  call(x: Tensor): Tensor {
    const axis = this.options.axis < 0 ? this.options.axis + x.ndim : this.options.axis;
    const { groups } = this;
    const split = [...x.shape.slice(0, axis), groups, x.shape[axis] / groups, ...x.shape.slice(axis + 1)];
    const together = split.map((_, i) => i).filter((i) => i !== 0 && i !== axis);
    const grouped = x.reshape(split);
    const centered = grouped.sub(ops.mean(grouped, together, true));
    const variance = ops.mean(ops.square(centered), together, true);
    let y = centered.mul(ops.rsqrt(variance.add(this.options.epsilon))).reshape(x.shape);
    const wide = (v: Variable) => this.read(v).reshape(x.shape.map((d, i) => (i === axis ? d : 1)));
    if (this.gamma) y = y.mul(wide(this.gamma));
    if (this.beta) y = y.add(wide(this.beta));
    return y;
  }
}
export const groupNormalization = (options: OptionsOf<typeof groupSpec> = {}): GroupNormalization =>
  new GroupNormalization(options);

const rmsSpec = defineSpec("keras.layers", "RMSNormalization", {
  ...layerFields,
  axis: axes().default(-1).doc("axes that are normalised together"),
  epsilon: number().default(1e-6).doc("added to the mean square"),
});

/** x / sqrt(mean(x²) + epsilon) · scale (Zhang and Sennrich 2019). */
export class RMSNormalization extends Layer<typeof rmsSpec> {
  static readonly spec = rmsSpec;
  override readonly castsIntegers = true;
  override readonly masking = "pass";
  override get timewise(): boolean {
    return onLastAxis(this.options.axis, this.buildShape);
  }
  scale!: Variable;
  constructor(options: OptionsOf<typeof rmsSpec> = {}) {
    super(options, rmsSpec);
  }
  override build(inputShape: ShapeTree): void {
    const { axis } = this.options;
    const shape = oneShape(inputShape, this.name);
    const sizes = (typeof axis === "number" ? [axis] : axis).map((a) => knownSize(shape, a, this, "features"));
    this.scale = this.addWeight({ name: "scale", shape: sizes, initializer: "ones" });
  }
  call(x: Tensor): Tensor {
    const { axis, epsilon } = this.options;
    const list = (typeof axis === "number" ? [axis] : axis).map((a) => (a < 0 ? a + x.ndim : a));
    const y = x.mul(ops.rsqrt(ops.mean(ops.square(x), list, true).add(epsilon)));
    return y.mul(this.read(this.scale).reshape(x.shape.map((d, i) => (list.includes(i) ? d : 1))));
  }
}
export const rmsNormalization = (options: OptionsOf<typeof rmsSpec> = {}): RMSNormalization =>
  new RMSNormalization(options);

const unitSpec = defineSpec("keras.layers", "UnitNormalization", {
  ...layerFields,
  axis: axes().default(-1).doc("axes whose norm becomes 1"),
});

/** x divided by its Euclidean norm over `axis`. */
export class UnitNormalization extends Layer<typeof unitSpec> {
  static readonly spec = unitSpec;
  override readonly castsIntegers = true;
  override readonly masking = "pass";
  override get timewise(): boolean {
    return onLastAxis(this.options.axis, this.buildShape);
  }
  constructor(options: OptionsOf<typeof unitSpec> = {}) {
    super(options, unitSpec);
  }
  call(x: Tensor): Tensor {
    return x.mul(ops.rsqrt(ops.maximum(ops.sum(ops.square(x), this.options.axis, true), 1e-12)));
  }
}
export const unitNormalization = (options: OptionsOf<typeof unitSpec> = {}): UnitNormalization =>
  new UnitNormalization(options);
