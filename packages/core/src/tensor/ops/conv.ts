/** Convolutions and pooling with Keras' arguments: paddings "valid" and "same", both data formats. */
import { LayerwiseError } from "../../errors.ts";
import * as g from "../../graph/ops/index.ts";
import { isFloat } from "../../graph/types.ts";
import { Tensor, type TensorLike } from "../tensor.ts";
import { argumentError, castTo, promote, toFloat } from "./promote.ts";
import { reshape } from "./shape.ts";

export type DataFormat = "channelsLast" | "channelsFirst" | "channels_last" | "channels_first" | null;
type Sizes = number | readonly number[];
export interface ConvArguments {
  readonly strides?: Sizes;
  /** "same": output size = ceil(size / stride), the odd zero at the end; "causal" pads at the start only. */
  readonly padding?: "valid" | "same" | "causal";
  readonly dataFormat?: DataFormat;
  readonly dilationRate?: Sizes;
}

const isFirst = (format: DataFormat | undefined) => format === "channelsFirst" || format === "channels_first";
const spread = (s: Sizes | undefined, rank: number, name: string): number[] => {
  const list = typeof s === "number" || s === undefined ? new Array<number>(rank).fill(s ?? 1) : [...s];
  if (list.length !== rank) {
    throw argumentError(name, "one number per spatial dimension is needed", `[${list}]`, `${rank} numbers`);
  }
  return list;
};
/** [N, C, …S] ↔ [N, …S, C] */
function toLast(x: Tensor, format: DataFormat | undefined): Tensor {
  return isFirst(format) ? new Tensor(g.transpose(x.value, [0, ...x.shape.slice(2).map((_, i) => i + 2), 1])) : x;
}
function fromLast(x: Tensor, format: DataFormat | undefined): Tensor {
  return isFirst(format)
    ? new Tensor(g.transpose(x.value, [0, x.ndim - 1, ...x.shape.slice(2).map((_, i) => i + 1)]))
    : x;
}
/** Zeros on both sides of each spatial dimension. */
export function paddingSizes(
  kind: "valid" | "same" | "causal",
  sizes: readonly number[],
  window: readonly number[],
  strides: readonly number[],
  dilation: readonly number[],
): { padLow: number[]; padHigh: number[] } {
  const reach = window.map((k, i) => (k - 1) * dilation[i] + 1);
  if (kind === "causal") return { padLow: reach.map((r) => r - 1), padHigh: reach.map(() => 0) };
  if (kind === "valid") return { padLow: reach.map(() => 0), padHigh: reach.map(() => 0) };
  const total = sizes.map((n, i) => Math.max(0, (Math.ceil(n / strides[i]) - 1) * strides[i] + reach[i] - n));
  const padLow = total.map((t) => Math.floor(t / 2));
  return { padLow, padHigh: total.map((t, i) => t - padLow[i]) };
}
/** Computes in f32 and gives the result in the promoted dtype. */
function floats(x: TensorLike, kernel: TensorLike): { x: Tensor; k: Tensor; back: (y: Tensor) => Tensor } {
  const [a, b] = promote(x, kernel);
  const { dtype } = a;
  const whole = !isFloat(dtype);
  return {
    x: castTo(a, "f32"),
    k: castTo(b, "f32"),
    back: (y) => (dtype === "f32" ? y : castTo(y, whole ? "i32" : dtype)),
  };
}
function fits(name: string, space: readonly number[], window: readonly number[], padded: readonly number[]): void {
  if (space.every((n, i) => n + padded[i] >= window[i])) return;
  throw new LayerwiseError(`ops.${name}: the window does not fit into the input`, {
    code: "E103",
    received: `space [${space}] with window [${window}]`,
    expected: "an input at least as large as the window",
    hint: 'padding: "same"',
  });
}

/** x [N, …S, C], kernel [...K, C / groups, F] → [N, …S', F]. The number of groups follows from the shapes. */
export function conv(
  inputs: TensorLike,
  kernel: TensorLike,
  strides: Sizes = 1,
  padding: "valid" | "same" | "causal" = "valid",
  dataFormat: DataFormat = null,
  dilationRate: Sizes = 1,
): Tensor {
  const { x: raw, k, back } = floats(inputs, kernel);
  const x = toLast(raw, dataFormat);
  const window = k.shape.slice(0, -2);
  const perGroup = k.shape[k.ndim - 2];
  const channels = x.shape[x.ndim - 1];
  if (channels % perGroup !== 0) {
    throw argumentError(
      "conv",
      "the channels do not fit the kernel",
      `${channels} channels`,
      `a multiple of ${perGroup}`,
    );
  }
  const s = spread(strides, window.length, "conv");
  const d = spread(dilationRate, window.length, "conv");
  const space = x.shape.slice(1, -1);
  const { padLow, padHigh } = paddingSizes(padding, space, window, s, d);
  fits(
    "conv",
    space,
    window.map((w, i) => (w - 1) * d[i] + 1),
    padLow.map((p, i) => p + padHigh[i]),
  );
  const attrs = { strides: s, dilation: d, padLow, padHigh, groups: channels / perGroup };
  return back(fromLast(new Tensor(g.conv(x.value, k.value, attrs)), dataFormat));
}

