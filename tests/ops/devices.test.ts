/** The op suite on the devices: every sample of every op, forward and gradient, against the float64 reference and each other. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gradients } from "../../packages/core/src/autodiff/gradients.ts";
import type { Value } from "../../packages/core/src/graph/node.ts";
import { catalog } from "../../packages/core/src/graph/ops/catalog.ts";
import type { Sample } from "../../packages/core/src/graph/ops/sample.ts";
import { evaluate } from "../../packages/core/src/graph/reference/evaluate.ts";
import { isFloat } from "../../packages/core/src/graph/types.ts";
import type { Device } from "../../packages/core/src/targets/device.ts";
import { createInterpreterDevice } from "../../packages/core/src/targets/interpreter/device.ts";
import { createWasmDevice } from "../../packages/core/src/targets/wasm/device.ts";
import { nativeMissing, openNative } from "../../packages/layerwise/src/native/testing.ts";
import { type Allowed, mismatch, withinUlps } from "./compare.ts";
import { type Built, buildSample, cotangents } from "./differences.ts";
import { randomGraph } from "./random-graphs.ts";
import { compileFor, runOn } from "./targets.ts";

/** The interpreter first: the others are compared with its bits. */
const devices: Record<string, Device | null> = {
  interpreter: createInterpreterDevice({ strict: false }),
  wasm: createWasmDevice({ threads: 1 }),
  native: openNative({ threads: 1 }),
};
/** Without FMA all targets must give the same bits, whatever their vectors. */
const strictDevices: Record<string, Device | null> = {
  interpreter: createInterpreterDevice({ strict: true }),
  wasm: createWasmDevice({ threads: 1, strict: true }),
  native: openNative({ threads: 1, strict: true }),
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

interface Case {
  readonly name: string;
  readonly sample: Sample;
  readonly allowed: (built: Built) => Allowed | null;
  /** Outputs and gradients in one program as well. */
  readonly together: boolean;
}
// 911 made an epilogue read a row value that a view had made a result of its own.
const seeds = [...Array.from({ length: 60 }, (_, i) => i + 1), 911];
const cases: Case[] = [
  ...catalog().flatMap(({ record, samples }) =>
    (samples?.() ?? []).map((sample) => ({
      name: `${record.name}: ${sample.name}`,
      sample,
      allowed: (b: Built) => allowance(sample, b),
      together: false,
    })),
  ),
  ...seeds.map((seed) => ({ name: `seed ${seed}`, sample: randomGraph(seed), allowed: () => null, together: true })),
];

interface Program {
  readonly what: string;
  readonly values: readonly Value[];
  readonly allowed: Allowed | null;
}

/** The programs of a sample: its outputs, and their gradients. */
function programsOf({ sample, allowed, together }: Case, built: Built): Program[] {
  const { inputs, outputs } = built;
  const programs: Program[] = [{ what: "output", values: outputs, allowed: allowed(built) }];
  if (!sample.gradient) return programs;
  const targets = inputs.filter((v) => isFloat(v.dtype));
  const grads = gradients(outputs, cotangents(outputs), targets).filter((g) => g !== null);
  if (grads.length === 0) return programs;
  programs.push({ what: "gradient", values: grads, allowed: null });
  // One program for both shares values between them.
  if (together) programs.push({ what: "result", values: [...outputs, ...grads], allowed: null });
  return programs;
}

/** A compiler of its own process wants all programs at once. */
function precompile(device: Device | null): void {
  device?.precompile?.(
    cases.flatMap((c) => {
      const built = buildSample(c.sample);
      return programsOf(c, built).map((p) => compileFor(device, built.inputs, p.values).program);
    }),
  );
}

/** NaN equals NaN, and 0 differs from -0. */
function differentBits(actual: Float64Array, expected: Float64Array): string | null {
  const i = expected.findIndex((e, k) => !Object.is(actual[k], e));
  return i < 0 ? null : `element ${i}: ${actual[i]} instead of ${expected[i]}`;
}

const interpreted = new Map<string, Float64Array[]>();

for (const [name, device] of Object.entries(devices)) {
  const title = device ? name : `${name} (skipped: ${nativeMissing})`;
  describe.skipIf(!device)(title, () => {
    beforeAll(() => precompile(device), 600_000);
    afterAll(() => (device as { close?: () => void } | null)?.close?.());
    for (const c of cases) {
      test(c.name, () => {
        const built = buildSample(c.sample);
        for (const { what, values, allowed } of programsOf(c, built)) {
          const actual = runOn(device!, built.inputs, built.feed, values);
          evaluate(values, built.feed).forEach(({ data }, i) => {
            expect(mismatch(actual[i], data, values[i].dtype, allowed ?? relative(data)), `${what} ${i}`).toBeNull();
          });
          const key = `${c.name} ${what}`;
          if (name === "interpreter") interpreted.set(key, actual);
          interpreted.get(key)?.forEach((expected, i) => {
            expect(differentBits(actual[i], expected), `${what} ${i} and the interpreter's`).toBeNull();
          });
        }
      });
    }
  });
}

describe("strict: equal bits on every target", () => {
  beforeAll(() => precompile(strictDevices["native"]), 600_000);
  afterAll(() => {
    for (const d of Object.values(strictDevices)) (d as { close?: () => void } | null)?.close?.();
  });
  for (const c of cases) {
    test(c.name, () => {
      const built = buildSample(c.sample);
      for (const { what, values } of programsOf(c, built)) {
        const expected = runOn(strictDevices["interpreter"]!, built.inputs, built.feed, values);
        for (const name of ["wasm", "native"]) {
          const device = strictDevices[name];
          if (!device) continue;
          runOn(device, built.inputs, built.feed, values).forEach((actual, i) => {
            expect(differentBits(actual, expected[i]), `${what} ${i} on ${name}`).toBeNull();
          });
        }
      }
    });
  }
});
