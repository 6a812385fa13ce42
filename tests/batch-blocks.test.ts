/** Blocks of a batch (convolution and pooling, attention): what forms one, and the same results on every target. */
import { afterAll, describe, expect, test } from "vitest";
import { gradients } from "../packages/core/src/autodiff/gradients.ts";
import { formBlocks } from "../packages/core/src/compiler/batch-blocks.ts";
import { simplify } from "../packages/core/src/compiler/simplify.ts";
import { topological, type Value } from "../packages/core/src/graph/node.ts";
import { conv } from "../packages/core/src/graph/ops/conv.ts";
import * as ops from "../packages/core/src/graph/ops/index.ts";
import { maxPool } from "../packages/core/src/graph/ops/pool.ts";
import { uniform } from "../packages/core/src/graph/ops/sample.ts";
import type { RefArray } from "../packages/core/src/graph/reference/array.ts";
import { evaluate } from "../packages/core/src/graph/reference/evaluate.ts";
import { sizeOf } from "../packages/core/src/graph/types.ts";
import type { Device } from "../packages/core/src/targets/device.ts";
import { createInterpreterDevice } from "../packages/core/src/targets/interpreter/device.ts";
import { createWasmDevice } from "../packages/core/src/targets/wasm/device.ts";
import { dotProductAttention } from "../packages/core/src/tensor/ops/index.ts";
import { Tensor } from "../packages/core/src/tensor/tensor.ts";
import { openNative } from "../packages/layerwise/src/native/testing.ts";
import { firstMismatch } from "./ops/compare.ts";
import { runOn } from "./ops/targets.ts";

const pooling = { window: [2, 2], strides: [2, 2], padLow: [0, 0], padHigh: [0, 0] };

interface Layer {
  readonly filters: number;
  readonly pad: number;
}
interface Net {
  readonly inputs: Value[];
  readonly feed: Map<Value, RefArray>;
  /** The pooled result, and gradients of all kernels and biases. */
  readonly outputs: Value[];
}

/** convolution 3×3 → bias → relu → pooling 2×2, layer upon layer, and the gradients of the sum of weighted results. */
function network(shape: readonly number[], layers: readonly Layer[]): Net {
  const inputs: Value[] = [];
  const feed = new Map<Value, RefArray>();
  const input = (size: readonly number[], low: number, high: number): Value => {
    const v = ops.inputValue(`x${inputs.length}`, { shape: size, dtype: "f32" });
    inputs.push(v);
    feed.set(v, { shape: size, data: Float64Array.from(uniform(sizeOf(size), low, high, inputs.length)) });
    return v;
  };
  let y = input(shape, -1, 1);
  const weights: Value[] = [];
  for (const { filters, pad } of layers) {
    const [, h, w, channels] = y.shape;
    const kernel = input([3, 3, channels, filters], -0.5, 0.5);
    const bias = input([filters], -0.5, 0.5);
    weights.push(kernel, bias);
    const padding = [pad, pad];
    y = conv(y, kernel, {
      strides: [1, 1],
      dilation: [1, 1],
      padLow: padding,
      padHigh: padding,
      groups: 1,
      inputSpatial: [h, w],
      kernelSpatial: [3, 3],
    });
    y = maxPool(ops.relu(ops.add(y, bias)), pooling);
  }
  const grads = gradients([y], [input(y.shape, -1, 1)], weights) as Value[];
  return { inputs, feed, outputs: [y, ...grads] };
}

/**
 * softmax(q·kᵀ)·v with heads, [N, T, heads, D], and the gradients of q, k and v. `mask`: none, the earlier keys (the same
 * for all), or keys of each sequence.
 */
