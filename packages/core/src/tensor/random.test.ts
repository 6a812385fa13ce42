/** Random numbers from keys: reproducible, independent of the order of use, with the right distributions. */
import { describe, expect, test } from "vitest";
import { hostFoldIn, hostSplit, hostUniform } from "../graph/random/threefry.ts";
import { configure } from "./config.ts";
import { jit } from "./functions.ts";
import * as random from "./random.ts";
import { Tensor, tensor } from "./tensor.ts";

configure({ seed: 0 });
const n = 20000;
const stats = (x: ArrayLike<number>) => {
  const list = Array.from(x);
  const mean = list.reduce((a, b) => a + b, 0) / list.length;
  return {
    mean,
    variance: list.reduce((a, b) => a + (b - mean) ** 2, 0) / list.length,
    min: Math.min(...list),
    max: Math.max(...list),
  };
};

describe("random", () => {
  test("keys: the same key gives the same numbers, split and foldIn others", () => {
    const k = random.key(7);
    expect(random.uniform(k, [5]).dataSync()).toEqual(random.uniform(random.key(7), [5]).dataSync());
    const [a, b] = random.split(k);
    expect(Array.from(a.dataSync())).toEqual(hostSplit([0, 7], 2)[0]);
    expect(Array.from(b.dataSync())).toEqual(hostSplit([0, 7], 2)[1]);
    expect(Array.from(random.foldIn(k, 3).dataSync())).toEqual(hostFoldIn([0, 7], 3));
    expect(random.uniform(a, [5]).dataSync()).not.toEqual(random.uniform(b, [5]).dataSync());
  });
  test("seeds beyond 32 bits use both words", () => {
    expect(Array.from(random.key(2 ** 33 + 5).dataSync())).toEqual([2, 5]);
    expect(() => random.key(-1)).toThrow(/E202/);
    expect(() => random.key(0.5)).toThrow(/E202/);
  });
  test("uniform agrees with the host's stream", () => {
    expect(random.uniform(random.key(3), [100]).dataSync()).toEqual(hostUniform([0, 3], 100));
  });
  test("distributions", () => {
    const k = random.key(11);
    const u = stats(random.uniform(k, [n], { min: -1, max: 3 }).dataSync());
    expect(u.mean).toBeCloseTo(1, 1);
    expect(u.variance).toBeCloseTo(16 / 12, 1);
    expect(u.min).toBeGreaterThanOrEqual(-1);
    expect(u.max).toBeLessThan(3);
    const z = stats(random.normal(k, [n], { mean: 2, stddev: 0.5 }).dataSync());
    expect(z.mean).toBeCloseTo(2, 1);
    expect(z.variance).toBeCloseTo(0.25, 1);
    const t = stats(random.truncatedNormal(k, [n]).dataSync());
    expect(Math.abs(t.mean)).toBeLessThan(0.03);
    expect(t.variance).toBeCloseTo(0.774, 1);
    expect(t.max).toBeLessThanOrEqual(2);
    expect(t.min).toBeGreaterThanOrEqual(-2);
    expect(stats(random.exponential(k, [n]).dataSync()).mean).toBeCloseTo(1, 1);
    expect(stats(random.gumbel(k, [n]).dataSync()).mean).toBeCloseTo(0.5772, 1);
    expect(stats(random.bernoulli(k, 0.3, [n]).dataSync()).mean).toBeCloseTo(0.3, 1);
  });
  test("randint covers its range and nothing else", () => {
    const seen = new Set(random.randint(random.key(1), [500], -3, 4).dataSync());
    expect([...seen].sort((a, b) => a - b)).toEqual([-3, -2, -1, 0, 1, 2, 3]);
    expect(() => random.randint(random.key(1), [2], 3, 3)).toThrow(/E202/);
  });
  test("categorical follows the logits", () => {
    const draws = random.categorical(random.key(5), [[Math.log(0.7), Math.log(0.3), -1e9]], n).dataSync();
    expect(stats(draws).mean).toBeCloseTo(0.3, 1);
    expect(stats(draws).max).toBe(1);
  });
  test("permutation and shuffle", () => {
    const p = Array.from(random.permutation(random.key(2), 50).dataSync());
    expect([...p].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(p).not.toEqual([...p].sort((a, b) => a - b));
    const x = tensor(
      Float32Array.from({ length: 12 }, (_, i) => i),
      [4, 3],
    );
    const rows = random.shuffle(random.key(2), x).arraySync() as number[][];
    expect(rows.map((r) => r[0] / 3).sort()).toEqual([0, 1, 2, 3]);
    for (const r of rows) expect(r[2] - r[0]).toBe(2);
  });
  test("dropout keeps the mean; keys work inside jit", () => {
    const f = jit((k: Tensor) => random.dropout(k, Tensor.of(1).add(random.uniform(k, [n]).mul(0)), 0.25));
    const y = f(random.key(9)).dataSync();
    expect(new Set(y).size).toBe(2);
    expect(stats(y).mean).toBeCloseTo(1, 1);
    expect(f(random.key(10)).dataSync()).not.toEqual(y);
    expect(f.programs).toBe(1);
  });
});
