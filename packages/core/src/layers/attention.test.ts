import { describe, expect, it } from "vitest";
import { functional } from "../models/functional.ts";
import { layerFromConfig } from "../models/registry.ts";
import { installOracles } from "../oracles.ts";
import { configure } from "../tensor/config.ts";
import * as ops from "../tensor/ops/index.ts";
import { type Tensor, tensor, tensorFrom } from "../tensor/tensor.ts";
import * as l from "./index.ts";
import { maskOf, setMask } from "./mask.ts";
import { attentionEquations } from "./projected-attention.ts";

installOracles();
configure({ device: "reference", seed: 1 });

const wave = (shape: number[], phase = 0): Tensor => {
  const n = shape.reduce((a, b) => a * b, 1);
  return tensor(
    Float32Array.from({ length: n }, (_, i) => Math.sin(1.7 * i + phase)),
    shape,
  );
};
const bools = (shape: number[], values: number[]): Tensor => tensorFrom(Uint8Array.from(values), shape, "bool");
const rows = (x: Tensor): number[][] => {
  const [n, d] = x.shape.slice(-2);
  const flat = [...x.dataSync()];
  return Array.from({ length: n }, (_, i) => flat.slice(i * d, (i + 1) * d));
};
function close(a: ArrayLike<number>, b: ArrayLike<number>, tolerance = 1e-5): void {
  expect(a.length).toBe(b.length);
  for (let i = 0; i < a.length; i++) expect(Math.abs(a[i] - b[i]), `element ${i}`).toBeLessThan(tolerance);
}

describe("masks of attention", () => {
  const query = wave([1, 2, 3]);
  const value = wave([1, 4, 3], 1);

  it("gives masked values no weight and masked queries zeros", () => {
    const layer = l.attention();
    const masked = layer.apply<Tensor>([
      setMask(query, bools([1, 2], [1, 0])),
      setMask(value, bools([1, 4], [1, 1, 0, 0])),
    ]);
    const short = l.attention().apply<Tensor>([ops.stopGradient(query), ops.slice(value, [0, 0, 0], [1, 2, 3])]);
    close(rows(masked)[0], rows(short)[0]);
    expect(rows(masked)[1]).toEqual([0, 0, 0]);
    expect(maskOf(masked)?.dataSync()).toEqual(Uint8Array.of(1, 0));
    setMask(query, null);
    setMask(value, null);
  });
  it("attention without any value to look at: the weights of the bare scores, as in Keras", () => {
    const none = bools([1, 4], [0, 0, 0, 0]);
    const bare = l.attention().apply<Tensor>([query, value]);
    const lowered = l.attention().apply<Tensor>([query, value], { mask: [null, none] });
    // In float32 the scores vanish beside 1e9: the mean of the values. In float64 they do not.
    const mean = value.mean(1).dataSync();
    const got = rows(lowered)[0];
    const off = (to: ArrayLike<number>) => Math.max(...got.map((x, i) => Math.abs(x - to[i])));
    expect(Math.min(off(mean), off(rows(bare)[0]))).toBeLessThan(1e-5);
  });
  it("multi-head attention without any key to look at: the mean of the values, or 0 where scores are returned", () => {
    const layer = l.multiHeadAttention(2, 3, { useBias: false });
    layer.buildFor([
      [null, 2, 3],
      [null, 4, 3],
    ]);
    const none = bools([1, 4], [0, 0, 0, 0]);
    const y = layer.apply<Tensor>([query, value], { valueMask: none });
    const mean = layer.apply<Tensor>([query, ops.broadcastTo(value.mean(1, true), [1, 4, 3])]);
    close(y.dataSync(), mean.dataSync());
    const [zero, scores] = layer.apply<[Tensor, Tensor]>([query, value], {
      valueMask: none,
      returnAttentionScores: true,
    });
    expect([...zero.dataSync()].every((v) => v === 0)).toBe(true);
    expect(scores.shape).toEqual([1, 2, 2, 4]);
    expect([...scores.dataSync()].every((v) => v === 0)).toBe(true);
  });
  it("both ways of computing agree, with causal, window and key masks together", () => {
    const x = wave([2, 5, 4]);
    const layer = l.multiHeadAttention(2, 3, { slidingWindow: 3 });
    layer.buildFor([null, 5, 4]);
    const options = { useCausalMask: true, valueMask: bools([2, 5], [1, 1, 0, 1, 1, 1, 0, 1, 1, 1]) };
    const plain = layer.apply<Tensor>([x, x], options);
    const [explicit, scores] = layer.apply<[Tensor, Tensor]>([x, x], { ...options, returnAttentionScores: true });
    close(plain.dataSync(), explicit.dataSync());
    const s = scores.dataSync();
    for (let i = 0; i < 5; i++)
      for (let j = 0; j < 5; j++) {
        const seen = j <= i && i - j < 3 && j !== 2;
        expect(s[i * 5 + j] > 0, `query ${i} and key ${j}`).toBe(seen);
      }
  });
  it("refuses what it cannot use, naming the layer", () => {
    expect(() => l.attention({ name: "look" }).apply(query)).toThrow(/E103: attention "look"[\s\S]*\[query, value\]/);
    expect(() => l.groupQueryAttention(2, 3, 2)).toThrow(/E202[\s\S]*3 query heads/);
    expect(() =>
      l.multiHeadAttention(1, 2).buildFor([
        [null, 2, 3],
        [null, 4, 3],
        [null, 5, 3],
      ]),
    ).toThrow(/E103[\s\S]*as many keys as values/);
  });
  it("names the axes of scores and outputs as Keras does", () => {
    expect(attentionEquations(4, [1])).toEqual({ product: "afcd,abcd->acbf", combine: "acbf,afcd->abcd", rank: 4 });
  });
});

