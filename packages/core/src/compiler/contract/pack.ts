/** Copies that prepare operands: rows, zeros, and panels of the right factor. */
import type { Index, KernelBuilder } from "../builder.ts";
import { affine, scaled } from "../builder.ts";
import type { Buffer, Operand } from "../loopir.ts";
import { blocks, evenlyAtMost, loopPieces, type Tiling } from "./split.ts";

/** Calls `body` for vectors that cover `count` elements: wide ones first, then single ones, then a partial one. */
export function overVectors(
  b: KernelBuilder,
  lanes: number,
  count: number,
  body: (at: Index, lanes: number, valid: number) => void,
): void {
  const wide = lanes * 4;
  const wides = Math.floor(count / wide);
  const singles = Math.floor((count - wides * wide) / lanes);
  const rest = count - wides * wide - singles * lanes;
  b.loop("w", wides, (v) => body(scaled(v, wide), wide, wide));
  for (let i = 0; i < singles; i++) body(wides * wide + i * lanes, lanes, lanes);
  if (rest > 0) body(wides * wide + singles * lanes, lanes, rest);
}

function put(b: KernelBuilder, to: Buffer, at: Index, value: Operand, valid: number): void {
  b.store(to, at, value, valid < value.lanes ? { count: valid } : {});
}

/** Copies `count` adjacent elements. */
export function copyRow(
  b: KernelBuilder,
  lanes: number,
  from: Buffer,
  fromAt: Index,
  to: Buffer,
  toAt: Index,
  count: number,
): void {
  overVectors(b, lanes, count, (at, n, valid) =>
    put(b, to, affine(toAt, at), b.load(from, affine(fromAt, at), n), valid),
  );
}

/** Writes `count` zeros. */
export function zeroRow(b: KernelBuilder, lanes: number, to: Buffer, toAt: Index, count: number): void {
  overVectors(b, lanes, count, (at, n, valid) => put(b, to, affine(toAt, at), b.f32(0, n), valid));
}

/** Elements for each row of a left factor packed by tiles: vectors are written whole and spill over a tile's end. */
export function tilePitch(tiling: Tiling, depth: number): number {
  return depth + tiling.lanes;
}

/**
 * Packs a left factor whose rows lie side by side (k apart by `stride`) by tiles of `tiling.rows` rows: [tile][k][row], a
 * tile `pitch` elements a row after the one before, its steps from `k.first` on. What a vector spills over the end of its
 * row is written again by the next, or lies between tiles.
 */
export function packTiles(
  b: KernelBuilder,
  tiling: Tiling,
  from: { buffer: Buffer; base: Index; stride: number },
  to: { buffer: Buffer; base: Index; pitch: number },
  rows: number,
  k: { first: Index; count: number },
): void {
  const { lanes } = tiling;
  inChunks(b, k.count, (k0, length) =>
    loopPieces(b, "tile", evenlyAtMost(rows, tiling.rows), (start, size) =>
      b.loop("k", length, (v) => {
        const at = affine(to.base, scaled(start, to.pitch), scaled(affine(k.first, k0, v), size));
        for (let r = 0; r < size; r += lanes) {
          const valid = Math.min(lanes, size - r);
          const source = affine(from.base, start, scaled(affine(k0, v), from.stride), r);
          b.store(to.buffer, affine(at, r), b.load(from.buffer, source, lanes, { count: valid }));
        }
      }),
    ),
  );
}

/** Steps of k that are packed together: the rows they read stay in the first-level cache while tile after tile takes its part of them. */
export const packingRun = 16;

function inChunks(b: KernelBuilder, depth: number, body: (k0: Index, length: number) => void): void {
  loopPieces(b, "chunk", blocks(depth, packingRun), body);
}

/**
 * Reads up to `lanes` rows that lie `pitch` apart and hands on their columns: `take(k, x)` gets element k of every row, in
 * lane order. Squares of vectors are exchanged in registers, so that memory is read and written by whole vectors.
 */
function transposed(
  b: KernelBuilder,
  lanes: number,
  from: { buffer: Buffer; base: Index; pitch: number },
  rows: number,
  depth: number,
  take: (k: Index, x: Operand) => void,
): void {
  const square = (k: Index, valid: number): void => {
    // Lanes beyond the rows hold the last row once more: nothing outside is read.
    const read = Array.from({ length: rows }, (_, i) =>
      b.load(from.buffer, affine(from.base, i * from.pitch, k), lanes),
    );
    const all = Array.from({ length: lanes }, (_, i) => read[Math.min(i, rows - 1)]);
    b.transpose(all)
      .slice(0, valid)
      .forEach((x, i) => take(affine(k, i), x));
  };
  const whole = Math.floor(depth / lanes);
  b.loop("square", whole, (v) => square(scaled(v, lanes), lanes));
  if (depth % lanes > 0) square(whole * lanes, depth % lanes);
}

