/** Views: reshape, transpose, broadcast, slice and reverse. They move no data; kernels read through them. */
import { formatShape } from "../../errors.ts";
import { type Access, apply1, type OpRecord, type Value } from "../node.ts";
import { type RefArray, type Reference, refArray } from "../reference/array.ts";
import { normalizeAxes, rowMajor, type Shape, sameShape, sizeOf } from "../types.ts";
import { padInterior } from "./assemble.ts";
import { formatType, requireIntegers, shapeError } from "./common.ts";
import { reduceSum } from "./reduce.ts";
import { booleans, floats, integers, type Samples } from "./sample.ts";

// ---- reshape

/**
 * The strides with which `to` reads what `access` reads, or null: walks groups of axes whose sizes have equal products;
 * the old axes of a group must follow one another without gaps.
 */
export function reshapeAccess(access: Access, to: Shape): Access | null {
  if (sizeOf(to) === 0) return { shape: to, strides: rowMajor(to), offset: access.offset };
  const old: { size: number; stride: number }[] = [];
  access.shape.forEach((size, i) => {
    if (size !== 1) old.push({ size, stride: access.strides[i] });
  });
  const strides = new Array<number>(to.length).fill(0);
  let i = 0;
  let j = 0;
  while (i < old.length) {
    let oldProduct = old[i].size;
    let first = j;
    while (to[first] === 1) first++;
    j = first;
    let newProduct = to[j++];
    const start = i++;
    while (oldProduct !== newProduct) {
      if (oldProduct < newProduct) oldProduct *= old[i++].size;
      else newProduct *= to[j++];
    }
    for (let k = start; k + 1 < i; k++) {
      if (old[k].stride !== old[k + 1].stride * old[k + 1].size) return null;
    }
    let stride = old[i - 1].stride;
    for (let k = j - 1; k >= first; k--) {
      strides[k] = stride;
      stride *= to[k];
    }
  }
  return { shape: to, strides, offset: access.offset };
}

export const reshapeOp: OpRecord<{ readonly shape: Shape }> = {
  name: "reshape",
  infer: ([x], { shape }) => {
    requireIntegers("reshape", "shape", shape, shape.length, 0);
    if (sizeOf(shape) !== sizeOf(x.shape)) {
      throw shapeError(
        "reshape",
        "the number of elements changes",
        `${formatType(x)} (${sizeOf(x.shape)} elements) to ${formatShape(shape)} (${sizeOf(shape)})`,
        `a shape with ${sizeOf(x.shape)} elements`,
      );
    }
    return [{ shape, dtype: x.dtype }];
  },
  gradient: ({ inputs, grads }) => [reshape(grads[0]!, inputs[0].shape)],
  kernel: { kind: "view", view: (access, { shape }) => reshapeAccess(access, shape) },
};

/** The same elements in row-major order, seen with another shape. */
export function reshape(x: Value, shape: Shape): Value {
  return sameShape(x.shape, shape) ? x : apply1(reshapeOp, [x], { shape: [...shape] });
}

// ---- transpose

export const transposeOp: OpRecord<{ readonly permutation: readonly number[] }> = {
  name: "transpose",
  infer: ([x], { permutation }) => {
    const rank = x.shape.length;
    if (
      permutation.length !== rank ||
      new Set(permutation).size !== rank ||
      permutation.some((p) => !(p >= 0 && p < rank))
    ) {
      throw shapeError(
        "transpose",
        "the permutation does not fit",
        `permutation [${permutation.join(", ")}] for ${formatType(x)}`,
        `each axis from 0 to ${rank - 1} once`,
      );
    }
    return [{ shape: permutation.map((p) => x.shape[p]), dtype: x.dtype }];
  },
  gradient: ({ grads, attrs }) => [transpose(grads[0]!, invert(attrs.permutation))],
  kernel: {
    kind: "view",
    view: (access, { permutation }, output) => ({
      shape: output.shape,
      strides: permutation.map((p) => access.strides[p]),
      offset: access.offset,
    }),
  },
};

