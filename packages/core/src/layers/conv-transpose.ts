/** Transposed convolutions: the gradient of a convolution in its input, used forwards. */
import { defineSpec, int, type OptionsOf, tuple } from "../config/index.ts";
import { convInputGrad } from "../graph/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { oneShape, type ShapeTree } from "./arguments.ts";
import { checkConv, convFields } from "./conv.ts";
import { weightFields } from "./fields.ts";
import { knownSize } from "./input-spec.ts";
import { Layer } from "./layer.ts";
import { fromChannelsLast, toChannelsLast } from "./spatial.ts";

const transposeSpec = (rank: number) =>
  defineSpec("keras.layers", `Conv${rank}DTranspose`, {
    ...convFields(rank),
    filters: int({ min: 1 }).doc("number of output channels"),
    outputPadding: tuple(rank, int({ min: 0 }))
      .nullable()
      .doc("extra size at the end of each dimension"),
    ...weightFields("kernel", "glorotUniform"),
  });
type TransposeSpec = ReturnType<typeof transposeSpec>;
export type ConvTransposeOptions = OptionsOf<TransposeSpec>;

/** x [N, …S, C] with kernel [...K, filters, C] → [N, …S', filters]; S' = S·stride for "same". */
abstract class ConvTranspose extends Layer<TransposeSpec> {
  override readonly castsIntegers = true;
  kernel!: Variable;
  bias: Variable | null = null;
  readonly rank: number;

  constructor(options: ConvTransposeOptions, spec: TransposeSpec, rank: number) {
    super(options, spec);
    this.rank = rank;
    const { padding, strides, dilationRate } = this.options;
    checkConv(this, rank, padding === "causal" ? "causal" : padding, strides, dilationRate);
  }
  override build(inputShape: ShapeTree): void {
    const { filters, kernelSize, dataFormat, useBias } = this.options;
    const axis = dataFormat === "channelsFirst" ? 1 : -1;
    this.inputSpec = { ndim: this.rank + 2 };
    const channels = knownSize(oneShape(inputShape, this.name), axis, this, "channels");
    this.kernel = this.addOptionWeight("kernel", [...kernelSize, filters, channels]);
    if (useBias) this.bias = this.addOptionWeight("bias", [filters]);
    this.inputSpec = { ndim: this.rank + 2, axes: { [axis]: channels }, unit: "channels" };
  }
  call(inputs: Tensor): Tensor {
    const { padding, strides, dilationRate, dataFormat, activation, kernelSize, outputPadding } = this.options;
    const x = toChannelsLast(inputs, dataFormat);
    const geometry = x.shape
      .slice(1, -1)
      .map((size, i) =>
        transposeGeometry(
          size,
          kernelSize[i],
          strides[i],
          dilationRate[i],
          padding === "same",
          outputPadding?.[i] ?? null,
        ),
      );
    const attrs = {
      strides,
      dilation: dilationRate,
      padLow: geometry.map((s) => s.padLow),
      padHigh: geometry.map((s) => s.padHigh),
      groups: 1,
      inputSpatial: geometry.map((s) => s.out),
      kernelSpatial: kernelSize,
    };
    let y = new Tensor(convInputGrad(x.value, this.read(this.kernel).value, attrs));
    if (this.bias) y = y.add(this.read(this.bias));
    return fromChannelsLast(activation.call(y), dataFormat);
  }
}

/** Output size, and the padding of the convolution that would lead back to `size`; the rules of Keras. */
function transposeGeometry(
  size: number,
  kernel: number,
  stride: number,
  dilation: number,
  same: boolean,
  extra: number | null,
): { out: number; padLow: number; padHigh: number } {
  const reach = (kernel - 1) * dilation + 1;
  let left: number;
  let right: number;
  if (same) {
    const added = extra ?? stride - (reach % 2);
    const total = (reach % 2) + reach - 2 + added;
    left = stride > reach - 1 ? reach - 1 : Math.ceil(total / 2);
    right = total - left;
  } else {
    left = reach - 1;
    right = reach - 1 + (extra ?? Math.max(reach, stride) - reach);
  }
  const out = (size - 1) * stride + left + right - reach + 2;
  const padLow = reach - 1 - left;
  return { out, padLow, padHigh: (size - 1) * stride + reach - out - padLow };
}

type Rest = Omit<ConvTransposeOptions, "filters" | "kernelSize">;
type Size = ConvTransposeOptions["kernelSize"];

const conv1dTransposeSpec = transposeSpec(1);
/** [N, T, C] → [N, T', filters]. */
export class Conv1DTranspose extends ConvTranspose {
  static readonly spec = conv1dTransposeSpec;
  constructor(options: ConvTransposeOptions) {
    super(options, conv1dTransposeSpec, 1);
  }
}
export const conv1dTranspose = (filters: number, kernelSize: Size, options: Rest = {}): Conv1DTranspose =>
  new Conv1DTranspose({ ...options, filters, kernelSize });

const conv2dTransposeSpec = transposeSpec(2);
/** [N, H, W, C] → [N, H', W', filters]. */
export class Conv2DTranspose extends ConvTranspose {
  static readonly spec = conv2dTransposeSpec;
  constructor(options: ConvTransposeOptions) {
    super(options, conv2dTransposeSpec, 2);
  }
}
export const conv2dTranspose = (filters: number, kernelSize: Size, options: Rest = {}): Conv2DTranspose =>
  new Conv2DTranspose({ ...options, filters, kernelSize });

const conv3dTransposeSpec = transposeSpec(3);
/** [N, A, B, D, C] → [N, A', B', D', filters]. */
export class Conv3DTranspose extends ConvTranspose {
  static readonly spec = conv3dTransposeSpec;
  constructor(options: ConvTransposeOptions) {
    super(options, conv3dTransposeSpec, 3);
  }
}
export const conv3dTranspose = (filters: number, kernelSize: Size, options: Rest = {}): Conv3DTranspose =>
  new Conv3DTranspose({ ...options, filters, kernelSize });
