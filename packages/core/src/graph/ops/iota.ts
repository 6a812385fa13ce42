/** Counting along an axis. */
import { apply1, type OpRecord, type Value } from "../node.ts";
import { type Reference, refArray } from "../reference/array.ts";
import { type DType, normalizeAxis, type Shape } from "../types.ts";
import { narrow, opError } from "./common.ts";
import type { Samples } from "./sample.ts";

export interface IotaAttrs {
  readonly shape: Shape;
  readonly axis: number;
  readonly dtype: DType;
}

export const iotaOp: OpRecord<IotaAttrs> = {
  name: "iota",
  infer: (_, { shape, dtype }) => {
    if (dtype === "bool") throw opError("E104", "iota does not count in bool", "bool", "a numeric dtype");
    return [{ shape, dtype }];
  },
  gradient: "none",
  kernel: {
    kind: "map",
    expr: (b, _, { attrs: { axis, dtype }, coordinate }) => {
      const c = coordinate(axis);
      const type = dtype === "u32" ? "u32" : dtype === "f32" || dtype === "f16" || dtype === "bf16" ? "f32" : "i32";
      return narrow(b, b.convert(c, type), dtype);
    },
    flops: 1,
    coordinates: ({ axis }) => [axis],
  },
};

/** A tensor of this shape whose elements are their own coordinate along `axis`: 0, 1, 2, … */
export function iota(shape: Shape, axis: number, dtype: DType = "i32"): Value {
  return apply1(iotaOp, [], { shape: [...shape], axis: normalizeAxis(axis, shape.length, "iota"), dtype });
}

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  iota: (_, { shape, axis }: IotaAttrs) => [refArray(shape, (_i, c) => c[axis])],
};

export const docs: Record<string, string> = { iota: "→ shape: y[c] = c[axis]." };

export const samples: Samples = {
  iota: () => [
    { name: "vector", inputs: [], build: () => iota([21], 0) },
    { name: "first axis", inputs: [], build: () => iota([3, 5], 0, "f32") },
    { name: "middle axis", inputs: [], build: () => iota([2, 5, 3], 1, "u32") },
    { name: "last axis", inputs: [], build: () => iota([3, 9], -1, "f32") },
    { name: "size 0", inputs: [], build: () => iota([0, 3], 1) },
  ],
};
