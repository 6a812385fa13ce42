/** Indexing: rows gathered and added up along an axis, the same element by element, and with several indices at once. */
import { formatShape } from "../../errors.ts";
import { apply, apply1, type OpRecord, type Value } from "../node.ts";
import { type Reference, refArray } from "../reference/array.ts";
import { normalizeAxis, rowMajor, type Shape, sameShape, sizeOf, type TensorType } from "../types.ts";
import { add, equal, maximum, minimum, mul } from "./binary.ts";
import { formatType, opError, requireDType, shapeError } from "./common.ts";
import { iota } from "./iota.ts";
import {
  lowerGather,
  lowerScatterAdd,
  lowerScatterAlong,
  lowerScatterRows,
  lowerTakeAlong,
  type Rows,
} from "./lower/gather.ts";
import { distinct, floats, integers, literal, type Samples } from "./sample.ts";
import { guard, select } from "./select.ts";
import { constantNumber, scalar } from "./source.ts";
import { abs } from "./unary.ts";
import { broadcastTo, reshape, slice } from "./view.ts";

export interface GatherAttrs {
  readonly axis: number;
}
export interface ScatterAttrs {
  readonly axis: number;
  /** Size of the result along the axis. */
  readonly size: number;
}

function requireIndices(op: string, indices: TensorType): void {
  if (indices.dtype !== "i32") throw opError("E104", `${op}: indices are i32`, formatType(indices), "i32");
}
function requireElements(op: string, x: TensorType, axis: number, count: number): void {
  if (x.shape[axis] === 0 && count > 0) {
    throw shapeError(op, "there is nothing to take", `axis ${axis} of ${formatType(x)}`, "at least one element");
  }
}

/** `shape` seen as [outer, n, inner] around an axis. */
function around(shape: Shape, axis: number, m: number): Rows {
  return { outer: sizeOf(shape.slice(0, axis)), n: shape[axis], inner: sizeOf(shape.slice(axis + 1)), m };
}
function replaced(shape: Shape, axis: number, by: Shape): number[] {
  return [...shape.slice(0, axis), ...by, ...shape.slice(axis + 1)];
}

// ---- records

export const gatherOp: OpRecord<GatherAttrs> = {
  name: "gather",
  infer: ([x, indices], { axis }) => {
    requireIndices("gather", indices);
    const shape = replaced(x.shape, axis, indices.shape);
    requireElements("gather", x, axis, sizeOf(shape));
    return [{ shape, dtype: x.dtype }];
  },
  gradient: ({ inputs: [x, indices], grads: [dy], attrs: { axis } }) => [
    scatterSum(indices, dy!, axis, x.shape[axis]),
    null,
  ],
  kernel: {
    kind: "lower",
    lower: ({ attrs, inputs: [x, indices], profile }) =>
      lowerGather(around(x.type.shape, attrs.axis, sizeOf(indices.type.shape)), x.type.dtype, profile.lanes),
  },
};

/** Inputs indices and updates; the base is zeros, so that nothing but the result is written and read. */
export const scatterAddOp: OpRecord<ScatterAttrs> = {
  name: "scatterAdd",
  infer: ([indices, updates], { axis, size }) => {
    requireIndices("scatterAdd", indices);
    requireDType("scatterAdd", "number", updates);
    const rank = indices.shape.length;
    if (!sameShape(updates.shape.slice(axis, axis + rank), indices.shape)) {
      throw shapeError(
        "scatterAdd",
        "the updates do not have the indices' shape at the axis",
        `updates ${formatType(updates)}, indices ${formatType(indices)}, axis ${axis}`,
        `updates [${["…", ...indices.shape, "…"].join(", ")}]`,
      );
    }
    const shape = [...updates.shape.slice(0, axis), size, ...updates.shape.slice(axis + rank)];
    requireElements("scatterAdd", { shape, dtype: updates.dtype }, axis, sizeOf(updates.shape));
    return [{ shape, dtype: updates.dtype }];
  },
  gradient: ({ inputs: [indices], grads: [dy], attrs: { axis } }) => [null, gather(dy!, indices, axis)],
  kernel: {
    kind: "lower",
    lower: ({ attrs, inputs: [indices], outputs: [y], profile }) =>
      lowerScatterAdd(around(y.shape, attrs.axis, sizeOf(indices.type.shape)), y.dtype, profile.lanes),
  },
  flops: ([, updates]) => sizeOf(updates.shape),
};

