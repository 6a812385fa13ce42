/** Indexing: gather along an axis, scatter-add, along-axis forms, dynamic slices. */
import { affine, dynamic, type Index, KernelBuilder, scaled } from "../../compiler/builder.ts";
import type { Operand } from "../../compiler/loopir.ts";
import type { Lowered } from "../../compiler/lowered.ts";
import { apply1, type OpRecord, type Value } from "../node.ts";
import { type Reference, refArray } from "../reference/array.ts";
import { type DType, normalizeAxis, type Shape, sizeOf, type TensorType } from "../types.ts";
import { add, less, lessEqual, logicalAnd, maximum, minimum, mul, sub } from "./binary.ts";
import { requireSameDType, shapeError } from "./common.ts";
import { iota } from "./iota.ts";
import { floats, integers, literal, type Samples } from "./sample.ts";
import { select } from "./select.ts";
import { scalar } from "./source.ts";
import { zerosLike } from "./unary.ts";
import { broadcastTo, reshape } from "./view.ts";

const indexType = (name: string, t: TensorType): void => {
  if (t.dtype !== "i32") throw shapeError(name, "indices are i32", t.dtype, "i32");
};

/** Clamped scalar index at position j of the index buffer. */
function clampedIndex(b: KernelBuilder, x: Operand, n: number): Operand {
  return b.min(b.max(x, b.i32(0, x.lanes)), b.i32(Math.max(0, n - 1), x.lanes));
}

function lowerGather(outer: number, n: number, m: number, inner: number, dtype: DType): Lowered {
  const b = new KernelBuilder("gather");
  const x = b.buffer("x", dtype, outer * n * inner, "read");
  const at = b.buffer("indices", "i32", m, "read");
  const y = b.buffer("y", dtype, outer * m * inner, "write");
  if (outer * m * inner > 0) {
    const o: Index = outer > 1 ? b.task("outer", outer) : 0;
    if (inner === 1) {
      const block = 1024;
      const blocks = Math.ceil(m / block);
      const row = (start: Index, length: number): void => {
        const lanes = 4;
        const one = (j: Index, count: number): void => {
          const i = clampedIndex(b, b.load(at, affine(start, j), lanes), n);
          b.store(y, affine(scaled(o, m), start, j), b.gather(x, scaled(o, n), i), count < lanes ? { count } : {});
        };
        b.loop("j", Math.floor(length / lanes), (j) => one(scaled(j, lanes), lanes));
        if (length % lanes > 0) one(length - (length % lanes), length % lanes);
      };
      if (blocks === 1) row(0, m);
      else {
        const t = b.task("block", blocks);
        const last = m - (blocks - 1) * block;
        if (last === block) row(scaled(t, block), block);
        else
          b.if(
            b.compare("eq", b.index(t), b.i32(blocks - 1)),
            () => row((blocks - 1) * block, last),
            () => row(scaled(t, block), block),
          );
      }
    } else {
      const j = b.task("j", m);
      const i = clampedIndex(b, b.load(at, j), n);
      const from = affine(scaled(o, n * inner), dynamic(b.mul(i, b.i32(inner))));
      const to = affine(scaled(o, m * inner), scaled(j, inner));
      const lanes = inner >= 16 ? 16 : inner > 4 ? 8 : 4;
      const move = (k: Index, count: number): void =>
        b.store(y, affine(to, k), b.load(x, affine(from, k), lanes), count < lanes ? { count } : {});
      b.loop("k", Math.floor(inner / lanes), (k) => move(scaled(k, lanes), lanes));
      if (inner % lanes > 0) move(inner - (inner % lanes), inner % lanes);
    }
  }
  return {
    steps: [
      {
        kernel: b.finish({ flops: 0, bytes: 8 * outer * m * inner }),
        roles: [
          { role: "input", index: 0 },
          { role: "input", index: 1 },
          { role: "output", index: 0 },
        ],
      },
    ],
    temps: [],
  };
}

const split = (shape: Shape, axis: number) => ({
  outer: sizeOf(shape.slice(0, axis)),
  n: shape[axis],
  inner: sizeOf(shape.slice(axis + 1)),
});

