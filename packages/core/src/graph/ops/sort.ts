/** Sorting: a stable order of one axis, the sorted values, and the k largest. */
import { affine, type Index, KernelBuilder, scaled } from "../../compiler/builder.ts";
import type { Buffer, Operand } from "../../compiler/loopir.ts";
import type { Lowered } from "../../compiler/lowered.ts";
import { apply1, type OpRecord, type Value } from "../node.ts";
import { type Reference, refArray } from "../reference/array.ts";
import { type DType, isFloat, normalizeAxis, sizeOf } from "../types.ts";
import { requireDType, shapeError } from "./common.ts";
import { takeAlongAxis } from "./gather.ts";
import { distinct, floats, literal, type Samples } from "./sample.ts";
import { slice, transpose } from "./view.ts";

interface SortAttrs {
  readonly descending: boolean;
}

/** Integers in the order of the values: NaN above everything, -0 equal to 0; complemented for descending order. */
function sortKey(b: KernelBuilder, x: Operand, dtype: DType, descending: boolean): Operand {
  let key: Operand;
  if (isFloat(dtype)) {
    const clean = b.select(b.compare("eq", x, x), b.add(x, b.f32(0, x.lanes)), b.f32(Number.NaN, x.lanes));
    const bits = b.binary("and", b.bitcast(clean, "i32"), b.i32(-1, x.lanes));
    const flipped = b.binary(
      "xor",
      bits,
      b.binary("and", b.binary("shr", bits, b.i32(31, x.lanes)), b.i32(0x7fffffff, x.lanes)),
    );
    // A NaN made by arithmetic may carry a sign.
    key = b.select(b.compare("eq", x, x), flipped, b.i32(0x7fffffff, x.lanes));
  } else if (dtype === "u32") key = b.bitcast(b.binary("xor", x, b.u32(0x80000000, x.lanes)), "i32");
  else key = x;
  return descending ? b.unary("not", key) : key;
}

/** Bitonic network over (key, index) pairs in thread scratch, one row a task; equal keys are ordered by index. */
function lowerArgSort(rows: number, n: number, dtype: DType, descending: boolean): Lowered {
  const b = new KernelBuilder(`argsort_${n}`);
  const x = b.buffer("x", dtype, rows * n, "read");
  const y = b.buffer("y", "i32", rows * n, "write");
  let padded = 1;
  while (padded < n) padded *= 2;
  const keys = b.buffer("keys", "i32", padded + 16, "scratch");
  const order = b.buffer("order", "i32", padded + 16, "scratch");
  if (rows * n > 0) {
    const row: Index = rows > 1 ? b.task("row", rows) : 0;
    b.loop("i", n, (i) => {
      b.store(keys, i, sortKey(b, b.load(x, affine(scaled(row, n), i)), dtype, descending));
      b.store(order, i, b.index(i));
    });
    // Padding sorts behind everything: largest key, and indices beyond all others.
    b.loop("p", padded - n, (p) => {
      b.store(keys, affine(p, n), b.i32(0x7fffffff));
      b.store(order, affine(p, n), b.index(affine(p, n)));
    });
    for (let k = 2; k <= padded; k *= 2) for (let j = k / 2; j >= 1; j /= 2) phase(b, keys, order, padded, k, j);
    const lanes = 4;
    const put = (i: Index, count: number): void =>
      b.store(y, affine(scaled(row, n), i), b.load(order, i, lanes), count < lanes ? { count } : {});
    b.loop("o", Math.floor(n / lanes), (i) => put(scaled(i, lanes), lanes));
    if (n % lanes > 0) put(n - (n % lanes), n % lanes);
  }
  const steps = Math.log2(padded) * (Math.log2(padded) + 1);
  return {
    steps: [
      {
        kernel: b.finish({ flops: rows * padded * steps, bytes: 8 * rows * n }),
        roles: [
          { role: "input", index: 0 },
          { role: "output", index: 0 },
        ],
      },
    ],
    temps: [],
  };
}

/** Compares elements at distance j; runs of k alternate in direction. */
function phase(b: KernelBuilder, keys: Buffer, order: Buffer, padded: number, k: number, j: number): void {
  const lanes = j >= 4 ? 4 : 1;
  b.loop("a", padded / (2 * j), (a) => {
    const upwards = b.compare("eq", b.binary("and", b.index(scaled(a, 2 * j)), b.i32(k)), b.i32(0));
    const up = b.compare("ne", b.splat(b.select(upwards, b.i32(1), b.i32(0)), lanes), b.i32(0, lanes));
    b.loop("c", j / lanes, (c) => {
      const at = affine(scaled(a, 2 * j), scaled(c, lanes));
      const [k1, k2] = [b.load(keys, at, lanes), b.load(keys, affine(at, j), lanes)];
      const [i1, i2] = [b.load(order, at, lanes), b.load(order, affine(at, j), lanes)];
      const after = b.binary(
        "or",
        b.compare("gt", k1, k2),
        b.binary("and", b.compare("eq", k1, k2), b.compare("gt", i1, i2)),
      );
      const before = b.unary("not", after);
      const swap = b.binary("or", b.binary("and", up, after), b.binary("and", b.unary("not", up), before));
      b.store(keys, at, b.select(swap, k2, k1));
      b.store(keys, affine(at, j), b.select(swap, k1, k2));
      b.store(order, at, b.select(swap, i2, i1));
      b.store(order, affine(at, j), b.select(swap, i1, i2));
    });
  });
}

