/** The op suite on the devices: every sample of every op, forward and gradient, against the float64 reference. */
import { afterAll, describe, expect, test } from "vitest";
import { gradients } from "../../packages/core/src/autodiff/gradients.ts";
import type { Value } from "../../packages/core/src/graph/node.ts";
import { catalog } from "../../packages/core/src/graph/ops/catalog.ts";
import type { Sample } from "../../packages/core/src/graph/ops/sample.ts";
import { evaluate } from "../../packages/core/src/graph/reference/evaluate.ts";
import { isFloat } from "../../packages/core/src/graph/types.ts";
import type { Device } from "../../packages/core/src/targets/device.ts";
import { createInterpreterDevice } from "../../packages/core/src/targets/interpreter/device.ts";
import { createWasmDevice } from "../../packages/core/src/targets/wasm/device.ts";
import { type Allowed, mismatch, withinUlps } from "./compare.ts";
import { type Built, buildSample, cotangents } from "./differences.ts";
import { randomGraph } from "./random-graphs.ts";
import { runOn } from "./targets.ts";

const devices: Record<string, Device> = {
  interpreter: createInterpreterDevice({ strict: false }),
  wasm: createWasmDevice({ threads: 1 }),
};

/** Sums: 1e-6·√K·max(1, Σ|terms|). Everything else: units in the last place. */
function allowance(sample: Sample, { inputs, feed }: Built): Allowed {
  if (!sample.sum) return withinUlps(sample.ulps ?? 5);
  const { terms, magnitude } = sample.sum;
  const [sizes] = evaluate([magnitude(...inputs)], feed);
  return (_, i) => 1e-6 * Math.sqrt(Math.max(1, terms)) * Math.max(1, sizes.data[i]);
}

/** For compositions (gradients, random graphs): 1e-4 of the largest element of the tensor. */
function relative(expected: Float64Array): Allowed {
  const largest = expected.reduce((m, v) => (Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m), 1);
  return () => 1e-4 * largest;
}

/** Runs a sample's outputs, then its gradients, and compares both with the reference. */
function check(device: Device, sample: Sample, allowed: (built: Built) => Allowed | null, together = false): void {
  const built = buildSample(sample);
  const { inputs, feed, outputs } = built;
  const compare = (values: readonly Value[], what: string, by: Allowed | null): void => {
    const expected = evaluate(values, feed);
    runOn(device, inputs, feed, values).forEach((actual, i) => {
      const { data } = expected[i];
      expect(mismatch(actual, data, values[i].dtype, by ?? relative(data)), `${what} ${i}`).toBeNull();
    });
  };
  compare(outputs, "output", allowed(built));
  if (!sample.gradient) return;
  const targets = inputs.filter((v) => isFloat(v.dtype));
  const grads = gradients(outputs, cotangents(outputs), targets).filter((g) => g !== null);
  if (grads.length > 0) compare(grads, "gradient", null);
  // One program for both shares values between them.
  if (together && grads.length > 0) compare([...outputs, ...grads], "result", null);
}

for (const [name, device] of Object.entries(devices)) {
  describe(name, () => {
    afterAll(() => (device as { close?: () => void }).close?.());
    for (const { record, samples } of catalog()) {
      describe(record.name, () => {
        for (const sample of samples?.() ?? [])
          test(sample.name, () => check(device, sample, (b) => allowance(sample, b)));
      });
    }
    describe("random graphs", () => {
      // 911 made an epilogue read a row value that a view had made a result of its own.
      for (const seed of [...Array.from({ length: 60 }, (_, i) => i + 1), 911]) {
        test(`seed ${seed}`, () => check(device, randomGraph(seed), () => null, true));
      }
    });
  });
}
