/** Slices whose place is known only when the program runs. */
import { formatShape } from "../../errors.ts";
import { apply1, type OpRecord, type Value } from "../node.ts";
import { type Reference, refArray } from "../reference/array.ts";
import { rowMajor, type Shape, sameShape, type TensorType } from "../types.ts";
import { formatType, fullLike, opError, requireIntegers, requireSameDType, shapeError } from "./common.ts";
import { lowerDynamicSlice, lowerDynamicUpdate } from "./lower/dynamic.ts";
import { floats, integers, literal, type Samples } from "./sample.ts";

export interface DynamicSliceAttrs {
  readonly sizes: readonly number[];
}

function requireStarts(op: string, x: TensorType, sizes: Shape, starts: readonly TensorType[]): void {
  requireIntegers(op, "sizes", sizes, x.shape.length, 0);
  if (sizes.some((d, i) => d > x.shape[i])) {
    throw shapeError(op, "the block is larger than the tensor", formatShape(sizes), `at most ${formatShape(x.shape)}`);
  }
  if (starts.length !== x.shape.length || starts.some((t) => t.dtype !== "i32" || t.shape.length > 0)) {
    throw opError(
      "E104",
      `${op}: the block starts at one i32 number per axis`,
      starts.map(formatType).join(", "),
      `${x.shape.length} times i32[]`,
    );
  }
}

export const dynamicSliceOp: OpRecord<DynamicSliceAttrs> = {
  name: "dynamicSlice",
  infer: ([x, ...starts], { sizes }) => {
    requireStarts("dynamicSlice", x, sizes, starts);
    return [{ shape: sizes, dtype: x.dtype }];
  },
  gradient: ({ inputs: [x, ...starts], grads: [dy] }) => [
    dynamicUpdateSlice(fullLike(x, 0), dy!, starts),
    ...starts.map(() => null),
  ],
  kernel: {
    kind: "lower",
    lower: ({ inputs: [x], attrs, profile }) =>
      lowerDynamicSlice(x.type.shape, attrs.sizes, x.type.dtype, profile.lanes),
  },
};

export const dynamicUpdateSliceOp: OpRecord<null> = {
  name: "dynamicUpdateSlice",
  infer: ([x, update, ...starts]) => {
    requireSameDType("dynamicUpdateSlice", [x, update]);
    requireStarts("dynamicUpdateSlice", x, update.shape, starts);
    return [x];
  },
  gradient: ({ inputs: [, update, ...starts], grads: [dy], wants }) => [
    wants[0] ? dynamicUpdateSlice(dy!, fullLike(update, 0), starts) : null,
    wants[1] ? dynamicSlice(dy!, starts, update.shape) : null,
    ...starts.map(() => null),
  ],
  kernel: {
    kind: "lower",
    lower: ({ inputs: [x, update], profile }) =>
      lowerDynamicUpdate(x.type.shape, update.type.shape, x.type.dtype, profile.lanes),
  },
};

/** The block of `sizes` of x that begins at the i32 scalars `starts`, which are clamped so that it lies inside. */
export function dynamicSlice(x: Value, starts: readonly Value[], sizes: readonly number[]): Value {
  requireStarts(
    "dynamicSlice",
    x.type,
    sizes,
    starts.map((v) => v.type),
  );
  return sameShape(sizes, x.shape) ? x : apply1(dynamicSliceOp, [x, ...starts], { sizes: [...sizes] });
}

/** x with a block replaced by `update`, at the i32 scalars `starts`, which are clamped so that it lies inside. */
export function dynamicUpdateSlice(x: Value, update: Value, starts: readonly Value[]): Value {
  return apply1(dynamicUpdateSliceOp, [x, update, ...starts], null);
}

// ---- beside the records