function invert(permutation: readonly number[]): number[] {
  const inverse = new Array<number>(permutation.length);
  permutation.forEach((p, i) => {
    inverse[p] = i;
  });
  return inverse;
}

/** Axis i of the result is axis `permutation[i]` of `x`. */
export function transpose(x: Value, permutation: readonly number[]): Value {
  const identity = permutation.length === x.shape.length && permutation.every((p, i) => p === i);
  return identity ? x : apply1(transposeOp, [x], { permutation: [...permutation] });
}

// ---- broadcast

export const broadcastOp: OpRecord<{ readonly shape: Shape }> = {
  name: "broadcastTo",
  infer: ([x], { shape }) => {
    const lead = shape.length - x.shape.length;
    if (lead < 0 || x.shape.some((d, i) => d !== 1 && d !== shape[lead + i])) {
      throw shapeError(
        "broadcastTo",
        "the shape does not fit",
        `${formatType(x)} to ${formatShape(shape)}`,
        "sizes that are equal or 1, aligned at the last axis",
      );
    }
    return [{ shape, dtype: x.dtype }];
  },
  gradient: ({ inputs, grads }) => [sumTo(grads[0]!, inputs[0].shape)],
  kernel: {
    kind: "view",
    view: (access, { shape }) => {
      const lead = shape.length - access.shape.length;
      const strides = shape.map((d, i) =>
        i < lead || (access.shape[i - lead] === 1 && d !== 1) ? 0 : access.strides[i - lead],
      );
      return { shape, strides, offset: access.offset };
    },
  },
};

/** Numpy broadcasting: axes of size 1 and missing leading axes are repeated. */
export function broadcastTo(x: Value, shape: Shape): Value {
  return sameShape(x.shape, shape) ? x : apply1(broadcastOp, [x], { shape: [...shape] });
}

/** Sums over the axes along which `shape` would be broadcast to the shape of `x`: the adjoint of `broadcastTo`. */
export function sumTo(x: Value, shape: Shape): Value {
  const lead = x.shape.length - shape.length;
  const axes: number[] = [];
  x.shape.forEach((d, i) => {
    if (i < lead || (shape[i - lead] === 1 && d !== 1)) axes.push(i);
  });
  return axes.length === 0 ? reshape(x, shape) : reshape(reduceSum(x, axes), shape);
}

// ---- slice

export interface SliceAttrs {
  readonly start: readonly number[];
  readonly limit: readonly number[];
  readonly step: readonly number[];
}

function sliceShape({ start, limit, step }: SliceAttrs): number[] {
  return start.map((s, i) => Math.max(0, Math.ceil((limit[i] - s) / step[i])));
}

export const sliceOp: OpRecord<SliceAttrs> = {
  name: "slice",
  infer: ([x], attrs) => {
    const rank = x.shape.length;
    requireIntegers("slice", "start", attrs.start, rank, 0);
    requireIntegers("slice", "limit", attrs.limit, rank, 0);
    requireIntegers("slice", "step", attrs.step, rank, 1);
    if (attrs.limit.some((l, i) => l > x.shape[i])) {
      throw shapeError(
        "slice",
        "limit lies outside the tensor",
        `limit [${attrs.limit.join(", ")}] for ${formatType(x)}`,
        `at most ${formatShape(x.shape)}`,
      );
    }
    return [{ shape: sliceShape(attrs), dtype: x.dtype }];
  },
  gradient: ({ inputs, outputs, grads, attrs: { start, step } }) => {
    const [x] = inputs;
    if (sizeOf(outputs[0].shape) === 0) return [null];
    const high = x.shape.map((d, i) => d - start[i] - ((outputs[0].shape[i] - 1) * step[i] + 1));
    return [padInterior(grads[0]!, start, high, step, 0)];
  },
  kernel: {
    kind: "view",
    view: (access, { start, step }, output) => ({
      shape: output.shape,
      strides: access.strides.map((s, i) => s * step[i]),
      offset:
        access.offset + (sizeOf(output.shape) === 0 ? 0 : start.reduce((sum, s, i) => sum + s * access.strides[i], 0)),
    }),
  },
};

