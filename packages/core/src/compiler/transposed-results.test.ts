/** Products whose results a transposition moves: where they are stored, and where a copy must remain. */
import { expect, test } from "vitest";
import type { Value } from "../graph/node.ts";
import * as ops from "../graph/ops/index.ts";
import { compileGraph } from "./compile.ts";

function kernels(build: (q: Value, k: Value) => Value[], [m, k, n]: readonly number[] = [8, 5, 16]): string[] {
  const inputs = [
    ops.inputValue("q", { shape: [2, 3, m, k], dtype: "f32" }),
    ops.inputValue("k", { shape: [2, 3, k, n], dtype: "f32" }),
  ];
  const profile = { name: "interpreter", lanes: 4, tile: { rows: 6, vectors: 2, unroll: 1 }, strict: false } as const;
  const outputs = build(inputs[0], inputs[1]);
  return compileGraph({ name: "test", inputs, outputs, writes: [] }, profile).program.kernels.map((x) => x.name);
}
const product = (q: Value, k: Value) =>
  ops.dotGeneral(q, k, { batchA: [0, 1], batchB: [0, 1], contractA: [3], contractB: [2] });

test("heads come side by side without a copy, behind elementwise work too", () => {
  expect(kernels((q, k) => [ops.transpose(product(q, k), [0, 2, 1, 3])])).toEqual(["dot_8x16x5"]);
  expect(kernels((q, k) => [ops.transpose(ops.relu(product(q, k)), [2, 0, 1, 3])])).toHaveLength(1);
});

test.each<[string, (q: Value, k: Value) => Value[], (readonly number[])?]>([
  ["columns apart", (q, k) => [ops.transpose(product(q, k), [0, 1, 3, 2])]],
  ["rows in no one stride", (q, k) => [ops.transpose(ops.reshape(product(q, k), [2, 3, 4, 2, 16]), [0, 2, 1, 3, 4])]],
  ["somebody else wants the product", (q, k) => [product(q, k), ops.transpose(product(q, k), [0, 2, 1, 3])]],
  ["a long sum in parts", (q, k) => [ops.transpose(product(q, k), [0, 2, 1, 3])], [4, 4096, 4]],
  ["one column", (q, k) => [ops.transpose(product(q, k), [0, 2, 1, 3])], [8, 5, 1]],
])("a copy remains: %s", (_, build, sizes) => {
  expect(kernels(build, sizes).length).toBeGreaterThan(1);
});