export const gatherOp: OpRecord<{ readonly axis: number }> = {
  name: "gather",
  infer: ([x, indices], { axis }) => {
    indexType("gather", indices);
    return [{ shape: [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)], dtype: x.dtype }];
  },
  gradient: ({ inputs: [x, indices], grads: [dy], attrs }) => [
    scatterAdd(zerosLike(x), indices, dy!, attrs.axis),
    null,
  ],
  kernel: {
    kind: "lower",
    lower: ({ attrs, inputs: [x, indices] }) => {
      const { outer, n, inner } = split(x.type.shape, attrs.axis);
      return lowerGather(outer, n, sizeOf(indices.type.shape), inner, x.type.dtype);
    },
  },
};

/** x[…, indices, …] along an axis (numpy.take): shape x[:axis] + indices.shape + x[axis+1:]. Indices are clamped. */
export function gather(x: Value, indices: Value, axis: number): Value {
  return apply1(gatherOp, [x, indices], { axis: normalizeAxis(axis, x.shape.length, "gather") });
}

/** Adds rows in the order of the indices; tasks own columns, so every element has one order and no two threads meet. */
function lowerScatter(outer: number, n: number, m: number, inner: number, dtype: DType): Lowered {
  const size = outer * n * inner;
  const copy = new KernelBuilder("scatter_base");
  const base = copy.buffer("base", dtype, size, "read");
  const out = copy.buffer("y", dtype, size, "write");
  const block = 8192;
  const blocks = Math.ceil(size / block);
  const run = (start: Index, length: number): void => {
    copy.loop("i", Math.floor(length / 16), (i) =>
      copy.store(out, affine(start, scaled(i, 16)), copy.load(base, affine(start, scaled(i, 16)), 16)),
    );
    const rest = length % 16;
    if (rest > 0)
      copy.store(out, affine(start, length - rest), copy.load(base, affine(start, length - rest), 16), { count: rest });
  };
  if (blocks <= 1) run(0, size);
  else {
    const t = copy.task("block", blocks);
    const last = size - (blocks - 1) * block;
    if (last === block) run(scaled(t, block), block);
    else
      copy.if(
        copy.compare("eq", copy.index(t), copy.i32(blocks - 1)),
        () => run((blocks - 1) * block, last),
        () => run(scaled(t, block), block),
      );
  }
  const b = new KernelBuilder("scatter_add");
  const at = b.buffer("indices", "i32", m, "read");
  const updates = b.buffer("updates", dtype, outer * m * inner, "read");
  const y = b.buffer("y", dtype, size, "readwrite");
  if (size > 0 && m > 0) {
    const o: Index = outer > 1 ? b.task("outer", outer) : 0;
    const lanes = inner === 1 ? 1 : inner >= 16 ? 16 : inner > 4 ? 8 : 4;
    const vectors = Math.ceil(inner / lanes);
    const c: Index = vectors > 1 ? b.task("columns", vectors) : 0;
    const rest = inner % lanes;
    const rows = (count: number): void =>
      b.loop("j", m, (j) => {
        const i = clampedIndex(b, b.load(at, j), n);
        const to = affine(scaled(o, n * inner), scaled(c, lanes), dynamic(b.mul(i, b.i32(inner))));
        const u = b.load(updates, affine(scaled(o, m * inner), scaled(j, inner), scaled(c, lanes)), lanes);
        b.store(y, to, b.add(b.load(y, to, lanes), u), count < lanes ? { count } : {});
      });
    if (rest === 0 || typeof c === "number") rows(rest === 0 ? lanes : rest);
    else
      b.if(
        b.compare("eq", b.index(c), b.i32(vectors - 1)),
        () => rows(rest),
        () => rows(lanes),
      );
  }
  return {
    steps: [
      {
        kernel: copy.finish({ flops: 0, bytes: 8 * size }),
        roles: [
          { role: "input", index: 0 },
          { role: "output", index: 0 },
        ],
      },
      {
        kernel: b.finish({ flops: outer * m * inner, bytes: 12 * outer * m * inner }),
        roles: [
          { role: "input", index: 1 },
          { role: "input", index: 2 },
          { role: "output", index: 0 },
        ],
      },
    ],
    temps: [],
  };
}

export const scatterAddOp: OpRecord<{ readonly axis: number }> = {
  name: "scatterAdd",
  infer: ([base, indices, updates], { axis }) => {
    indexType("scatterAdd", indices);
    requireSameDType("scatterAdd", [base, updates]);
    const want = [...base.shape.slice(0, axis), ...indices.shape, ...base.shape.slice(axis + 1)];
    if (want.length !== updates.shape.length || want.some((d, i) => d !== updates.shape[i])) {
      throw shapeError("scatterAdd", "the updates do not fit base and indices", `[${updates.shape}]`, `[${want}]`);
    }
    return [base];
  },
  gradient: ({ inputs: [, indices], grads: [dy], attrs, wants }) => [
    dy,
    null,
    wants[2] ? gather(dy!, indices, attrs.axis) : null,
  ],
  kernel: {
    kind: "lower",
    lower: ({ attrs, inputs: [base, indices] }) => {
      const { outer, n, inner } = split(base.type.shape, attrs.axis);
      return lowerScatter(outer, n, sizeOf(indices.type.shape), inner, base.type.dtype);
    },
  },
};