/**
 * `scatterAdd` along the first axis of a tensor of which few rows are named: the rows that are, while what stands in the
 * others is undefined, and which ones are. `guard` puts both together; between them nothing as large as the result is written.
 */
export const scatterRowsOp: OpRecord<ScatterAttrs> = {
  name: "scatterRows",
  infer: (inputs, attrs) => [...scatterAddOp.infer(inputs, attrs), { shape: [attrs.size], dtype: "bool" }],
  gradient: ({ inputs: [indices], grads: [dy] }) => [null, dy ? gather(dy, indices, 0) : null],
  kernel: {
    kind: "lower",
    lower: ({ attrs, inputs: [indices], outputs: [y], profile }) =>
      lowerScatterRows(around(y.shape, attrs.axis, sizeOf(indices.type.shape)), y.dtype, profile.lanes),
  },
  flops: ([, updates]) => sizeOf(updates.shape),
};

function requireAlong(op: string, shape: Shape, indices: TensorType, axis: number): void {
  requireIndices(op, indices);
  if (!sameShape(replaced(indices.shape, axis, [0]), replaced(shape, axis, [0]))) {
    throw shapeError(
      op,
      "the indices do not fit",
      `indices ${formatType(indices)} for ${formatShape(shape)} along axis ${axis}`,
      "equal sizes in the other axes",
    );
  }
}

export const takeAlongAxisOp: OpRecord<GatherAttrs> = {
  name: "takeAlongAxis",
  infer: ([x, indices], { axis }) => {
    requireAlong("takeAlongAxis", x.shape, indices, axis);
    requireElements("takeAlongAxis", x, axis, sizeOf(indices.shape));
    return [{ shape: indices.shape, dtype: x.dtype }];
  },
  gradient: ({ inputs: [x, indices], grads: [dy], attrs: { axis } }) => [
    scatterSumAlong(indices, dy!, axis, x.shape[axis]),
    null,
  ],
  kernel: {
    kind: "lower",
    lower: ({ attrs: { axis }, inputs: [x, indices], profile }) =>
      lowerTakeAlong(around(x.type.shape, axis, indices.type.shape[axis]), x.type.dtype, profile.lanes),
  },
};

/** Inputs indices and updates of equal shape; the base is zeros. */
export const scatterAddAlongAxisOp: OpRecord<ScatterAttrs> = {
  name: "scatterAddAlongAxis",
  infer: ([indices, updates], { axis, size }) => {
    requireAlong("scatterAddAlongAxis", updates.shape, indices, axis);
    requireDType("scatterAddAlongAxis", "number", updates);
    if (updates.shape[axis] !== indices.shape[axis]) {
      throw shapeError(
        "scatterAddAlongAxis",
        "indices and updates differ in shape",
        `${formatType(indices)} and ${formatType(updates)}`,
        "equal shapes",
      );
    }
    const type: TensorType = { shape: replaced(updates.shape, axis, [size]), dtype: updates.dtype };
    requireElements("scatterAddAlongAxis", type, axis, sizeOf(updates.shape));
    return [type];
  },
  gradient: ({ inputs: [indices], grads: [dy], attrs: { axis } }) => [null, takeAlongAxis(dy!, indices, axis)],
  kernel: {
    kind: "lower",
    lower: ({ attrs: { axis }, inputs: [indices], outputs: [y], profile }) =>
      lowerScatterAlong(around(y.shape, axis, indices.type.shape[axis]), y.dtype, profile.lanes),
  },
  flops: ([, updates]) => sizeOf(updates.shape),
};

