/** Causal attention: which terms its products leave out, and that results are those of a mask nobody knows anything about. */
import { afterAll, describe, expect, test } from "vitest";
import { gradients } from "../packages/core/src/autodiff/gradients.ts";
import { simplify } from "../packages/core/src/compiler/simplify.ts";
import { topological, type Value } from "../packages/core/src/graph/node.ts";
import { type DotAttrs, dotGeneralOp } from "../packages/core/src/graph/ops/contract.ts";
import * as ops from "../packages/core/src/graph/ops/index.ts";
import { uniform } from "../packages/core/src/graph/ops/sample.ts";
import type { RefArray } from "../packages/core/src/graph/reference/array.ts";
import { evaluate } from "../packages/core/src/graph/reference/evaluate.ts";
import { sizeOf } from "../packages/core/src/graph/types.ts";
import { layers, type Tensor as PublicTensor } from "../packages/core/src/index.ts";
import type { Device } from "../packages/core/src/targets/device.ts";
import { createInterpreterDevice } from "../packages/core/src/targets/interpreter/device.ts";
import { createWasmDevice } from "../packages/core/src/targets/wasm/device.ts";
import { attentionOfHeads } from "../packages/core/src/tensor/ops/index.ts";
import { Tensor } from "../packages/core/src/tensor/tensor.ts";
import { openNative } from "../packages/layerwise/src/native/testing.ts";
import { firstMismatch } from "./ops/compare.ts";
import { runOn } from "./ops/targets.ts";

/** Triangles of the products that results are made of, those of gradients after those of the results. */
const triangles = (results: readonly Value[]) =>
  topological(simplify(results))
    .filter((n) => n.op === dotGeneralOp)
    .map((n) => (n.attrs as DotAttrs).triangle?.join("≤") ?? "all");
/** q·kᵀ, p·v, dP = dO·vᵀ, dQ = dS·k, dK = dSᵀ·q, dV = pᵀ·dO. */
const causal = ["n≤m", "k≤m", "n≤m", "k≤m", "m≤k", "m≤k"];
const all = causal.map(() => "all");

const input = (name: string, shape: readonly number[], dtype: Value["dtype"] = "f32") =>
  ops.inputValue(name, { shape, dtype });
const withGradients = (y: Value, of: readonly Value[]): Value[] => [
  y,
  ...(gradients([y], [ops.mul(y, y)], of) as Value[]),
];

interface Sizes {
  readonly n: number;
  readonly t: number;
  readonly s: number;
  readonly heads: number;
  readonly groups: number;
  readonly width: number;
}
/** Attention of heads and its gradients; `mask` makes the arguments from the sizes, and further inputs. */
function attention(
  { n, t, s, heads, groups, width }: Sizes,
  mask: (input: (shape: readonly number[], dtype?: Value["dtype"]) => Value) => Parameters<typeof attentionOfHeads>[3],
  dtype: Value["dtype"] = "f32",
): { inputs: Value[]; results: Value[] } {
  const inputs: Value[] = [];
  const fresh = (shape: readonly number[], type = dtype): Value => {
    const v = input(`x${inputs.length}`, shape, type);
    inputs.push(v);
    return v;
  };
  const q = fresh([n, heads, t, width]);
  const [k, v] = [0, 1].map(() => fresh([n, heads / groups, s, width]));
  const y = attentionOfHeads(new Tensor(q), new Tensor(k), new Tensor(v), mask(fresh)).value;
  return { inputs, results: withGradients(y, [q, k, v]) };
}
const isCausal = () => ({ isCausal: true });
const sizes: Sizes = { n: 2, t: 8, s: 8, heads: 2, groups: 1, width: 4 };

