/** The elementwise choice between two tensors. */
import { apply1, type OpRecord, type Value } from "../node.ts";
import { type Reference, refArray } from "../reference/array.ts";
import { mul } from "./binary.ts";
import { broadcastAll, formatType, opError, requireSameDType, requireSameShape } from "./common.ts";
import { reduceSum } from "./reduce.ts";
import { booleans, floats, integers, literal, type Samples } from "./sample.ts";
import { scalar } from "./source.ts";
import { abs } from "./unary.ts";
import { broadcastTo, reshape } from "./view.ts";

export const selectOp: OpRecord<null> = {
  name: "select",
  infer: ([condition, a, b]) => {
    if (condition.dtype !== "bool") {
      throw opError(
        "E104",
        "select needs a bool condition",
        formatType(condition),
        "bool",
        "compare it with something first",
      );
    }
    requireSameDType("select", [a, b]);
    requireSameShape("select", [condition, a, b]);
    return [a];
  },
  gradient: ({ inputs: [condition], grads: [dy], wants }) => {
    const zero = scalar(0, dy!.dtype);
    return [null, wants[1] ? select(condition, dy!, zero) : null, wants[2] ? select(condition, zero, dy!) : null];
  },
  kernel: {
    kind: "map",
    expr: (b, [condition, x, y]) =>
      x.type === "mask"
        ? b.binary("or", b.binary("and", condition, x), b.binary("and", b.unary("not", condition), y))
        : b.select(condition, x, y),
    flops: 1,
  },
};

/** A choice between a tensor and zeros that does not read the tensor where zeros are chosen. */
export const guardOp: OpRecord<null> = {
  name: "guard",
  infer: ([condition, x]) => {
    if (condition.dtype !== "bool")
      throw opError("E104", "guard needs a bool condition", formatType(condition), "bool");
    requireSameShape("guard", [condition, x]);
    return [x];
  },
  gradient: ({ inputs: [condition], grads: [dy] }) => [null, guard(condition, dy!)],
  kernel: {
    kind: "map",
    expr: (b, [condition, x]) => b.select(condition, x, b.const(x.type, 0, x.lanes)),
    flops: 1,
    guards: true,
  },
};

/** x where the condition, which broadcasts to it, holds, and 0 elsewhere, whatever x is there. */
export function guard(condition: Value, x: Value): Value {
  return apply1(guardOp, [broadcastTo(condition, x.shape), x], null);
}

/** `condition ? a : b`, element by element; all three broadcast. */
export function select(condition: Value, a: Value, b: Value): Value {
  requireSameDType("select", [a.type, b.type]);
  return apply1(selectOp, broadcastAll("select", [condition, a, b]), null);
}

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  select: ([condition, a, b]) => [refArray(a.shape, (i) => (condition.data[i] !== 0 ? a.data[i] : b.data[i]))],
  guard: ([condition, x]) => [refArray(x.shape, (i) => (condition.data[i] !== 0 ? x.data[i] : 0))],
};

export const docs: Record<string, string> = {
  select: "condition bool, a, b → a where the condition holds, else b.",
  guard: "condition bool, x → x where the condition holds, else 0; x is not read where it does not.",
};

export const samples: Samples = {
  guard: () => [
    { name: "rows", inputs: [booleans([5, 1]), floats([5, 70])], build: guard, gradient: true, second: true, ulps: 0 },
    { name: "elements", inputs: [booleans([37]), floats([37])], build: guard, gradient: true, ulps: 0 },
    {
      name: "within an expression",
      inputs: [booleans([33, 1]), floats([33, 32]), floats([33, 32], -1, 1, 3)],
      build: (c, x, y) => mul(mul(guard(c, mul(x, x)), y), guard(c, x)),
      gradient: true,
    },
    {
      name: "NaN behind it",
      inputs: [literal([1, 0, 1], "bool"), literal([1, 2, 3, Number.NaN, Number.NaN, Number.NaN, -7, -0, 9])],
      build: (c, x) => guard(reshape(c, [3, 1]), reshape(x, [3, 3])),
      ulps: 0,
    },
    {
      name: "sums",
      inputs: [booleans([9, 1]), floats([9, 40])],
      build: (c, x) => reduceSum(guard(c, x), [0]),
      gradient: true,
      sum: { terms: 9, magnitude: (_, x) => reduceSum(abs(x), [0]) },
    },
    { name: "i32", inputs: [booleans([9], 1), integers([9], -9, 9)], build: guard },
  ],
  select: () => [
    {
      name: "typical",
      inputs: [booleans([3, 4]), floats([3, 4]), floats([3, 4], -2, 2, 9)],
      build: select,
      gradient: true,
      second: true,
      ulps: 0,
    },
    { name: "broadcasts", inputs: [booleans([3, 1]), floats([4]), floats([])], build: select, gradient: true, ulps: 0 },
    {
      name: "does not mix",
      inputs: [
        literal([1, 0, 1], "bool"),
        literal([1, Number.NaN, 3]),
        literal([Number.NaN, 2, Number.POSITIVE_INFINITY]),
      ],
      build: select,
      ulps: 0,
    },
    { name: "bool", inputs: [booleans([9], 1), booleans([9], 2), booleans([9], 3)], build: select },
    { name: "i32", inputs: [booleans([9], 1), integers([9], -9, 9), integers([9], -9, 9, 2)], build: select },
    { name: "size 0", inputs: [booleans([0]), floats([0]), floats([1])], build: select, gradient: true },
  ],
};