/** Elements of a packed right factor. */
export function packedSize(tiling: Tiling, depth: number): number {
  return tiling.vectors * tiling.lanes * depth;
}

/**
 * Packs a right factor by panels: [panel][k][columns of the panel]. Element (k, column) of the source lies at
 * `fromAt + Σ k·stride + column·columnStride`; the axes of k are given outermost first; a
 * reversed axis is packed from its end.
 */
export function packPanels(
  b: KernelBuilder,
  tiling: Tiling,
  from: {
    buffer: Buffer;
    base: Index;
    k: readonly { extent: number; stride: number; reversed?: boolean }[];
    column: number;
  },
  to: { buffer: Buffer; base: Index },
  chunked = false,
): void {
  const { lanes } = tiling;
  const depth = from.k.reduce((n, x) => n * x.extent, 1);
  const [axis] = from.k;
  if (chunked && from.k.length === 1 && from.column === 1 && !axis.reversed && depth > 32) {
    inChunks(b, depth, (k0, length) => {
      for (const run of tiling.panels)
        b.loop("panel", run.count, (p) =>
          b.loop("k", length, (v) => {
            const vector = affine(scaled(p, run.vectors), run.start);
            const k = affine(k0, v);
            const source = affine(from.base, scaled(vector, lanes), scaled(k, axis.stride));
            const target = affine(to.base, scaled(vector, lanes * depth), scaled(k, run.vectors * lanes));
            for (let i = 0; i < run.vectors; i++)
              b.store(to.buffer, affine(target, i * lanes), b.load(from.buffer, affine(source, i * lanes), lanes));
          }),
        );
    });
    return;
  }
  for (const run of tiling.panels) {
    const width = run.vectors * lanes;
    b.loop("panel", run.count, (p) => {
      const vector = affine(scaled(p, run.vectors), run.start);
      const source = affine(from.base, scaled(vector, lanes * from.column));
      const target = affine(to.base, scaled(vector, lanes * depth));
      const one = (fromAt: Index, toAt: Index, v: number): void => {
        const valid = v === run.vectors - 1 ? run.last : lanes;
        const at = affine(fromAt, v * lanes * from.column);
        const options =
          from.column === 1 ? {} : valid < lanes ? { stride: from.column, count: valid } : { stride: from.column };
        b.store(to.buffer, affine(toAt, v * lanes), b.load(from.buffer, at, lanes, options));
      };
      const nest = (
        level: number,
        fromAt: Index,
        toAt: Index,
        units: number,
        body: (f: Index, t: Index) => void,
      ): void => {
        if (level === from.k.length) {
          body(fromAt, toAt);
          return;
        }
        const { extent, stride, reversed } = from.k[level];
        const unit = units / extent;
        const first = reversed ? (extent - 1) * unit * width : 0;
        b.loop("k", extent, (k) =>
          nest(
            level + 1,
            affine(fromAt, scaled(k, stride)),
            affine(toAt, first, scaled(k, reversed ? -unit * width : unit * width)),
            unit,
            body,
          ),
        );
      };
      if (depth === 0) return;
      if (from.k.length === 1 && axis.stride === 1 && !axis.reversed && from.column !== 1) {
        for (let v = 0; v < run.vectors; v++) {
          const columns = v === run.vectors - 1 ? run.last : lanes;
          const first = affine(source, v * lanes * from.column);
          const toAt = affine(target, v * lanes);
          transposed(b, lanes, { buffer: from.buffer, base: first, pitch: from.column }, columns, depth, (k, row) =>
            b.store(to.buffer, affine(toAt, scaled(k, width)), row),
          );
        }
        return;
      }
      // Strided lanes are read along k, a vector at a time, so that few lines are open at once.
      if (from.column !== 1)
        for (let v = 0; v < run.vectors; v++) nest(0, source, target, depth, (f, t) => one(f, t, v));
      else
        nest(0, source, target, depth, (f, t) => {
          for (let v = 0; v < run.vectors; v++) one(f, t, v);
        });
    });
  }
}
