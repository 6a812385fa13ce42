/** Folds along axes: sum, product, maximum, minimum, and the positions of extremes. */
import { apply1, type GradientContext, type OpRecord, type Value } from "../node.ts";
import { type Reference, refArray } from "../reference/array.ts";
import { wrap } from "../reference/elementwise.ts";
import { type DType, isFloat, normalizeAxes, normalizeAxis, rowMajor, type Shape, sizeOf } from "../types.ts";
import { concat, pad } from "./assemble.ts";
import { div, equal, logicalOr, mul } from "./binary.ts";
import { cast } from "./cast.ts";
import { formatType, full, requireDType, shapeError } from "./common.ts";
import { iota } from "./iota.ts";
import { booleans, distinct, extremes, floats, integers, literal, type Sample, type Samples } from "./sample.ts";
import { select } from "./select.ts";
import { scalar } from "./source.ts";
import { abs, isNan } from "./unary.ts";
import { broadcastTo, reshape, slice, transpose } from "./view.ts";

type Reducer = "sum" | "prod" | "max" | "min";

export interface ReduceAttrs {
  /** Ascending, without duplicates. */
  readonly axes: readonly number[];
}

// @__NO_SIDE_EFFECTS__
function reduction(
  name: string,
  reducer: Reducer,
  gradient: (c: GradientContext<ReduceAttrs>) => Value,
): OpRecord<ReduceAttrs> {
  return {
    name,
    infer: ([x], { axes }) => {
      requireDType(name, "number", x);
      const shape = x.shape.filter((_, i) => !axes.includes(i));
      if ((reducer === "max" || reducer === "min") && sizeOf(x.shape) === 0 && sizeOf(shape) > 0) {
        throw shapeError(
          name,
          "there is nothing to choose from",
          `axes [${axes.join(", ")}] of ${formatType(x)}`,
          "at least one element",
        );
      }
      return [{ shape, dtype: x.dtype }];
    },
    gradient: (c) => [gradient(c)],
    kernel: { kind: "reduce", reducer, axes: (attrs) => attrs.axes },
  };
}

/** A reduced tensor, seen with its reduced axes as size 1 and repeated along them. */
function spread(y: Value, shape: Shape, axes: readonly number[]): Value {
  return broadcastTo(reshape(y, keep(shape, axes)), shape);
}
function keep(shape: Shape, axes: readonly number[]): number[] {
  return shape.map((d, i) => (axes.includes(i) ? 1 : d));
}

/** The gradient goes in equal shares to all elements that attain the extreme, as in JAX and TensorFlow. */
function toExtremes({ inputs: [x], outputs: [y], grads: [dy], attrs: { axes } }: GradientContext<ReduceAttrs>): Value {
  const attains = equal(x, spread(y, x.shape, axes));
  const count = reduceSum(cast(attains, x.dtype), axes);
  return select(attains, spread(div(dy!, count), x.shape, axes), scalar(0, x.dtype));
}

export const reduceSumOp = reduction("reduceSum", "sum", ({ inputs: [x], grads: [dy], attrs }) =>
  spread(dy!, x.shape, attrs.axes),
);
export const reduceProdOp = reduction("reduceProd", "prod", ({ inputs: [x], grads: [dy], attrs: { axes } }) => {
  const kept = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const permutation = [...kept, ...axes];
  const moved = transpose(x, permutation);
  const rows = sizeOf(kept.map((i) => x.shape[i]));
  const others = reshape(productOfOthers(reshape(moved, [rows, sizeOf(x.shape) / Math.max(1, rows)])), moved.shape);
  const back = new Array<number>(permutation.length);
  permutation.forEach((p, i) => {
    back[p] = i;
  });
  return mul(spread(dy!, x.shape, axes), transpose(others, back));
});
export const reduceMaxOp = reduction("reduceMax", "max", toExtremes);
export const reduceMinOp = reduction("reduceMin", "min", toExtremes);

/**
 * x [R, n] → [R, n]: the product of the other elements of each row, without division, so that zeros are harmless to any
 * order of derivative. Pairs are multiplied, the problem of half the size is solved, and its answer multiplied by the partner.
 */
function productOfOthers(x: Value): Value {
  const [rows, n] = x.shape;
  if (sizeOf(x.shape) === 0) return x;
  if (n === 1) return full(x.shape, 1, x.dtype);
  const even = n % 2 === 0 ? x : pad(x, [0, 0], [0, 1], 1);
  const size = even.shape[1];
  const first = slice(even, [0, 0], [rows, size], [1, 2]);
  const second = slice(even, [0, 1], [rows, size], [1, 2]);
  const others = productOfOthers(mul(first, second));
  const column = (v: Value) => reshape(v, [rows, size / 2, 1]);
  const both = concat([column(mul(others, second)), column(mul(others, first))], 2);
  return slice(reshape(both, [rows, size]), [0, 0], [rows, n]);
}

// ---- functions

type Axes = number | readonly number[] | null | undefined;

