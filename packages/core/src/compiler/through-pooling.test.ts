/** What is done to gradients of maximum pooling happens on the pooled side, with the same results. */
import { expect, test } from "vitest";
import { gradients } from "../autodiff/gradients.ts";
import { topological, type Value } from "../graph/node.ts";
import * as ops from "../graph/ops/index.ts";
import { maxPool, type PoolAttrs } from "../graph/ops/pool.ts";
import { evaluate } from "../graph/reference/evaluate.ts";
import { sizeOf } from "../graph/types.ts";
import { simplify } from "./simplify.ts";

const halves: PoolAttrs = { window: [2, 2], strides: [2, 2], padLow: [0, 0], padHigh: [0, 0] };
const overlapping: PoolAttrs = { window: [3, 3], strides: [1, 2], padLow: [1, 1], padHigh: [1, 1] };

/** Numbers with many ties, many zeros below relu, and some NaN: [2, 5, 7, 3]. */
function input(): Value {
  const data = Float32Array.from({ length: 210 }, (_, i) => (i % 41 === 7 ? Number.NaN : ((i * 37) % 11) - 6));
  return ops.constantValue(data, { shape: [2, 5, 7, 3], dtype: "f32" });
}

function weights(y: Value): Value {
  const data = Float32Array.from({ length: sizeOf(y.shape) }, (_, i) => ((i * 29) % 17) - 8);
  return ops.constantValue(data, y.type);
}

const selects = (roots: readonly Value[]) => topological(roots).filter((n) => n.op.name === "select");

test.each([
  ["side by side", halves],
  ["overlapping and padded", overlapping],
])("the gradient of relu and of a bias before maximum pooling, windows %s", (_, attrs) => {
  const bias = ops.constantValue(Float32Array.of(0, 1, -1), { shape: [3], dtype: "f32" });
  const x = input();
  const y = maxPool(ops.relu(ops.add(x, bias)), attrs);
  const grads = gradients([y], [weights(y)], [x, bias]) as Value[];
  const simple = simplify(grads);
  for (const n of selects(simple)) expect(n.types[0].shape).toEqual(y.shape);
  const sums = topological([simple[1]]).filter((n) => n.op.name === "reduceSum");
  expect(sums.map((n) => n.inputs[0].shape)).toEqual([y.shape]);
  expect(evaluate(simple)).toEqual(evaluate(grads));
});

test("the pooled values of the forward pass serve the gradient", () => {
  const y = maxPool(ops.relu(input()), halves);
  const x = y.node.inputs[0].node.inputs[0];
  const roots = simplify([y, gradients([y], [weights(y)], [x])[0]!]);
  expect(topological(roots).filter((n) => n.op.name === "maxPool")).toHaveLength(1);
});

test("a choice by something other than the pooled tensor, or other than against zero, stays", () => {
  const x = input();
  const y = maxPool(x, halves);
  const [dx] = gradients([y], [weights(y)], [x]) as Value[];
  const other = ops.select(ops.greater(ops.neg(input()), ops.scalar(0, "f32")), dx, ops.scalar(0, "f32"));
  const one = ops.select(ops.greater(x, ops.scalar(0, "f32")), dx, ops.scalar(1, "f32"));
  const simple = simplify([other, one]);
  expect(selects(simple).map((n) => n.types[0].shape)).toEqual([x.shape, x.shape]);
});
