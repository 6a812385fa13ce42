/** What is packed once for several operations. */
import { expect, test } from "vitest";
import type { Value } from "../graph/node.ts";
import * as ops from "../graph/ops/index.ts";
import { jit } from "../tensor/functions.ts";
import { arange, conv, reshape, sin } from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { compileGraph } from "./compile.ts";
import { widePacking } from "./contract/packed-once.ts";

const [rows, inputs, units] = [512, 352, 384];

/** How often a program packs a factor. */
function packs(arguments_: readonly Value[], outputs: readonly Value[]): number {
  const profile = {
    name: "c",
    lanes: 16,
    tile: { rows: 12, vectors: 2, unroll: 1 },
    strict: false,
    wide: widePacking,
  } as const;
  const { program } = compileGraph({ name: "test", inputs: arguments_, outputs, writes: [] }, profile);
  const calls = program.stages.flatMap((s) => s.calls);
  return calls.filter((c) => program.kernels[c.kernel].name.endsWith("_pack")).length;
}
const input = (columns: number) => ops.inputValue("x", { shape: [rows, columns], dtype: "f32" });
const transposedProduct = (x: Value, dy: Value) =>
  ops.dotGeneral(x, dy, { batchA: [], batchB: [], contractA: [0], contractB: [0] });

test("products of one factor pack it once, those of others their own", () => {
  const [x, other, ...dy] = [input(inputs), input(inputs), input(units), input(units), input(units)];
  const gradients = dy.map((d) => transposedProduct(x, d));
  expect(packs([x, ...dy], gradients)).toBe(1);
  expect(packs([x, other, ...dy], [...gradients, transposedProduct(other, dy[0])])).toBe(2);
});

test("convolutions that share a packed kernel have the results of each alone", async () => {
  const values = (seed: number, shape: number[]) =>
    reshape(sin(arange(seed, seed + shape.reduce((a, b) => a * b), 1)), shape);
  const kernel = values(0, [5, 5, 3, 40]);
  const images = [1, 2, 3].map((seed) => values(seed * 1000, [2, 12, 12, 3]));
  const apply = (x: Tensor, k: Tensor) => conv(x, k);
  const together = jit((k: Tensor, ...xs: Tensor[]) => xs.map((x) => apply(x, k)))(kernel, ...images);
  for (const [i, y] of together.entries()) expect(await y.data()).toEqual(await jit(apply)(images[i], kernel).data());
});
