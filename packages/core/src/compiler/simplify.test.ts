import { expect, test } from "vitest";
import * as ops from "../graph/ops/index.ts";
import { constantNumber, simplify } from "./simplify.ts";

test.each(["f16", "bf16"] as const)("numbers of %s are what their bits mean", (dtype) => {
  const x = ops.inputValue("x", { shape: [3], dtype });
  // The bits of the smallest number are those of the integer 1.
  const smallest = dtype === "f16" ? 2 ** -24 : 2 ** -133;
  expect(constantNumber(ops.scalar(smallest, dtype))).toBe(smallest);
  const kept = ops.mul(x, ops.scalar(smallest, dtype));
  expect(simplify([kept])[0].node.op.name).toBe("mul");
  expect(simplify([ops.mul(x, ops.scalar(1, dtype))])).toEqual([x]);
});