// ---- functions

/**
 * numpy.take: x at i32 indices of an axis, x[:axis] + indices.shape + x[axis+1:]. Indices outside the axis mean its nearest
 * element.
 */
export function gather(x: Value, indices: Value, axis: number): Value {
  return apply1(gatherOp, [x, indices], { axis: normalizeAxis(axis, x.shape.length, "gather") });
}

/** Elements from which on a table of rows is worth more than one pass over it: a megabyte. */
export const largeTable = 1 << 18;

/** Zeros with `size` elements along `axis`, and updates added at the indices: the adjoint of `gather`. */
function scatterSum(indices: Value, updates: Value, axis: number, size: number): Value {
  const { n, inner, m } = around(replaced(updates.shape, axis, [size]), axis, sizeOf(indices.shape));
  if (axis === 0 && inner >= 16 && n * inner >= largeTable && m * 2 <= n && m > 0) {
    const [rows, named] = apply(scatterRowsOp, [indices, updates], { axis, size });
    return guard(reshape(named, [size, ...rows.shape.slice(1).map(() => 1)]), rows);
  }
  return apply1(scatterAddOp, [indices, updates], { axis, size });
}

/**
 * `base` with updates (base[:axis] + indices.shape + base[axis+1:]) added at the i32 indices of an axis, equal indices in
 * their order. Indices outside the axis mean its nearest element.
 */
export function scatterAdd(base: Value, indices: Value, updates: Value, axis: number): Value {
  const a = normalizeAxis(axis, base.shape.length, "scatterAdd");
  const shape = replaced(base.shape, a, indices.shape);
  if (!sameShape(updates.shape, shape) || updates.dtype !== base.dtype) {
    throw shapeError(
      "scatterAdd",
      "the updates do not fit base and indices",
      `${formatType(updates.type)} for base ${formatType(base.type)}, indices ${formatType(indices.type)}`,
      formatType({ shape, dtype: base.dtype }),
    );
  }
  return plus(base, scatterSum(indices, updates, a, base.shape[a]));
}

/** a + b, where a broadcast zero adds nothing. */
function plus(a: Value, b: Value): Value {
  let source = a;
  while (source.node.op.kernel.kind === "view") source = source.node.inputs[0];
  return constantNumber(source) === 0 ? b : add(a, b);
}

/** y[i, j, k] = x[i, indices[i, j, k], k] (axis 1): i32 indices of x's shape except along the axis, or broadcasting to it. */
export function takeAlongAxis(x: Value, indices: Value, axis: number): Value {
  const a = normalizeAxis(axis, x.shape.length, "takeAlongAxis");
  return apply1(takeAlongAxisOp, [x, fitted("takeAlongAxis", x.shape, indices, a)], { axis: a });
}

/** Indices repeated along axes where they have size 1. */
function fitted(op: string, shape: Shape, indices: Value, axis: number): Value {
  if (indices.shape.length !== shape.length) requireAlong(op, shape, indices.type, axis);
  return broadcastTo(
    indices,
    indices.shape.map((d, i) => (i !== axis && d === 1 ? shape[i] : d)),
  );
}

/** `base` with updates added where the indices point: the adjoint of `takeAlongAxis`. Equal indices add up in order. */
export function scatterAddAlongAxis(base: Value, indices: Value, updates: Value, axis: number): Value {
  const a = normalizeAxis(axis, base.shape.length, "scatterAddAlongAxis");
  const at = fitted("scatterAddAlongAxis", base.shape, indices, a);
  requireAlong("scatterAddAlongAxis", base.shape, at.type, a);
  return plus(base, scatterSumAlong(at, broadcastTo(updates, at.shape), a, base.shape[a]));
}

