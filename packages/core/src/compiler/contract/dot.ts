/**
 * Matrix products. NN reads both factors in place or packs panels of B into thread scratch, TN packs A, NT packs B by strided loads; one to three
 * columns with contiguous K become dot products over 16 logical lanes. What wide vectors do otherwise: packed-once.ts.
 * Every result is one chain of multiply-adds in the order of k (per part, when K is split), whatever the tiles.
 */
import { affine, type Index, scaled } from "../builder.ts";
import type { LoopVar, Operand, TargetProfile } from "../loopir.ts";
import type { DotSpec, Epilogue, Lowered, LoweredStep } from "../lowered.ts";
import { dotProducts, isDotProducts } from "./dotproducts.ts";
import { copyRow, packedSize, packingRun, packPanels, tilePitch } from "./pack.ts";
import type { Cuts, PackedOnce, WidePacking } from "./packed-once.ts";
import { reduceParts } from "./reduce.ts";
import {
  blocks,
  columnPieces,
  evenly,
  loopPieces,
  partsNear,
  productTiling,
  taskPieces,
  taskRuns,
  tasksFor,
} from "./split.ts";
import { matrixSink, outputSink, type Sink, Step } from "./step.ts";
import { emitBlock, whereTermsCount } from "./tile.ts";

/** The same product with as few batch axes as possible: those of extent 1 dropped, those that only extend m merged. */
function normalised(spec: DotSpec): DotSpec {
  const axes = spec.batch
    .map((extent, i) => ({ extent, a: spec.a.batch[i], b: spec.b.batch[i], out: spec.out?.batch[i] ?? 0 }))
    .filter((x) => x.extent !== 1);
  let m = spec.m;
  let aM = spec.a.m;
  while (axes.length > 0) {
    const last = axes[axes.length - 1];
    if (last.b !== 0 || spec.out || spec.triangle || (m !== 1 && last.a !== m * aM)) break;
    if (m === 1) aM = last.a;
    m *= last.extent;
    axes.pop();
  }
  return {
    batch: axes.map((x) => x.extent),
    m,
    n: spec.n,
    k: spec.k,
    a: { ...spec.a, m: aM, batch: axes.map((x) => x.a) },
    b: { ...spec.b, batch: axes.map((x) => x.b) },
    ...(spec.out ? { out: { ...spec.out, batch: axes.map((x) => x.out) } } : {}),
    ...(spec.triangle ? { triangle: spec.triangle } : {}),
  };
}

/** Multiply-adds of one matrix: those of terms that count. */
function termsOf(spec: DotSpec): number {
  const all = spec.m * spec.n * spec.k;
  if (!spec.triangle || all === 0) return all;
  const [first, second] = spec.triangle.map((axis) => spec[axis]);
  const side = Math.min(first, second);
  return (all / (first * second)) * (side * (second - (side - 1) / 2));
}

/** Whether rows of the result may lie anywhere: not in parts of a sum, dot products, and what may be a matrix unit's. */
export function writesRows({ m, n, k }: DotSpec): boolean {
  return Math.min(m, n) > 3 && partsOfK(m, n, k, Number.POSITIVE_INFINITY) === 1 && 2 * m * n * k < 2 ** 24;
}

/** Partial sums, in elements. */
const mostSums = 2 ** 19;

/**
 * Parts into which K is cut: a power of two, or another number if that gives equal parts; more than one only when K is
 * long against m·n. From the shape alone.
 */
function partsOfK(m: number, n: number, k: number, tasks: number): number {
  const size = Math.sqrt(m * n);
  // More partial sums than this leave the second-level cache; so many results make tasks enough.
  const mostOfSums = mostSums / (m * n);
  const most = Math.floor(Math.min(tasks, 16, k / 128, k / (2 * size), mostOfSums));
  // Two parts of a sum that is long enough cost little, and then a longer one has as many kernels.
  if (most <= 1) return k >= 512 && k >= 2 * size && mostOfSums >= 2 ? 2 : 1;
  const power = 2 ** Math.floor(Math.log2(most));
  return k % power === 0 ? power : partsNear(k, most);
}

