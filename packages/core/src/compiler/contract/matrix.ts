/**
 * Large matrix products on a matrix unit that multiplies bf16 and adds in f32 (`TargetProfile.matrix`; AMX of x86).
 *
 * An f32 has 24 significant bits, three bf16 have 8 each: x = high + middle + low exactly, each part the rest rounded. Of
 * the nine products of parts the six largest are added up; what is left out is below 2⁻²⁶ of |a·b|, less than the
 * rounding of one f32 multiply-add (Henry, Tang and Heinecke 2019, arXiv 1904.06376). Parts below the range of bf16 become
 * zero, so factors below 2⁻¹¹⁰ lose digits. Infinities do not survive the splitting: they leave NaN, and a
 * block with a result that is not finite is computed again by multiply-adds, so that such results are the ordinary ones.
 */
import type { Index, KernelBuilder } from "../builder.ts";
import { affine, scaled } from "../builder.ts";
import type { Affine, Buffer, LoopVar, Operand, StorageType, TargetProfile } from "../loopir.ts";
import type { DotSpec, Epilogue, Lowered, LoweredStep, MatrixUnit } from "../lowered.ts";
import { reduceParts } from "./reduce.ts";
import { blocks, columnPieces, loopPieces, type Pieces, partsNear, taskPieces, taskRuns } from "./split.ts";
import { matrixSink, outputSink, type Sink, Step } from "./step.ts";

/** Rows and columns of a tile, and words (pairs of k) in its rows. */
const side = 16;
/** Elements of k that one step takes: two in each word. */
const stepLength = 2 * side;
/** Rows and columns of a block: two tiles each way keep four sums and four operands in the eight registers. */
const blockSide = 2 * side;
const tileWords = side * side;
/** A step of a packed block: [part][tile][row][word]. */
const stepWords = 3 * 2 * tileWords;
/** Steps between which the sums stay in registers, half as many where all would not fit `mostBytes`. */
const mostSteps = 16;
/** Rows of A that are packed at once, and columns of B beside them. */
const mostRows = 384;
const mostColumns = 128;
/** Bytes of packed factors and sums that leave room in the second-level cache for what is packed next. */
const mostBytes = 1_300_000;
/** Words of a packed B that tasks share: more of it would come from memory again and again. */
const mostShared = 2 ** 21;
/** Smaller products are not worth a second way to round, and packing weighs more in them. */
const leastFlops = 2 ** 28;
/** Of long and narrow products splitting and packing take most: 64×256×64000 and 64000×256×64 came out 10 to 27 % slower. */
const leastSide = 128;

export const matrixUnit: MatrixUnit = { fits, product };

function fits({ batch, m, n, k }: DotSpec): boolean {
  const flops = 2 * m * n * k;
  return (
    Math.min(m, n, k) >= leastSide &&
    k % stepLength === 0 &&
    batch.reduce((p, x) => p * x, flops) >= leastFlops &&
    // Of many small products packing and storing take most of the time.
    flops >= leastFlops / 16
  );
}

/** One factor: `unit` is the stride from row to row of A or from column to column of B, `depth` along k; one of them is 1. */
interface Factor {
  readonly buffer: Buffer;
  readonly base: Index;
  readonly unit: number;
  readonly depth: number;
}

function product(name: string, spec: DotSpec, profile: TargetProfile, epilogue: Epilogue | null): Lowered {
  const { m, n, k } = spec;
  const rows = spec.batch.reduce((p, x) => p * x, m);
  const plan = planOf(spec);
  const steps: LoweredStep[] = [];
  const temps: { type: StorageType; size: number }[] = [];
  const temp = (type: StorageType, size: number) => ({ index: temps.push({ type, size }) - 1, size });
  const packed = plan.shared ? temp("u32", packedWords(n, k)) : null;
  if (packed) steps.push(packRight(`${name}_pack`, spec, packed));
  const partial = plan.parts > 1 ? temp("f32", plan.parts * rows * n) : null;
  steps.push(multiplied(name, spec, plan, packed, partial, partial ? null : epilogue));
  if (partial) steps.push(reduceParts(name, partial.index, plan.parts, rows, n, epilogue, 2, profile));
  return { steps, temps };
}

