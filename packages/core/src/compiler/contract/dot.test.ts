/** Matrix products against float64, with equal bits for every vector width and on WebAssembly. */
import { afterAll, describe, expect, it } from "vitest";
import { nativeMissing, openNative } from "../../../../layerwise/src/native/testing.ts";
import type { DotSpec, Epilogue, Lowered } from "../lowered.ts";
import { lowerDot } from "./dot.ts";
import {
  biasAddRelu,
  dotSpec,
  expectedDot,
  interpreters,
  numbers,
  runOn,
  sameBits,
  wasmDevices,
  withEpilogue,
  worst,
} from "./test-support.ts";

const narrow = interpreters();
const wasm = wasmDevices();
const native = openNative({ threads: 2, threadsFrom: 0 });
afterAll(() => native?.close());
/** The native device without its matrix unit, which sums in another order. */
const vectors = (() => {
  if (!native) return [];
  const { matrix: _, ...profile } = native.profile;
  return [{ device: native, profile }];
})();

/** `packFrom` as for `lowerDot`; returns what was lowered for each width of the vectors. */
function check(spec: DotSpec, fused: boolean, packFrom?: { elements: number; length: number }): Lowered[] {
  const rows = spec.batch.reduce((p, x) => p * x, 1) * spec.m;
  const a = numbers(spec.a.size, 1);
  const b = numbers(spec.b.size, 2);
  const bias = numbers(spec.n, 3);
  const other = numbers(rows * spec.n, 4);
  const epilogue: Epilogue | null = fused ? biasAddRelu(rows, spec.n) : null;
  const plain = expectedDot(spec, a, b);
  const expected = fused ? withEpilogue(plain, bias, other) : plain;
  const inputs = fused ? [a, b, bias, other] : [a, b];
  const devices = [...narrow, ...wasm, ...(packFrom === undefined ? [] : vectors)];
  const lowered = devices.map(({ profile }) => lowerDot(spec, profile, epilogue, packFrom));
  const results = devices.map(({ device }, i) => runOn(device, lowered[i], inputs, rows * spec.n));
  expect(worst(results[0], expected)).toBeLessThanOrEqual(1);
  for (const other of results) expect(sameBits(other, results[0])).toBe(true);
  return lowered.slice(0, narrow.length);
}

describe("lowerDot", () => {
  const shapes = [
    [1, 1, 1],
    [1, 7, 5],
    [5, 1, 40],
    [6, 2, 33],
    [3, 3, 100],
    [2, 21, 50],
    [4, 8, 0],
    [17, 19, 23],
    [32, 10, 64],
    [37, 48, 1],
    [33, 65, 129],
    [1, 130, 70],
    [2, 260, 90],
    [130, 1, 17],
    [24, 40, 1030],
    [16, 16, 2048],
    [530, 17, 2],
  ];
  for (const form of ["NN", "TN", "NT", "TT"] as const)
    for (const [m, n, k] of shapes)
      it(`${form} ${m}×${k}·${k}×${n}`, () => {
        check(dotSpec(form, [], m, n, k), false);
        check(dotSpec(form, [], m, n, k), true);
      });
  it("batches", () => {
    check(dotSpec("NN", [2, 3], 9, 10, 40), true);
    check(dotSpec("NT", [3], 5, 17, 7), true);
    check(dotSpec("TN", [2], 30, 2, 50), true);
  });
  it("a batch over which b is broadcast", () => {
    check(dotSpec("NN", [4], 6, 16, 5, true), true);
    check(dotSpec("TT", [4], 6, 9, 5, true), true);
    check(dotSpec("NN", [3, 2], 1, 17, 40, true), true);
  });
  // A: in one block, by parts, in blocks of parts; B: in blocks, also by parts. No multiples of tiles and tasks.
  const packFrom = { elements: 0, length: 256 };
  for (const [form, m, n, k] of [
    ["TN", 30, 300, 256],
    ["TT", 40, 290, 512],
    ["TN", 150, 160, 1024],
    ["TN", 300, 30, 256],
    ["TT", 290, 40, 512],
    ["TN", 110, 100, 1024],
  ] as const)
    it(`${form} ${m}×${k}·${k}×${n}, a factor packed once for wide vectors, natively too${nativeMissing ? " (skipped)" : ""}`, {
      timeout: 60_000,
    }, () => {
      for (const fused of k > 512 ? [true] : [false, true]) {
        const packs = check(dotSpec(form, [], m, n, k), fused, packFrom).map((l) =>
          l.steps[0].kernel.name.endsWith("_pack"),
        );
        expect(packs).toEqual([false, true, true]);
      }
    });
  it("nothing to compute makes no kernels", () => {
    for (const { profile } of narrow) {
      expect(lowerDot(dotSpec("NN", [], 0, 4, 4), profile, null).steps).toEqual([]);
      expect(lowerDot(dotSpec("NN", [0], 4, 4, 4), profile, null).steps).toEqual([]);
    }
  });
  it("long sums over few results are split, and tasks keep their number whatever the tile", () => {
    const lowered = narrow.map(({ profile }) => lowerDot(dotSpec("TN", [], 64, 64, 16384), profile, null));
    for (const l of lowered) expect(l.steps.length).toBe(2);
    const parts = lowered.map((l) => l.temps[0].size);
    expect(new Set(parts).size).toBe(1);
  });
});
