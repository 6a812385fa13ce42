/** Lazy tensors in loops that nobody looks into: they stay flat, and cost a program per structure, not per step. */
import { expect, test } from "vitest";
import { ops, tensor, valueAndGrad } from "../index.ts";

test("a chain of thousands of operations is computed on the way", () => {
  let x = tensor([1, 2, 3]);
  for (let i = 0; i < 5000; i++) x = x.add(1).mul(i % 2 === 0 ? 2 : 0.5);
  expect(x.value.node.depth).toBeLessThan(1100);
  expect([...x.dataSync()].every(Number.isFinite)).toBe(true);
});

test("gradient descent by hand over 300 steps, looked at once", () => {
  const x = tensor([[1], [2], [3], [4]]);
  const y = tensor([[3], [5], [7], [9]]);
  const step = valueAndGrad(({ w, b }: { w: typeof x; b: typeof x }) =>
    ops.mean(ops.square(ops.subtract(ops.add(ops.matmul(x, w), b), y))),
  );
  let parameters = { w: tensor([[0]]), b: tensor([0]) };
  for (let i = 0; i < 300; i++) {
    const { grad } = step(parameters);
    parameters = { w: parameters.w.sub(grad.w.mul(0.05)), b: parameters.b.sub(grad.b.mul(0.05)) };
  }
  expect(parameters.w.value.node.depth).toBeLessThan(100);
  expect(parameters.w.item()).toBeCloseTo(2, 1);
  expect(parameters.b.item()).toBeCloseTo(1, 1);
});