/** `packFrom`: from how many elements of the result and what length of k a factor may be packed by a kernel of its own. */
export function lowerDot(
  original: DotSpec,
  profile: TargetProfile,
  epilogue: Epilogue | null,
  packFrom?: Parameters<WidePacking["packedOnce"]>[3],
): Lowered {
  const spec = normalised(original);
  const { m, n, k } = spec;
  const count = spec.batch.reduce((p, x) => p * x, 1);
  if (count * m * n === 0) return { steps: [], temps: [] };
  if (isDotProducts(spec)) return dotProducts(spec, epilogue);
  const { matrix, strict, wide } = profile;
  if (matrix?.fits(spec) && !strict) return matrix.product(`dot_${m}x${n}x${k}`, spec, profile, epilogue);
  const flops = 2 * count * termsOf(spec);
  const tasks = profile.inner ? 1 : Math.ceil(tasksFor(flops) / count);
  const parts = partsOfK(m, n, k, tasks);
  const name = `dot_${m}x${n}x${k}`;
  const once = wide?.packedOnce(spec, parts, profile, packFrom) ?? null;
  // How the result of a sum in parts is cut does not depend on K, so that the code for a longer one is the same.
  const pieces = parts === 1 ? tasks : Math.min(8, Math.ceil((m * n) / 8192));
  const { rows, columns } = once ?? cuts(spec, parts, pieces, profile);
  const steps: LoweredStep[] = [];
  const temps: { type: "f32"; size: number }[] = [];
  const temp = (size: number): number => temps.push({ type: "f32", size }) - 1;
  const packed = once && { ...once, temp: temp(once.size) };
  const partial = parts > 1 ? temp(parts * count * m * n) : undefined;
  if (packed) steps.push(wide!.packOnce(name, spec, packed, packed.temp, profile));
  steps.push(product(name, spec, { parts, rows, columns, packed, partial }, epilogue, profile));
  if (partial !== undefined) steps.push(reduceParts(name, partial, parts, count * m, n, epilogue, 2, profile));
  return { steps, temps };
}

/** Rows and columns of a task grid of about `tasks` that reads least; packing by strided loads should not be repeated. */
function grid(m: number, n: number, tasks: number, transposed: boolean): [number, number] {
  let best: [number, number] = [1, 1];
  let least = Number.POSITIVE_INFINITY;
  for (let rows = 1; rows <= tasks; rows++) {
    const columns = Math.ceil(tasks / rows);
    const r = partsNear(m, Math.min(rows, Math.ceil(m / 4)));
    const c = Math.min(columns, Math.ceil(n / 16));
    if (r * c * 2 < Math.min(tasks, Math.ceil(m / 4) * Math.ceil(n / 16))) continue;
    const uneven = m % r === 0 ? 1 : 1.2;
    const cost = (c * m + r * n * (transposed ? 4 : 1)) * uneven;
    if (cost < least) {
      least = cost;
      best = [r, c];
    }
  }
  return best;
}

/** Rows and steps of k that are packed, or left out, at once. */
const mostLeftOut = 128;

/** Whether parts of a transposed A need no packing, since no term of them counts. */
function leavesOutFactor({ a, triangle }: DotSpec): boolean {
  return a.k !== 1 && triangle !== undefined && !triangle.includes("n");
}

/** Few rows against much of B: B is read once, row after row, which memory likes; the sums wait in scratch. */
function streams({ n, b }: DotSpec, mb: number, nb: number, kb: number): boolean {
  return mb <= 3 && (n === 1 || b.n === 1) && nb * kb > 16384;
}

