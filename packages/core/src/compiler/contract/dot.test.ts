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

/** Zeros in the factor, or results that do not count, are where a triangle says; only counted results are compared. */
function checkTriangle(spec: DotSpec): void {
  const { m, n, k } = spec;
  const [first, second] = spec.triangle!;
  const [a, b, bias] = [numbers(spec.a.size, 1), numbers(spec.b.size, 2), numbers(n, 3)];
  const other = numbers(2 * m * n, 4);
  let terms = 0;
  for (let i = 0; i < m; i++)
    for (let j = 0; j < n; j++)
      for (let l = 0; l < k; l++) {
        const at = { m: i, n: j, k: l };
        if (at[first] <= at[second]) terms++;
        else if (first !== "n" && second !== "n")
          for (let c = 0; c < 2; c++) a[spec.a.offset + c * m * k + i * spec.a.m + l * spec.a.k] = 0;
        else if (first !== "m" && second !== "m")
          for (let c = 0; c < 2; c++) b[spec.b.offset + c * k * n + l * spec.b.k + j * spec.b.n] = 0;
      }
  const expected = withEpilogue(expectedDot(spec, a, b), bias, other);
  const counted = Float32Array.from(expected.value, (_, i) => {
    const at = { m: Math.floor(i / n) % m, n: i % n, k: 0 };
    return first === "k" || second === "k" || at[first] <= at[second] ? 1 : 0;
  });
  const devices = [...narrow, ...wasm, ...vectors];
  const results = devices.map(({ device, profile }) => {
    const lowered = lowerDot(spec, profile, biasAddRelu(2 * m, n));
    expect(lowered.steps[0].kernel.flops).toBe(4 * terms);
    const result = runOn(device, lowered, [a, b, bias, other], 2 * m * n);
    expect(result.every(Number.isFinite)).toBe(true);
    return result.map((x, i) => (counted[i] ? x : expected.value[i]));
  });
  expect(worst(results[0], expected)).toBeLessThanOrEqual(1);
  for (const other of results) expect(sameBits(other, results[0])).toBe(true);
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
  // A: in one block, by parts, in blocks of parts; B: in blocks, also by parts, and beside an A in place. No multiples of
  // tiles and tasks.
  const packFrom = { elements: 0, length: 256 };
  for (const [form, m, n, k] of [
    ["TN", 30, 300, 256],
    ["TT", 40, 290, 512],
    ["TN", 150, 160, 1024],
    ["TN", 300, 30, 256],
    ["TT", 290, 40, 512],
    ["TN", 110, 100, 1024],
    ["NN", 300, 300, 96],
    ["NT", 290, 70, 640],
    ["NN", 263, 40, 1024],
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
  // Every pair of axes, wide and tall, with blocks of k and with the sums of parts.
  for (const form of ["NN", "TN", "NT", "TT"] as const)
    for (const [m, n, k] of [
      [37, 48, 41],
      [70, 33, 130],
      ...(form === "TN"
        ? [
            [64, 64, 700],
            [270, 20, 280],
          ]
        : []),
    ])
      it(`${form} ${m}×${k}·${k}×${n}, triangles of terms`, { timeout: 60_000 }, () => {
        const whole = dotSpec(form, [2], m, n, k);
        for (const first of ["m", "n", "k"] as const)
          for (const second of ["m", "n", "k"] as const)
            if (first !== second) checkTriangle({ ...whole, triangle: [first, second] });
      });
  it("terms that do not count are left out", () => {
    const spec = dotSpec("NN", [], 128, 64, 128);
    const [a, b] = [new Float32Array(spec.a.size).fill(1), new Float32Array(spec.b.size).fill(1)];
    for (const { device, profile } of [...narrow, ...wasm, ...vectors]) {
      const run = (triangle: DotSpec["triangle"], right: Float32Array) =>
        runOn(device, lowerDot({ ...spec, triangle: triangle! }, profile, null), [a, right], 128 * 64);
      // Results without any term, far from the diagonal.
      expect(run(["n", "m"], b)[63]).toBe(0);
      expect(run(["m", "n"], b)[127 * 64]).toBe(0);
      // What the last row of B holds, only the last rows of A ask for; what the first holds, the first.
      expect(run(["k", "m"], b.slice().fill(Number.NaN, 5 + 127 * 64))[0]).toBeGreaterThan(0);
      expect(run(["m", "k"], b.slice().fill(Number.NaN, 5, 5 + 64))[127 * 64]).toBeGreaterThan(0);
    }
  });
  it("profiles with wide packing ask for what a large epilogue reads, in one block of k and in the last of several", () => {
    const asks = ({ steps }: Lowered) => JSON.stringify(steps.at(-1)!.kernel.body).includes('"prefetch"');
    for (const k of [4, 700]) {
      const spec = dotSpec("NN", [], 520, 257, k);
      expect(check(spec, true).map(asks)).toEqual(narrow.map(() => true));
      expect(wasm.map(({ profile }) => asks(lowerDot(spec, profile, biasAddRelu(520, 257))))).toEqual(
        wasm.map(() => false),
      );
    }
    expect(check(dotSpec("NN", [], 52, 257, 4), true).some(asks)).toBe(false);
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