/** base with updates added at the indices of an axis: adjoint of `gather`. Equal indices add up in order. */
export function scatterAdd(base: Value, indices: Value, updates: Value, axis: number): Value {
  return apply1(scatterAddOp, [base, indices, updates], { axis: normalizeAxis(axis, base.shape.length, "scatterAdd") });
}

/** Row-major positions of the elements that along-axis indexing addresses in x. */
function flatPositions(shape: Shape, indices: Value, axis: number): Value {
  const n = shape[axis];
  const clamped = minimum(maximum(indices, scalar(0, "i32")), scalar(Math.max(0, n - 1), "i32"));
  let position: Value | null = null;
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    const c = i === axis ? clamped : iota(indices.shape, i, "i32");
    const term = stride === 1 ? c : mul(c, scalar(stride, "i32"));
    position = position ? add(position, term) : term;
    stride *= shape[i];
  }
  return position ?? clamped;
}

/** y[i, j, k] = x[i, indices[i, j, k], k] (axis 1): indices have x's shape except along the axis. */
export function takeAlongAxis(x: Value, indices: Value, axis: number): Value {
  const a = normalizeAxis(axis, x.shape.length, "takeAlongAxis");
  return gather(reshape(x, [sizeOf(x.shape)]), flatPositions(x.shape, indices, a), 0);
}
/** Adjoint of `takeAlongAxis`: base with updates added where the indices point. */
export function scatterAddAlongAxis(base: Value, indices: Value, updates: Value, axis: number): Value {
  const a = normalizeAxis(axis, base.shape.length, "scatterAddAlongAxis");
  const size = sizeOf(indices.shape);
  const flat = scatterAdd(
    reshape(base, [sizeOf(base.shape)]),
    reshape(flatPositions(base.shape, indices, a), [size]),
    reshape(updates, [size]),
    0,
  );
  return reshape(flat, base.shape);
}

/** First index of each axis, kept so that the block stays inside. */
function clampedStart(start: Value, room: number): Value {
  return minimum(maximum(start, scalar(0, "i32")), scalar(room, "i32"));
}
/** A block of x at computed start indices (i32 scalars, clamped so that it lies inside). */
export function dynamicSlice(x: Value, startIndices: readonly Value[], sizes: readonly number[]): Value {
  if (sizes.some((s, i) => s > x.shape[i]))
    throw shapeError("dynamicSlice", "the block is larger than the tensor", `[${sizes}]`, `at most [${x.shape}]`);
  let position: Value | null = null;
  let stride = 1;
  for (let i = x.shape.length - 1; i >= 0; i--) {
    const c = add(iota(sizes, i, "i32"), broadcastTo(clampedStart(startIndices[i], x.shape[i] - sizes[i]), sizes));
    const term = stride === 1 ? c : mul(c, scalar(stride, "i32"));
    position = position ? add(position, term) : term;
    stride *= x.shape[i];
  }
  return position ? gather(reshape(x, [sizeOf(x.shape)]), position, 0) : x;
}
/** x with a block replaced by `update` at computed start indices (clamped so that it lies inside). */
export function dynamicUpdateSlice(x: Value, update: Value, startIndices: readonly Value[]): Value {
  let position: Value | null = null;
  let inside: Value | null = null;
  let stride = 1;
  for (let i = x.shape.length - 1; i >= 0; i--) {
    const size = update.shape[i];
    const start = clampedStart(startIndices[i], x.shape[i] - size);
    const c = sub(iota(x.shape, i, "i32"), broadcastTo(start, x.shape));
    const here = logicalAnd(lessEqual(scalar(0, "i32"), c), less(c, scalar(size, "i32")));
    inside = inside ? logicalAnd(inside, here) : here;
    const kept = minimum(maximum(c, scalar(0, "i32")), scalar(Math.max(0, size - 1), "i32"));
    const term = stride === 1 ? kept : mul(kept, scalar(stride, "i32"));
    position = position ? add(position, term) : term;
    stride *= size;
  }
  if (!position || !inside) return update;
  return select(inside, gather(reshape(update, [sizeOf(update.shape)]), position, 0), x);
}

