/** What layers over space share: data formats, padding rules, size checks. */
import { pad, transpose } from "../graph/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { DataFormat } from "./fields.ts";

/** [N, C, …S] → [N, …S, C] for channels first; unchanged otherwise. */
export function toChannelsLast(x: Tensor, format: DataFormat): Tensor {
  if (format === "channelsLast") return x;
  return new Tensor(transpose(x.value, [0, ...x.shape.slice(2).map((_, i) => i + 2), 1]));
}
/** The inverse of `toChannelsLast`. */
export function fromChannelsLast(x: Tensor, format: DataFormat): Tensor {
  if (format === "channelsLast") return x;
  return new Tensor(transpose(x.value, [0, x.ndim - 1, ...x.shape.slice(2).map((_, i) => i + 1)]));
}
/** Axes of space. */
export function spatialAxes(rank: number, format: DataFormat): number[] {
  const first = format === "channelsFirst" ? 2 : 1;
  return Array.from({ length: rank }, (_, i) => first + i);
}

export interface Padding {
  readonly padLow: number[];
  readonly padHigh: number[];
}
/**
 * Zeros on both sides per dimension. "same": output size = ceil(size / stride), the odd one at the end. "causal": all at the
 * start.
 */
export function paddingFor(
  kind: "valid" | "same" | "causal",
  sizes: readonly number[],
  window: readonly number[],
  strides: readonly number[],
  dilation: readonly number[],
): Padding {
  const reach = window.map((k, i) => (k - 1) * dilation[i] + 1);
  if (kind === "causal") return { padLow: reach.map((r) => r - 1), padHigh: reach.map(() => 0) };
  if (kind === "valid") return { padLow: reach.map(() => 0), padHigh: reach.map(() => 0) };
  const total = sizes.map((size, i) => Math.max(0, (Math.ceil(size / strides[i]) - 1) * strides[i] + reach[i] - size));
  const padLow = total.map((t) => Math.floor(t / 2));
  return { padLow, padHigh: total.map((t, i) => t - padLow[i]) };
}

/** Zero padding (negative: cropping) of the spatial axes only. */
export function padSpace(x: Tensor, low: readonly number[], high: readonly number[], format: DataFormat): Tensor {
  const around = (s: readonly number[]) => (format === "channelsFirst" ? [0, 0, ...s] : [0, ...s, 0]);
  return new Tensor(pad(x.value, around(low), around(high)));
}
