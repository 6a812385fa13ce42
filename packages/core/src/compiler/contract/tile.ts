/** Emits register tiles: rows × vectors accumulators over nested loops of K, for one block of rows and columns. */
import type { Index, KernelBuilder } from "../builder.ts";
import { affine, scaled } from "../builder.ts";
import type { Buffer, Local, Operand } from "../loopir.ts";
import type { DotAxis, Triangle } from "../lowered.ts";
import type { Pieces, Tiling } from "./split.ts";
import { blocks, evenlyAtMost, loopPieces } from "./split.ts";

/** One axis of the summation: strides in elements of A, and in elements or packed rows of B (see `Factor`). */
export interface SumAxis {
  readonly extent: number;
  readonly a: number;
  readonly b: number;
}

/** One axis of the rows: stride in A and in rows of the result. */
export interface RowAxis {
  readonly extent: number;
  readonly a: number;
  readonly row: number;
}

/**
 * The right factor: element (k, column) lies at `base + Σ k·b + column` in place, or, packed by panels, at
 * `base + first column of the panel · depth + (Σ k·b) · panel width + column in the panel`.
 */
export interface Factor {
  readonly buffer: Buffer;
  readonly base: Index;
  /** Length of the summation when packed, undefined in place. */
  readonly depth?: number;
}

export interface Block {
  readonly tiling: Tiling;
  /**
   * The left factor; with `pitch`, packed by tiles for one axis of summation: element k of row r of the tile that begins at
   * row s lies at `base + s·pitch + k·(rows of the tile) + r`.
   */
  readonly a: { readonly buffer: Buffer; readonly base: Index; readonly pitch?: number };
  readonly b: Factor;
  /** Loops around the tiles, outermost first. */
  readonly outer: readonly RowAxis[];
  /** The axis whose elements stand side by side in a tile. */
  readonly tiled: RowAxis;
  readonly sum: readonly SumAxis[];
  /** Panels innermost: results are finished row by row. Otherwise rows innermost: a panel of B stays close. */
  readonly rowsOutside?: boolean;
  /** Sums that an earlier block began: `load` gives them where `when` holds. Elsewhere, and without this, they begin at zero. */
  readonly begun?: { readonly when: Operand | true; load(row: Index, column: Index): Operand };
  /** Sums that a later block goes on with: where `when` holds they are kept by `store` and not yet `done`. */
  readonly kept?: { readonly when: Operand | true; store(row: Index, column: Index, value: Operand): void };
  /** Which terms count, of one axis of summation, and where the block begins along the axes of the product. */
  readonly triangle?: { readonly axes: Triangle; readonly from: Readonly<Record<DotAxis, Index>> };
  /** Asks memory for what `done` reads besides, before a tile's sums are formed: it arrives meanwhile. */
  readonly ahead?: ((row: Index, column: Index) => void) | undefined;
  /** Takes a finished vector: `count` valid results at `row`, `column…`. */
  done(row: Index, column: Index, value: Operand, count: number): void;
}

/** Steps of k of which a tile leaves out all or none. */
const mostSteps = 16;

export function emitBlock(b: KernelBuilder, block: Block): void {
  const { tiling, outer } = block;
  const rows = (level: number, a: Index, row: Index, body: (a: Index, row: Index) => void): void => {
    if (level === outer.length) {
      body(a, row);
      return;
    }
    const axis = outer[level];
    b.loop(`r${level}`, axis.extent, (v) =>
      rows(level + 1, affine(a, scaled(v, axis.a)), affine(row, scaled(v, axis.row)), body),
    );
  };
  const panels = (body: (vector: Index, vectors: number, last: number) => void): void => {
    for (const run of tiling.panels)
      b.loop("panel", run.count, (v) => body(affine(scaled(v, run.vectors), run.start), run.vectors, run.last));
  };
  const axis = block.tiled;
  const tiles = (a: Index, row: Index, body: (a: Index, row: Index, size: number) => void): void =>
    loopPieces(b, "tile", evenlyAtMost(axis.extent, tiling.rows), (start, size) =>
      body(affine(a, scaled(start, block.a.pitch ?? axis.a)), affine(row, scaled(start, axis.row)), size),
    );
  if (axis.extent === 0) return;
  if (block.rowsOutside)
    rows(0, block.a.base, 0, (a0, row0) =>
      tiles(a0, row0, (a, row, size) =>
        panels((vector, vectors, last) => emitTile(b, block, size, vectors, last, vector, a, row)),
      ),
    );
  else
    panels((vector, vectors, last) =>
      rows(0, block.a.base, 0, (a0, row0) =>
        tiles(a0, row0, (a, row, size) => emitTile(b, block, size, vectors, last, vector, a, row)),
      ),
    );
}