/** Tasks of about the same size, cut so that panels and sums stay in the second-level cache. */
function cuts(spec: DotSpec, parts: number, tasks: number, profile: TargetProfile): { rows: Cuts; columns: Cuts } {
  const { m, n, k } = spec;
  const unit = Math.max(16, profile.lanes);
  const [rowTasks, columnTasks] = grid(m, n, tasks, n > 1 && spec.b.n !== 1);
  const kb = Math.ceil(k / parts);
  /** Rows of a piece: many where sums are short. */
  const mostRows = (length: number): number =>
    leavesOutFactor(spec) ? mostLeftOut : length <= (profile.lanes >= 8 ? 512 : 256) ? 512 : 256;
  // Short sums of very many rows: each block of rows is a task, so that more rows are no more code.
  const manyRows = mostRows(k) === 512 && m > rowTasks * 512;
  const rows = manyRows ? blocks(m, 512) : evenly(m, rowTasks);
  const fewRows = Math.max(...rows.map((r) => r.size));
  return {
    rows: { tasks: rows, pieces: (size) => blocks(size, mostRows(kb)) },
    columns: {
      tasks: columnPieces(n, unit, columnTasks),
      pieces: (size) => columnPieces(size, unit, streams(spec, fewRows, size, kb) ? 1 : Math.ceil(size / 256)),
    },
  };
}

/** How a product is made: what is cut, a factor that was packed before, and the temporary of the sums of parts. */
interface Plan {
  readonly parts: number;
  readonly rows: Cuts;
  readonly columns: Cuts;
  readonly packed: (PackedOnce & { readonly temp: number }) | null;
  readonly partial: number | undefined;
}

