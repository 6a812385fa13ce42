/** The order of kernels in a training step. */
import { expect, test } from "vitest";
import { gradients } from "../autodiff/gradients.ts";
import type { Value } from "../graph/node.ts";
import * as ops from "../graph/ops/index.ts";
import { compileGraph } from "./compile.ts";

test("gradients of weights and biases run as soon as they can, so that nothing is kept for them", () => {
  const [rows, ...widths] = [64, 8, 10, 12, 14];
  const input = (...shape: number[]) => ops.inputValue("x", { shape, dtype: "f32" });
  const x = input(rows, widths[0]);
  const weights = widths.slice(1).map((w, i) => input(widths[i], w));
  const product = (a: Value, b: Value) =>
    ops.dotGeneral(a, b, { batchA: [], batchB: [], contractA: [1], contractB: [0] });
  const y = weights.reduce((h, w) => ops.relu(product(h, w)), x);
  const outputs = gradients([y], [y], weights).map((g) => g!);
  const profile = { name: "interpreter", lanes: 4, tile: { rows: 6, vectors: 2, unroll: 1 }, strict: false } as const;
  const { program } = compileGraph({ name: "test", inputs: [x, ...weights], outputs, writes: [] }, profile);
  const names = program.stages.flatMap((s) => s.calls).map((c) => program.kernels[c.kernel].name);
  expect(names.filter((n) => n.endsWith(`x${rows}`))).toEqual(["dot_12x14x64", "dot_10x12x64", "dot_8x10x64"]);
});