function emitTile(
  b: KernelBuilder,
  block: Block,
  size: number,
  vectors: number,
  last: number,
  vector: Index,
  a: Index,
  row: Index,
): void {
  const { lanes, unroll } = block.tiling;
  const width = vectors * lanes;
  const column = (v: number): Index => affine(scaled(vector, lanes), v * lanes);
  const rowAt = (r: number): Index => affine(row, r * block.tiled.row);
  const { begun, kept } = block;
  const sums: Local[][] = [];
  for (let r = 0; r < size; r++) {
    sums.push([]);
    for (let v = 0; v < vectors; v++)
      sums[r].push(b.var(begun?.when === true ? begun.load(rowAt(r), column(v)) : b.f32(0, lanes)));
  }
  const each = (body: (row: Index, column: Index, sum: Local, count: number) => void): void => {
    for (let r = 0; r < size; r++)
      for (let v = 0; v < vectors; v++) body(rowAt(r), column(v), sums[r][v], v === vectors - 1 ? last : lanes);
  };
  if (begun && begun.when !== true)
    b.if(begun.when, () => each((row, column, sum) => b.assign(sum, begun.load(row, column))));
  const { ahead } = block;
  if (ahead && kept?.when !== true) {
    const ask = (): void => each((row, column) => ahead(row, column));
    if (kept) b.if(kept.when, () => {}, ask);
    else ask();
  }
  const packed = block.b.depth !== undefined;
  const bBase = packed
    ? affine(block.b.base, scaled(vector, lanes * block.b.depth!))
    : affine(block.b.base, scaled(vector, lanes));
  const step = (atA: Index, atB: Index): void => {
    const right: Local[] = [];
    for (let v = 0; v < vectors; v++) right.push(b.load(block.b.buffer, affine(atB, v * lanes), lanes));
    for (let r = 0; r < size; r++) {
      const left = b.load(block.a.buffer, affine(atA, block.a.pitch ? r : r * block.tiled.a), lanes, { stride: 0 });
      for (let v = 0; v < vectors; v++) b.assign(sums[r][v], b.fma(left, right[v], sums[r][v]));
    }
  };
  const nest = (level: number, atA: Index, atB: Index, extent = block.sum[level]?.extent): void => {
    if (level === block.sum.length) {
      step(atA, atB);
      return;
    }
    const axis = block.sum[level];
    const inner = level === block.sum.length - 1 && unroll > 1 ? divisorAtMost(extent, unroll) : 1;
    b.loop(`k${level}`, extent, (k) => nest(level + 1, ...stepped(axis, k, atA, atB)), inner > 1 ? inner : undefined);
  };
  const stepped = (axis: SumAxis, k: Index, atA: Index, atB: Index): [Index, Index] => [
    affine(atA, scaled(k, block.a.pitch ? size : axis.a)),
    affine(atB, scaled(k, packed ? axis.b * width : axis.b)),
  ];
  const { triangle } = block;
  if (!triangle) nest(0, a, bBase);
  else {
    const [axis] = block.sum;
    const pieces: readonly Pieces[] = triangle.axes.includes("k")
      ? blocks(axis.extent, mostSteps, unroll)
      : [{ start: 0, count: 1, size: axis.extent }];
    const { axes, from } = triangle;
    loopPieces(b, "steps", pieces, (k, count) => {
      const start = { m: affine(from.m, row), n: affine(from.n, column(0)), k: affine(from.k, k) };
      const extent = { m: size, n: width, k: count };
      whereTermsCount(b, axes, start, extent, () => nest(0, ...stepped(axis, k, a, bBase), count));
    });
  }
  const finish = (): void => each((row, column, sum, count) => block.done(row, column, sum, count));
  const keep = (): void => each((row, column, sum) => kept!.store(row, column, sum));
  if (!kept) finish();
  else if (kept.when === true) keep();
  else b.if(kept.when, keep, finish);
}

/** Runs `body` where some of the terms of a box count, without asking where that is known. */
export function whereTermsCount(
  b: KernelBuilder,
  [first, second]: Triangle,
  start: Readonly<Record<DotAxis, Index>>,
  extent: Readonly<Record<DotAxis, number>>,
  body: () => void,
): void {
  const ahead = affine(start[first], scaled(start[second], -1));
  if (ahead.terms.length > 0) b.if(b.compare("lt", b.index(ahead), b.i32(extent[second])), body);
  else if (ahead.constant < extent[second]) body();
}

function divisorAtMost(extent: number, most: number): number {
  for (let d = Math.min(most, extent); d > 1; d--) if (extent % d === 0) return d;
  return 1;
}
