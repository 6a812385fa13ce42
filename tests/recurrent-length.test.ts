/** A whole training step of a recurrent model is as much code for 2,000 time steps as for 20. */
import { expect, test } from "vitest";
import { gradients } from "../packages/core/src/autodiff/gradients.ts";
import { compileGraph } from "../packages/core/src/compiler/compile.ts";
import { matrixUnit } from "../packages/core/src/compiler/contract/matrix.ts";
import { widePacking } from "../packages/core/src/compiler/contract/packed-once.ts";
import type { LoopProgram, TargetProfile } from "../packages/core/src/compiler/loopir.ts";
import * as g from "../packages/core/src/graph/ops/index.ts";
import { layers, losses, ops, optimizers, sequential, Tensor } from "../packages/core/src/index.ts";
import { emitKernel } from "../packages/core/src/targets/c/emit.ts";
import { emitProgram } from "../packages/core/src/targets/wasm/module.ts";
import { Trace, withTrace } from "../packages/core/src/tensor/trace.ts";

const tile = { rows: 4, vectors: 2, unroll: 1 };
const targets: Record<"wasm" | "c", { profile: TargetProfile; bytes(program: LoopProgram): number }> = {
  wasm: {
    profile: { name: "wasm", lanes: 4, tile, strict: false },
    bytes: (program) => emitProgram(program, { shared: false, relaxedFma: true, strict: false }).length,
  },
  c: {
    profile: {
      name: "c",
      lanes: 16,
      tile: { rows: 12, vectors: 2, unroll: 4 },
      strict: false,
      matrix: matrixUnit,
      wide: widePacking,
    },
    bytes: (program) => {
      const texts = program.kernels.map((k) => emitKernel(k, { lanes: 16, strict: false }));
      return texts.reduce((n, text) => n + text.length, 0);
    },
  },
};

/** Forward, backward and Adam of a recurrent layer of 64 units and Dense(10) on batches of 32. */
function step(layer: "lstm" | "gru", length: number, features: number, profile: TargetProfile): LoopProgram {
  const model = sequential([
    layers[layer](64, { inputShape: [length, features] }),
    layers.dense(10, { activation: "softmax" }),
  ]);
  const x = g.inputValue("x", { shape: [32, length, features], dtype: "f32" });
  const y = g.inputValue("y", { shape: [32], dtype: "i32" });
  const optimizer = new optimizers.Adam({});
  optimizer.build(model.trainableWeights);
  const trace = new Trace({ training: true });
  const loss = withTrace(trace, () => {
    const predicted = model.apply<Tensor>(new Tensor(x), { training: true });
    const value = ops.mean(losses.sparseCategoricalCrossentropy().call(new Tensor(y), predicted) as Tensor);
    const weights = model.trainableWeights.map((v) => v.value());
    const found = gradients([value.value], [g.scalar(1)], weights);
    optimizer.apply(
      found.map((d) => new Tensor(d!)),
      model.trainableWeights,
    );
    return value.value;
  });
  const source = { name: "step", inputs: [x, y], outputs: [loss], writes: trace.writes() };
  return compileGraph(source, profile).program;
}

test.each([
  ["wasm", "lstm"],
  ["wasm", "gru"],
  ["c", "lstm"],
  ["c", "gru"],
] as const)("%s, %s: the same number of kernels, and the same bytes within 1 percent", (target, layer) => {
  const { profile, bytes } = targets[target];
  for (const features of [1, 16, 28]) {
    const short = step(layer, 20, features, profile);
    const size = bytes(short);
    expect(short.kernels.filter((k) => k.name.startsWith("scan")).length).toBeGreaterThan(1);
    for (const length of [200, 2000]) {
      const long = step(layer, length, features, profile);
      expect(long.kernels.length).toBe(short.kernels.length);
      expect(Math.abs(bytes(long) / size - 1)).toBeLessThan(0.01);
    }
  }
});
