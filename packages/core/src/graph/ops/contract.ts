/** Matrix products of any number of axes (dotGeneral). */

import { lowerDot, writesRows } from "../../compiler/contract/index.ts";
import { lowerIntegerDot } from "../../compiler/integer-dot.ts";
import type { DotAxis, DotSpec, Triangle } from "../../compiler/lowered.ts";
import { type Access, apply1, type OpRecord, type Value } from "../node.ts";
import { type Reference, refArray } from "../reference/array.ts";
import { normalizeAxis, rowMajor, type Shape, sizeOf, type TensorType } from "../types.ts";
import { add, greaterEqual } from "./binary.ts";
import { cast } from "./cast.ts";
import { formatType, fullLike, isDType, opError, requireSameDType, shapeError } from "./common.ts";
import { iota } from "./iota.ts";
import { floats, integers, literal, type Sample, type Samples } from "./sample.ts";
import { select } from "./select.ts";
import { abs } from "./unary.ts";
import { reshape, transpose } from "./view.ts";

/** Axes of both operands: those that run together, and those that are summed over (in pairs). */
export interface DotAttrs {
  readonly batchA: readonly number[];
  readonly batchB: readonly number[];
  readonly contractA: readonly number[];
  readonly contractB: readonly number[];
  /** Which terms count; said by the compiler (`triangles.ts`). */
  readonly triangle?: Triangle;
}

function freeAxes(rank: number, batch: readonly number[], contract: readonly number[]): number[] {
  return Array.from({ length: rank }, (_, i) => i).filter((i) => !batch.includes(i) && !contract.includes(i));
}
const pick = (list: readonly number[], at: readonly number[]): number[] => at.map((i) => list[i]);

/** One stride that walks these axes as if they were one; null when none does. Axes of size 1 do not count. */
function mergedStride(shape: Shape, strides: readonly number[], axes: readonly number[]): number | null {
  const long = axes.filter((a) => shape[a] !== 1);
  for (let i = 0; i + 1 < long.length; i++) {
    if (strides[long[i]] !== strides[long[i + 1]] * shape[long[i + 1]]) return null;
  }
  return long.length === 0 ? 1 : strides[long[long.length - 1]];
}

/** Strides along batch, free and contracted axes, or null when the layout does not fit a matrix product. */
function matrixStrides(access: Access, batch: readonly number[], contract: readonly number[]) {
  const { shape, strides } = access;
  const free = mergedStride(shape, strides, freeAxes(shape.length, batch, contract));
  const inner = mergedStride(shape, strides, contract);
  return free === null || inner === null ? null : { batch: pick(strides, batch), free, inner };
}

const contiguous = (shape: Shape): Access => ({ shape, strides: rowMajor(shape), offset: 0 });

function dotShape(a: Shape, b: Shape, { batchA, batchB, contractA, contractB }: DotAttrs): number[] {
  return [
    ...pick(a, batchA),
    ...pick(a, freeAxes(a.length, batchA, contractA)),
    ...pick(b, freeAxes(b.length, batchB, contractB)),
  ];
}

function dotSpec(
  accessA: Access,
  accessB: Access,
  sizes: readonly number[],
  attrs: DotAttrs,
  layout: Access | null = null,
): DotSpec {
  const { batchA, batchB, contractA, contractB, triangle } = attrs;
  const a = matrixStrides(accessA, batchA, contractA);
  const b = matrixStrides(accessB, batchB, contractB);
  if (!a || !b) throw new Error("dotGeneral: an operand's layout does not fit a matrix product");
  const extent = (access: Access, axes: readonly number[]) => sizeOf(pick(access.shape, axes));
  return {
    batch: pick(accessA.shape, batchA),
    m: extent(accessA, freeAxes(accessA.shape.length, batchA, contractA)),
    n: extent(accessB, freeAxes(accessB.shape.length, batchB, contractB)),
    k: extent(accessA, contractA),
    a: { size: sizes[0], offset: accessA.offset, batch: a.batch, m: a.free, k: a.inner },
    b: { size: sizes[1], offset: accessB.offset, batch: b.batch, k: b.inner, n: b.free },
    ...(layout ? { out: rowStrides(layout, batchA.length) } : {}),
    ...(triangle ? { triangle } : {}),
  };
}

