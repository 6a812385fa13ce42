/**
 * Packing for wide vectors, which browsers do not have, so that pages do not carry it (`TargetProfile.wide`).
 * In large products one factor is packed once, by a kernel of its own, instead of by every task that reads it. With a
 * transposed A, in gradients of weights, that is the smaller factor, and each task packs a part of the other that no other
 * task reads; else it is B, the weights, and A is read in place. Packing waits for memory: factors that every task of a
 * grid packs again cost a fifth of the time with a transposed A, and a twentieth else.
 */
import { affine, type Index, scaled } from "../builder.ts";
import type { TargetProfile } from "../loopir.ts";
import type { DotSpec, LoweredStep } from "../lowered.ts";
import { packingRun, packPanels, packTiles, tilePitch } from "./pack.ts";
import {
  blocks,
  columnPieces,
  evenly,
  loopPieces,
  type Pieces,
  partsNear,
  productTiling,
  type Tiling,
  taskPieces,
} from "./split.ts";
import { Step } from "./step.ts";

/** How an axis of the result is cut: into tasks, and each of them into pieces that have tiles of their own. */
export interface Cuts {
  readonly tasks: readonly Pieces[];
  pieces(size: number): readonly Pieces[];
}

/** A packed factor, in blocks of `depth` steps of k: [block][tile][k][row] of A or [block][panel][k][column] of B. */
export interface PackedOnce {
  readonly factor: "a" | "b";
  readonly rows: Cuts;
  readonly columns: Cuts;
  readonly depth: number;
  /** Elements of the packed factor. */
  readonly size: number;
}

/**
 * Elements of what is as large for any number of rows (the result of a gradient, B else), and those rows. Less has little to
 * gain, as panels stay in the caches then; and a recurrent layer has the same kernels for any number of steps.
 */
const least = { elements: 2 ** 17, length: 512 };
/** Fewer rows or columns read the other factor in place. */
const leastSide = 24;
/** Elements of a packed factor, which takes memory. */
const mostElements = 2 ** 22;

/**
 * Whether a tile of A stays in the first-level cache over 512 steps of k, while the panels of B come from the second, which
 * is fast enough for tall tiles. Sums leave the registers less often, and a panel packed once serves more rows: 10 to
 * 30 % faster than panels that fit beside the tile.
 */
function reachesFar({ lanes, rows }: Tiling): boolean {
  return lanes >= 8 && rows * rows * lanes >= 288;
}

/** Steps of k of a block of `columns`, where tiles reach far: its panels fit into half a megabyte. */
const farDepth = (columns: number): number => Math.max(64, Math.min(512, Math.floor(131072 / columns)));

const sizes = ({ tasks, pieces }: Cuts): number[] => tasks.flatMap((t) => pieces(t.size).map((p) => p.size));

/** How a product whose k is cut into `parts` is packed; null where tasks pack all they read, as they do below `from`. */
function packedOnce(spec: DotSpec, parts: number, profile: TargetProfile, from = least): PackedOnce | null {
  const length = spec.k / parts;
  if (spec.batch.length > 0 || length % 1 !== 0) return null;
  if (spec.a.k === 1) return weightsOnce(spec, length, profile, from);
  return spec.a.m === 1 ? smallerOnce(spec, length, profile, from) : null;
}

/** B packed once, for the many rows of an A that is read in place. */
function weightsOnce(
  { m, n, k }: DotSpec,
  length: number,
  profile: TargetProfile,
  from: typeof least,
): PackedOnce | null {
  if (n * k < from.elements || n * k > mostElements || m < from.length || n < leastSide) return null;
  const rows: Cuts = {
    tasks: evenly(m, partsNear(m, Math.ceil((tasksOf(m, n, k) * length) / k))),
    pieces: (size) => blocks(size, 512),
  };
  const columns: Cuts = { tasks: columnTasks(n, profile, 1), pieces: columnsAtMost(256, profile) };
  return inBlocks("b", { rows, columns }, { m, n, k }, farDepth(Math.max(...sizes(columns))), length, profile);
}

/**
 * The smaller factor packed once where A is transposed. Sums and the panels of B of a block stay in the second-level cache,
 * through which tiles of A pass.
 */
function smallerOnce({ m, n, k }: DotSpec, length: number, profile: TargetProfile, from: typeof least) {
  if (m * n < from.elements || length < from.length) return null;
  if (Math.min(m, n) < leastSide || Math.min(m, n) * k > mostElements) return null;
  const tasks = Math.ceil((tasksOf(m, n, k) * length) / k);
  if (m <= n) {
    const rows: Cuts = { tasks: evenly(m, 1), pieces: (size) => blocks(size, 1024) };
    const columns: Cuts = { tasks: columnTasks(n, profile, tasks), pieces: columnsAtMost(256, profile) };
    return inBlocks("a", { rows, columns }, { m, n, k }, 256, length, profile);
  }
  const rows: Cuts = { tasks: evenly(m, partsNear(m, tasks)), pieces: (size) => blocks(size, 512) };
  const columns: Cuts = { tasks: columnTasks(n, profile, 1), pieces: columnsAtMost(512, profile) };
  return inBlocks("b", { rows, columns }, { m, n, k }, 128, length, profile);
}

