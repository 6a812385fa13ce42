/** Threefry against the published vectors, and the distributions made of its bits. */
import { describe, expect, test } from "vitest";
import type { Value } from "../node.ts";
import { constantValue, random } from "../ops/index.ts";
import { evaluate } from "../reference/evaluate.ts";
import {
  type HostKey,
  hostFoldIn,
  hostNormal,
  hostRandomBits,
  hostSplit,
  hostUniform,
  streams,
  threefry2x32,
} from "./threefry.ts";

const key: HostKey = [0x12345678, 0x9abcdef0];
const keyValue: Value = constantValue(Uint32Array.from(key), { shape: [2], dtype: "u32" });
const numbers = (v: Value): number[] => Array.from(evaluate([v])[0].data);

// Known answers of Threefry-2x32 with 20 rounds from the Random123 distribution (kat_vectors): counter, key, result.
test.each([
  [
    [0, 0],
    [0, 0],
    [0x6b200159, 0x99ba4efe],
  ],
  [
    [0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    [0x1cb996fc, 0xbb002be7],
  ],
  [
    [0x243f6a88, 0x85a308d3],
    [0x13198a2e, 0x03707344],
    [0xc4923a9c, 0x483df7a0],
  ],
])("known answer for counter %j under key %j", ([c0, c1], [k0, k1], expected) => {
  expect(threefry2x32([k0, k1], c0, c1)).toEqual(expected);
});

describe("layout of the bits", () => {
  test("32 bits: sixteen first words, then sixteen second words", () => {
    const bits = hostRandomBits(key, 70, 32);
    for (const e of [0, 15, 16, 31, 32, 69]) {
      const counter = Math.floor(e / 32) * 16 + (e % 16);
      expect(bits[e]).toBe(threefry2x32(key, counter, streams.bits32)[(e >> 4) & 1]);
    }
  });
  test("16 bits: lower and upper halves of both words, signed", () => {
    const bits = hostRandomBits(key, 130, 16);
    for (const e of [0, 17, 33, 49, 64, 129]) {
      const word = threefry2x32(key, Math.floor(e / 64) * 16 + (e % 16), streams.bits16)[(e >> 5) & 1];
      expect(bits[e] & 0xffff).toBe((e >> 4) & 1 ? word >>> 16 : word & 0xffff);
    }
  });
  test("fewer elements are a prefix of more", () => {
    expect(hostRandomBits(key, 37, 32)).toEqual(hostRandomBits(key, 100, 32).slice(0, 37));
    expect(hostRandomBits(key, 37, 16)).toEqual(hostRandomBits(key, 100, 16).slice(0, 37));
  });
});

describe("host and graph agree", () => {
  test("foldIn and split", () => {
    const step = constantValue(Uint32Array.of(7), { shape: [], dtype: "u32" });
    expect(numbers(random.foldIn(keyValue, step))).toEqual(hostFoldIn(key, 7));
    expect(numbers(random.split(keyValue, 3))).toEqual(hostSplit(key, 3).flat());
  });
  test("uniform and normal", () => {
    expect(numbers(random.uniform(keyValue, [50]))).toEqual(Array.from(hostUniform(key, 50)));
    const normal = hostNormal(key, 50);
    numbers(random.normal(keyValue, [50])).forEach((x, i) => {
      expect(Math.abs(x - normal[i])).toBeLessThan(1e-6 * Math.max(1, Math.abs(x)));
    });
  });
});

describe("distributions", () => {
  const n = 40000;
  const mean = (x: ArrayLike<number>, f: (v: number) => number = (v) => v) =>
    Array.from(x, f).reduce((a, b) => a + b, 0) / x.length;
  // Bounds are five standard errors.
  test("uniform: mean and variance", () => {
    const x = hostUniform(key, n);
    expect(Math.abs(mean(x) - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / n));
    expect(Math.abs(mean(x, (v) => (v - 0.5) ** 2) - 1 / 12)).toBeLessThan(5 * Math.sqrt(1 / 180 / n));
    expect(Math.min(...x)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...x)).toBeLessThan(1);
  });
  test("normal: four moments", () => {
    const x = hostNormal(key, n);
    expect(Math.abs(mean(x))).toBeLessThan(5 / Math.sqrt(n));
    expect(Math.abs(mean(x, (v) => v ** 2) - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
    expect(Math.abs(mean(x, (v) => v ** 3))).toBeLessThan(5 * Math.sqrt(15 / n));
    expect(Math.abs(mean(x, (v) => v ** 4) - 3)).toBeLessThan(5 * Math.sqrt(96 / n));
  });
  test.each([0.5, 0.25, 0.9, 0.004])("bernoulli(%d)", (p) => {
    const share = mean(numbers(random.bernoulli(keyValue, p, [n])));
    expect(Math.abs(share - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / n));
  });
  test("bernoulli of certain events", () => {
    expect(mean(numbers(random.bernoulli(keyValue, 0, [10])))).toBe(0);
    expect(mean(numbers(random.bernoulli(keyValue, 1, [10])))).toBe(1);
  });
  test("a probability outside 0 … 1 is refused", () => {
    expect(() => random.bernoulli(keyValue, 1.5, [3])).toThrow(/p = 1.5/);
    expect(() => random.bernoulli(keyValue, Number.NaN, [3])).toThrow(/NaN/);
  });
  test("streams of one key differ", () => {
    const words = new Set([0, 1, 2, 3].map((stream) => threefry2x32(key, 0, stream)[0]));
    expect(words.size).toBe(4);
    const low = hostRandomBits(key, 16, 32);
    const half = hostRandomBits(key, 16, 16);
    expect(Array.from(low, (w) => (w << 16) >> 16)).not.toEqual(Array.from(half));
  });
});