/** Strides of a result [batch…, free axes of a…, columns]; an m of 0 where its rows have no stride. */
function rowStrides({ shape, strides }: Access, batch: number) {
  const rows = shape.map((_, i) => i).slice(batch, -1);
  return { batch: strides.slice(0, batch), m: mergedStride(shape, strides, rows) ?? 0 };
}

/**
 * The record wants operands that form matrices as they lie, the second with one free axis (so that an epilogue sees the
 * columns as the last axis); `dotGeneral` arranges that.
 */
export const dotGeneralOp: OpRecord<DotAttrs> = {
  name: "dotGeneral",
  infer: ([a, b], attrs) => {
    requireSameDType("dotGeneral", [a, b]);
    if (a.dtype !== "f32" && a.dtype !== "i32" && a.dtype !== "u32") {
      throw opError(
        "E104",
        "dotGeneral computes in 32 bits",
        `${formatType(a)} and ${formatType(b)}`,
        "f32, i32 or u32",
      );
    }
    checkPairs("batch", attrs.batchA, attrs.batchB, a, b);
    checkPairs("contracted", attrs.contractA, attrs.contractB, a, b);
    if (freeAxes(b.shape.length, attrs.batchB, attrs.contractB).length !== 1) {
      throw shapeError("dotGeneral", "the second operand needs one free axis", formatType(b), "one axis of columns");
    }
    return [{ shape: dotShape(a.shape, b.shape, attrs), dtype: a.dtype }];
  },
  gradient: ({ inputs: [a, b], grads: [dy], attrs, wants }) => {
    const { batchA, batchB, contractA, contractB } = attrs;
    const freeA = freeAxes(a.shape.length, batchA, contractA);
    const freeB = freeAxes(b.shape.length, batchB, contractB);
    const batchY = batchA.map((_, i) => i);
    const left = { value: a, batch: batchA, free: freeA, contract: contractA, inY: batchA.length };
    const right = { value: b, batch: batchB, free: freeB, contract: contractB, inY: batchA.length + freeA.length };
    // [batch, free, contract] = dY · other, or [batch, contract, free] = other · dY: as the operand lies.
    const gradientOf = (x: typeof left, other: typeof left): Value => {
      const y = { value: dy!, batch: batchY, contract: other.free.map((_, i) => other.inY + i) };
      const factor = { value: other.value, batch: other.batch, contract: other.free };
      const contracted = inOrderOf(other.contract, x.contract);
      const freeLast = (x.free.at(-1) ?? -1) > Math.max(...x.contract);
      const [l, r] = freeLast ? [factor, y] : [y, factor];
      const product = dotGeneral(l.value, r.value, {
        batchA: l.batch,
        batchB: r.batch,
        contractA: l.contract,
        contractB: r.contract,
      });
      const order = freeLast ? [...contracted, ...x.free] : [...x.free, ...contracted];
      return transpose(product, inverse([...x.batch, ...order]));
    };
    return [wants[0] ? gradientOf(left, right) : null, wants[1] ? gradientOf(right, left) : null];
  },
  kernel: {
    kind: "lower",
    epilogue: true,
    accepts: (input, access, { batchA, batchB, contractA, contractB }) => {
      const m = matrixStrides(access, input === 0 ? batchA : batchB, input === 0 ? contractA : contractB);
      return m !== null && m.free > 0 && m.inner > 0 && (m.free === 1 || m.inner === 1) && m.batch.every((s) => s >= 0);
    },
    places: (layout, [a, b], attrs) => {
      if (a.dtype !== "f32" || layout.strides.at(-1) !== 1) return false;
      const spec = dotSpec(contiguous(a.shape), contiguous(b.shape), [0, 0], attrs, layout);
      return spec.out!.m > 0 && writesRows(spec);
    },
    lower: ({ attrs, inputs: [a, b], outputs: [out], profile, epilogue, layout }) => {
      const spec = dotSpec(a.access, b.access, [a.size, b.size], attrs, layout);
      return out.dtype === "f32"
        ? lowerDot(spec, profile, epilogue)
        : lowerIntegerDot(spec, out.dtype as "i32" | "u32", profile, epilogue);
    },
  },
  flops: ([a], [y], { contractA }) => 2 * sizeOf(y.shape) * sizeOf(pick(a.shape, contractA)),
};