function reduce(op: OpRecord<ReduceAttrs>, x: Value, axes: Axes, keepdims: boolean): Value {
  const list = normalizeAxes(axes, x.shape.length, op.name);
  const long = list.filter((a) => x.shape[a] !== 1);
  requireDType(op.name, "number", x.type);
  const reduced = long.length === 0 ? x : apply1(op, [x], { axes: long });
  return reshape(reduced, keepdims ? keep(x.shape, list) : x.shape.filter((_, i) => !list.includes(i)));
}

/** Σ along `axes` (null: all); integers modulo the size of their dtype. */
export function reduceSum(x: Value, axes?: Axes, keepdims = false): Value {
  return reduce(reduceSumOp, x, axes, keepdims);
}
/** Π along `axes` (null: all). */
export function reduceProd(x: Value, axes?: Axes, keepdims = false): Value {
  return reduce(reduceProdOp, x, axes, keepdims);
}
/** The largest along `axes` (null: all), NaN if there is one. Of bools: whether any is true. */
export function reduceMax(x: Value, axes?: Axes, keepdims = false): Value {
  return x.dtype === "bool"
    ? cast(reduceMax(cast(x, "i32"), axes, keepdims), "bool")
    : reduce(reduceMaxOp, x, axes, keepdims);
}
/** The smallest along `axes` (null: all), NaN if there is one. Of bools: whether all are true. */
export function reduceMin(x: Value, axes?: Axes, keepdims = false): Value {
  return x.dtype === "bool"
    ? cast(reduceMin(cast(x, "i32"), axes, keepdims), "bool")
    : reduce(reduceMinOp, x, axes, keepdims);
}

function argExtreme(name: string, x: Value, axis: number, extreme: typeof reduceMax): Value {
  const a = normalizeAxis(axis, x.shape.length, name);
  if (x.shape[a] === 0)
    throw shapeError(
      name,
      "there is nothing to choose from",
      `axis ${a} of ${formatType(x.type)}`,
      "at least one element",
    );
  const numeric = x.dtype === "bool" ? cast(x, "i32") : x;
  const best = equal(numeric, extreme(numeric, a, true));
  const wins = isFloat(x.dtype) ? logicalOr(best, isNan(numeric)) : best;
  return reduceMin(select(wins, iota(x.shape, a, "i32"), scalar(x.shape[a], "i32")), a);
}
/** i32 position of the largest along `axis`: the first of equal ones, a NaN before all numbers. */
export function argMax(x: Value, axis: number): Value {
  return argExtreme("argMax", x, axis, reduceMax);
}
/** i32 position of the smallest along `axis`: the first of equal ones, a NaN before all numbers. */
export function argMin(x: Value, axis: number): Value {
  return argExtreme("argMin", x, axis, reduceMin);
}

// ---- beside the records

// @__NO_SIDE_EFFECTS__
function folded(initial: number, f: (a: number, x: number, dtype: DType) => number): Reference<ReduceAttrs> {
  return ([x], { axes }, [out], [type]) => {
    const result = refArray(out.shape, () => initial);
    const kept = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
    const strides = rowMajor(out.shape);
    refArray(x.shape, (i, c) => {
      const at = kept.reduce((sum, axis, k) => sum + c[axis] * strides[k], 0);
      result.data[at] = wrap(f(result.data[at], x.data[i], type.dtype), type.dtype);
      return 0;
    });
    return [result];
  };
}

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  reduceSum: folded(0, (a, x) => a + x),
  reduceProd: folded(1, (a, x, dtype) => (isFloat(dtype) ? a * x : Math.imul(a, x))),
  reduceMax: (inputs, attrs, outputs, types, evaluate) =>
    folded(isFloat(types[0].dtype) ? Number.NEGATIVE_INFINITY : -2147483648, (a, x) => Math.max(a, x))(
      inputs,
      attrs,
      outputs,
      types,
      evaluate,
    ),
  reduceMin: (inputs, attrs, outputs, types, evaluate) =>
    folded(isFloat(types[0].dtype) ? Number.POSITIVE_INFINITY : 4294967295, (a, x) => Math.min(a, x))(
      inputs,
      attrs,
      outputs,
      types,
      evaluate,
    ),
};

export const docs: Record<string, string> = {
  reduceSum: "x → Σ over `axes`, which are removed; 0 over nothing.",
  reduceProd: "x → Π over `axes`, which are removed; 1 over nothing.",
  reduceMax:
    "x → the largest over `axes`, which are removed; NaN if there is one. Equal largest elements share the gradient.",
  reduceMin:
    "x → the smallest over `axes`, which are removed; NaN if there is one. Equal smallest elements share the gradient.",
};

