/** Trains a small convolutional network with dropout and prints the bits of every batch's loss: run by tests/training.test.ts. */
import { Callback, configure, layers, sequential, tensor } from "@layerwise/core";

const { conv2d, dense, dropout, flatten, maxPooling2d, rescaling } = layers;
const [device = "wasm", threads = "1"] = process.argv.slice(2);
configure({ device, threads: Number(threads), seed: 5 });

const rows = 96;
const x = tensor(
  Uint8Array.from({ length: rows * 28 * 28 }, (_, i) => (i * 7919) % 251),
  [rows, 28, 28],
);
const y = tensor(
  Uint8Array.from({ length: rows }, (_, i) => i % 10),
  [rows],
);
const model = sequential([
  rescaling(1 / 255, { inputShape: [28, 28, 1] }),
  conv2d(32, 3, { activation: "relu" }),
  maxPooling2d(2),
  conv2d(32, 3, { activation: "relu" }),
  dropout(0.25),
  flatten(),
  dense(64, { activation: "relu" }),
  dense(10, { activation: "softmax" }),
]);
model.compile({ optimizer: "adam", loss: "sparseCategoricalCrossentropy", metrics: ["accuracy"] });

const bits: string[] = [];
class Bits extends Callback {
  override readonly batchLogs = true;
  override onTrainBatchEnd(_: number, logs: Record<string, number>): void {
    const [word] = new Uint32Array(Float32Array.of(logs["loss"]).buffer);
    bits.push(word.toString(16));
  }
}
await model.fit(x, y, { epochs: 3, batchSize: 32, verbose: 0, callbacks: [new Bits()] });
console.log(bits.join(" "));