/** How a product is cut into tasks: parts of k, each with sums of its own, rows and columns. */
interface Plan {
  readonly parts: number;
  readonly rows: number;
  readonly columns: number;
  /** B is packed once, by a kernel of its own. */
  readonly shared: boolean;
}

/** The plan that packs and adds up least, by the rough cost of an element of each. From the shape alone. */
function planOf(spec: DotSpec): Plan {
  const { m, n, k } = spec;
  const count = spec.batch.reduce((p, x) => p * x, 1);
  const flops = 2 * count * m * n * k;
  /** Threads of unequal speed share many tasks better than few; where each packs B itself, many cost more. */
  const tasksWanted = (least: number, each: number): number =>
    Math.ceil(Math.max(least, Math.min(32, Math.floor(flops / each))) / count);
  const rowBlocks = Math.ceil(m / blockSide);
  const columnBlocks = Math.ceil(n / blockSide);
  // Squares of vectors must be exchanged where k does not lie as the unit wants it.
  const packA = spec.a.k === 1 ? 1 : 2;
  const packB = spec.b.n === 1 ? 1 : 2;
  let best: Plan = { parts: 1, rows: 1, columns: 1, shared: false };
  let least = Number.POSITIVE_INFINITY;
  const consider = (plan: Plan, wanted: number): void => {
    const repeats = plan.shared ? 2 : Math.max(plan.rows, m / mostRows);
    const sums = plan.parts > 1 ? 3 * plan.parts * m * n : 0;
    const tasks = plan.parts * plan.rows * plan.columns;
    const idle = tasks < wanted ? wanted / tasks : 1;
    const cost = (plan.columns * m * k * packA + repeats * k * n * packB + sums + 10 * m * n) * idle;
    if (cost >= least) return;
    least = cost;
    best = plan;
  };
  const wanted = tasksWanted(8, 2 ** 29);
  for (let parts = 1; parts <= Math.min(wanted, k / (4 * stepLength)); parts *= 2)
    for (let rows = 1; rows <= Math.min(Math.ceil(wanted / parts), rowBlocks); rows++) {
      const columns = Math.min(Math.ceil(wanted / parts / rows), columnBlocks);
      consider({ parts, rows: partsNear(rowBlocks, rows), columns, shared: false }, wanted);
    }
  if (count > 1 || packedWords(n, k) > mostShared) return best;
  const more = tasksWanted(16, 2 ** 28);
  for (let rows = 1; rows <= Math.min(more, rowBlocks); rows++) {
    const columns = Math.min(Math.ceil(more / rows), columnBlocks);
    consider({ parts: 1, rows: partsNear(rowBlocks, rows), columns, shared: true }, more);
  }
  return best;
}

function packedWords(n: number, k: number): number {
  return (k / stepLength) * Math.ceil(n / blockSide) * stepWords;
}

interface Temp {
  readonly index: number;
  readonly size: number;
}

function packRight(name: string, spec: DotSpec, packed: Temp): LoweredStep {
  const step = new Step(name);
  const { b } = step;
  const from = step.input(1, "b", spec.b.size);
  // What is only written would go past the caches to memory.
  const to = step.temp(packed.index, "packed", packed.size, "readwrite", "u32");
  const count = Math.ceil(spec.n / blockSide);
  taskRuns(
    b,
    "columns",
    columnPieces(spec.n, blockSide, count),
  )((column, columns) => {
    loopPieces(b, "block", depthRuns(spec.k / stepLength), (first, length) => {
      const factor = { buffer: from, base: rightBase(spec, first, column), unit: spec.b.n, depth: spec.b.k };
      // [block of k][block of columns][step]: `column` is a multiple of the block's side.
      const at = affine(scaled(first, count * stepWords), scaled(column, (length * stepWords) / blockSide));
      pack(b, "right", factor, columns, length, { buffer: to, base: at });
    });
  });
  return step.finish({ flops: 0, bytes: 4 * (spec.n * spec.k + packed.size) });
}