/** One group per channel: kernel [...K, C, M] → [N, …S', C·M]. */
export function depthwiseConv(
  inputs: TensorLike,
  kernel: TensorLike,
  strides: Sizes = 1,
  padding: "valid" | "same" = "valid",
  dataFormat: DataFormat = null,
  dilationRate: Sizes = 1,
): Tensor {
  const k = Tensor.of(kernel);
  const [channels, multiplier] = k.shape.slice(-2);
  const grouped = reshape(k, [...k.shape.slice(0, -2), 1, channels * multiplier]);
  return conv(inputs, grouped, strides, padding, dataFormat, dilationRate);
}

/** A depthwise convolution, then one with a 1-wide window. */
export function separableConv(
  inputs: TensorLike,
  depthwiseKernel: TensorLike,
  pointwiseKernel: TensorLike,
  strides: Sizes = 1,
  padding: "valid" | "same" = "valid",
  dataFormat: DataFormat = null,
  dilationRate: Sizes = 1,
): Tensor {
  const deep = depthwiseConv(inputs, depthwiseKernel, strides, padding, dataFormat, dilationRate);
  return conv(deep, pointwiseKernel, 1, "valid", dataFormat, 1);
}

/** The gradient of a convolution in its input, used forwards: kernel [...K, F, C] → [N, …S', F]. */
export function convTranspose(
  inputs: TensorLike,
  kernel: TensorLike,
  strides: Sizes = 1,
  padding: "valid" | "same" = "valid",
  outputPadding: Sizes | null = null,
  dataFormat: DataFormat = null,
  dilationRate: Sizes = 1,
): Tensor {
  const { x: raw, k, back } = floats(inputs, kernel);
  const x = toLast(raw, dataFormat);
  const window = k.shape.slice(0, -2);
  const rank = window.length;
  const s = spread(strides, rank, "convTranspose");
  const d = spread(dilationRate, rank, "convTranspose");
  const extra = outputPadding === null ? null : spread(outputPadding, rank, "convTranspose");
  const space = x.shape.slice(1, -1);
  const geometry = space.map((n, i) =>
    transposedSize(n, window[i], s[i], d[i], padding === "same", extra?.[i] ?? null),
  );
  const attrs = {
    strides: s,
    dilation: d,
    padLow: geometry.map((p) => p.padLow),
    padHigh: geometry.map((p) => p.padHigh),
    groups: 1,
    inputSpatial: geometry.map((p) => p.out),
    kernelSpatial: window,
  };
  return back(fromLast(new Tensor(g.convInputGrad(x.value, k.value, attrs)), dataFormat));
}
/** Output size, and the padding of the convolution that would lead back to `size`; Keras' rules. */
function transposedSize(
  size: number,
  kernel: number,
  stride: number,
  dilation: number,
  same: boolean,
  extra: number | null,
): { out: number; padLow: number; padHigh: number } {
  const reach = (kernel - 1) * dilation + 1;
  let left = reach - 1;
  let right: number;
  if (same) {
    const total = reach - 2 + (extra === null ? stride : (reach % 2) + extra);
    left = Math.min(Math.ceil(total / 2), reach - 1);
    right = total - left;
  } else right = reach - 1 + (extra ?? Math.max(reach, stride) - reach);
  const out = (size - 1) * stride + left + right - reach + 2;
  const padLow = reach - 1 - left;
  return { out, padLow, padHigh: (size - 1) * stride + reach - out - padLow };
}

function pooled(
  name: string,
  pool: typeof g.maxPool,
  inputs: TensorLike,
  poolSize: Sizes,
  strides: Sizes | null,
  padding: "valid" | "same",
  dataFormat: DataFormat,
): Tensor {
  const x = toLast(castTo(toFloat(inputs), "f32"), dataFormat);
  const space = x.shape.slice(1, -1);
  const window = spread(poolSize, space.length, name);
  const s = spread(strides ?? poolSize, space.length, name);
  const { padLow, padHigh } = paddingSizes(
    padding,
    space,
    window,
    s,
    window.map(() => 1),
  );
  fits(
    name,
    space,
    window,
    padLow.map((p, i) => p + padHigh[i]),
  );
  return fromLast(new Tensor(pool(x.value, { window, strides: s, padLow, padHigh })), dataFormat);
}
/** Largest element of each window; padding never counts. */
export function maxPool(
  inputs: TensorLike,
  poolSize: Sizes,
  strides: Sizes | null = null,
  padding: "valid" | "same" = "valid",
  dataFormat: DataFormat = null,
): Tensor {
  return pooled("maxPool", g.maxPool, inputs, poolSize, strides, padding, dataFormat);
}
/** Mean of each window over the elements that lie inside the input. */
export function averagePool(
  inputs: TensorLike,
  poolSize: Sizes,
  strides: Sizes | null = null,
  padding: "valid" | "same" = "valid",
  dataFormat: DataFormat = null,
): Tensor {
  return pooled("averagePool", g.avgPool, inputs, poolSize, strides, padding, dataFormat);
}