describe("products that leave terms out", () => {
  test("a causal mask alone", () => {
    expect(triangles(attention(sizes, isCausal).results)).toEqual(causal);
  });
  test("keys of another length, and heads that share keys", () => {
    expect(triangles(attention({ ...sizes, s: 5 }, isCausal).results)).toEqual(causal);
    expect(triangles(attention({ ...sizes, t: 5, groups: 2 }, isCausal).results)).toEqual(causal);
  });
  test("half precision", () => {
    expect(triangles(attention(sizes, isCausal, "f16").results)).toEqual(causal);
    expect(triangles(attention(sizes, isCausal, "bf16").results)).toEqual(causal);
  });
  test("beside keys that are masked: what the causal mask hides is not computed, but no weight counts as zero", () => {
    const { results } = attention(sizes, (fresh) => ({
      isCausal: true,
      mask: new Tensor(fresh([2, 1, 1, 8], "bool")),
    }));
    // Of scores that all are masked the mean of all values, later ones too, is taken.
    expect(triangles(results)).toEqual(["n≤m", "all", "all", "k≤m", "m≤k", "all"]);
  });
  test("beside a bias, which may be a mask", () => {
    const { results } = attention(sizes, (fresh) => ({ isCausal: true, bias: new Tensor(fresh([2, 1, 8, 8])) }));
    expect(triangles(results)).toEqual(["n≤m", "all", "all", "k≤m", "m≤k", "all"]);
  });
  test("other masks leave nothing out", () => {
    const mask = (make: (row: Value, column: Value) => Value) =>
      attention(sizes, () => ({ mask: new Tensor(make(ops.iota([8, 8], 0), ops.iota([8, 8], 1))) })).results;
    expect(triangles(mask((row, column) => ops.greaterEqual(ops.add(row, ops.scalar(2, "i32")), column)))).toEqual(all);
    expect(triangles(mask((row, column) => ops.less(ops.sub(row, column), ops.scalar(3, "i32"))))).toEqual(all);
    expect(triangles(mask((row) => ops.greaterEqual(row, row)))).toEqual(all);
    expect(triangles(attention(sizes, () => ({})).results)).toEqual(all);
    // The same as isCausal says.
    expect(triangles(mask((row, column) => ops.greaterEqual(row, column)))).toEqual(causal);
  });
  test("a softmax over the queries may have nothing left for a key", () => {
    const [q, k, v] = ["q", "k", "v"].map((name) => input(name, [3, 8, 4]));
    const batch = { batchA: [0], batchB: [0] };
    const scores = ops.dotGeneral(q, k, { ...batch, contractA: [2], contractB: [2] });
    const seen = ops.greaterEqual(ops.iota([8, 8], 0), ops.iota([8, 8], 1));
    const lowered = ops.select(seen, scores, ops.scalar(-1e30));
    const e = ops.exp(ops.sub(lowered, ops.broadcastTo(ops.reshape(ops.reduceMax(lowered, 1), [3, 1, 8]), [3, 8, 8])));
    const y = ops.dotGeneral(e, v, { ...batch, contractA: [2], contractB: [1] });
    expect(triangles([y])).toEqual(["n≤m", "all"]);
  });
  test("somebody else looks at the scores", () => {
    const { results } = attention(sizes, isCausal);
    const scores = topological(results).find((n) => n.op === dotGeneralOp)!.outputs[0];
    expect(triangles([results[0], ops.reduceSum(scores, 3)])).toEqual(["all", "k≤m"]);
  });
  test.each<[string, () => Value, string?]>([
    ["attention", () => layerOf(layers.attention())],
    ["a scaled one", () => layerOf(layers.attention({ useScale: true }))],
    ["heads", () => layerOf(layers.multiHeadAttention(2, 4))],
    ["heads with dropout", () => layerOf(layers.multiHeadAttention(2, 4, { dropout: 0.5 }), { training: true }), "m≤n"],
    ["groups of heads", () => layerOf(layers.groupQueryAttention(2, 4, 2))],
  ])("layers: %s", (_, make, scores = "n≤m") => {
    expect(triangles([make()]).filter((x) => x !== "all")).toEqual([scores, "k≤m"]);
  });
});

type Applied = { apply(inputs: unknown, options: object): unknown };
function layerOf(layer: unknown, options: object = {}): Value {
  const x = new Tensor(input("x", [2, 8, 8]));
  return ((layer as Applied).apply([x, x], { useCausalMask: true, ...options }) as PublicTensor).value;
}

const devices: Record<string, () => Device | null> = {
  wasm: () => createWasmDevice({ threads: 2 }),
  native: () => openNative({ threads: 2, matrixUnit: false }),
  interpreter: () => createInterpreterDevice({ strict: false }),
};

/** No multiples of anything, among them some that form blocks of sequences. */
const cases: Record<string, Sizes & { keys?: boolean }> = {
  "37 steps": { ...sizes, t: 37, s: 37, width: 7 },
  "a step": { ...sizes, t: 1, s: 1 },
  "more keys than queries": { ...sizes, t: 19, s: 45, width: 5 },
  "more queries than keys": { ...sizes, t: 83, s: 21, width: 12 },
  "heads that share keys": { ...sizes, t: 33, s: 33, heads: 6, groups: 3 },
  "blocks of sequences": { n: 17, t: 70, s: 70, heads: 2, groups: 1, width: 9 },
  "masked keys": { ...sizes, n: 3, t: 29, s: 29, keys: true },
};
describe.each(Object.entries(cases))("%s", (_, { keys = false, ...size }) => {
  const open: Device[] = [];
  afterAll(() => {
    for (const d of open) (d as { close?: () => void }).close?.();
  });
  const { n, t, s } = size;
  // The first keys of one sequence are masked: its first queries see nothing.
  const ofKeys = Float64Array.from({ length: n * s }, (_, i) => (keys && i < 3 ? 0 : 1));
  const feedOf = (inputs: readonly Value[]): Map<Value, RefArray> =>
    new Map(
      inputs.map((v, i) => {
        const causal = (at: number) => (Math.floor(at / s) % t >= at % s ? 1 : 0);
        const random = () => Float64Array.from(uniform(sizeOf(v.shape), -2, 2, i));
        const bools = () =>
          v.shape.at(-2) === 1 ? ofKeys : Float64Array.from({ length: t * s }, (_, at) => causal(at));
        return [v, { shape: v.shape, data: v.dtype === "bool" ? bools() : random() }];
      }),
    );
  const known = attention(size, (fresh) => ({
    isCausal: true,
    ...(keys ? { mask: new Tensor(fresh([n, 1, 1, s], "bool")) } : {}),
  }));
  /** The same with a mask that is data. */
  const unknown = attention(size, (fresh) => {
    const ofKey = keys ? fresh([n, 1, 1, s], "bool") : null;
    const seen = fresh([t, s], "bool");
    return { mask: new Tensor(ofKey ? ops.logicalAnd(ofKey, seen) : seen) };
  });
  const expected = evaluate(known.results, feedOf(known.inputs));
  let bits: Float64Array[] | undefined;
  test.each(Object.entries(devices))("%s", (_, create) => {
    const device = create();
    if (!device) return;
    open.push(device);
    const actual = runOn(device, known.inputs, feedOf(known.inputs), known.results);
    expect(firstMismatch(actual, expected)).toBeNull();
    // Equal numbers; zeros may differ in their sign.
    const positive = (results: Float64Array[]) => results.map((r) => r.map((x) => x + 0));
    const plain = runOn(device, unknown.inputs, feedOf(unknown.inputs), unknown.results);
    expect(positive(actual)).toEqual(positive(plain));
    bits ??= actual;
    expect(actual).toEqual(bits);
  });
});
