/** The elementwise choice between two tensors. */
import { apply1, type OpRecord, type Value } from "../node.ts";
import { type Reference, refArray } from "../reference/array.ts";
import { broadcastAll, formatType, opError, requireSameDType, requireSameShape } from "./common.ts";
import { booleans, floats, integers, literal, type Samples } from "./sample.ts";
import { scalar } from "./source.ts";

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

/** `condition ? a : b`, element by element; all three broadcast. */
export function select(condition: Value, a: Value, b: Value): Value {
  requireSameDType("select", [a.type, b.type]);
  return apply1(selectOp, broadcastAll("select", [condition, a, b]), null);
}

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  select: ([condition, a, b]) => [refArray(a.shape, (i) => (condition.data[i] !== 0 ? a.data[i] : b.data[i]))],
};

export const docs: Record<string, string> = { select: "condition bool, a, b → a where the condition holds, else b." };

export const samples: Samples = {
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