function scatterSumAlong(indices: Value, updates: Value, axis: number, size: number): Value {
  if (indices.shape[axis] === 1 && size > 0 && updates.dtype !== "bool") {
    // One update per row: elementwise work, which fuses with its neighbours.
    const shape = replaced(indices.shape, axis, [size]);
    const at = minimum(maximum(indices, scalar(0, "i32")), scalar(size - 1, "i32"));
    const here = equal(iota(shape, axis, "i32"), broadcastTo(at, shape));
    return select(here, broadcastTo(updates, shape), scalar(0, updates.dtype));
  }
  return apply1(scatterAddAlongAxisOp, [indices, updates], { axis, size });
}

/** x at whole positions: indices [..., r] of its first r axes → [..., x[r:]]. Each index is clamped to its axis. */
export function gatherNd(x: Value, indices: Value): Value {
  const { flat, shape, rest } = positions("gatherNd", x.shape, indices);
  return reshape(gather(reshape(x, [shape, ...rest]), flat, 0), [...flat.shape, ...rest]);
}

/** `base` with updates [..., base[r:]] added at positions [..., r] of its first r axes. Each index is clamped to its axis. */
export function scatterNd(base: Value, indices: Value, updates: Value): Value {
  const { flat, shape, rest } = positions("scatterNd", base.shape, indices);
  return reshape(scatterAdd(reshape(base, [shape, ...rest]), flat, updates, 0), base.shape);
}

/** Row-major numbers of the positions that [..., r] indices name, and the sizes of the axes they do and do not cover. */
function positions(op: string, shape: Shape, indices: Value): { flat: Value; shape: number; rest: number[] } {
  requireIndices(op, indices.type);
  const rank = indices.shape.length - 1;
  const r = indices.shape[rank];
  if (rank < 0 || r < 1 || r > shape.length) {
    throw shapeError(
      op,
      "the indices do not fit",
      formatType(indices.type),
      `[…, 1 to ${shape.length}] for ${formatShape(shape)}`,
    );
  }
  const strides = rowMajor(shape.slice(0, r));
  const outer = indices.shape.slice(0, -1);
  let flat: Value | null = null;
  for (let i = 0; i < r; i++) {
    const start = [...outer.map(() => 0), i];
    const column = reshape(slice(indices, start, [...outer, i + 1]), outer);
    const inside = minimum(maximum(column, scalar(0, "i32")), scalar(Math.max(0, shape[i] - 1), "i32"));
    const term = mul(inside, scalar(strides[i], "i32"));
    flat = flat ? add(flat, term) : term;
  }
  return { flat: flat!, shape: sizeOf(shape.slice(0, r)), rest: shape.slice(r) };
}

// ---- beside the records

const clamp = (i: number, n: number): number => Math.max(0, Math.min(n - 1, i));

/** Calls `visit` with the place in the small tensor [outer, m, inner] and in the large one [outer, n, inner]. */
function walk(
  r: Rows,
  index: (small: number, j: number) => number,
  visit: (small: number, large: number) => void,
): void {
  for (let o = 0; o < r.outer; o++)
    for (let j = 0; j < r.m; j++)
      for (let k = 0; k < r.inner; k++) {
        const small = (o * r.m + j) * r.inner + k;
        visit(small, (o * r.n + clamp(index(small, j), r.n)) * r.inner + k);
      }
}

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  gather: ([x, indices], { axis }: GatherAttrs, [y]) => {
    const out = refArray(y.shape);
    walk(
      around(x.shape, axis, indices.data.length),
      (_, j) => indices.data[j],
      (small, large) => {
        out.data[small] = x.data[large];
      },
    );
    return [out];
  },
  scatterAdd: ([indices, updates], { axis }: ScatterAttrs, [y]) => {
    const out = refArray(y.shape);
    walk(
      around(y.shape, axis, indices.data.length),
      (_, j) => indices.data[j],
      (small, large) => {
        out.data[large] += updates.data[small];
      },
    );
    return [out];
  },
  scatterRows: ([indices, updates], { axis }: ScatterAttrs, [y]) => {
    const out = refArray(y.shape);
    const named = refArray([y.shape[0]]);
    const rows = around(y.shape, axis, indices.data.length);
    walk(
      rows,
      (_, j) => indices.data[j],
      (small, large) => {
        out.data[large] += updates.data[small];
        named.data[Math.floor(large / rows.inner)] = 1;
      },
    );
    return [out, named];
  },
  takeAlongAxis: ([x, indices], { axis }: GatherAttrs, [y]) => {
    const out = refArray(y.shape);
    walk(
      around(x.shape, axis, y.shape[axis]),
      (small) => indices.data[small],
      (small, large) => {
        out.data[small] = x.data[large];
      },
    );
    return [out];
  },
  scatterAddAlongAxis: ([indices, updates], { axis }: ScatterAttrs, [y]) => {
    const out = refArray(y.shape);
    walk(
      around(y.shape, axis, indices.shape[axis]),
      (small) => indices.data[small],
      (small, large) => {
        out.data[large] += updates.data[small];
      },
    );
    return [out];
  },
};