/** Elements start, start+step, … below limit along each axis; 0 ≤ start, limit ≤ size, step ≥ 1. */
export function slice(x: Value, start: readonly number[], limit: readonly number[], step?: readonly number[]): Value {
  const steps = step ?? start.map(() => 1);
  const whole = start.every((s) => s === 0) && steps.every((s) => s === 1) && sameShape(limit, x.shape);
  return whole ? x : apply1(sliceOp, [x], { start: [...start], limit: [...limit], step: [...steps] });
}

// ---- reverse

export const reverseOp: OpRecord<{ readonly axes: readonly number[] }> = {
  name: "reverse",
  infer: ([x]) => [x],
  gradient: ({ grads, attrs }) => [reverse(grads[0]!, attrs.axes)],
  kernel: {
    kind: "view",
    view: (access, { axes }) => {
      if (sizeOf(access.shape) === 0) return access;
      let offset = access.offset;
      const strides = access.strides.map((s, i) => {
        if (!axes.includes(i)) return s;
        offset += (access.shape[i] - 1) * s;
        return -s;
      });
      return { shape: access.shape, strides, offset };
    },
  },
};

/** The elements along `axes` in opposite order. */
export function reverse(x: Value, axes: number | readonly number[]): Value {
  const list = normalizeAxes(axes, x.shape.length, "reverse").filter((a) => x.shape[a] > 1);
  return list.length === 0 ? x : apply1(reverseOp, [x], { axes: list });
}

// ---- beside the records

function remap(shape: Shape, x: RefArray, source: (c: readonly number[]) => number): RefArray {
  return refArray(shape, (_, c) => x.data[source(c)]);
}

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  reshape: ([x], { shape }: { shape: Shape }) => [{ shape, data: x.data }],
  transpose: ([x], { permutation }: { permutation: number[] }, [out]) => {
    const strides = rowMajor(x.shape);
    return [remap(out.shape, x, (c) => c.reduce((sum, v, i) => sum + v * strides[permutation[i]], 0))];
  },
  broadcastTo: ([x], { shape }: { shape: Shape }) => {
    const strides = rowMajor(x.shape);
    const lead = shape.length - x.shape.length;
    return [remap(shape, x, (c) => x.shape.reduce((sum, d, i) => sum + (d === 1 ? 0 : c[lead + i] * strides[i]), 0))];
  },
  slice: ([x], { start, step }: SliceAttrs, [out]) => {
    const strides = rowMajor(x.shape);
    return [remap(out.shape, x, (c) => c.reduce((sum, v, i) => sum + (start[i] + v * step[i]) * strides[i], 0))];
  },
  reverse: ([x], { axes }: { axes: number[] }) => {
    const strides = rowMajor(x.shape);
    return [
      remap(x.shape, x, (c) =>
        c.reduce((sum, v, i) => sum + (axes.includes(i) ? x.shape[i] - 1 - v : v) * strides[i], 0),
      ),
    ];
  },
};

export const docs: Record<string, string> = {
  reshape: "x [a, b, …] → shape: the same elements in row-major order.",
  transpose: "x → x with axes permuted: y[c] = x[c'] where c'[permutation[i]] = c[i].",
  broadcastTo: "x → shape: axes of size 1 and missing leading axes are repeated.",
  slice: "x → x[start : limit : step] along every axis.",
  reverse: "x → x with the order along `axes` turned round.",
};