function checkPairs(
  what: string,
  axesA: readonly number[],
  axesB: readonly number[],
  a: TensorType,
  b: TensorType,
): void {
  const fits = axesA.length === axesB.length && axesA.every((axis, i) => a.shape[axis] === b.shape[axesB[i]]);
  if (!fits) {
    throw shapeError(
      "dotGeneral",
      `${what} axes do not match`,
      `${formatType(a)} and ${formatType(b)}, ${what} axes [${axesA.join(", ")}] and [${axesB.join(", ")}]`,
      "axes of equal sizes in pairs",
    );
  }
}

/** `values` in the ascending order of `keys`. */
function inOrderOf(keys: readonly number[], values: readonly number[]): number[] {
  return keys
    .map((key, i) => ({ key, value: values[i] }))
    .sort((x, y) => x.key - y.key)
    .map((p) => p.value);
}
function inverse(permutation: readonly number[]): number[] {
  const result = new Array<number>(permutation.length);
  permutation.forEach((p, i) => {
    result[p] = i;
  });
  return result;
}

interface Operand {
  readonly value: Value;
  readonly batch: readonly number[];
  readonly contract: readonly number[];
}

/** [batch…, free…, contract…] (or contract before free), if the axes as they lie do not form a matrix. */
function asMatrix(operand: Operand, contractFirst: boolean): Operand {
  const { value, batch, contract } = operand;
  if (matrixStrides(contiguous(value.shape), batch, contract)) return operand;
  const free = freeAxes(value.shape.length, batch, contract);
  const order = contractFirst ? [...batch, ...contract, ...free] : [...batch, ...free, ...contract];
  const first = batch.length + (contractFirst ? 0 : free.length);
  return {
    value: transpose(value, order),
    batch: batch.map((_, i) => i),
    contract: contract.map((_, i) => first + i),
  };
}

/** The second operand with its free axes, which lie side by side, as one: its columns are then the result's last axis. */
function oneColumnAxis(operand: Operand): Operand {
  const { value, batch, contract } = operand;
  const { shape } = value;
  const free = freeAxes(shape.length, batch, contract);
  if (free.length === 1) return operand;
  // Axes of size 1 may lie elsewhere: only the others need to be neighbours.
  const long = free.filter((a) => shape[a] !== 1);
  const at = long[0] ?? shape.length;
  const kept = shape.map((_, i) => i).filter((i) => !free.includes(i));
  const before = kept.filter((i) => i < at);
  const after = kept.filter((i) => i > at);
  const place = (axes: readonly number[]) =>
    axes.map((i) => (i < at ? before.indexOf(i) : before.length + 1 + after.indexOf(i)));
  const merged = [...pick(shape, before), sizeOf(pick(shape, free)), ...pick(shape, after)];
  return { value: reshape(value, merged), batch: place(batch), contract: place(contract) };
}

/**
 * Σ over the contracted axes of a·b → [batch…, free axes of a…, free axes of b…]. f16 and bf16 are computed in f32,
 * small integers in i32; the result has the operands' dtype.
 */
