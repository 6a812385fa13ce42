/** Convolutions in three spatial dimensions: what all directions of a convolution share. */
import type { ConvSpec } from "../lowered.ts";

/** One spatial dimension of a correlation: y[o] = Σ x[o·stride + k·dilation - padLow]·kernel[k]. padLow may be negative. */
export interface Dim {
  readonly in: number;
  readonly out: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly padLow: number;
}

const trivial: Dim = { in: 1, out: 1, kernel: 1, stride: 1, dilation: 1, padLow: 0 };

/** Depth, height, width. One dimension becomes the height: rows of the height are what padding and tasks go by. */
export function threeDims(spec: ConvSpec): [Dim, Dim, Dim] {
  const s = spec.spatial;
  if (s.length === 1) return [trivial, s[0], trivial];
  if (s.length === 2) return [trivial, s[0], s[1]];
  return [s[0], s[1], s[2]];
}

export function product(values: readonly number[]): number {
  return values.reduce((p, x) => p * x, 1);
}

export function taps(dims: readonly Dim[]): number {
  return product(dims.map((d) => d.kernel));
}

/** Length of what `out` results read along a dimension. */
export function reach(d: Dim, out = d.out): number {
  return (out - 1) * d.stride + (d.kernel - 1) * d.dilation + 1;
}

/** Whether some result reads outside the input. */
export function isPadded(dims: readonly Dim[]): boolean {
  return taps(dims) > 0 && dims.some((d) => d.padLow > 0 || reach(d) - d.padLow > d.in);
}

/** Strides of a contiguous [d, h, w, channels] array along the three spatial dimensions. */
export function strides(extents: readonly number[], channels: number): [number, number, number] {
  return [extents[1] * extents[2] * channels, extents[2] * channels, channels];
}

export interface Axis {
  readonly extent: number;
  readonly a: number;
  readonly b: number;
}

/** Drops axes of extent 1 and joins neighbours that walk both operands as one; keeps at least one axis. */
export function joined(axes: readonly Axis[]): Axis[] {
  const out: Axis[] = [];
  for (const x of axes) {
    if (x.extent === 1) continue;
    const last = out[out.length - 1];
    if (last && last.a === x.extent * x.a && last.b === x.extent * x.b)
      out[out.length - 1] = { extent: last.extent * x.extent, a: x.a, b: x.b };
    else out.push(x);
  }
  return out.length > 0 ? out : [{ extent: 1, a: 0, b: 0 }];
}