/** Blocks of `steps` steps of k. */
function depthRuns(steps: number): Pieces[] {
  return blocks(steps, mostSteps);
}

/** Blocks of steps so long that packed rows, packed columns and the sums of a task fit. */
function fittingRuns(steps: number, rows: number, columns: number): Pieces[] {
  const ofStep = (4 * stepWords * (rows + Math.min(columns, mostColumns))) / blockSide;
  const room = mostBytes - 4 * rows * columns;
  return blocks(steps, room < mostSteps * ofStep ? mostSteps / 2 : mostSteps);
}

function rightBase(spec: DotSpec, step: Index, column: Index): Index {
  return affine(spec.b.offset, scaled(step, stepLength * spec.b.k), scaled(column, spec.b.n));
}

function multiplied(
  name: string,
  spec: DotSpec,
  plan: Plan,
  packed: Temp | null,
  partial: Temp | null,
  epilogue: Epilogue | null,
): LoweredStep {
  const { m, n, k } = spec;
  const step = new Step(name);
  const { b } = step;
  const bufferA = step.input(0, "a", spec.a.size);
  const bufferB = step.input(1, "b", spec.b.size);
  const count = spec.batch.reduce((p, x) => p * x, 1);
  const packedB = packed ? step.temp(packed.index, "packed", packed.size, "read", "u32") : null;
  const sumsOfParts = partial ? step.temp(partial.index, "partial", partial.size, "write") : null;
  const finished = sumsOfParts ? null : outputSink(step, epilogue, count * m, n, 2);
  const batch: LoopVar[] = spec.batch.map((extent, i) => b.task(`batch${i}`, extent));
  const partTask = taskPieces(b, "part", k / stepLength, plan.parts);
  const columnTask = taskRuns(b, "columns", columnPieces(n, blockSide, plan.columns));
  const rowTask = taskRuns(b, "rows", columnPieces(m, blockSide, plan.rows));
  const batchA = affine(spec.a.offset, ...batch.map((v, i) => scaled(v, spec.a.batch[i])));
  const batchB = affine(...batch.map((v, i) => scaled(v, spec.b.batch[i])));
  let batchRow = affine(0);
  let inner = m;
  for (let i = batch.length - 1; i >= 0; i--) {
    batchRow = affine(batchRow, scaled(batch[i], inner));
    inner *= spec.batch[i];
  }
  /** Steps `step0 … step0 + depth - 1` of k. */
  const compute = (
    step0: Index,
    depth: number,
    row0: Index,
    rows: number,
    column0: Index,
    columns: number,
    sink: Sink,
  ): void => {
    const runs = packedB ? depthRuns(depth) : fittingRuns(depth, rows, columns);
    const longest = Math.max(...runs.map((r) => r.size));
    const several = runs.length > 1 || runs[0].count > 1;
    const rowBlocks = Math.ceil(rows / blockSide);
    const columnBlocks = Math.ceil(columns / blockSide);
    const wide = Math.min(columns, mostColumns);
    const left = step.scratch("left", rowBlocks * longest * stepWords, "u32");
    const right = packedB ?? step.scratch("right", Math.ceil(wide / blockSide) * longest * stepWords, "u32");
    const blockWords = blockSide * blockSide;
    const sums = step.scratch("sums", (several ? columnBlocks : Math.ceil(wide / blockSide)) * rowBlocks * blockWords);
    const sumsAt = (columnBlock: Index, rowBlock: Index): Affine =>
      scaled(affine(scaled(columnBlock, rowBlocks), rowBlock), blockWords);
    const leftOf = (row: Index, first: Index): Factor => ({
      buffer: bufferA,
      base: affine(batchA, scaled(affine(row0, row), spec.a.m), scaled(affine(step0, first), stepLength * spec.a.k)),
      unit: spec.a.m,
      depth: spec.a.k,
    });
    const rightOf = (column: Index, first: Index): Factor => ({
      buffer: bufferB,
      base: affine(batchB, rightBase(spec, affine(step0, first), affine(column0, column))),
      unit: spec.b.n,
      depth: spec.b.k,
    });
    loopPieces(b, "block", runs, (first, length) => {
      pack(b, "left", leftOf(0, first), rows, length, { buffer: left, base: 0 });
      const { constant, terms } = affine(first);
      const dynamic = terms.length > 0;
      const begins = (at: number): Operand => b.compare("eq", b.index(first), b.i32(at));
      const block = (rowsHere: number, columnsHere: number, at: Index, fromLeft: Index, fromRight: Index): void => {
        const tiles = { rows: Math.ceil(rowsHere / side), columns: Math.ceil(columnsHere / side) };
        const each = (body: (tile: number) => void): void => {
          for (let i = 0; i < tiles.rows; i++) for (let j = 0; j < tiles.columns; j++) body(2 * i + j);
        };
        const zero = () => each((t) => b.tileZero(t));
        const load = () => each((t) => b.tileLoad(t, sums, affine(at, t * tileWords)));
        if (constant > 0) load();
        else if (dynamic) b.if(begins(0), zero, load);
        else zero();
        multiply(b, tiles, { buffer: left, base: fromLeft }, { buffer: right, base: fromRight }, length);
        each((t) => b.tileStore(t, sums, affine(at, t * tileWords)));
      };
      loopPieces(b, "piece", pieces(columns, mostColumns), (piece, columnsHere) => {
        let base: Index = 0;
        if (packedB)
          base = affine(
            scaled(affine(step0, first), Math.ceil(n / blockSide) * stepWords),
            scaled(affine(column0, piece), (length * stepWords) / blockSide),
          );
        else pack(b, "right", rightOf(piece, first), columnsHere, length, { buffer: right, base: 0 });
        const firstBlock = several ? inBlocks(piece) : 0;
        overBlocks(b, columnsHere, (_, blockColumns, columnBlock) =>
          overBlocks(b, rows, (_, blockRows, rowBlock) =>
            block(
              blockRows,
              blockColumns,
              sumsAt(affine(firstBlock, columnBlock), rowBlock),
              scaled(rowBlock, length * stepWords),
              affine(base, scaled(columnBlock, length * stepWords)),
            ),
          ),
        );
        const finish = (): void =>
          finishPiece(b, {
            sums,
            at: (columnBlock, rowBlock) => sumsAt(affine(firstBlock, columnBlock), rowBlock),
            rows,
            columns: columnsHere,
            sink: {
              store: (r, c, value, valid) => sink.store(affine(row0, r), affine(column0, piece, c), value, valid),
            },
            a: leftOf(0, 0),
            b: rightOf(piece, 0),
            k: depth * stepLength,
          });
        const { start, size, count: times } = runs[runs.length - 1];
        if (!dynamic) {
          if (constant + length === depth) finish();
        } else if (constant === start) b.if(begins(start + (times - 1) * size), finish);
      });
    });
  };
  partTask((step0, depth, part) =>
    columnTask((column0, columns) =>
      rowTask((row0, rows) => {
        const sink: Sink = finished
          ? { store: (row, column, value, valid) => finished.store(affine(batchRow, row), column, value, valid) }
          : matrixSink(step, sumsOfParts!, affine(scaled(part, count * m * n), scaled(batchRow, n)), n);
        loopPieces(b, "cut", pieces(rows, mostRows), (r, rowsHere) =>
          compute(step0, depth, affine(row0, r), rowsHere, column0, columns, sink),
        );
      }),
    ),
  );
  return step.finish({ flops: 2 * count * m * n * k, bytes: 4 * count * (m * k + k * n + m * n) });
}

