/** Loops over random bodies: values on the devices, gradients against finite differences, equal bits. */
import { expect, test } from "vitest";
import { gradients } from "../../packages/core/src/autodiff/gradients.ts";
import { evaluate } from "../../packages/core/src/graph/reference/evaluate.ts";
import { createInterpreterDevice } from "../../packages/core/src/targets/interpreter/device.ts";
import { createWasmDevice } from "../../packages/core/src/targets/wasm/device.ts";
import { buildSample, compareGradients, cotangents } from "./differences.ts";
import { randomScan } from "./random-scans.ts";
import { runOn } from "./targets.ts";

const interpreter = createInterpreterDevice({});
const wasm = createWasmDevice({ threads: 1 });

for (let seed = 1; seed <= 30; seed++) {
  test(`seed ${seed}`, () => {
    const { inputs, feed, outputs } = buildSample(randomScan(seed));
    expect(compareGradients(inputs, feed, outputs, cotangents(outputs), 5e-5, 4)).toBeNull();
    const grads = gradients(outputs, cotangents(outputs), inputs).filter((v) => v !== null);
    const values = [...outputs, ...grads];
    const [interpreted, compiled] = [interpreter, wasm].map((d) => runOn(d, inputs, feed, values));
    evaluate(values, feed).forEach(({ data }, i) => {
      expect(compiled[i]).toEqual(interpreted[i]);
      const largest = data.reduce((m, v) => Math.max(m, Math.abs(v)), 1);
      data.forEach((v, j) => {
        expect(Math.abs(compiled[i][j] - v)).toBeLessThanOrEqual(1e-4 * largest);
      });
    });
  });
}