export const docs: Record<string, string> = {
  gather: "x, indices i32 → x[:axis] + indices.shape + x[axis+1:]: x at the indices of an axis, clamped to it.",
  scatterAdd: "indices, updates → zeros of `size` along `axis` with the updates added in the order of the indices.",
  scatterRows: "indices, updates → scatterAdd along axis 0, undefined in rows that no index names; named [size] bool.",
  takeAlongAxis: "x, indices i32 → indices' shape: x[i, indices[i, j, k], k] for axis 1.",
  scatterAddAlongAxis: "indices, updates → zeros with y[i, indices[i, j, k], k] += updates[i, j, k] for axis 1.",
};

const from = (n: number, shape: Shape, seed = 3) => integers(shape, 0, n, seed);
const wild = /* @__PURE__ */ literal([-7, 0, 2, 99, 2, -1], "i32");
/** Of a sample: named rows of n, of which `terms` may be one and the same. */
const rowsOf = (n: number, terms: number) => {
  const build = (i: Value, u: Value): Value => {
    const [rows, named] = apply(scatterRowsOp, [i, u], { axis: 0, size: n });
    return guard(reshape(named, [n, ...rows.shape.slice(1).map(() => 1)]), rows);
  };
  return { build, gradient: true, sum: { terms, magnitude: (i: Value, u: Value) => build(i, abs(u)) } };
};