/** A place that is a multiple of the block's side, in blocks. */
function inBlocks(at: Index): Index {
  const { constant, terms } = affine(at);
  return {
    constant: constant / blockSide,
    terms: terms.map((t) => ({ variable: t.variable, stride: t.stride / blockSide })),
  };
}

/** Pieces of at most `most` elements in whole blocks, but for the end. */
function pieces(extent: number, most: number): Pieces[] {
  return columnPieces(extent, blockSide, partsNear(Math.ceil(extent / blockSide), Math.ceil(extent / most)));
}

/** Blocks of a piece: `at` its first element, `size` elements, the `block`-th. */
function overBlocks(b: KernelBuilder, extent: number, body: (at: Index, size: number, block: Index) => void): void {
  const whole = Math.floor(extent / blockSide);
  b.loop("block", whole, (v) => body(scaled(v, blockSide), blockSide, v));
  if (extent % blockSide > 0) body(whole * blockSide, extent % blockSide, whole);
}

/** Packs `extent` rows of A or columns of B over `steps` steps of k as [block][step][part][tile][row][word]. */
function pack(
  b: KernelBuilder,
  which: "left" | "right",
  from: Factor,
  extent: number,
  steps: number,
  to: { buffer: Buffer; base: Index },
): void {
  const one = (s: Index, first: Index, size: number, block: Index): void => {
    for (let tile = 0; tile * side < size; tile++) {
      const unit = affine(first, tile * side);
      const base = affine(from.base, scaled(unit, from.unit), scaled(s, stepLength * from.depth));
      const at = affine(to.base, scaled(block, steps * stepWords), scaled(s, stepWords), tile * tileWords);
      packTile(b, which, { ...from, base }, Math.min(side, size - tile * side), { buffer: to.buffer, base: at });
    }
  };
  // In the order in which the elements lie, so that memory is read ahead.
  if (from.depth === 1)
    overBlocks(b, extent, (first, size, block) => b.loop("step", steps, (s) => one(s, first, size, block)));
  else b.loop("step", steps, (s) => overBlocks(b, extent, (first, size, block) => one(s, first, size, block)));
}