export function dotGeneral(a: Value, b: Value, attrs: DotAttrs): Value {
  requireSameDType("dotGeneral", [a.type, b.type]);
  if (a.dtype !== "f32" && a.dtype !== "i32" && a.dtype !== "u32") {
    const wide = isDType(a.dtype, "float") ? "f32" : "i32";
    return cast(dotGeneral(cast(a, wide), cast(b, wide), attrs), a.dtype);
  }
  const axesOf = (x: Value, list: readonly number[]) =>
    list.map((axis) => normalizeAxis(axis, x.shape.length, "dotGeneral"));
  const batchA = axesOf(a, attrs.batchA);
  const batchB = axesOf(b, attrs.batchB);
  const contractA = axesOf(a, attrs.contractA);
  const contractB = axesOf(b, attrs.contractB);
  checkPairs("batch", batchA, batchB, a.type, b.type);
  checkPairs("contracted", contractA, contractB, a.type, b.type);
  const shape = dotShape(a.shape, b.shape, { batchA, batchB, contractA, contractB });
  const ascending = [...contractA].sort((x, y) => x - y);
  const left = asMatrix({ value: a, batch: batchA, contract: ascending }, false);
  const right = oneColumnAxis(asMatrix({ value: b, batch: batchB, contract: inOrderOf(contractA, contractB) }, true));
  const product = apply1(dotGeneralOp, [left.value, right.value], {
    batchA: left.batch,
    batchB: right.batch,
    contractA: left.contract,
    contractB: right.contract,
  });
  return reshape(product, shape);
}

/** a [M, K] · b [K, N] → [M, N] */
export function matmul2d(a: Value, b: Value): Value {
  return dotGeneral(a, b, { batchA: [], batchB: [], contractA: [1], contractB: [0] });
}

// ---- beside the records

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  dotGeneral: ([a, b], attrs: DotAttrs, [out], [type]) => {
    const spec = dotSpec(contiguous(a.shape), contiguous(b.shape), [a.data.length, b.data.length], attrs);
    const { m, n, k } = spec;
    const integer = type.dtype !== "f32";
    const batchStrides = rowMajor(spec.batch);
    return [
      refArray(out.shape, (i) => {
        const column = i % n;
        const row = Math.floor(i / n) % m;
        const batch = Math.floor(i / (n * m));
        let atA = row * spec.a.m;
        let atB = column * spec.b.n;
        spec.batch.forEach((d, j) => {
          const c = Math.floor(batch / batchStrides[j]) % d;
          atA += c * spec.a.batch[j];
          atB += c * spec.b.batch[j];
        });
        let sum = 0;
        for (let l = 0; l < k; l++, atA += spec.a.k, atB += spec.b.k) {
          sum = integer ? (sum + Math.imul(a.data[atA], b.data[atB])) | 0 : sum + a.data[atA] * b.data[atB];
        }
        return sum;
      }),
    ];
  },
};

export const docs: Record<string, string> = {
  dotGeneral: "a, b → [batch…, freeA…, freeB…]: Σ over the contracted axes of a·b.",
};

function dotSample(name: string, a: Shape, b: Shape, attrs: DotAttrs, extra: Partial<Sample> = {}): Sample {
  return {
    name,
    inputs: [floats(a, -1, 1, 5), floats(b, -1, 1, 6)],
    build: (x, y) => dotGeneral(x, y, attrs),
    gradient: true,
    sum: { terms: sizeOf(pick(a, attrs.contractA)), magnitude: (x, y) => dotGeneral(abs(x), abs(y), attrs) },
    ...extra,
  };
}
function headsSample(name: string, after: (x: Value) => Value): Sample {
  const attrs = { batchA: [0, 1], batchB: [0, 1], contractA: [3], contractB: [3] };
  const build = (x: Value, y: Value) => after(dotGeneral(x, y, attrs));
  const sum = { terms: 5, magnitude: (x: Value, y: Value) => build(abs(x), abs(y)) };
  return dotSample(name, [2, 3, 7, 5], [2, 3, 18, 5], attrs, { build, sum });
}
/** Terms that do not count have a factor of zero, or a result that nobody looks at. */
function triangleSample([m, n, k]: readonly number[], triangle: Triangle): Sample {
  const attrs = { ...plain(1, 0), triangle };
  const counted = (x: Value, ...axes: DotAxis[]): Value => {
    const [first, second] = triangle.map((axis) => axes.indexOf(axis));
    if (first < 0 || second < 0) return x;
    return select(greaterEqual(iota(x.shape, second), iota(x.shape, first)), x, fullLike(x, 0));
  };
  const product = (x: Value, y: Value) =>
    counted(apply1(dotGeneralOp, [counted(x, "m", "k"), counted(y, "k", "n")], attrs), "m", "n");
  const sum = { terms: k, magnitude: (x: Value, y: Value) => product(abs(x), abs(y)) };
  return dotSample(`terms of ${triangle.join(" ≤ ")}`, [m, k], [k, n], attrs, { build: product, sum });
}
const plain = (contractA: number, contractB: number): DotAttrs => ({
  batchA: [],
  batchB: [],
  contractA: [contractA],
  contractB: [contractB],
});