/** Place in the tensor of element (i, coordinates) of a block that begins at the clamped starts. */
function placeIn(
  shape: Shape,
  sizes: Shape,
  starts: readonly { data: Float64Array }[],
): (c: readonly number[]) => number {
  const strides = rowMajor(shape);
  const first = shape.map((d, i) => Math.min(Math.max(starts[i].data[0], 0), d - sizes[i]));
  return (c) => c.reduce((sum, v, i) => sum + (first[i] + v) * strides[i], 0);
}

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  dynamicSlice: ([x, ...starts], { sizes }: DynamicSliceAttrs) => {
    const place = placeIn(x.shape, sizes, starts);
    return [refArray(sizes, (_, c) => x.data[place(c)])];
  },
  dynamicUpdateSlice: ([x, update, ...starts]) => {
    const data = x.data.slice();
    const place = placeIn(x.shape, update.shape, starts);
    refArray(update.shape, (i, c) => {
      data[place(c)] = update.data[i];
      return 0;
    });
    return [{ shape: x.shape, data }];
  },
};

export const docs: Record<string, string> = {
  dynamicSlice: "x, one i32[] per axis → the block of `sizes` that begins there, kept inside x.",
  dynamicUpdateSlice: "x, update, one i32[] per axis → x with the block that begins there replaced.",
};

const start = (i: number) => literal([i], "i32", []);

export const samples: Samples = {
  dynamicSlice: () => [
    {
      name: "rows and columns",
      inputs: [floats([5, 7]), start(2), start(3)],
      build: (x, i, j) => dynamicSlice(x, [i, j], [2, 3]),
      gradient: true,
      second: true,
    },
    {
      name: "whole rows",
      inputs: [floats([5, 7]), start(1), start(0)],
      build: (x, i, j) => dynamicSlice(x, [i, j], [3, 7]),
      gradient: true,
    },
    {
      name: "kept inside",
      inputs: [floats([5, 7]), start(99), start(-3)],
      build: (x, i, j) => dynamicSlice(x, [i, j], [2, 3]),
      gradient: true,
    },
    {
      name: "middle axis",
      inputs: [floats([3, 11, 5]), start(0), start(4), start(0)],
      build: (x, i, j, k) => dynamicSlice(x, [i, j, k], [3, 2, 5]),
      gradient: true,
    },
    {
      name: "one element",
      inputs: [floats([9]), start(4)],
      build: (x, i) => dynamicSlice(x, [i], [1]),
      gradient: true,
    },
    { name: "all", inputs: [floats([3, 2]), start(1), start(1)], build: (x, i, j) => dynamicSlice(x, [i, j], [3, 2]) },
    { name: "nothing", inputs: [floats([9]), start(4)], build: (x, i) => dynamicSlice(x, [i], [0]) },
    { name: "u8", inputs: [integers([40], 0, 256, 1, "u8"), start(3)], build: (x, i) => dynamicSlice(x, [i], [35]) },
    { name: "long", inputs: [floats([40000]), start(3)], build: (x, i) => dynamicSlice(x, [i], [39001]) },
  ],
  dynamicUpdateSlice: () => [
    {
      name: "rows and columns",
      inputs: [floats([5, 7]), floats([2, 3], -1, 1, 9), start(2), start(3)],
      build: (x, u, i, j) => dynamicUpdateSlice(x, u, [i, j]),
      gradient: true,
      second: true,
    },
    {
      name: "kept inside",
      inputs: [floats([5, 7]), floats([2, 3], -1, 1, 9), start(99), start(-3)],
      build: (x, u, i, j) => dynamicUpdateSlice(x, u, [i, j]),
      gradient: true,
    },
    {
      name: "all",
      inputs: [floats([3, 2]), floats([3, 2], -1, 1, 9), start(1), start(1)],
      build: (x, u, i, j) => dynamicUpdateSlice(x, u, [i, j]),
      gradient: true,
    },
    {
      name: "nothing",
      inputs: [floats([3, 2]), floats([0, 2]), start(1), start(1)],
      build: (x, u, i, j) => dynamicUpdateSlice(x, u, [i, j]),
      gradient: true,
    },
    {
      name: "rank 3",
      inputs: [floats([2, 9, 5]), floats([2, 1, 5], -1, 1, 9), start(0), start(7), start(0)],
      build: (x, u, i, j, k) => dynamicUpdateSlice(x, u, [i, j, k]),
      gradient: true,
    },
    {
      name: "i32",
      inputs: [integers([9], -9, 9), integers([4], -9, 9, 3), start(2)],
      build: (x, u, i) => dynamicUpdateSlice(x, u, [i]),
    },
  ],
};