function attention(shape: readonly number[], mask: "none" | "causal" | "keys" = "causal"): Net {
  const inputs: Value[] = [];
  const feed = new Map<Value, RefArray>();
  const input = (size: readonly number[]): Value => {
    const v = ops.inputValue(`x${inputs.length}`, { shape: size, dtype: "f32" });
    inputs.push(v);
    feed.set(v, { shape: size, data: Float64Array.from(uniform(sizeOf(size), -1, 1, inputs.length)) });
    return v;
  };
  const [q, k, v] = [0, 1, 2].map(() => input(shape));
  const [n, t] = shape;
  const seen = mask === "keys" ? new Tensor(ops.greater(input([n, 1, 1, t]), ops.scalar(-0.5))) : null;
  const [query, key, value] = [q, k, v].map((x) => new Tensor(x));
  const y = dotProductAttention(query, key, value, null, seen, null, mask === "causal").value;
  const grads = gradients([y], [ops.mul(y, input(shape))], [q, k, v]) as Value[];
  return { inputs, feed, outputs: [y, ...grads] };
}

const blocksOf = (roots: readonly Value[]) => topological(roots).filter((n) => n.op.name === "batchBlocks");
const opsOf = (roots: readonly Value[]) =>
  topological(roots)
    .map((n) => n.op.name)
    .filter((n) => ["conv", "maxPool", "maxPoolGrad", "convKernelGrad", "convInputGrad", "dotGeneral"].includes(n));

const oneLayer = () => network([32, 18, 18, 3], [{ filters: 16, pad: 0 }]);

test("convolution and pooling form a block, and so do their gradients", () => {
  const formed = formBlocks(simplify(oneLayer().outputs));
  expect(blocksOf(formed)).toHaveLength(2);
  expect(opsOf(formed)).toEqual([]);
});

test("prediction forms a block without places", () => {
  const [y] = oneLayer().outputs;
  const [block] = blocksOf(formBlocks(simplify([y])));
  expect(block.types).toEqual([y.type]);
});

test("a tensor that is wanted for itself is no part of a block", () => {
  const { outputs } = oneLayer();
  const before = outputs[0].node.inputs[0];
  const formed = formBlocks(simplify([outputs[0], before]));
  expect(blocksOf(formed)).toHaveLength(0);
});

test("products around a softmax form a block, and so do those of their gradients", () => {
  const formed = formBlocks(simplify(attention([16, 64, 2, 8]).outputs));
  expect(blocksOf(formed)).toHaveLength(2);
  // That of the values too, which needs nothing but what the others read.
  expect(opsOf(formed)).toEqual([]);
});

test("a product of other factors, or one for a matrix unit, is no part of a block", () => {
  const batch = { batchA: [0], batchB: [0] };
  const [a, b, c, other, wide] = [8, 8, 8, 8, 256].map((width, i) =>
    ops.inputValue(`x${i}`, { shape: [16, 512, width], dtype: "f32" }),
  );
  const rows = (x: Value) => ops.slice(x, [0, 0, 0], [16, 128, 8]);
  const scores = ops.dotGeneral(rows(a), rows(b), { ...batch, contractA: [2], contractB: [2] });
  const y = ops.dotGeneral(ops.relu(scores), rows(c), { ...batch, contractA: [2], contractB: [1] });
  const read = ops.dotGeneral(rows(a), rows(c), { ...batch, contractA: [2], contractB: [2] });
  const unread = ops.dotGeneral(rows(a), rows(other), { ...batch, contractA: [2], contractB: [2] });
  expect(opsOf(formBlocks(simplify([y, read])))).toEqual([]);
  expect(opsOf(formBlocks(simplify([y, read, unread])))).toEqual(["dotGeneral"]);
  const large = ops.dotGeneral(wide, wide, { ...batch, contractA: [2], contractB: [2] });
  const together = ops.dotGeneral(ops.relu(scores), ops.slice(wide, [0, 0, 0], [16, 128, 256]), {
    ...batch,
    contractA: [2],
    contractB: [1],
  });
  expect(opsOf(formBlocks(simplify([together, large])))).toEqual(["dotGeneral"]);
});

test("factors are read where they lie, and a mask for all is not repeated", () => {
  const [block] = blocksOf(formBlocks(simplify([attention([16, 64, 2, 8]).outputs[0]])));
  expect(block.inputs.map((v) => v.shape)).toEqual(
    expect.arrayContaining([
      [16, 64, 2, 8],
      [64, 64],
    ]),
  );
  expect(block.inputs).toHaveLength(4);
});

