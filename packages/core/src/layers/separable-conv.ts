/** Separable convolutions: depthwise, then a mixture of channels. */
import { defineSpec, int, type OptionsOf } from "../config/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { oneShape, type ShapeTree } from "./arguments.ts";
import { checkConv, convFields, convolve } from "./conv.ts";
import { depthwise } from "./depthwise-conv.ts";
import { weightFields } from "./fields.ts";
import { knownSize } from "./input-spec.ts";
import { Layer } from "./layer.ts";
import { fromChannelsLast, toChannelsLast } from "./spatial.ts";

const separableSpec = (rank: number) =>
  defineSpec("keras.layers", `SeparableConv${rank}D`, {
    ...convFields(rank),
    filters: int({ min: 1 }).doc("number of output channels"),
    depthMultiplier: int({ min: 1 }).default(1).doc("channels of the depthwise part per input channel"),
    ...weightFields("depthwise", "glorotUniform"),
    ...weightFields("pointwise", "glorotUniform"),
  });
type SeparableSpec = ReturnType<typeof separableSpec>;
export type SeparableConvOptions = OptionsOf<SeparableSpec>;

/** x [N, …S, C]: depthwise kernel [...K, C, M], then pointwise kernel [1…, C·M, filters]. */
abstract class SeparableConv extends Layer<SeparableSpec> {
  override readonly castsIntegers = true;
  depthwiseKernel!: Variable;
  pointwiseKernel!: Variable;
  bias: Variable | null = null;
  readonly rank: number;

  constructor(options: SeparableConvOptions, spec: SeparableSpec, rank: number) {
    super(options, spec);
    this.rank = rank;
    const { padding, strides, dilationRate } = this.options;
    checkConv(this, rank, padding, strides, dilationRate);
  }
  override build(inputShape: ShapeTree): void {
    const o = this.options;
    const axis = o.dataFormat === "channelsFirst" ? 1 : -1;
    this.inputSpec = { ndim: this.rank + 2 };
    const channels = knownSize(oneShape(inputShape, this.name), axis, this, "channels");
    this.depthwiseKernel = this.addWeight({
      name: "depthwise_kernel",
      shape: [...o.kernelSize, channels, o.depthMultiplier],
      initializer: o.depthwiseInitializer,
      regularizer: o.depthwiseRegularizer,
      constraint: o.depthwiseConstraint,
    });
    this.pointwiseKernel = this.addWeight({
      name: "pointwise_kernel",
      shape: [...o.kernelSize.map(() => 1), channels * o.depthMultiplier, o.filters],
      initializer: o.pointwiseInitializer,
      regularizer: o.pointwiseRegularizer,
      constraint: o.pointwiseConstraint,
    });
    if (o.useBias) this.bias = this.addOptionWeight("bias", [o.filters]);
    this.inputSpec = { ndim: this.rank + 2, axes: { [axis]: channels }, unit: "channels" };
  }
  call(inputs: Tensor): Tensor {
    const { padding, strides, dilationRate, dataFormat, activation, kernelSize } = this.options;
    const x = toChannelsLast(inputs, dataFormat);
    const mixed = depthwise(x, this.read(this.depthwiseKernel), { padding, strides, dilation: dilationRate });
    const ones = kernelSize.map(() => 1);
    let y = convolve(mixed, this.read(this.pointwiseKernel), {
      padding: "valid",
      strides: ones,
      dilation: ones,
      groups: 1,
    });
    if (this.bias) y = y.add(this.read(this.bias));
    return fromChannelsLast(activation.call(y), dataFormat);
  }
}

type Rest = Omit<SeparableConvOptions, "filters" | "kernelSize">;
type Size = SeparableConvOptions["kernelSize"];

const separableConv1dSpec = separableSpec(1);
/** [N, T, C] → [N, T', filters]. */
export class SeparableConv1D extends SeparableConv {
  static readonly spec = separableConv1dSpec;
  constructor(options: SeparableConvOptions) {
    super(options, separableConv1dSpec, 1);
  }
}
export const separableConv1d = (filters: number, kernelSize: Size, options: Rest = {}): SeparableConv1D =>
  new SeparableConv1D({ ...options, filters, kernelSize });

const separableConv2dSpec = separableSpec(2);
/** [N, H, W, C] → [N, H', W', filters]. */
export class SeparableConv2D extends SeparableConv {
  static readonly spec = separableConv2dSpec;
  constructor(options: SeparableConvOptions) {
    super(options, separableConv2dSpec, 2);
  }
}
export const separableConv2d = (filters: number, kernelSize: Size, options: Rest = {}): SeparableConv2D =>
  new SeparableConv2D({ ...options, filters, kernelSize });
