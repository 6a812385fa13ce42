/** Tiles of a Winograd convolution: their geometry, their blocks, and the two-dimensional transforms over them. */
import { affine, type Index, type KernelBuilder, scaled } from "../../builder.ts";
import type { Buffer, Operand } from "../../loopir.ts";
import type { ConvSpec } from "../../lowered.ts";
import type { Dim } from "../geometry.ts";
import { packedSize } from "../pack.ts";
import { haloMost, haloSize, type Portion } from "../pad.ts";
import type { Tiling } from "../split.ts";
import type { Step } from "../step.ts";
import { type Constants, linear } from "./linear.ts";
import type { Matrices, Matrix, TileSize } from "./matrices.ts";

/** Powers of two alias in the first-level cache, so the arrays of neighbouring frequencies are set apart by this much. */
const apart = 16;

export interface Geometry {
  readonly m: TileSize;
  /** Frequencies along one dimension and in all. */
  readonly size: number;
  readonly frequencies: number;
  readonly high: number;
  readonly wide: number;
  readonly batch: number;
  readonly channels: number;
  readonly filters: number;
  readonly out: readonly [number, number];
  readonly in: readonly [number, number];
  readonly pad: readonly [number, number];
  /** Tiles as results of a correlation: over x (m+2 wide, m apart) and over dy (m wide, m apart). */
  readonly overX: readonly [Dim, Dim, Dim];
  readonly overY: readonly [Dim, Dim, Dim];
}

const trivial: Dim = { in: 1, out: 1, kernel: 1, stride: 1, dilation: 1, padLow: 0 };

export function geometry(spec: ConvSpec, m: TileSize): Geometry {
  const [h, w] = spec.spatial;
  const high = Math.ceil(h.out / m);
  const wide = Math.ceil(w.out / m);
  const overX = (d: { in: number; padLow: number }, tiles: number): Dim => ({
    in: d.in,
    out: tiles,
    kernel: m + 2,
    stride: m,
    dilation: 1,
    padLow: d.padLow,
  });
  const overY = (out: number, tiles: number): Dim => ({
    in: out,
    out: tiles,
    kernel: m,
    stride: m,
    dilation: 1,
    padLow: 0,
  });
  return {
    m,
    size: m + 2,
    frequencies: (m + 2) ** 2,
    high,
    wide,
    batch: spec.batch,
    channels: spec.inChannels,
    filters: spec.outChannels,
    out: [h.out, w.out],
    in: [h.in, w.in],
    pad: [h.padLow, w.padLow],
    overX: [trivial, overX(h, high), overX(w, wide)],
    overY: [trivial, overY(h.out, high), overY(w.out, wide)],
  };
}

/** Arithmetic of the products of all frequencies. */
export function productFlops(g: Geometry): number {
  return 2 * g.batch * g.high * g.wide * g.frequencies * g.channels * g.filters;
}

/** How many images, or rows of tiles of one image, are transformed at a time: 12 to 36 tiles, in at most about 700 kB. */
export function blockOf(g: Geometry, images: number): { group: number; rows: number } {
  const fit = Math.floor(180000 / (g.frequencies * (g.channels + g.filters)));
  // A kernel that the second-level cache cannot hold is read again for every block, so blocks are better large than close.
  const most = g.frequencies * g.channels * g.filters > 150000 ? 36 : Math.max(12, Math.min(36, fit));
  const perImage = g.high * g.wide;
  if (perImage > most) return { group: 1, rows: Math.max(1, Math.floor(most / g.wide)) };
  let group = 1;
  for (let d = 1; d * perImage <= most && d <= images; d++)
    if (
      images % d === 0 &&
      d * haloSize(g.overX, g.channels, g.high) <= haloMost &&
      d * haloSize(g.overY, g.filters, g.high) <= haloMost
    )
      group = d;
  return { group, rows: g.high };
}

/** An array [frequency][tile][channel]: strides of a tile and of a frequency. */
export interface SpectrumLayout {
  readonly pitch: number;
  readonly frequency: number;
}
export interface Spectrum extends SpectrumLayout {
  readonly buffer: Buffer;
  /** Where tile 0 lies. */
  readonly base?: Index;
}

