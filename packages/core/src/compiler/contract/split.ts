/** How extents are cut into tasks, loop blocks and register tiles: everything here is a function of shapes and profile. */
import type { Index, KernelBuilder } from "../builder.ts";
import { affine, scaled } from "../builder.ts";
import type { TargetProfile } from "../loopir.ts";

/** `count` pieces of `size` elements, the first of which begins at `start`. */
export interface Pieces {
  readonly start: number;
  readonly count: number;
  readonly size: number;
}

/** Cuts `extent` into `parts` pieces whose sizes differ by at most one, the larger first: one or two runs of pieces. */
export function evenly(extent: number, parts: number): Pieces[] {
  const n = Math.max(1, Math.min(parts, extent));
  const small = Math.floor(extent / n);
  const large = extent - small * n;
  const runs: Pieces[] = [];
  if (large > 0) runs.push({ start: 0, count: large, size: small + 1 });
  if (n - large > 0) runs.push({ start: large * (small + 1), count: n - large, size: small });
  return runs;
}

/** Pieces of at most `most` elements, as few as possible, of even size. */
export function evenlyAtMost(extent: number, most: number): Pieces[] {
  return evenly(extent, Math.ceil(extent / most));
}

/**
 * A number of parts near `wanted` (between half of it and it) that divides the extent, so that one code serves every
 * part; `wanted` itself when there is none.
 */
export function partsNear(extent: number, wanted: number): number {
  const most = Math.max(1, Math.min(wanted, extent));
  for (let p = most; p * 2 > most; p--) if (extent % p === 0) return p;
  return most;
}

/**
 * Blocks of at most `most` elements; prefers up to half as many blocks again if they come out equal, above all if they
 * are multiples of `unit`, into which they will be cut themselves.
 */
export function blocks(extent: number, most: number, unit = 1): Pieces[] {
  const least = Math.max(1, Math.ceil(extent / most));
  for (const divisor of unit === 1 ? [1] : [unit, 1])
    for (let p = least; p <= least + Math.ceil(least / 2); p++)
      if (extent % (p * divisor) === 0) return evenly(extent, p);
  return evenly(extent, least);
}

/** Declares a task variable over runs of pieces and returns what emits the body, once for each run. */
export function taskRuns(
  b: KernelBuilder,
  name: string,
  runs: readonly Pieces[],
): (body: (start: Index, size: number, part: Index) => void) => void {
  const v = b.task(
    name,
    runs.reduce((n, r) => n + r.count, 0),
  );
  return (body) => {
    const choose = (i: number, before: number): void => {
      const run = runs[i];
      const emit = () => body(affine(scaled(v, run.size), run.start - before * run.size), run.size, v);
      if (i === runs.length - 1) {
        emit();
        return;
      }
      b.if(b.compare("lt", b.index(v), b.i32(before + run.count)), emit, () => choose(i + 1, before + run.count));
    };
    if (runs.length > 0) choose(0, 0);
  };
}

/** Declares a task variable over `parts` pieces of an extent; see `taskRuns`. */
export function taskPieces(b: KernelBuilder, name: string, extent: number, parts: number) {
  return taskRuns(b, name, evenly(extent, parts));
}

/** Pieces of `columns` in whole multiples of `unit`, but for the end; at most three runs. */
export function columnPieces(columns: number, unit: number, parts: number): Pieces[] {
  const units = Math.ceil(columns / unit);
  const runs = evenly(units, partsNear(units, parts)).map((r) => ({
    start: r.start * unit,
    count: r.count,
    size: r.size * unit,
  }));
  const end = runs[runs.length - 1];
  const over = units * unit - columns;
  if (over === 0) return runs;
  const last = { start: end.start + (end.count - 1) * end.size, count: 1, size: end.size - over };
  return end.count === 1
    ? [...runs.slice(0, -1), last]
    : [...runs.slice(0, -1), { ...end, count: end.count - 1 }, last];
}

/** One loop per run of equal pieces. */
export function loopPieces(
  b: KernelBuilder,
  name: string,
  runs: readonly Pieces[],
  body: (start: Index, size: number) => void,
): void {
  for (const run of runs) b.loop(name, run.count, (v) => body(affine(scaled(v, run.size), run.start), run.size));
}