function reduceSamples(f: typeof reduceSum, kind: "sum" | "prod" | "choice"): readonly Sample[] {
  const make = (shape: Shape, seed: number) =>
    kind === "choice"
      ? distinct(shape, 0.25, seed)
      : kind === "prod"
        ? floats(shape, 0.7, 1.4, seed)
        : floats(shape, -2, 2, seed);
  const of = (name: string, shape: Shape, axes: Axes, extra: Partial<Sample> = {}): Sample => {
    const list = normalizeAxes(axes, shape.length, "sample");
    const terms = sizeOf(list.map((a) => shape[a]));
    return {
      name,
      inputs: [make(shape, shape.length + terms)],
      build: (x) => f(x, axes),
      gradient: true,
      ...(kind === "sum"
        ? { sum: { terms, magnitude: (x: Value) => reduceSum(abs(x), axes) } }
        : { ulps: kind === "prod" ? terms : 0 }),
      ...extra,
    };
  };
  return [
    of("last axis", [3, 5], 1, { second: true }),
    of("first axis", [5, 3], 0),
    of("all", [3, 5], null),
    of("two of three", [2, 3, 4], [0, 2]),
    of("middle", [2, 5, 3], 1),
    of("size 1", [3, 1], 1),
    of("long rows", [3, 1037], 1, { gradient: false }),
    of("long columns", [1037, 5], 0, { gradient: false }),
    of("many", [67, 33], null, { gradient: false }),
    { name: "keepdims", inputs: [make([2, 3], 9)], build: (x) => f(x, 1, true), gradient: true },
    {
      name: "of a transposed tensor",
      inputs: [make([4, 9], 10)],
      build: (x) => f(transpose(x, [1, 0]), 1),
      gradient: true,
    },
    {
      name: "of a slice",
      inputs: [make([5, 9], 11)],
      build: (x) => f(slice(x, [1, 1], [5, 9], [1, 2]), 0),
      gradient: true,
    },
    { name: "rank 0", inputs: [make([], 12)], build: (x) => f(x), gradient: true },
    { name: "of no rows", inputs: [floats([0, 3])], build: (x) => f(x, 1) },
    { name: "i32", inputs: [integers([3, 5], -9, 9)], build: (x) => f(x, 1) },
    { name: "i32 extremes", inputs: [literal([2147483647, -2147483648, 5, 7], "i32", [2, 2])], build: (x) => f(x, 0) },
    { name: "u32", inputs: [literal([4294967295, 3, 2147483648, 1], "u32", [2, 2])], build: (x) => f(x, 1) },
  ];
}

const rowsWith = (values: readonly number[]) => literal(values, "f32", [values.length / 3, 3]);
const special = () =>
  rowsWith([1, Number.NaN, 3, Number.POSITIVE_INFINITY, 2, Number.NEGATIVE_INFINITY, 4, 5, 6, -0, 0, -0]);
const finite = /* @__PURE__ */ extremes.filter((x) => Math.abs(x) < 1e5);

export const samples: Samples = {
  reduceSum: () => [
    ...reduceSamples(reduceSum, "sum"),
    { name: "of nothing", inputs: [floats([0, 3])], build: (x) => reduceSum(x, 0), gradient: true },
    { name: "NaN and infinities", inputs: [special()], build: (x) => reduceSum(x, 1) },
    {
      name: "wide range",
      inputs: [literal(finite)],
      build: (x) => reduceSum(x),
      sum: { terms: finite.length, magnitude: (x) => reduceSum(abs(x)) },
    },
  ],
  reduceProd: () => [
    ...reduceSamples(reduceProd, "prod"),
    { name: "of nothing", inputs: [floats([0, 3])], build: (x) => reduceProd(x, 0), gradient: true },
    {
      name: "zeros",
      inputs: [literal([2, 0, 3, 0, 0, 5, 1, 2, 3], "f32", [3, 3])],
      build: (x) => reduceProd(x, 1),
      gradient: true,
      second: true,
    },
    { name: "NaN and infinities", inputs: [special()], build: (x) => reduceProd(x, 1) },
  ],
  reduceMax: () => [
    ...reduceSamples(reduceMax, "choice"),
    { name: "NaN and infinities", inputs: [special()], build: (x) => reduceMax(x, 1) },
    { name: "argMax", inputs: [special()], build: (x) => argMax(x, 1) },
    { name: "argMax of ties", inputs: [literal([1, 3, 3, 2, 2, 2], "f32", [2, 3])], build: (x) => argMax(x, -1) },
    { name: "argMax of a long axis", inputs: [distinct([3, 137], 0.25, 4)], build: (x) => argMax(x, 1) },
    { name: "any true", inputs: [booleans([3, 4])], build: (x) => reduceMax(x, 1) },
  ],
  reduceMin: () => [
    ...reduceSamples(reduceMin, "choice"),
    { name: "NaN and infinities", inputs: [special()], build: (x) => reduceMin(x, 1) },
    { name: "argMin", inputs: [special()], build: (x) => argMin(x, 1) },
    { name: "argMin of i32", inputs: [integers([4, 9], -5, 5)], build: (x) => argMin(x, 0) },
    { name: "all true", inputs: [booleans([3, 4])], build: (x) => reduceMin(x, 1) },
  ],
};
