/** Which passes over memory remain around products: what their epilogues do, and what is kept for the backward pass. */
import { expect, test } from "vitest";
import { gradients } from "../autodiff/gradients.ts";
import type { Value } from "../graph/node.ts";
import * as ops from "../graph/ops/index.ts";
import { gelu, mish, silu } from "../tensor/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import { compileGraph } from "./compile.ts";

/** The name of each kernel and the sizes of what it reads and writes. */
function kernels(inputs: readonly Value[], outputs: readonly Value[]): [string, number[]][] {
  const profile = { name: "interpreter", lanes: 4, tile: { rows: 6, vectors: 2, unroll: 1 }, strict: false } as const;
  const { program } = compileGraph({ name: "test", inputs, outputs, writes: [] }, profile);
  return program.kernels.map(({ name, buffers }) => [
    name,
    buffers.filter((b) => b.access !== "scratch").map((b) => b.size),
  ]);
}
const input = (...shape: number[]) => ops.inputValue("x", { shape, dtype: "f32" });
const product = (x: Value, w: Value) =>
  ops.dotGeneral(x, w, { batchA: [], batchB: [], contractA: [1], contractB: [0] });

test("a bias is added by the product's epilogue, also where the product is seen as heads", () => {
  const [x, w, bias] = [input(10, 8), input(8, 12), input(3, 4)];
  const heads = ops.reshape(product(x, w), [2, 5, 3, 4]);
  const result = ops.add(heads, ops.broadcastTo(bias, [2, 5, 3, 4]));
  expect(kernels([x, w, bias], [result])).toHaveLength(1);
  const other = input(4, 3);
  const across = ops.broadcastTo(ops.transpose(other, [1, 0]), [2, 5, 3, 4]);
  expect(kernels([x, w, other], [ops.add(heads, across)])).toHaveLength(2);
});

test("sums of products: the later one adds the earlier one", () => {
  const [x, w, v] = [input(10, 8), input(8, 12), input(8, 12)];
  expect(kernels([x, w, v], [ops.add(product(x, w), product(x, v))])).toHaveLength(2);
});

test.each([
  ["gelu", (x: Tensor) => gelu(x, false)],
  ["gelu by tanh", (x: Tensor) => gelu(x, true)],
  ["silu", silu],
  ["mish", mish],
])("%s: the derivative alone is kept, and the backward pass is an epilogue", (_, f) => {
  const [x, w1, w2] = [input(16, 8), input(8, 32), input(32, 8)];
  const h = product(x, w1);
  const y = product(f(new Tensor(h)).value, w2);
  // The gradient of Σ y²/2.
  const [dh] = gradients([y], [y], [h]);
  const [first, slope, second, back, ...more] = kernels([x, w1, w2], [dh!]);
  expect(more).toEqual([]);
  expect([first[0], second[0]]).toEqual(["dot_16x32x8", "dot_16x8x32"]);
  // h, f(h) and f'(h).
  expect(slope[1]).toEqual([512, 512, 512]);
  // y, the weights, f'(h) and the result.
  expect(back[1].sort()).toEqual([128, 256, 512, 512]);
});
