/** Copies images into zero-haloed buffers. */
import { affine, type Index, type KernelBuilder, scaled } from "../builder.ts";
import type { Buffer, Operand } from "../loopir.ts";
import { type Dim, isPadded, product, strides, taps } from "./geometry.ts";
import { copyRow, zeroRow } from "./pack.ts";
import { evenlyAtMost, loopPieces } from "./split.ts";
import type { Step } from "./step.ts";

/** A window of an image: it begins at `start` (which may lie outside) along each dimension. */
export interface Window {
  readonly start: readonly [Index, Index, Index];
  readonly extents: readonly [number, number, number];
}

/** What results `out0 … out0+count-1` of each dimension read. */
export function windowOf(dims: readonly [Dim, Dim, Dim], out0: readonly Index[], counts: readonly number[]): Window {
  const start = dims.map((d, i) => affine(scaled(out0[i], d.stride), -d.padLow));
  const extents = dims.map((d, i) => (counts[i] - 1) * d.stride + (d.kernel - 1) * d.dilation + 1);
  return { start: [start[0], start[1], start[2]], extents: [extents[0], extents[1], extents[2]] };
}

/** Copies a window of one image [d, h, w, channels]; what lies outside the image becomes 0. The width's start is constant. */
export function copyWindow(
  b: KernelBuilder,
  lanes: number,
  dims: readonly [Dim, Dim, Dim],
  channels: number,
  window: Window,
  from: { buffer: Buffer; base: Index },
  to: { buffer: Buffer; base: Index },
): void {
  const { start, extents } = window;
  const source = strides(
    dims.map((d) => d.in),
    channels,
  );
  const target = strides(extents, channels);
  const w0 = affine(start[2]).constant;
  const left = Math.min(extents[2], Math.max(0, -w0));
  const first = Math.max(0, w0);
  const copied = Math.max(0, Math.min(dims[2].in - first, extents[2] - left));
  const right = extents[2] - left - copied;
  b.loop("pd", extents[0], (pd) =>
    b.loop("ph", extents[1], (ph) => {
      const at = [affine(start[0], pd), affine(start[1], ph)];
      const toAt = affine(to.base, scaled(pd, target[0]), scaled(ph, target[1]));
      const inside = at
        .map((index, i) => within(b, index, extents[i], dims[i].in))
        .reduce((p, q) =>
          p === true ? q : q === true ? p : p === false || q === false ? false : b.binary("and", p, q),
        );
      const copy = (): void => {
        const fromAt = affine(from.base, scaled(at[0], source[0]), scaled(at[1], source[1]), first * channels);
        zeroRow(b, lanes, to.buffer, toAt, left * channels);
        copyRow(b, lanes, from.buffer, fromAt, to.buffer, affine(toAt, left * channels), copied * channels);
        zeroRow(b, lanes, to.buffer, affine(toAt, (left + copied) * channels), right * channels);
      };
      const zero = (): void => zeroRow(b, lanes, to.buffer, toAt, extents[2] * channels);
      if (inside === true) copy();
      else if (inside === false || copied === 0) zero();
      else b.if(inside, copy, zero);
    }),
  );
}

/** Whether 0 ≤ index < size: known, or a mask. `extent` bounds the index's last term only in the constant case. */
function within(b: KernelBuilder, index: Index, extent: number, size: number): boolean | Operand {
  const form = affine(index);
  let low = form.constant;
  let high = form.constant;
  for (const t of form.terms) {
    const reach = t.stride * (t.variable.extent - 1);
    if (reach > 0) high += reach;
    else low += reach;
  }
  if (low >= 0 && high < size) return true;
  if (high < 0 || low >= size || extent === 0) return false;
  const value = b.index(form);
  const above = low >= 0 ? undefined : b.compare("ge", value, b.i32(0));
  const below = high < size ? undefined : b.compare("lt", value, b.i32(size));
  return above && below ? b.binary("and", above, below) : (above ?? below)!;
}

/** Scratch that a task may fill with padded images, in elements (384 kB). */
export const haloMost = 98304;

/** The axis along which tasks and padded copies cut an image: the first that has an extent. */
export function bandAxisOf(dims: readonly Dim[]): 0 | 1 {
  return dims[0].out > 1 ? 0 : 1;
}

/** Elements of the padded input of `rows` results along the band axis. */
export function haloSize(dims: readonly [Dim, Dim, Dim], channels: number, rows: number): number {
  const axis = bandAxisOf(dims);
  const counts = dims.map((d, i) => (i === axis ? rows : d.out));
  return product(windowOf(dims, [0, 0, 0], counts).extents) * channels;
}

/** Images n … n+images-1 and results band … band+rows-1 along the band axis; a portion says where their input lies. */
export interface Whole {
  readonly n: Index;
  readonly images: number;
  readonly band: Index;
  readonly rows: number;
}
export interface Portion extends Whole {
  readonly buffer: Buffer;
  readonly base: Index;
  /** Strides of the input along depth, height and width, and from image to image. */
  readonly stride: readonly [number, number, number];
  readonly image: number;
}

/**
 * One portion: images n … and a band of results. Without padding the input is read where it lies, else it is first copied
 * into scratch `name` with its halo of zeros.
 */
export function portionOf(
  step: Step,
  lanes: number,
  dims: readonly [Dim, Dim, Dim],
  channels: number,
  x: Buffer,
  whole: Whole,
  name = "halo",
): Portion {
  const { b } = step;
  const { n, images, band, rows } = whole;
  const axis = bandAxisOf(dims);
  const inputs = dims.map((d) => d.in);
  const image = product(inputs) * channels;
  if (!isPadded(dims)) {
    const stride = strides(inputs, channels);
    const origin = taps(dims) > 0 ? -dims.reduce((sum, d, i) => sum + d.padLow * stride[i], 0) : 0;
    const base = affine(scaled(n, image), scaled(band, stride[axis] * dims[axis].stride), origin);
    return { ...whole, buffer: x, base, stride, image };
  }
  const first: Index[] = [0, 0, 0];
  first[axis] = band;
  const window = windowOf(
    dims,
    first,
    dims.map((d, i) => (i === axis ? rows : d.out)),
  );
  const size = product(window.extents) * channels;
  const halo = step.scratch(name, images * size);
  b.loop("copy", images, (i) =>
    copyWindow(
      b,
      lanes,
      dims,
      channels,
      window,
      { buffer: x, base: affine(scaled(n, image), scaled(i, image)) },
      { buffer: halo, base: scaled(i, size) },
    ),
  );
  return { ...whole, buffer: halo, base: 0, stride: strides(window.extents, channels), image: size };
}

/** Goes through images and a band of results in portions of `group` images (a divisor) and at most `rowsMost` rows. */
export function overPortions(
  step: Step,
  lanes: number,
  dims: readonly [Dim, Dim, Dim],
  channels: number,
  x: Buffer,
  whole: Whole,
  group: number,
  rowsMost: number,
  body: (portion: Portion) => void,
): void {
  let most = Math.max(1, Math.min(rowsMost, whole.rows));
  while (isPadded(dims) && most > 1 && group * haloSize(dims, channels, most) > haloMost) most = Math.ceil(most / 2);
  step.b.loop("n", whole.images / group, (v) =>
    loopPieces(step.b, "band", evenlyAtMost(whole.rows, most), (start, rows) => {
      const n = affine(whole.n, scaled(v, group));
      body(portionOf(step, lanes, dims, channels, x, { n, images: group, band: affine(whole.band, start), rows }));
    }),
  );
}