/** A panel is the columns of one register tile: `vectors` vectors, the last of which may hold only `last` elements. */
export interface PanelRun {
  /** First vector. */
  readonly start: number;
  readonly count: number;
  readonly vectors: number;
  readonly last: number;
}

/** How a matrix of results is covered by register tiles. */
export interface Tiling {
  readonly lanes: number;
  readonly columns: number;
  /** Vectors that cover the columns. */
  readonly vectors: number;
  readonly panels: readonly PanelRun[];
  /** Most rows in a tile. */
  readonly rows: number;
  readonly unroll: number;
}

/** Whether a tile of r rows and v vectors stays in registers. */
function fits(profile: TargetProfile, r: number, v: number): boolean {
  const { rows, vectors, unroll } = profile.tile;
  if (r <= rows && v <= vectors) return true;
  if (r * v > Math.max(rows * vectors, 9)) return false;
  const registers = profile.name === "c" && profile.lanes === 16 ? 32 : 16;
  // Engines that take no unrolling hoist all loads of a step above its arithmetic, so those need registers too.
  return (unroll === 1 ? r * v + r + v : r * v + v + 1) < registers;
}

/** Relative time of one step of a tile: eight multiply-adds are in flight on every CPU, fewer leave units idle. */
function tileCost(r: number, v: number): number {
  return Math.max(8, r * v) + 0.3 * (r + v);
}

function rowsCost(extent: number, r: number, v: number): number {
  return evenlyAtMost(extent, r).reduce((sum, p) => sum + p.count * tileCost(p.size, v), 0);
}

function panelRuns(columns: number, lanes: number, most: number): PanelRun[] {
  const vectors = Math.ceil(columns / lanes);
  const last = columns - (vectors - 1) * lanes;
  const runs: PanelRun[] = [];
  for (const p of evenlyAtMost(vectors, most)) {
    const atEnd = p.start + p.count * p.size === vectors;
    if (atEnd && last < lanes) {
      if (p.count > 1) runs.push({ start: p.start, count: p.count - 1, vectors: p.size, last: lanes });
      runs.push({ start: p.start + (p.count - 1) * p.size, count: 1, vectors: p.size, last });
    } else runs.push({ start: p.start, count: p.count, vectors: p.size, last: lanes });
  }
  return runs;
}

/**
 * Time per row element of covering `extent` rows and `columns` columns with the best register tile, and that tile.
 * `handicap` counts against tiles of other widths than the profile's own, which is the one that has been measured.
 */
export function chooseTiling(
  profile: TargetProfile,
  columns: number,
  extent: number,
  handicap = 1.04,
): { readonly tiling: Tiling; readonly cost: number } {
  const { lanes, tile } = profile;
  const vectors = Math.ceil(columns / lanes);
  let best: { r: number; v: number; cost: number } | undefined;
  for (let v = 1; v <= Math.max(tile.vectors, 7); v++) {
    let r = 0;
    while (r < 12 && fits(profile, r + 1, v)) r++;
    if (r === 0) continue;
    const cost = evenlyAtMost(vectors, v).reduce((sum, p) => sum + p.count * rowsCost(extent, r, p.size), 0);
    const weighed = v === tile.vectors ? cost : cost * handicap;
    if (!best || weighed < best.cost) best = { r, v, cost: weighed };
  }
  if (!best) throw new Error(`no register tile for ${profile.name}`);
  return {
    tiling: {
      lanes,
      columns,
      vectors,
      panels: panelRuns(columns, lanes, best.v),
      rows: best.r,
      unroll: tile.unroll,
    },
    cost: best.cost / Math.max(1, extent),
  };
}

/** Tiling of a product. */
export function productTiling(profile: TargetProfile, columns: number, extent: number): Tiling {
  return chooseTiling(profile, columns, extent, profile.lanes >= 8 ? 1.1 : undefined).tiling;
}

/** Tasks worth making of this much arithmetic: about half a million FLOPs each at least, 32 at most. */
export function tasksFor(flops: number): number {
  return Math.max(1, Math.min(32, Math.floor(flops / (1 << 19))));
}
