/** Depthwise convolutions: every channel by itself. */
import { defineSpec, int, type OptionsOf } from "../config/index.ts";
import { reshape } from "../graph/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { oneShape, type ShapeTree } from "./arguments.ts";
import { checkConv, convFields, convolve } from "./conv.ts";
import { weightFields } from "./fields.ts";
import { knownSize } from "./input-spec.ts";
import { Layer } from "./layer.ts";
import { fromChannelsLast, toChannelsLast } from "./spatial.ts";

const depthwiseSpec = (rank: number) =>
  defineSpec("keras.layers", `DepthwiseConv${rank}D`, {
    ...convFields(rank),
    depthMultiplier: int({ min: 1 }).default(1).doc("output channels per input channel"),
    ...weightFields("depthwise", "glorotUniform"),
  });
type DepthwiseSpec = ReturnType<typeof depthwiseSpec>;
export type DepthwiseConvOptions = OptionsOf<DepthwiseSpec>;

/** x [N, …S, C] with kernel [...K, C, M] → [N, …S', C·M]; output channel c·M + m comes from channel c. */
abstract class DepthwiseConv extends Layer<DepthwiseSpec> {
  override readonly castsIntegers = true;
  kernel!: Variable;
  bias: Variable | null = null;
  readonly rank: number;

  constructor(options: DepthwiseConvOptions, spec: DepthwiseSpec, rank: number) {
    super(options, spec);
    this.rank = rank;
    const { padding, strides, dilationRate } = this.options;
    checkConv(this, rank, padding, strides, dilationRate);
  }
  override build(inputShape: ShapeTree): void {
    const {
      kernelSize,
      dataFormat,
      depthMultiplier,
      useBias,
      depthwiseInitializer,
      depthwiseRegularizer,
      depthwiseConstraint,
    } = this.options;
    const axis = dataFormat === "channelsFirst" ? 1 : -1;
    this.inputSpec = { ndim: this.rank + 2 };
    const channels = knownSize(oneShape(inputShape, this.name), axis, this, "channels");
    this.kernel = this.addWeight({
      name: "kernel",
      shape: [...kernelSize, channels, depthMultiplier],
      initializer: depthwiseInitializer,
      regularizer: depthwiseRegularizer,
      constraint: depthwiseConstraint,
    });
    if (useBias) this.bias = this.addOptionWeight("bias", [channels * depthMultiplier]);
    this.inputSpec = { ndim: this.rank + 2, axes: { [axis]: channels }, unit: "channels" };
  }
  call(inputs: Tensor): Tensor {
    const { padding, strides, dilationRate, dataFormat, activation } = this.options;
    const x = toChannelsLast(inputs, dataFormat);
    let y = depthwise(x, this.read(this.kernel), { padding, strides, dilation: dilationRate });
    if (this.bias) y = y.add(this.read(this.bias));
    return fromChannelsLast(activation.call(y), dataFormat);
  }
}

/** A convolution with one group per channel; kernel [...K, C, M]. */
export function depthwise(
  x: Tensor,
  kernel: Tensor,
  o: { padding: "valid" | "same" | "causal"; strides: readonly number[]; dilation: readonly number[] },
): Tensor {
  const window = kernel.shape.slice(0, -2);
  const [channels, multiplier] = kernel.shape.slice(-2);
  const grouped = new Tensor(reshape(kernel.value, [...window, 1, channels * multiplier]));
  return convolve(x, grouped, { ...o, groups: channels });
}

type Rest = Omit<DepthwiseConvOptions, "kernelSize">;
type Size = DepthwiseConvOptions["kernelSize"];

const depthwiseConv1dSpec = depthwiseSpec(1);
/** [N, T, C] → [N, T', C·depthMultiplier]. */
export class DepthwiseConv1D extends DepthwiseConv {
  static readonly spec = depthwiseConv1dSpec;
  constructor(options: DepthwiseConvOptions) {
    super(options, depthwiseConv1dSpec, 1);
  }
}
export const depthwiseConv1d = (kernelSize: Size, options: Rest = {}): DepthwiseConv1D =>
  new DepthwiseConv1D({ ...options, kernelSize });

const depthwiseConv2dSpec = depthwiseSpec(2);
/** [N, H, W, C] → [N, H', W', C·depthMultiplier]. */
export class DepthwiseConv2D extends DepthwiseConv {
  static readonly spec = depthwiseConv2dSpec;
  constructor(options: DepthwiseConvOptions) {
    super(options, depthwiseConv2dSpec, 2);
  }
}
export const depthwiseConv2d = (kernelSize: Size, options: Rest = {}): DepthwiseConv2D =>
  new DepthwiseConv2D({ ...options, kernelSize });