function product(
  name: string,
  spec: DotSpec,
  plan: Plan,
  epilogue: Epilogue | null,
  profile: TargetProfile,
): LoweredStep {
  const { m, n, k } = spec;
  const { parts, packed } = plan;
  const { lanes, wide } = profile;
  const step = new Step(name);
  const { b } = step;
  const bufferA = step.input(0, "a", spec.a.size);
  const bufferB = step.input(1, "b", spec.b.size);
  const batchCount = spec.batch.reduce((p, x) => p * x, 1);
  const rows = batchCount * m;
  const once = packed ? step.temp(packed.temp, "packed", packed.size, "read") : undefined;
  const partial =
    plan.partial === undefined ? undefined : step.temp(plan.partial, "partial", parts * rows * n, "readwrite");
  const finished = partial ? undefined : outputSink(step, epilogue, rows, n, 2);

  const transposed = n > 1 && spec.b.n !== 1;
  const batch: LoopVar[] = spec.batch.map((extent, i) => b.task(`batch${i}`, extent));
  const partTask = parts > 1 ? taskPieces(b, "part", k, parts) : undefined;
  const columnTask = taskRuns(b, "columns", plan.columns.tasks);
  const rowTask = taskRuns(b, "rows", plan.rows.tasks);

  const batchA = affine(spec.a.offset, ...batch.map((v, i) => scaled(v, spec.a.batch[i])));
  const batchB = affine(spec.b.offset, ...batch.map((v, i) => scaled(v, spec.b.batch[i])));
  let batchRow = affine(0);
  let inner = m;
  for (let i = batch.length - 1; i >= 0; i--) {
    batchRow = affine(batchRow, scaled(batch[i], inner));
    inner *= spec.batch[i];
  }

  const compute = (row0: Index, mb: number, column0: Index, nb: number, k0: Index, kb: number, sink: Sink): void => {
    const tiling = productTiling(profile, nb, mb);
    const far = wide?.reachesFar(tiling) ?? false;
    const width = Math.max(...tiling.panels.map((p) => p.vectors)) * lanes;
    // Otherwise a panel of B and a tile of A stay in the first-level cache, and 256 steps of 256 rows and columns, packed
    // each time that the other factor has gone on by as many, in the second.
    const depthMost = packed
      ? packed.depth
      : leavesOutFactor(spec)
        ? mostLeftOut
        : streams(spec, mb, nb, kb)
          ? 8
          : far
            ? wide!.farDepth(nb)
            : Math.max(
                64,
                Math.floor(
                  Math.min(24576 / (4 * (width + tiling.rows)), 65536 / (Math.min(mb, 128) + Math.min(nb, 128))),
                ),
              );
    // Sums of a part go on where they will lie, in at least two blocks: so a long sum is the same code as a short one.
    const goOn = packed ? undefined : sink.load;
    const most = goOn ? Math.min(depthMost, Math.ceil(kb / 2)) : depthMost;
    // What the first-level cache holds needs no packing, nor does a factor of one panel, which lies as if it were packed.
    const packB =
      packed?.factor !== "b" &&
      (transposed || (mb >= 24 && nb >= 32 && spec.b.k > width && Math.min(kb, most) * spec.b.k > 8192));
    const packA = packed?.factor !== "a" && spec.a.k !== 1 && spec.a.m === 1 && nb >= 16 && mb >= 4 && kb > 1;
    const pass = (
      a: Index,
      bAt: Index,
      k: Index,
      depth: number,
      sums: Pick<Parameters<typeof emitBlock>[1], "begun" | "kept">,
    ): void => {
      const whereNeeded = (body: () => void): void =>
        spec.triangle
          ? whereTermsCount(b, spec.triangle, { m: row0, n: column0, k }, { m: mb, n: nb, k: depth }, body)
          : body();
      let left: Parameters<typeof emitBlock>[1]["a"] = { buffer: bufferA, base: affine(a) };
      let strideM = spec.a.m;
      let strideK = spec.a.k;
      if (packed?.factor === "a") {
        left = { buffer: once!, base: wide!.packedAt(spec, packed, lanes, row0, k), pitch: tilePitch(tiling, depth) };
      } else if (packA && far) {
        const size = mb * tilePitch(tiling, Math.min(kb, depthMost)) + lanes;
        const to = { buffer: step.scratch("panelA", size), base: 0, pitch: tilePitch(tiling, depth) };
        left = to;
        whereNeeded(() =>
          wide!.packTiles(b, tiling, { buffer: bufferA, base: a, stride: spec.a.k }, to, mb, {
            first: 0,
            count: depth,
          }),
        );
      } else if (packA) {
        // An odd number of cache lines from k to k: powers of two would fall into a few sets of the cache.
        const pitch = 16 * (2 * Math.floor(Math.ceil(mb / 16) / 2) + 1);
        left = { buffer: step.scratch("panelA", pitch * Math.min(kb, depthMost)), base: affine(0) };
        whereNeeded(() =>
          b.loop("k", depth, (v) =>
            copyRow(b, lanes, bufferA, affine(a, scaled(v, spec.a.k)), left.buffer, scaled(v, pitch), mb),
          ),
        );
        strideM = 1;
        strideK = pitch;
      }
      let right: Parameters<typeof emitBlock>[1]["b"] = { buffer: bufferB, base: bAt };
      if (packed?.factor === "b")
        right = { buffer: once!, base: wide!.packedAt(spec, packed, lanes, column0, k), depth };
      else if (packB) {
        right = { buffer: step.scratch("panelB", packedSize(tiling, Math.min(kb, depthMost))), base: 0, depth };
        packPanels(
          b,
          tiling,
          { buffer: bufferB, base: bAt, k: [{ extent: depth, stride: spec.b.k }], column: spec.b.n },
          { buffer: right.buffer, base: 0 },
          far,
        );
      }
      emitBlock(b, {
        tiling,
        a: left,
        b: right,
        outer: [],
        // All of B in the first-level cache: then results are better written row by row.
        rowsOutside: far || depth * nb <= 4096,
        tiled: { extent: mb, a: strideM, row: 1 },
        sum: [{ extent: depth, a: strideK, b: right.depth === undefined ? spec.b.k : 1 }],
        ...(spec.triangle ? { triangle: { axes: spec.triangle, from: { m: row0, n: column0, k } } } : {}),
        ...sums,
        ahead: wide && sink.ahead && ((row, column) => sink.ahead!(affine(row0, row), affine(column0, column))),
        done: (row, column, value, valid) => sink.store(affine(row0, row), affine(column0, column), value, valid),
      });
    };
    const a0 = affine(batchA, scaled(row0, spec.a.m), scaled(k0, spec.a.k));
    const b0 = affine(batchB, scaled(k0, spec.b.k), scaled(column0, spec.b.n));
    if (kb <= most) {
      pass(a0, b0, k0, kb, {});
      return;
    }
    // Long sums go by blocks of K: the first begins at zero, between blocks the sums lie in scratch, the last hands them on.
    const pitch = tiling.vectors * lanes;
    const sums = goOn ? undefined : step.scratch("sums", mb * pitch);
    const at = (row: Index, column: Index) => affine(scaled(row, pitch), column);
    const load = sums
      ? (row: Index, column: Index) => b.load(sums, at(row, column), lanes)
      : (row: Index, column: Index) => goOn!(affine(row0, row), affine(column0, column), lanes);
    loopPieces(b, "block", blocks(kb, most, streams(spec, mb, nb, kb) ? 1 : packingRun), (start, depth) => {
      const { constant, terms } = affine(start);
      /** Whether this block begins somewhere else than at `place`. */
      const elsewhere = (place: number): boolean | Operand =>
        terms.length === 0 ? constant !== place : b.compare("ne", b.index(start), b.i32(place));
      const goesOn = constant > 0 || elsewhere(0);
      const stays = sums ? elsewhere(kb - depth) : false;
      pass(affine(a0, scaled(start, spec.a.k)), affine(b0, scaled(start, spec.b.k)), affine(k0, start), depth, {
        ...(goesOn ? { begun: { when: goesOn, load } } : {}),
        ...(sums && stays
          ? { kept: { when: stays, store: (row, column, value) => b.store(sums, at(row, column), value) } }
          : {}),
      });
    });
  };

  /** Cuts a task so that panels and sums stay in the second-level cache. */
  const cut = (row0: Index, mb: number, column0: Index, nb: number, k0: Index, kb: number, sink: Sink): void => {
    loopPieces(b, "cut", plan.columns.pieces(nb), (c, columns) =>
      loopPieces(b, "cut", plan.rows.pieces(mb), (r, rowsHere) =>
        compute(affine(row0, r), rowsHere, affine(column0, c), columns, k0, kb, sink),
      ),
    );
  };

  const withPart = (body: (k0: Index, kb: number, sink: Sink) => void): void => {
    if (!partTask || !partial) {
      body(0, k, finished!);
      return;
    }
    partTask((start, size, part) => body(start, size, matrixSink(step, partial, scaled(part, rows * n), n)));
  };
  withPart((k0, kb, sink) =>
    columnTask((column0, nb) =>
      rowTask((row0, mb) => {
        const place = spec.out && affine(...batch.map((v, i) => scaled(v, spec.out!.batch[i])));
        const shifted: Sink = {
          store: (row, column, value, valid) =>
            sink.store(
              affine(batchRow, row),
              column,
              value,
              valid,
              place && affine(place, scaled(row, spec.out!.m), column),
            ),
          ...(sink.ahead ? { ahead: (row, column) => sink.ahead!(affine(batchRow, row), column) } : {}),
          ...(sink.load ? { load: (row, column, n) => sink.load!(affine(batchRow, row), column, n) } : {}),
        };
        cut(row0, mb, column0, nb, k0, kb, shifted);
      }),
    ),
  );
  return step.finish({
    flops: 2 * batchCount * termsOf(spec),
    bytes: 4 * batchCount * (m * k + k * n + m * n),
  });
}
