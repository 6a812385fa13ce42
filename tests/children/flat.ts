/** Trains 2,000 small steps, then twice 8,000 more, and prints what grew both times: run by tests/training.test.ts in a process of its own. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { configure, layers, ops, sequential, tensor, valueAndGrad } from "@layerwise/core";
import { currentDevice } from "../../packages/core/src/tensor/device.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const { dense, dropout } = layers;

/** Bytes after a collection; finalisers run in tasks of their own, so the loop is given time for them. */
async function memory() {
  for (let i = 0; i < 4; i++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { heapUsed, rss } = process.memoryUsage();
  return { heapUsed, rss, arena: currentDevice().allocatedBytes };
}

configure({ device: process.argv[2] ?? "wasm", seed: 1 });
const rows = 800;
const x = tensor(
  Float32Array.from({ length: rows * 8 }, (_, i) => Math.sin(i)),
  [rows, 8],
);
const y = tensor(
  Uint8Array.from({ length: rows }, (_, i) => i % 3),
  [rows],
);

async function viaFit() {
  const model = sequential([
    dense(16, { activation: "relu", inputShape: [8] }),
    dropout(0.2),
    dense(3, { activation: "softmax" }),
  ]);
  model.compile({ optimizer: "adam", loss: "sparseCategoricalCrossentropy", metrics: ["accuracy"] });
  return (steps: number) => model.fit(x, y, { batchSize: 16, epochs: steps / 50, verbose: 0 });
}

async function byHand() {
  const a = tensor([[1], [2], [3], [4]]);
  const b = tensor([[3], [5], [7], [9]]);
  const gradient = valueAndGrad(({ w }: { w: typeof a }) => ops.mean(ops.square(ops.subtract(ops.matmul(a, w), b))));
  let parameters = { w: tensor([[0]]) };
  return async (steps: number) => {
    for (let i = 0; i < steps; i++) {
      parameters = { w: parameters.w.sub(gradient(parameters).grad.w.mul(0.01 + i / 1e6)) };
      if (i % 200 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  };
}

const report: Record<string, unknown> = {};
for (const [name, make] of Object.entries({ fit: viaFit, byHand })) {
  const run = await make();
  await run(2000);
  // The engine enlarges its young generation by 16 MB at a time, at some moment of its own; what leaks grows every time.
  const states = [await memory()];
  for (let i = 0; i < 2; i++) {
    await run(8000);
    states.push(await memory());
  }
  const grown = (of: (m: (typeof states)[number]) => number) =>
    Math.min(of(states[1]) - of(states[0]), of(states[2]) - of(states[1]));
  report[name] = { arena: grown((m) => m.arena), heap: grown((m) => m.heapUsed), resident: grown((m) => m.rss) };
}
console.log(JSON.stringify(report));