export const samples: Samples = {
  reshape: () => [
    { name: "merges", inputs: [floats([2, 3, 4])], build: (x) => reshape(x, [6, 4]), gradient: true },
    { name: "splits", inputs: [floats([6, 4])], build: (x) => reshape(x, [2, 3, 2, 2]), gradient: true },
    {
      name: "of a transposed tensor, compatible",
      inputs: [floats([2, 3, 4])],
      build: (x) => reshape(transpose(x, [2, 0, 1]), [4, 6]),
      gradient: true,
    },
    {
      name: "of a transposed tensor, incompatible",
      inputs: [floats([3, 4])],
      build: (x) => reshape(transpose(x, [1, 0]), [2, 6]),
      gradient: true,
    },
    {
      name: "of a broadcast tensor",
      inputs: [floats([3, 1])],
      build: (x) => reshape(broadcastTo(x, [3, 4]), [12]),
      gradient: true,
    },
    { name: "to rank 0", inputs: [floats([1, 1])], build: (x) => reshape(x, []), gradient: true },
    { name: "from rank 0", inputs: [floats([])], build: (x) => reshape(x, [1, 1]), gradient: true },
    { name: "size 0", inputs: [floats([0, 3])], build: (x) => reshape(x, [3, 0, 2]) },
    { name: "bool", inputs: [booleans([2, 3])], build: (x) => reshape(x, [3, 2]) },
  ],
  transpose: () => [
    { name: "matrix", inputs: [floats([3, 5])], build: (x) => transpose(x, [1, 0]), gradient: true },
    { name: "large matrix", inputs: [floats([37, 66])], build: (x) => transpose(x, [1, 0]) },
    { name: "rank 4", inputs: [floats([2, 3, 4, 5])], build: (x) => transpose(x, [0, 3, 1, 2]), gradient: true },
    { name: "u8", inputs: [integers([3, 4], 0, 256, 3, "u8")], build: (x) => transpose(x, [1, 0]) },
    { name: "size 0", inputs: [floats([0, 3])], build: (x) => transpose(x, [1, 0]) },
  ],
  broadcastTo: () => [
    { name: "row", inputs: [floats([4])], build: (x) => broadcastTo(x, [3, 4]), gradient: true },
    { name: "column", inputs: [floats([3, 1])], build: (x) => broadcastTo(x, [3, 4]), gradient: true },
    { name: "middle", inputs: [floats([2, 1, 3])], build: (x) => broadcastTo(x, [2, 2, 4, 3]), gradient: true },
    { name: "rank 0", inputs: [floats([])], build: (x) => broadcastTo(x, [2, 2]), gradient: true },
    { name: "to size 0", inputs: [floats([1, 3])], build: (x) => broadcastTo(x, [0, 3]), gradient: true },
  ],
  slice: () => [
    { name: "inner", inputs: [floats([4, 5])], build: (x) => slice(x, [1, 2], [3, 5]), gradient: true },
    { name: "steps", inputs: [floats([7, 8])], build: (x) => slice(x, [1, 0], [7, 8], [2, 3]), gradient: true },
    { name: "empty", inputs: [floats([4, 5])], build: (x) => slice(x, [2, 0], [2, 5]), gradient: true },
    {
      name: "of a transposed tensor",
      inputs: [floats([4, 5])],
      build: (x) => slice(transpose(x, [1, 0]), [1, 1], [4, 4]),
      gradient: true,
    },
  ],
  reverse: () => [
    { name: "last axis", inputs: [floats([3, 9])], build: (x) => reverse(x, [1]), gradient: true },
    { name: "all axes", inputs: [floats([2, 3, 4])], build: (x) => reverse(x, [0, 1, 2]), gradient: true },
    {
      name: "then sliced",
      inputs: [floats([3, 9])],
      build: (x) => slice(reverse(x, [1]), [0, 1], [3, 6], [1, 2]),
      gradient: true,
    },
    { name: "size 0", inputs: [floats([0, 3])], build: (x) => reverse(x, [0, 1]) },
  ],
};
