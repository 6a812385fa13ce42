/** Folding: identities, combination and the fixed tree over the lanes of a reduction. */
import type { Value } from "../graph/node.ts";
import type { KernelBuilder } from "./builder.ts";
import { computeType } from "./emit-expression.ts";
import type { Const, Operand } from "./loopir.ts";

/** Element j of a reduced row is added to logical lane j mod 16, whatever the target's width; then the lanes in a tree. */
export const reductionLanes = 16;

export function reducerOf(m: Value): "sum" | "prod" | "max" | "min" {
  const rule = m.node.op.kernel;
  if (rule.kind !== "reduce") throw new Error("not a reduction");
  return rule.reducer;
}

/** The neutral element. Maxima start from -Infinity (NaN still wins), integer ones from the type's bounds. */
export function identity(b: KernelBuilder, m: Value, lanes: number): Const {
  const type = computeType(m.dtype);
  switch (reducerOf(m)) {
    case "sum":
      return b.const(type, 0, lanes);
    case "prod":
      return b.const(type, 1, lanes);
    case "max":
      return b.const(type, type === "f32" ? Number.NEGATIVE_INFINITY : type === "u32" ? 0 : -2147483648, lanes);
    case "min":
      return b.const(type, type === "f32" ? Number.POSITIVE_INFINITY : type === "u32" ? 4294967295 : 2147483647, lanes);
  }
}

export function combine(b: KernelBuilder, m: Value, acc: Operand, x: Operand): Operand {
  const op = { sum: "add", prod: "mul", max: "max", min: "min" } as const;
  return b.binary(op[reducerOf(m)], acc, x);
}

/** All lanes into one scalar. */
export function fold(b: KernelBuilder, m: Value, x: Operand): Operand {
  return b.foldLanes(x, (y, z) => combine(b, m, y, z));
}