const clamp = (i: number, n: number) => Math.max(0, Math.min(n - 1, i));
// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  gather: ([x, indices], { axis }: { axis: number }, [type]) => {
    const { n, inner } = split(x.shape, axis);
    const m = indices.data.length;
    return [
      refArray(type.shape, (i) => {
        const k = i % inner;
        const j = Math.floor(i / inner) % m;
        const o = Math.floor(i / (inner * m));
        return x.data[(o * n + clamp(indices.data[j], n)) * inner + k];
      }),
    ];
  },
  scatterAdd: ([base, indices, updates], { axis }: { axis: number }) => {
    const { n, inner } = split(base.shape, axis);
    const m = indices.data.length;
    const data = base.data.slice();
    updates.data.forEach((u, i) => {
      const k = i % inner;
      const j = Math.floor(i / inner) % m;
      const o = Math.floor(i / (inner * m));
      if (n > 0) data[(o * n + clamp(indices.data[j], n)) * inner + k] += u;
    });
    return [{ shape: base.shape, data }];
  },
};

export const docs: Record<string, string> = {
  gather: "x, indices i32 → x[:axis] + indices.shape + x[axis+1:]: x at the (clamped) indices of an axis.",
  scatterAdd: "base, indices, updates → base's shape: updates added at the indices of an axis, in order.",
};

export const samples: Samples = {
  gather: () => [
    {
      name: "rows",
      inputs: [floats([5, 4]), literal([0, 4, 2, 2], "i32")],
      build: (x, i) => gather(x, i, 0),
      gradient: true,
      second: true,
    },
    {
      name: "rows of 20",
      inputs: [floats([5, 20]), integers([3, 2], 0, 5)],
      build: (x, i) => gather(x, i, 0),
      gradient: true,
    },
    {
      name: "middle axis, clamped",
      inputs: [floats([2, 5, 3]), literal([-3, 9, 1], "i32")],
      build: (x, i) => gather(x, i, 1),
      gradient: true,
    },
    {
      name: "elements",
      inputs: [floats([3, 7]), integers([6], 0, 7)],
      build: (x, i) => gather(x, i, 1),
      gradient: true,
    },
    {
      name: "along an axis",
      inputs: [floats([3, 7, 2]), integers([3, 4, 2], 0, 7)],
      build: (x, i) => takeAlongAxis(x, i, 1),
      gradient: true,
    },
    {
      name: "dynamic slice",
      inputs: [floats([5, 6]), literal([4], "i32", []), literal([-1], "i32", [])],
      build: (x, i, j) => dynamicSlice(x, [i, j], [2, 3]),
      gradient: true,
    },
    {
      name: "dynamic update",
      inputs: [floats([5, 6]), floats([2, 3], -1, 1, 2), literal([4], "i32", []), literal([1], "i32", [])],
      build: (x, u, i, j) => dynamicUpdateSlice(x, u, [i, j]),
      gradient: true,
    },
    { name: "no indices", inputs: [floats([5, 4]), literal([], "i32", [0])], build: (x, i) => gather(x, i, 0) },
    {
      name: "bytes",
      inputs: [integers([5, 4], 0, 255, 1, "u8"), literal([3, 1], "i32")],
      build: (x, i) => gather(x, i, 0),
    },
  ],
  scatterAdd: () => [
    {
      name: "rows, repeated",
      inputs: [floats([5, 4]), literal([0, 2, 0], "i32"), floats([3, 4])],
      build: (x, i, u) => scatterAdd(x, i, u, 0),
      gradient: true,
      second: true,
    },
    {
      name: "rows of 37",
      inputs: [floats([5, 37]), integers([6], 0, 5), floats([6, 37], -1, 1, 3)],
      build: (x, i, u) => scatterAdd(x, i, u, 0),
    },
    {
      name: "last axis",
      inputs: [floats([3, 5]), integers([4], 0, 5), floats([3, 4])],
      build: (x, i, u) => scatterAdd(x, i, u, 1),
      gradient: true,
    },
    {
      name: "along an axis",
      inputs: [floats([3, 5]), integers([3, 2], 0, 5), floats([3, 2])],
      build: (x, i, u) => scatterAddAlongAxis(x, i, u, 1),
      gradient: true,
    },
  ],
};