/**
 * One tile of each part. Word w of a step pairs element w of k (lower half) with element w + 16 (upper half): any order
 * would do as long as both factors have it, and in this one neighbours need not be brought together. The rows of
 * a left tile are rows of A over the words, those of a right tile are words over the columns of B.
 */
function packTile(
  b: KernelBuilder,
  which: "left" | "right",
  from: Factor,
  valid: number,
  to: { buffer: Buffer; base: Index },
): void {
  const { buffer, base, unit, depth } = from;
  const alongK = depth === 1;
  const vectors = alongK ? valid : side;
  const lanes = alongK ? side : valid;
  const pitch = alongK ? unit : depth;
  const read = (i: Index, second: boolean): Operand => {
    const x = b.load(buffer, affine(base, scaled(i, pitch), second ? side * depth : 0), side);
    return lanes === side ? x : b.select(b.compare("lt", b.iota(side), b.i32(lanes, side)), x, b.f32(0, side));
  };
  const put = (i: Index, first: Operand, second: Operand): void => {
    const parts = [split(b, first), split(b, second)];
    for (let p = 0; p < 3; p++) {
      const low = b.binary("shr", parts[0][p], b.u32(16, side));
      b.store(to.buffer, affine(to.base, 2 * p * tileWords, scaled(i, side)), b.binary("or", low, parts[1][p]));
    }
  };
  if (alongK === (which === "left")) {
    b.loop("row", vectors, (i) => put(i, read(i, false), read(i, true)));
    // Rows that there are not: their results are not read, but they must not be what memory held.
    for (let i = vectors; i < side; i++) put(i, b.f32(0, side), b.f32(0, side));
    return;
  }
  const square = (second: boolean) =>
    b.transpose(Array.from({ length: side }, (_, i) => (i < vectors ? read(i, second) : b.f32(0, side))));
  const first = square(false);
  square(true).forEach((x, i) => put(i, first[i], x));
}

/** The bits of the high, middle and low part of x, each in the upper half of a word whose lower half is zero. */
function split(b: KernelBuilder, x: Operand): [Operand, Operand, Operand] {
  const upper = b.u32(0xffff0000, side);
  const rounded = (y: Operand) => b.binary("and", b.add(b.bitcast(y, "u32"), b.u32(0x8000, side)), upper);
  const high = rounded(x);
  const rest = b.sub(x, b.bitcast(high, "f32"));
  const middle = rounded(rest);
  // At most 7 digits are left: nothing to round.
  const low = b.binary("and", b.bitcast(b.sub(rest, b.bitcast(middle, "f32")), "u32"), upper);
  return [high, middle, low];
}