const unitOf = ({ lanes }: TargetProfile): number => Math.max(16, lanes);
const tasksOf = (m: number, n: number, k: number): number =>
  Math.ceil(Math.max(8, Math.min(32, (m * n * k) / 2 ** 28)));
const columnTasks = (n: number, profile: TargetProfile, tasks: number): Pieces[] =>
  columnPieces(n, unitOf(profile), tasks);
const columnsAtMost =
  (most: number, profile: TargetProfile): Cuts["pieces"] =>
  (size) =>
    columnPieces(size, unitOf(profile), Math.ceil(size / most));

/** A factor packed in blocks of at most `depth` steps of each `length` of k, if one layout serves all tasks. */
function inBlocks(
  factor: "a" | "b",
  { rows, columns }: Pick<PackedOnce, "rows" | "columns">,
  { m, n, k }: Pick<DotSpec, "m" | "n" | "k">,
  most: number,
  length: number,
  profile: TargetProfile,
): PackedOnce | null {
  const { lanes } = profile;
  const tilings = sizes(columns).map((nb) => sizes(rows).map((mb) => productTiling(profile, nb, mb)));
  const [[first]] = tilings;
  const agree = tilings.every((same) =>
    same.every(
      (t) =>
        reachesFar(t) &&
        (factor === "b" || t.rows === first.rows) &&
        JSON.stringify(t.panels) === JSON.stringify(same[0].panels),
    ),
  );
  const runs = blocks(length, most, packingRun);
  if (!agree || runs.length > 1 || runs[0].size < 64) return null;
  const depth = runs[0].size;
  const size = factor === "a" ? (k / depth) * m * tilePitch(first, depth) + lanes : Math.ceil(n / lanes) * lanes * k;
  return { factor, rows, columns, depth, size };
}

/** Where the tiles of A from `row` on begin, or the panels of B from `column` on, in the block that begins at `k`. */
function packedAt(spec: DotSpec, once: PackedOnce, lanes: number, rowOrColumn: Index, k: Index): Index {
  const { m, n } = spec;
  if (once.factor === "b") return affine(scaled(k, Math.ceil(n / lanes) * lanes), scaled(rowOrColumn, once.depth));
  // Every block has room between its tiles (`tilePitch`).
  const pitch = once.depth + lanes;
  const { constant, terms } = affine(k);
  const rooms = affine(
    (constant / once.depth) * m * pitch,
    ...terms.map(({ variable, stride }) => scaled(variable, (stride / once.depth) * m * pitch)),
  );
  return affine(rooms, scaled(rowOrColumn, pitch));
}

/** The kernel that packs a factor into temporary `temp`, a task for each block. */
function packOnce(name: string, spec: DotSpec, once: PackedOnce, temp: number, profile: TargetProfile): LoweredStep {
  const { factor, rows, columns, depth } = once;
  const { lanes } = profile;
  const { a, b: right } = spec;
  const step = new Step(`${name}_pack`);
  const { b } = step;
  const from = factor === "a" ? step.input(0, "a", a.size) : step.input(1, "b", right.size);
  // What is only written would go past the caches to memory, and most vectors of a packed A lie across two lines.
  const to = step.temp(temp, "packed", once.size, "readwrite");
  const [mb] = sizes(rows);
  const [nb] = sizes(columns);
  const each = ({ tasks, pieces }: Cuts, body: (start: Index, size: number) => void): void =>
    loopPieces(b, "task", tasks, (task, size) =>
      loopPieces(b, "cut", pieces(size), (start, count) => body(affine(task, start), count)),
    );
  const block = taskPieces(b, "block", spec.k, spec.k / depth);
  if (factor === "a")
    block((k0) =>
      // Whole rows of memory, a few steps of k at a time.
      loopPieces(b, "chunk", blocks(depth, packingRun), (chunk, count) =>
        each(rows, (row, size) => {
          const base = affine(a.offset, scaled(affine(k0, chunk), a.k), row);
          const target = { buffer: to, base: packedAt(spec, once, lanes, row, k0), pitch: depth + lanes };
          const tiling = productTiling(profile, nb, size);
          packTiles(b, tiling, { buffer: from, base, stride: a.k }, target, size, { first: chunk, count });
        }),
      ),
    );
  else
    block((k0) =>
      each(columns, (column, size) => {
        const base = affine(right.offset, scaled(k0, right.k), scaled(column, right.n));
        const source = { buffer: from, base, k: [{ extent: depth, stride: right.k }], column: right.n };
        const target = { buffer: to, base: packedAt(spec, once, lanes, column, k0) };
        packPanels(b, productTiling(profile, size, mb), source, target, true);
      }),
    );
  const packed = factor === "a" ? spec.m : spec.n;
  return step.finish({ flops: 0, bytes: 4 * (packed * spec.k + once.size) });
}

/** What products on vectors of 8 lanes and more do otherwise. */
export const widePacking = { reachesFar, farDepth, packTiles, packedOnce, packedAt, packOnce };
export type WidePacking = typeof widePacking;