test.each([
  ["few sequences", [8, 128, 2, 8]],
  ["short sequences", [16, 32, 2, 8]],
  ["long sequences", [16, 512, 1, 8]],
  ["products for a matrix unit", [16, 256, 1, 256]],
])("%s form none", (_, shape) => {
  expect(blocksOf(formBlocks(simplify(attention(shape).outputs)))).toHaveLength(0);
});

test("a product with weights is no part of a block", () => {
  const [a, b, w] = [
    [16, 128, 8],
    [16, 8, 128],
    [128, 128],
  ].map((shape, i) => ops.inputValue(`x${i}`, { shape, dtype: "f32" }));
  const scores = ops.dotGeneral(a, b, { batchA: [0], batchB: [0], contractA: [2], contractB: [1] });
  const y = ops.dotGeneral(ops.relu(scores), w, { batchA: [], batchB: [], contractA: [2], contractB: [0] });
  expect(blocksOf(formBlocks(simplify([y])))).toHaveLength(0);
});

test.each([
  ["few images", [8, 34, 34, 3]],
  ["small tensors", [16, 8, 8, 3]],
  ["large images", [16, 130, 130, 3]],
])("%s form none", (_, shape) => {
  expect(blocksOf(formBlocks(simplify(network(shape, [{ filters: 16, pad: 0 }]).outputs)))).toHaveLength(0);
});

const devices: Record<string, () => Device | null> = {
  "wasm, 1 thread": () => createWasmDevice({ threads: 1 }),
  "wasm, 3 threads": () => createWasmDevice({ threads: 3 }),
  native: () => openNative({ threads: 2 }),
  interpreter: () => createInterpreterDevice({ strict: false }),
};
const strictDevices: Record<string, () => Device | null> = {
  "strict wasm": () => createWasmDevice({ threads: 2, strict: true }),
  "strict native": () => openNative({ threads: 1, strict: true }),
  "strict interpreter": () => createInterpreterDevice({ strict: true }),
};
/** Graphs, and how many blocks they form. */
const nets: Record<string, [number, () => Net]> = {
  "three channels": [2, () => network([16, 25, 23, 3], [{ filters: 16, pad: 1 }])],
  "a prime number of images": [2, () => network([17, 20, 20, 1], [{ filters: 24, pad: 0 }])],
  "two layers, the second by Winograd's algorithm": [
    4,
    () =>
      network(
        [16, 36, 36, 2],
        [
          { filters: 8, pad: 1 },
          { filters: 32, pad: 1 },
        ],
      ),
  ],
  "attention to what came before": [2, () => attention([16, 64, 2, 8])],
  "attention with masked keys": [2, () => attention([17, 72, 2, 5], "keys")],
  "as many sequences as steps": [2, () => attention([32, 32, 4, 8])],
  "attention of several sequences at a time": [2, () => attention([48, 32, 3, 6], "none")],
};

for (const [name, [blocks, make]] of Object.entries(nets)) {
  describe(name, () => {
    const net = make();
    const expected = evaluate(net.outputs, net.feed);
    const open: Device[] = [];
    afterAll(() => {
      for (const d of open) (d as { close?: () => void }).close?.();
    });
    const run = (device: Device): Float64Array[] => {
      open.push(device);
      return runOn(device, net.inputs, net.feed, net.outputs);
    };
    test("forms blocks in both directions", () => {
      expect(blocksOf(formBlocks(simplify(net.outputs)))).toHaveLength(blocks);
    });
    for (const all of [devices, strictDevices]) {
      let bits: Float64Array[] | undefined;
      for (const [title, create] of Object.entries(all))
        test(title, () => {
          const device = create();
          if (!device) return;
          const actual = run(device);
          expect(firstMismatch(actual, expected)).toBeNull();
          bits ??= actual;
          expect(actual).toEqual(bits);
        });
    }
  });
}
