/** The stages of Winograd convolutions on blocks of tiles: products per frequency, and the ways back to y and to dx. */
import { affine, type Index, scaled } from "../../builder.ts";
import type { Buffer, TargetProfile } from "../../loopir.ts";
import { zeroRow } from "../pack.ts";
import type { Whole } from "../pad.ts";
import type { Tiling } from "../split.ts";
import type { Sink, Step } from "../step.ts";
import { emitBlock } from "../tile.ts";
import { type Constants, linear } from "./linear.ts";
import { type Matrices, transposed } from "./matrices.ts";
import { type Geometry, overLanes, packedFrequency, type Spectrum, transform } from "./tiles.ts";

/** to[f] = from[f] · packed[f] for all tiles of one frequency: [tiles, depth] × [depth, columns]. */
export function multiply(
  step: Step,
  tiling: Tiling,
  f: Index,
  tiles: number,
  depth: number,
  from: Spectrum,
  packed: Buffer,
  to: Spectrum,
): void {
  const { b } = step;
  emitBlock(b, {
    tiling,
    a: { buffer: from.buffer, base: scaled(f, from.frequency) },
    b: { buffer: packed, base: scaled(f, packedFrequency(tiling, depth)), depth },
    outer: [],
    tiled: { extent: tiles, a: from.pitch, row: 1 },
    sum: [{ extent: depth, a: 1, b: 1 }],
    done: (row, column, value) =>
      b.store(to.buffer, affine(scaled(f, to.frequency), scaled(row, to.pitch), column), value),
  });
}

/** y = Aᵀ M A for the tiles of a band of images; rows and columns past the result are not stored. */
export function finishTiles(
  step: Step,
  constants: Constants,
  g: Geometry,
  matrix: Matrices,
  p: Whole,
  products: Spectrum,
  sink: Sink,
  profile: TargetProfile,
): void {
  const { b } = step;
  const { m, size, wide, filters } = g;
  const [outH, outW] = g.out;
  const { lanes } = profile;
  const between = step.scratch("between", 36 * lanes);
  const finish = (tile: Index, image: Index, th: Index, tw: Index, validW: number): void =>
    overLanes(b, lanes, filters, (first, width, valid) => {
      b.loop("j", size, (j) => {
        const column = Array.from({ length: size }, (_, i) =>
          b.load(
            products.buffer,
            affine(
              products.base ?? 0,
              scaled(affine(j, i * size), products.frequency),
              scaled(tile, products.pitch),
              first,
            ),
            width,
          ),
        );
        linear(b, constants, matrix.at, column).forEach((y, i) => {
          b.store(between, affine(scaled(j, lanes), i * size * lanes), y);
        });
      });
      b.loop("i", m, (i) => {
        const oh = affine(scaled(p.band, m), scaled(th, m), i);
        const row = affine(scaled(affine(p.n, image), outH * outW), scaled(oh, outW), scaled(tw, m));
        const store = (): void => {
          const values = Array.from({ length: size }, (_, j) =>
            b.load(between, affine(scaled(i, size * lanes), j * lanes), width),
          );
          linear(b, constants, matrix.at.slice(0, validW), values).forEach((y, j) => {
            sink.store(affine(row, j), first, y, valid);
          });
        };
        if (outH % m === 0) store();
        else b.if(b.compare("lt", b.index(oh), b.i32(outH)), store);
      });
    });
  const whole = Math.floor(outW / m);
  b.loop("n", p.images, (n) =>
    b.loop("th", p.rows, (th) => {
      const tile = affine(scaled(n, p.rows * wide), scaled(th, wide));
      b.loop("tw", whole, (tw) => finish(affine(tile, tw), n, th, tw, m));
      if (whole < wide) finish(affine(tile, whole), n, th, whole, outW - whole * m);
    }),
  );
}

/** The windows of all tiles of some images, before cropping: [high·m + 2, wide·m + 2, pitch] each. */
export interface Windows {
  readonly buffer: Buffer;
  readonly pitch: number;
  readonly image: number;
  readonly row: number;
}

export function clearedWindows(step: Step, g: Geometry, images: number, pitch: number, lanes: number): Windows {
  const row = (g.wide * g.m + 2) * pitch;
  const image = (g.high * g.m + 2) * row;
  const buffer = step.scratch("sums", images * image);
  zeroRow(step.b, lanes, buffer, 0, images * image);
  return { buffer, pitch, image, row };
}

/** Adds B dV Bᵀ of the tiles of a band (of images 0 … of the windows) into their windows, in raster order. */
export function addTiles(
  step: Step,
  constants: Constants,
  g: Geometry,
  matrix: Matrices,
  p: { images: number; band: Index; rows: number },
  v: Spectrum,
  windows: Windows,
  lanes: number,
): void {
  const { b } = step;
  const { m, size, wide, channels } = g;
  const between = step.scratch("between", 36 * lanes);
  const back = transposed(matrix.bt);
  b.loop("n", p.images, (n) =>
    b.loop("th", p.rows, (th) =>
      b.loop("tw", wide, (tw) => {
        const tile = affine(scaled(n, p.rows * wide), scaled(th, wide), tw);
        const corner = affine(
          scaled(n, windows.image),
          scaled(affine(p.band, th), m * windows.row),
          scaled(tw, m * windows.pitch),
        );
        overLanes(b, lanes, channels, (first, width) =>
          transform(
            b,
            constants,
            back,
            width,
            between,
            (i, j) =>
              b.load(
                v.buffer,
                affine(v.base ?? 0, scaled(affine(scaled(i, size), j), v.frequency), scaled(tile, v.pitch), first),
                width,
              ),
            (i, values) =>
              values.forEach((value, j) => {
                const at = affine(corner, scaled(i, windows.row), j * windows.pitch, first);
                b.store(windows.buffer, at, b.add(b.load(windows.buffer, at, width), value));
              }),
          ),
        );
      }),
    ),
  );
}

/** Hands the inputs' pixels of the windows of images n … to a sink. */
export function cropWindows(
  step: Step,
  g: Geometry,
  n: Index,
  images: number,
  windows: Windows,
  sink: Sink,
  lanes: number,
): void {
  const { b } = step;
  const [inH, inW] = g.in;
  b.loop("n", images, (i) =>
    b.loop("h", inH, (h) =>
      b.loop("w", inW, (w) =>
        overLanes(b, lanes, g.channels, (first, width, valid) => {
          const at = affine(
            scaled(i, windows.image),
            scaled(affine(h, g.pad[0]), windows.row),
            scaled(affine(w, g.pad[1]), windows.pitch),
            first,
          );
          const row = affine(scaled(affine(n, i), inH * inW), scaled(h, inW), w);
          sink.store(row, first, b.load(windows.buffer, at, width), valid);
        }),
      ),
    ),
  );
}
