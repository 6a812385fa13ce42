/** The profiler on the native target. */
import { configure, layers, sequential, tensor } from "@layerwise/core";
import { afterEach, expect, test, vi } from "vitest";
import { installNative } from "./index.ts";
import { nativeMissing } from "./testing.ts";

afterEach(() => {
  vi.restoreAllMocks();
  configure({ device: "auto" });
});

test.skipIf(nativeMissing !== null)("kernels are timed in C, and the same model comes out", async () => {
  installNative();
  const lines: string[] = [];
  vi.spyOn(console, "log").mockImplementation((line: string) => void lines.push(line));
  const x = tensor(
    Float32Array.from({ length: 192 * 20 }, (_, i) => Math.sin(i)),
    [192, 20],
  );
  const y = tensor(
    Int32Array.from({ length: 192 }, (_, i) => i % 3),
    [192],
    "i32",
  );
  const train = async (profile: boolean) => {
    configure({ seed: 5, device: "native" });
    const model = sequential([
      layers.dense(30, { activation: "relu", inputShape: [20], name: "hidden" }),
      layers.dense(3, { activation: "softmax" }),
    ]);
    model.compile({ optimizer: "adam", loss: "sparseCategoricalCrossentropy" });
    await model.fit(x, y, { batchSize: 8, verbose: 0, profile });
    return model.getWeights().map((w) => Array.from(w.dataSync()));
  };
  const plain = await train(false);
  expect(lines).toEqual([]);
  expect(await train(true)).toEqual(plain);
  expect(lines.join("\n")).toMatch(/train 8 on native: [\d.]+ ms in kernels on one thread/);
  // The clock resolves nanoseconds: no kernel takes no time.
  expect(lines.join("\n")).toMatch(/hidden +dot_8x30x20 +[1-9]/);
});