/** Adds to the sums (registers 0 to 3, row by row) the products of a block of rows and one of columns, small parts first. */
function multiply(
  b: KernelBuilder,
  tiles: { rows: number; columns: number },
  left: { buffer: Buffer; base: Index },
  right: { buffer: Buffer; base: Index },
  steps: number,
): void {
  b.loop("step", steps, (s) => {
    const loadLeft = (part: number): void => {
      for (let i = 0; i < tiles.rows; i++)
        b.tileLoad(4 + i, left.buffer, affine(left.base, scaled(s, stepWords), (2 * part + i) * tileWords));
    };
    const loadRight = (part: number): void => {
      for (let j = 0; j < tiles.columns; j++)
        b.tileLoad(6 + j, right.buffer, affine(right.base, scaled(s, stepWords), (2 * part + j) * tileWords));
    };
    const dots = (): void => {
      for (let i = 0; i < tiles.rows; i++) for (let j = 0; j < tiles.columns; j++) b.tileDot(2 * i + j, 4 + i, 6 + j);
    };
    const [high, middle, low] = [0, 1, 2];
    // Each step changes one operand only: seven pairs of loads for six products.
    loadLeft(low);
    loadRight(high);
    dots();
    loadLeft(middle);
    dots();
    loadRight(middle);
    dots();
    loadLeft(high);
    dots();
    loadRight(low);
    dots();
    loadRight(high);
    dots();
  });
}

interface FinishedPiece {
  readonly sums: Buffer;
  /** Where the sums of a block lie. */
  at(columnBlock: Index, rowBlock: Index): Index;
  readonly rows: number;
  readonly columns: number;
  readonly sink: Sink;
  /** The factors from the piece's first row and column and k = 0 on. */
  readonly a: Factor;
  readonly b: Factor;
  readonly k: number;
}

/**
 * Hands results to the sink row by row, since the sink may read other tensors and memory reads ahead along rows; where a
 * result is not finite, the terms of all are added up again one by one.
 */
function finishPiece(b: KernelBuilder, piece: FinishedPiece): void {
  const { sums, rows, columns, sink } = piece;
  const each = (body: (row: Index, column: Index, tile: number, valid: number, stored: Index) => void): void =>
    overBlocks(b, rows, (row, rowsHere, rowBlock) => {
      for (let i = 0; i * side < rowsHere; i++)
        b.loop("row", Math.min(side, rowsHere - i * side), (r) =>
          overBlocks(b, columns, (column, columnsHere, columnBlock) => {
            const at = affine(piece.at(columnBlock, rowBlock), scaled(r, side));
            for (let j = 0; j * side < columnsHere; j++)
              body(
                affine(row, i * side, r),
                affine(column, j * side),
                j,
                Math.min(side, columnsHere - j * side),
                affine(at, (2 * i + j) * tileWords),
              );
          }),
        );
    });
  // x·0 is zero or NaN.
  const odd = [0, 1].map(() => b.var(b.f32(0, side)));
  each((row, column, tile, valid, stored) => {
    const x = b.load(sums, stored, side);
    b.assign(odd[tile], b.fma(x, b.f32(0, side), odd[tile]));
    sink.store(row, column, x, valid);
  });
  const all = b.add(odd[0], odd[1]);
  b.if(b.any(b.compare("ne", all, all)), () =>
    each((row, column, _, valid) => {
      const sum = b.var(b.f32(0, side));
      b.loop("k", piece.k, (k) => {
        const source = affine(piece.a.base, scaled(row, piece.a.unit), scaled(k, piece.a.depth));
        const left = b.load(piece.a.buffer, source, side, { stride: 0 });
        const at = affine(piece.b.base, scaled(column, piece.b.unit), scaled(k, piece.b.depth));
        const options = piece.b.unit === 1 ? {} : { stride: piece.b.unit, count: valid };
        b.assign(sum, b.fma(left, b.load(piece.b.buffer, at, side, options), sum));
      });
      sink.store(row, column, sum, valid);
    }),
  );
}