export const argSortOp: OpRecord<SortAttrs> = {
  name: "argSort",
  infer: ([x]) => {
    requireDType("argSort", "number", x);
    if (x.shape.length === 0) throw shapeError("argSort", "a scalar has no order", "rank 0", "rank 1 or more");
    return [{ shape: x.shape, dtype: "i32" }];
  },
  gradient: "none",
  kernel: {
    kind: "lower",
    lower: ({ attrs, inputs: [x] }) => {
      const n = x.type.shape[x.type.shape.length - 1];
      return lowerArgSort(n === 0 ? 0 : sizeOf(x.type.shape) / n, n, x.type.dtype, attrs.descending);
    },
  },
};

/** Moves an axis to the end; `back` undoes it. */
function axisLast(x: Value, axis: number): { moved: Value; back: (v: Value) => Value } {
  const rank = x.shape.length;
  const a = normalizeAxis(axis, rank, "sort");
  if (a === rank - 1) return { moved: x, back: (v) => v };
  const order = [...x.shape.map((_, i) => i).filter((i) => i !== a), a];
  const inverse = order.map((_, i) => order.indexOf(i));
  return { moved: transpose(x, order), back: (v) => transpose(v, inverse) };
}

/** [values, indices i32] of an axis in order; stable; NaN last (first when descending). */
export function sort(x: Value, axis: number, options: { readonly descending?: boolean } = {}): [Value, Value] {
  const { moved, back } = axisLast(x, axis);
  const indices = apply1(argSortOp, [moved], { descending: options.descending ?? false });
  return [back(takeAlongAxis(moved, indices, moved.shape.length - 1)), back(indices)];
}

/** [values, indices i32] of the k largest along the last axis, largest first; the first index first on ties. */
export function topK(x: Value, k: number): [Value, Value] {
  const rank = x.shape.length;
  if (rank === 0 || k < 0 || k > x.shape[rank - 1])
    throw shapeError(
      "topK",
      "k must lie inside the last axis",
      `k = ${k} for [${x.shape}]`,
      `0 to ${x.shape[rank - 1] ?? 0}`,
    );
  const all = apply1(argSortOp, [x], { descending: true });
  const indices = slice(
    all,
    x.shape.map(() => 0),
    x.shape.map((d, i) => (i === rank - 1 ? k : d)),
  );
  return [takeAlongAxis(x, indices, rank - 1), indices];
}

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  argSort: ([x], { descending }: SortAttrs) => {
    const n = x.shape[x.shape.length - 1];
    const y = refArray(x.shape);
    const rank = (v: number) => (Number.isNaN(v) ? Number.POSITIVE_INFINITY : v);
    for (let row = 0; row < x.data.length; row += n) {
      const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => {
        const [a, b] = [x.data[row + i], x.data[row + j]];
        if (Number.isNaN(a) !== Number.isNaN(b)) return (Number.isNaN(a) ? 1 : -1) * (descending ? -1 : 1);
        const d = rank(a) === rank(b) ? 0 : rank(a) < rank(b) ? -1 : 1;
        return (descending ? -d : d) || i - j;
      });
      y.data.set(order, row);
    }
    return [y];
  },
};

export const docs: Record<string, string> = {
  argSort: "x → i32 of x's shape: the stable order of the last axis, NaN last.",
};

export const samples: Samples = {
  argSort: () => [
    { name: "rows", inputs: [distinct([4, 7])], build: (x) => sort(x, 1), gradient: false },
    { name: "values, first axis", inputs: [distinct([5, 3])], build: (x) => sort(x, 0)[0], gradient: true },
    { name: "power of two", inputs: [floats([2, 64])], build: (x) => sort(x, -1) },
    {
      name: "ties and NaN",
      inputs: [literal([1, Number.NaN, -0, 0, 1, Number.NEGATIVE_INFINITY, 0, Number.POSITIVE_INFINITY, 1])],
      build: (x) => sort(x, 0)[1],
    },
    { name: "descending", inputs: [floats([3, 10])], build: (x) => sort(x, 1, { descending: true }) },
    { name: "integers", inputs: [literal([3, -2147483648, 2147483647, 0, 3], "i32")], build: (x) => sort(x, 0) },
    { name: "unsigned", inputs: [literal([3, 4294967295, 0, 2147483648], "u32")], build: (x) => sort(x, 0) },
    { name: "top 3", inputs: [distinct([3, 8])], build: (x) => topK(x, 3)[0], gradient: true },
    { name: "top 2 indices, ties", inputs: [literal([2, 5, 5, 1, 5])], build: (x) => topK(x, 2)[1] },
    { name: "one element", inputs: [floats([3, 1])], build: (x) => sort(x, 1) },
    { name: "size 0", inputs: [floats([0, 4])], build: (x) => sort(x, 1) },
  ],
};
