/** Conv: the shared base of convolutions, and conv1d, conv2d, conv3d. */
import { activationField } from "../activations/index.ts";
import { bool, defineSpec, int, type OptionsOf, oneOf, tuple } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import { conv as convValue } from "../graph/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { oneShape, type ShapeTree } from "./arguments.ts";
import { activityFields, dataFormatField, weightFields } from "./fields.ts";
import { knownSize } from "./input-spec.ts";
import { Layer, layerFields } from "./layer.ts";
import { fromChannelsLast, paddingFor, toChannelsLast } from "./spatial.ts";

/** Options of all convolutions over `rank` spatial dimensions. */
export const convFields = (rank: number) => ({
  ...layerFields,
  kernelSize: tuple(rank).doc("size of the window"),
  strides: tuple(rank).default(1).doc("step of the window"),
  padding: oneOf("valid", "same", "causal").default("valid").doc('"same": output size = ceil(size / stride)'),
  dataFormat: dataFormatField,
  dilationRate: tuple(rank).default(1).doc("distance between the window's elements"),
  activation: activationField(),
  useBias: bool().default(true).doc("whether a bias is added"),
  ...weightFields("bias", "zeros"),
  ...activityFields,
});

const convSpec = /* @__NO_SIDE_EFFECTS__ */ (rank: number) =>
  defineSpec("keras.layers", `Conv${rank}D`, {
    ...convFields(rank),
    filters: int({ min: 1 }).doc("number of output channels"),
    groups: int({ min: 1 }).default(1).doc("channels are split into so many groups"),
    ...weightFields("kernel", "glorotUniform"),
  });
type ConvSpec = ReturnType<typeof convSpec>;
export type ConvOptions = OptionsOf<ConvSpec>;

/** A convolution (cross-correlation): channels-last x [N, …S, C] with kernel [...K, C / groups, F] → [N, …S', F]. */
abstract class Conv extends Layer<ConvSpec> {
  override readonly castsIntegers = true;
  kernel!: Variable;
  bias: Variable | null = null;
  readonly rank: number;

  constructor(options: ConvOptions, spec: ConvSpec, rank: number) {
    super(options, spec);
    this.rank = rank;
    const { filters, groups, padding, strides, dilationRate } = this.options;
    if (filters % groups !== 0) {
      throw new LayerwiseError(`${this.describe()} cannot split its filters`, {
        code: "E202",
        layer: this.name,
        received: `${filters} filters in ${groups} groups`,
        expected: "filters divisible by groups",
      });
    }
    checkConv(this, rank, padding, strides, dilationRate);
  }
  override build(inputShape: ShapeTree): void {
    const { filters, groups, kernelSize, dataFormat, useBias } = this.options;
    const axis = dataFormat === "channelsFirst" ? 1 : -1;
    this.inputSpec = { ndim: this.rank + 2 };
    const channels = knownSize(oneShape(inputShape, this.name), axis, this, "channels");
    if (channels % groups !== 0) {
      throw new LayerwiseError(`${this.describe()} cannot split its input`, {
        code: "E103",
        layer: this.name,
        received: `${channels} channels in ${groups} groups`,
        expected: "channels divisible by groups",
      });
    }
    this.kernel = this.addOptionWeight("kernel", [...kernelSize, channels / groups, filters]);
    if (useBias) this.bias = this.addOptionWeight("bias", [filters]);
    this.inputSpec = { ndim: this.rank + 2, axes: { [axis]: channels }, unit: "channels" };
  }
  call(inputs: Tensor): Tensor {
    const { padding, strides, dilationRate, groups, dataFormat, activation } = this.options;
    const x = toChannelsLast(inputs, dataFormat);
    let y = convolve(x, this.read(this.kernel), { padding, strides, dilation: dilationRate, groups });
    if (this.bias) y = y.add(this.read(this.bias));
    return fromChannelsLast(activation.call(y), dataFormat);
  }
}

/** Combinations that Keras refuses too. */
export function checkConv(
  layer: Layer,
  rank: number,
  padding: string,
  strides: readonly number[],
  dilation: readonly number[],
): void {
  if (padding === "causal" && rank !== 1) {
    throw new LayerwiseError(`${layer.describe()} cannot pad causally`, {
      code: "E202",
      layer: layer.name,
      received: '"causal"',
      expected: '"valid" or "same": causal padding exists in one dimension only',
    });
  }
  if (strides.some((s) => s > 1) && dilation.some((d) => d > 1)) {
    throw new LayerwiseError(`${layer.describe()} cannot have both strides and dilation`, {
      code: "E202",
      layer: layer.name,
      received: `strides [${strides}], dilationRate [${dilation}]`,
      expected: "at least one of them all 1",
    });
  }
}

/** A channels-last convolution with Keras' padding names. */
export function convolve(
  x: Tensor,
  kernel: Tensor,
  o: { padding: "valid" | "same" | "causal"; strides: readonly number[]; dilation: readonly number[]; groups: number },
): Tensor {
  const space = x.shape.slice(1, -1);
  const window = kernel.shape.slice(0, -2);
  const { padLow, padHigh } = paddingFor(o.padding, space, window, o.strides, o.dilation);
  space.forEach((size, i) => {
    const reach = (window[i] - 1) * o.dilation[i] + 1;
    if (size + padLow[i] + padHigh[i] < reach) {
      throw new LayerwiseError("a convolution's window does not fit into its input", {
        code: "E103",
        received: `space [${space}] with window [${window}]${o.dilation.some((d) => d > 1) ? ` and dilation [${o.dilation}]` : ""}`,
        expected: "an input at least as large as the window",
        hint: 'padding: "same", or fewer pooling layers before',
      });
    }
  });
  return new Tensor(
    convValue(x.value, kernel.value, { strides: o.strides, dilation: o.dilation, padLow, padHigh, groups: o.groups }),
  );
}

type Rest = Omit<ConvOptions, "filters" | "kernelSize">;
type Size = ConvOptions["kernelSize"];

const conv1dSpec = convSpec(1);
/** [N, T, C] → [N, T', filters]. */
export class Conv1D extends Conv {
  static readonly spec = conv1dSpec;
  constructor(options: ConvOptions) {
    super(options, conv1dSpec, 1);
  }
}
export const conv1d = (filters: number, kernelSize: Size, options: Rest = {}): Conv1D =>
  new Conv1D({ ...options, filters, kernelSize });

const conv2dSpec = convSpec(2);
/** [N, H, W, C] → [N, H', W', filters]. */
export class Conv2D extends Conv {
  static readonly spec = conv2dSpec;
  constructor(options: ConvOptions) {
    super(options, conv2dSpec, 2);
  }
}
export const conv2d = (filters: number, kernelSize: Size, options: Rest = {}): Conv2D =>
  new Conv2D({ ...options, filters, kernelSize });

const conv3dSpec = convSpec(3);
/** [N, A, B, D, C] → [N, A', B', D', filters]. */
export class Conv3D extends Conv {
  static readonly spec = conv3dSpec;
  constructor(options: ConvOptions) {
    super(options, conv3dSpec, 3);
  }
}
export const conv3d = (filters: number, kernelSize: Size, options: Rest = {}): Conv3D =>
  new Conv3D({ ...options, filters, kernelSize });