export const samples: Samples = {
  dotGeneral: () => [
    dotSample("matrices", [3, 4], [4, 5], plain(1, 0), { second: true }),
    dotSample("b transposed", [3, 4], [5, 4], plain(1, 1)),
    dotSample("a transposed", [4, 3], [4, 5], plain(0, 0)),
    dotSample("both transposed", [4, 3], [5, 4], plain(0, 1)),
    dotSample("vectors", [7], [7], plain(0, 0)),
    dotSample("matrix and vector", [3, 7], [7], plain(1, 0)),
    dotSample("outer product", [3], [4], { batchA: [], batchB: [], contractA: [], contractB: [] }),
    dotSample("batch", [2, 3, 4], [2, 4, 5], { batchA: [0], batchB: [0], contractA: [2], contractB: [1] }),
    dotSample("batch in the middle", [3, 2, 4], [5, 2, 4], {
      batchA: [1],
      batchB: [1],
      contractA: [2],
      contractB: [2],
    }),
    dotSample("two contracted axes", [2, 3, 4], [3, 4, 5], {
      batchA: [],
      batchB: [],
      contractA: [1, 2],
      contractB: [0, 1],
    }),
    dotSample("contracted crosswise", [2, 3, 4], [4, 3, 5], {
      batchA: [],
      batchB: [],
      contractA: [2, 1],
      contractB: [0, 1],
    }),
    dotSample("free axes apart", [2, 3, 4], [3, 5], plain(1, 0)),
    dotSample("attention scores", [2, 3, 4, 5], [2, 6, 4, 5], {
      batchA: [0, 2],
      batchB: [0, 2],
      contractA: [3],
      contractB: [3],
    }),
    headsSample("heads side by side", (x) => transpose(x, [0, 2, 1, 3])),
    headsSample("heads side by side, with a bias", (x) => transpose(add(x, fullLike(x, 1)), [2, 0, 1, 3])),
    dotSample("odd sizes", [13, 29], [29, 19], plain(1, 0), { gradient: false }),
    dotSample("larger than a tile", [70, 130], [130, 66], plain(1, 0), { gradient: false }),
    dotSample("long sum", [3, 2051], [2051, 5], plain(1, 0), { gradient: false }),
    triangleSample([9, 37, 11], ["n", "m"]),
    triangleSample([19, 7, 37], ["k", "m"]),
    triangleSample([37, 18, 29], ["m", "k"]),
    dotSample("size 1", [1, 1], [1, 1], plain(1, 0)),
    dotSample("no rows", [0, 4], [4, 5], plain(1, 0), { gradient: false }),
    dotSample("nothing to sum", [3, 0], [0, 5], plain(1, 0), { gradient: false }),
    {
      name: "three axes by a matrix",
      inputs: [floats([2, 3, 4]), floats([4, 5])],
      build: (x, y) => dotGeneral(x, y, plain(2, 0)),
      gradient: true,
      sum: { terms: 4, magnitude: (x, y) => dotGeneral(abs(x), abs(y), plain(2, 0)) },
    },
    {
      name: "i32 beyond 2^24",
      inputs: [integers([3, 5], -70000, 70000, 1), integers([5, 6], -70000, 70000, 2)],
      build: (x, y) => dotGeneral(x, y, plain(1, 0)),
    },
    {
      name: "u32",
      inputs: [literal([4294967295, 2, 3, 65537], "u32", [2, 2]), literal([3, 1, 2, 65537], "u32", [2, 2])],
      build: matmul2d,
    },
    {
      name: "u8",
      inputs: [integers([3, 5], 0, 9, 1, "u8"), integers([5, 6], 0, 3, 2, "u8")],
      build: (x, y) => dotGeneral(x, y, plain(1, 0)),
    },
  ],
};