describe("the cache of keys and values", () => {
  for (const [name, make] of Object.entries({
    multiHead: () => l.multiHeadAttention(2, 3, { useGate: true }),
    grouped: () => l.groupQueryAttention(3, 4, 2, { slidingWindow: 3 }),
  })) {
    it(`${name}: steps give what the whole sequence gives`, () => {
      const layer = make();
      const x = wave([2, 5, 4]);
      layer.buildFor([null, 5, 4]);
      const whole = layer.apply<Tensor>([x, x], { useCausalMask: true });
      let cache = layer.initialCache(2, 6);
      const parts: Tensor[] = [];
      // The prompt at once, then one by one.
      for (const [start, size] of [
        [0, 2],
        [2, 1],
        [3, 1],
        [4, 1],
      ]) {
        const [y, next] = layer.step(ops.slice(x, [0, start, 0], [2, size, 4]), cache, tensor([start], [], "i32"));
        parts.push(y);
        cache = next;
      }
      close(ops.concatenate(parts, 1).dataSync(), whole.dataSync());
    });
  }
});

describe("positions", () => {
  it("start where the caller says", () => {
    const x = wave([1, 2, 4]);
    const long = wave([1, 5, 4]);
    for (const layer of [l.positionEmbedding(5), l.sinePositionEncoding()]) {
      const all = rows(layer.apply<Tensor>(long));
      const fixed = rows(layer.apply<Tensor>(x, { startIndex: 3 }));
      const computed = rows(layer.apply<Tensor>(x, { startIndex: tensor([3], [], "i32") }));
      close(fixed.flat(), all.slice(3).flat());
      close(computed.flat(), all.slice(3).flat());
    }
    expect(() => l.positionEmbedding(4).apply(long)).toThrow(/E103[\s\S]*5 steps[\s\S]*at most 4/);
  });
  it("rotary products depend on the distance alone", () => {
    const layer = l.rotaryEmbedding();
    const q = ops.broadcastTo(wave([1, 1, 1, 6]), [1, 5, 1, 6]);
    const k = ops.broadcastTo(wave([1, 1, 1, 6], 2), [1, 5, 1, 6]);
    const [a, b] = [rows(layer.apply<Tensor>(q).reshape([5, 6])), rows(layer.apply<Tensor>(k).reshape([5, 6]))];
    const dot = (i: number, j: number) => a[i].reduce((s, v, d) => s + v * b[j][d], 0);
    expect(Math.abs(dot(3, 1) - dot(4, 2))).toBeLessThan(1e-5);
    expect(Math.abs(dot(3, 1) - dot(3, 2))).toBeGreaterThan(1e-3);
  });
});

describe("operations in a graph", () => {
  it("compute, and are saved as Keras saves them", () => {
    const a = l.input([4]);
    const b = l.input([4]);
    const sum = l.operation("add").apply([l.operation("multiply").apply([a, 2] as never), b]);
    const kept = l
      .operation("getItem")
      .apply([
        l.operation("stack", { axis: 1 }).apply([sum, b]),
        [{ start: null, stop: null, step: null }, -1, { start: 1, stop: null, step: 2 }],
      ] as never);
    const model = functional({ inputs: [a, b], outputs: [l.operation("mean", { axis: -1 }).apply(sum), kept] });
    const run = (m: { apply: typeof model.apply }) =>
      m.apply<Tensor[]>([tensor([[1, 2, 3, 4]]), tensor([[1, 1, 1, 5]])]).map((t) => [...t.dataSync()]);
    expect(run(model)).toEqual([[7], [1, 5]]);
    const saved = model.toConfig();
    expect(run(layerFromConfig(JSON.parse(JSON.stringify(saved))) as never)).toEqual(run(model));
    const nodes = JSON.stringify(saved);
    expect(nodes).toContain('"module":"keras.src.ops.numpy","class_name":"Multiply"');
    expect(() => l.operation("multipy")).toThrow(/E203[\s\S]*did you mean "multiply"/);
  });
});