export function spectrumOf(tiles: number, pitch: number): SpectrumLayout {
  return { pitch, frequency: tiles * pitch + apart };
}

export function scratchSpectrum(step: Step, name: string, g: Geometry, tiles: number, pitch: number): Spectrum {
  const layout = spectrumOf(tiles, pitch);
  return { buffer: step.scratch(name, g.frequencies * layout.frequency), ...layout };
}

/** Size of one frequency of a packed right factor. */
export function packedFrequency(tiling: Tiling, depth: number): number {
  return packedSize(tiling, depth) + apart;
}

/**
 * matrix · x · matrixᵀ of a square of vectors: down the columns into `between`, then along the rows. Both passes are loops,
 * which keeps kernels small.
 */
export function transform(
  b: KernelBuilder,
  constants: Constants,
  matrix: Matrix,
  lanes: number,
  between: Buffer,
  load: (i: Index, j: Index) => Operand,
  store: (i: Index, values: readonly Operand[]) => void,
): void {
  const rows = matrix.length;
  const columns = matrix[0].length;
  b.loop("j", columns, (j) => {
    const column = Array.from({ length: columns }, (_, i) => load(i, j));
    linear(b, constants, matrix, column).forEach((y, i) => {
      b.store(between, affine(scaled(j, lanes), i * columns * lanes), y);
    });
  });
  b.loop("i", rows, (i) => {
    const row = Array.from({ length: columns }, (_, j) =>
      b.load(between, affine(scaled(i, columns * lanes), j * lanes), lanes),
    );
    store(i, linear(b, constants, matrix, row));
  });
}

/** Vectors over channels: `lanes` wide, the last one partial. */
export function overLanes(
  b: KernelBuilder,
  lanes: number,
  channels: number,
  body: (first: Index, lanes: number, valid: number) => void,
): void {
  const whole = Math.floor(channels / lanes);
  b.loop("c", whole, (v) => body(scaled(v, lanes), lanes, lanes));
  if (whole * lanes < channels) body(whole * lanes, lanes, channels - whole * lanes);
}

/** The tiles of a portion, each with its number and its place in the input. */
export function overTiles(
  b: KernelBuilder,
  g: Geometry,
  p: Portion,
  body: (tile: Index, at: Index, image: Index, row: Index, column: Index) => void,
): void {
  b.loop("n", p.images, (n) =>
    b.loop("th", p.rows, (th) =>
      b.loop("tw", g.wide, (tw) => {
        const tile = affine(scaled(n, p.rows * g.wide), scaled(th, g.wide), tw);
        const at = affine(p.base, scaled(n, p.image), scaled(th, g.m * p.stride[1]), scaled(tw, g.m * p.stride[2]));
        body(tile, at, n, th, tw);
      }),
    ),
  );
}

/** Transforms every tile of a portion into a spectrum: Bᵀ d B of x, or A dy Aᵀ of dy. */
export function transformTiles(
  step: Step,
  constants: Constants,
  g: Geometry,
  matrix: Matrix,
  channels: number,
  p: Portion,
  to: Spectrum,
  lanes: number,
): void {
  const { b } = step;
  const between = step.scratch("between", 36 * lanes);
  overTiles(b, g, p, (tile, at) =>
    overLanes(b, lanes, channels, (first, width, valid) =>
      transform(
        b,
        constants,
        matrix,
        width,
        between,
        (i, j) => b.load(p.buffer, affine(at, scaled(i, p.stride[1]), scaled(j, p.stride[2]), first), width),
        (i, values) =>
          values.forEach((value, j) => {
            const frequency = affine(scaled(i, g.size), j);
            b.store(
              to.buffer,
              affine(to.base ?? 0, scaled(frequency, to.frequency), scaled(tile, to.pitch), first),
              value,
              valid < width && to.pitch < Math.ceil(channels / width) * width ? { count: valid } : {},
            );
          }),
      ),
    ),
  );
}

export function tables(m: Matrices): Matrix[] {
  return [m.at, m.g, m.bt];
}