export const samples: Samples = {
  scatterRows: () => [
    { name: "rows", inputs: [from(50, [7]), floats([7, 40])], ...rowsOf(50, 7), second: true },
    { name: "named twice and outside", inputs: [wild, floats([6, 16])], ...rowsOf(20, 6) },
    { name: "indices of rank 2", inputs: [from(90, [2, 9]), floats([2, 9, 3, 7])], ...rowsOf(90, 18) },
    { name: "long rows", inputs: [from(9, [3]), floats([3, 300])], ...rowsOf(9, 3) },
    {
      name: "a large table",
      inputs: [from(9000, [12]), floats([12, 32])],
      build: (i, u) => mul(scatterSum(i, u, 0, 9000), scalar(2)),
    },
  ],
  gather: () => [
    {
      name: "rows",
      inputs: [floats([5, 3]), from(5, [4])],
      build: (x, i) => gather(x, i, 0),
      gradient: true,
      second: true,
    },
    {
      name: "rows of 37",
      inputs: [floats([11, 37]), from(11, [13])],
      build: (x, i) => gather(x, i, 0),
      gradient: true,
    },
    { name: "indices of rank 2", inputs: [floats([7, 2]), from(7, [3, 5])], build: (x, i) => gather(x, i, 0) },
    { name: "last axis", inputs: [floats([3, 7]), from(7, [19])], build: (x, i) => gather(x, i, -1), gradient: true },
    {
      name: "middle axis",
      inputs: [floats([2, 5, 3]), from(5, [4])],
      build: (x, i) => gather(x, i, 1),
      gradient: true,
    },
    {
      name: "a scalar index",
      inputs: [floats([4, 3]), literal([2], "i32", [])],
      build: (x, i) => gather(x, i, 0),
      gradient: true,
    },
    { name: "outside the axis", inputs: [floats([3, 2]), wild], build: (x, i) => gather(x, i, 0), gradient: true },
    { name: "outside the last axis", inputs: [floats([2, 3]), wild], build: (x, i) => gather(x, i, 1) },
    { name: "u8", inputs: [integers([5, 7], 0, 256, 1, "u8"), from(5, [9])], build: (x, i) => gather(x, i, 0) },
    {
      name: "bool",
      inputs: [{ ...integers([5, 3], 0, 2), dtype: "bool" }, from(5, [9])],
      build: (x, i) => gather(x, i, 0),
    },
    { name: "u32", inputs: [literal([1, 4294967295, 7], "u32"), from(3, [9])], build: (x, i) => gather(x, i, 0) },
    { name: "no indices", inputs: [floats([5, 3]), from(5, [0])], build: (x, i) => gather(x, i, 0), gradient: true },
    { name: "rows of nothing", inputs: [floats([5, 0]), from(5, [2])], build: (x, i) => gather(x, i, 0) },
    {
      name: "NaN and infinities",
      inputs: [literal([Number.NaN, Infinity, -0, 1]), from(4, [9])],
      build: (x, i) => gather(x, i, 0),
    },
    {
      name: "several axes at once",
      inputs: [floats([3, 4, 2]), literal([0, 0, 2, 3, 1, 9], "i32", [3, 2])],
      build: (x, i) => gatherNd(x, i),
      gradient: true,
    },
    { name: "large", inputs: [floats([301, 67]), from(301, [509])], build: (x, i) => gather(x, i, 0) },
  ],
  scatterAdd: () => [
    {
      name: "rows, with repetitions",
      inputs: [floats([5, 3]), from(3, [4]), floats([4, 3], -1, 1, 9)],
      build: (x, i, u) => scatterAdd(x, i, u, 0),
      gradient: true,
      second: true,
    },
    {
      name: "onto zeros",
      inputs: [from(4, [9]), floats([9, 37])],
      build: (i, u) => scatterAdd(broadcastTo(scalar(0), [5, 37]), i, u, 0),
      gradient: true,
    },
    {
      name: "single elements",
      inputs: [from(7, [50]), floats([50])],
      build: (i, u) => scatterAdd(broadcastTo(scalar(0), [7]), i, u, 0),
      sum: { terms: 50, magnitude: () => broadcastTo(scalar(50), [7]) },
    },
    {
      name: "middle axis",
      inputs: [floats([2, 5, 3]), from(5, [4, 2]), floats([2, 4, 2, 3], -1, 1, 9)],
      build: (x, i, u) => scatterAdd(x, i, u, 1),
      gradient: true,
      sum: { terms: 9, magnitude: (x, i, u) => scatterAdd(abs(x), i, abs(u), 1) },
    },
    {
      name: "outside the axis",
      inputs: [floats([3, 2]), wild, floats([6, 2], -1, 1, 9)],
      build: (x, i, u) => scatterAdd(x, i, u, 0),
      gradient: true,
    },
    {
      name: "i32",
      inputs: [integers([3, 5], -9, 9), from(3, [7]), integers([7, 5], -9, 9, 4)],
      build: (x, i, u) => scatterAdd(x, i, u, 0),
    },
    {
      name: "no updates",
      inputs: [floats([3, 2]), from(3, [0]), floats([0, 2])],
      build: (x, i, u) => scatterAdd(x, i, u, 0),
      gradient: true,
    },
    {
      name: "several axes at once",
      inputs: [floats([3, 4, 2]), literal([0, 0, 2, 3, 0, 0], "i32", [3, 2]), floats([3, 2], -1, 1, 9)],
      build: (x, i, u) => scatterNd(x, i, u),
      gradient: true,
    },
    {
      name: "large",
      inputs: [from(211, [1009]), floats([1009, 67])],
      build: (i, u) => scatterAdd(broadcastTo(scalar(0), [211, 67]), i, u, 0),
      sum: { terms: 20, magnitude: () => broadcastTo(scalar(20), [211, 67]) },
    },
  ],
  takeAlongAxis: () => [
    {
      name: "last axis",
      inputs: [floats([3, 5]), from(5, [3, 4])],
      build: (x, i) => takeAlongAxis(x, i, 1),
      gradient: true,
      second: true,
    },
    {
      name: "first axis",
      inputs: [floats([5, 19]), from(5, [3, 19])],
      build: (x, i) => takeAlongAxis(x, i, 0),
      gradient: true,
    },
    {
      name: "middle axis",
      inputs: [floats([2, 5, 3]), from(5, [2, 7, 3])],
      build: (x, i) => takeAlongAxis(x, i, 1),
      gradient: true,
    },
    {
      name: "one of each row",
      inputs: [floats([37, 5]), from(5, [37, 1])],
      build: (x, i) => takeAlongAxis(x, i, 1),
      gradient: true,
    },
    {
      name: "repeated indices",
      inputs: [floats([3, 5]), from(5, [1, 4])],
      build: (x, i) => takeAlongAxis(x, i, 1),
      gradient: true,
    },
    {
      name: "outside the axis",
      inputs: [floats([2, 3]), literal([-7, 9, 1, 3], "i32", [2, 2])],
      build: (x, i) => takeAlongAxis(x, i, 1),
    },
    { name: "i32", inputs: [integers([3, 5], -9, 9), from(5, [3, 2])], build: (x, i) => takeAlongAxis(x, i, 1) },
    {
      name: "no rows",
      inputs: [floats([0, 5]), from(5, [0, 2])],
      build: (x, i) => takeAlongAxis(x, i, 1),
      gradient: true,
    },
    { name: "rank 1", inputs: [distinct([300]), from(300, [700])], build: (x, i) => takeAlongAxis(x, i, 0) },
  ],
  scatterAddAlongAxis: () => [
    {
      name: "last axis, with repetitions",
      inputs: [floats([3, 5]), from(3, [3, 4]), floats([3, 4], -1, 1, 9)],
      build: (x, i, u) => scatterAddAlongAxis(x, i, u, 1),
      gradient: true,
      second: true,
    },
    {
      name: "first axis",
      inputs: [from(5, [7, 19]), floats([7, 19])],
      build: (i, u) => scatterAddAlongAxis(broadcastTo(scalar(0), [5, 19]), i, u, 0),
      gradient: true,
    },
    {
      name: "one of each row",
      inputs: [floats([9, 5]), from(5, [9, 1]), floats([9, 1], -1, 1, 9)],
      build: (x, i, u) => scatterAddAlongAxis(x, i, u, 1),
      gradient: true,
    },
    {
      name: "outside the axis",
      inputs: [literal([-7, 9, 1, 3, 0, 0], "i32", [2, 3]), floats([2, 3])],
      build: (i, u) => scatterAddAlongAxis(broadcastTo(scalar(0), [2, 3]), i, u, 1),
    },
    {
      name: "i32",
      inputs: [integers([3, 5], -9, 9), from(5, [3, 7]), integers([3, 7], -9, 9, 4)],
      build: (x, i, u) => scatterAddAlongAxis(x, i, u, 1),
    },
    {
      name: "no rows",
      inputs: [floats([0, 5]), from(5, [0, 2]), floats([0, 2])],
      build: (x, i, u) => scatterAddAlongAxis(x, i, u, 1),
      gradient: true,
    },
  ],
};
