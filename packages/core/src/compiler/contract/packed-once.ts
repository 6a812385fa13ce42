/**
 * Packing for wide vectors, which browsers do not have, so that pages do not carry it (`TargetProfile.wide`).
 * Large products with a transposed A, the gradients of weights: the smaller factor is packed once, by a kernel of its own,
 * and every task packs a part of the other that no other task reads. Packing waits for memory, so that factors which
 * every task of a grid packs again cost a fifth of the time.
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
 * Smaller results have little to gain, and of shorter sums the panels stay in the caches. Both by the result alone, so that
 * the gradients of a recurrent layer have the same kernels for any number of steps.
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

const sizes = ({ tasks, pieces }: Cuts): number[] => tasks.flatMap((t) => pieces(t.size).map((p) => p.size));

/** How a product whose k is cut into `parts` is packed; null where tasks pack all they read, as they do below `from`. */
function packedOnce(spec: DotSpec, parts: number, profile: TargetProfile, from = least): PackedOnce | null {
  const { m, n, k } = spec;
  const { lanes } = profile;
  const length = k / parts;
  const factor = m <= n ? "a" : "b";
  if (spec.batch.length > 0 || spec.a.m !== 1 || spec.a.k === 1 || m * n < from.elements) return null;
  if (Math.min(m, n) < leastSide || length % 1 !== 0 || length < from.length || Math.min(m, n) * k > mostElements)
    return null;
  const tasks = Math.ceil(Math.max(8, Math.min(32, (m * n * k) / 2 ** 28)) / parts);
  const unit = Math.max(16, lanes);
  const columnsAtMost = (most: number) => (size: number) => columnPieces(size, unit, Math.ceil(size / most));
  // Sums and the panels of B of a block stay in the second-level cache, through which tiles of A pass.
  const rows: Cuts =
    factor === "a"
      ? { tasks: evenly(m, 1), pieces: (size) => blocks(size, 1024) }
      : { tasks: evenly(m, partsNear(m, tasks)), pieces: (size) => blocks(size, 512) };
  const columns: Cuts =
    factor === "a"
      ? { tasks: columnPieces(n, unit, tasks), pieces: columnsAtMost(256) }
      : { tasks: columnPieces(n, unit, 1), pieces: columnsAtMost(512) };
  // One layout serves all tasks if they agree on blocks and tiles.
  const tilings = sizes(columns).map((nb) => sizes(rows).map((mb) => productTiling(profile, nb, mb)));
  const [[first]] = tilings;
  const agree = tilings.every((same) =>
    same.every(
      (t) => reachesFar(t) && t.rows === first.rows && JSON.stringify(t.panels) === JSON.stringify(same[0].panels),
    ),
  );
  const runs = blocks(length, factor === "a" ? 256 : 128, packingRun);
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
export const widePacking = { reachesFar, packTiles, packedOnce, packedAt, packOnce };
export type WidePacking = typeof widePacking;
