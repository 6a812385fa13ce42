import { describe, expect, it } from "vitest";
import { functional } from "../models/functional.ts";
import { sequential } from "../models/sequential.ts";
import { installOracles } from "../oracles.ts";
import { configure } from "../tensor/config.ts";
import { type NestedNumbers, type Tensor, tensor } from "../tensor/tensor.ts";
import { checkLayer, type LayerCase } from "./check-layer.ts";
import * as l from "./index.ts";
import type { Layer } from "./layer.ts";

installOracles();

configure({ device: "reference", seed: 1 });

const pair = (a: readonly number[], b: readonly number[]) => [a, b];
type Options = { dtype?: string };
const cases: Record<string, [(o?: Options) => Layer, LayerCase]> = {
  dense: [(o) => l.dense(3, { ...o, activation: "tanh" }) as never, { input: [2, 4], output: [2, 3], trainable: 2 }],
  "dense without bias": [
    (o) => l.dense(3, { ...o, useBias: false }) as never,
    { input: [2, 5, 4], output: [2, 5, 3], trainable: 1 },
  ],
  simpleRnn: [(o) => l.simpleRnn(3, { ...o }) as never, { input: [2, 5, 4], output: [2, 3], trainable: 3 }],
  "simpleRnn backwards": [
    (o) => l.simpleRnn(3, { ...o, goBackwards: true, returnSequences: true, useBias: false }) as never,
    { input: [2, 5, 4], output: [2, 5, 3], trainable: 2 },
  ],
  lstm: [(o) => l.lstm(3, { ...o }) as never, { input: [2, 5, 4], output: [2, 3], trainable: 3 }],
  "lstm with dropout": [
    (o) => l.lstm(6, { ...o, returnSequences: true, dropout: 0.4, recurrentDropout: 0.3 }) as never,
    { input: [3, 5, 4], output: [3, 5, 6], trainable: 3, random: true },
  ],
  gru: [(o) => l.gru(3, { ...o }) as never, { input: [2, 5, 4], output: [2, 3], trainable: 3 }],
  "gru, reset before": [
    (o) => l.gru(3, { ...o, resetAfter: false, returnSequences: true }) as never,
    { input: [2, 5, 4], output: [2, 5, 3], trainable: 3 },
  ],
  "rnn over stacked cells": [
    (o) => l.rnn([l.lstmCell(3), l.gruCell(2)] as never, { ...o }) as never,
    { input: [2, 4, 3], output: [2, 2], trainable: 6 },
  ],
  bidirectional: [
    (o) => l.bidirectional(l.lstm(3, { ...o, returnSequences: true }) as never, { ...o }) as never,
    { input: [2, 4, 3], output: [2, 4, 6], trainable: 6 },
  ],
  timeDistributed: [
    (o) => l.timeDistributed(l.dense(3, { ...o }) as never, { ...o }) as never,
    { input: [2, 5, 4], output: [2, 5, 3], trainable: 2 },
  ],
  convLstm1d: [
    (o) => l.convLstm1d(2, 3, { ...o, padding: "same", returnSequences: true }) as never,
    { input: [2, 3, 5, 2], output: [2, 3, 5, 2], trainable: 3 },
  ],
  convLstm2d: [
    (o) => l.convLstm2d(2, 2, { ...o }) as never,
    { input: [1, 3, 4, 4, 2], output: [1, 3, 3, 2], trainable: 3 },
  ],
  convLstm3d: [
    (o) => l.convLstm3d(1, 2, { ...o }) as never,
    { input: [1, 2, 3, 3, 3, 1], output: [1, 2, 2, 2, 1], trainable: 3 },
  ],
  conv1d: [
    (o) => l.conv1d(3, 2, { ...o, padding: "causal" }) as never,
    { input: [2, 5, 2], output: [2, 5, 3], trainable: 2 },
  ],
  conv2d: [
    (o) => l.conv2d(3, 3, { ...o, strides: 2, padding: "same" }) as never,
    { input: [2, 5, 6, 2], output: [2, 3, 3, 3], trainable: 2 },
  ],
  "conv2d, channels first": [
    (o) => l.conv2d(4, [2, 3], { ...o, dataFormat: "channelsFirst", groups: 2 }) as never,
    { input: [2, 2, 5, 6], output: [2, 4, 4, 4], trainable: 2 },
  ],
  conv3d: [(o) => l.conv3d(2, 2, { ...o }) as never, { input: [1, 3, 3, 3, 2], output: [1, 2, 2, 2, 2], trainable: 2 }],
  conv2dTranspose: [
    (o) => l.conv2dTranspose(3, 3, { ...o, strides: 2, padding: "same" }) as never,
    { input: [1, 3, 3, 2], output: [1, 6, 6, 3], trainable: 2 },
  ],
  depthwiseConv2d: [
    (o) => l.depthwiseConv2d(2, { ...o, depthMultiplier: 2 }) as never,
    { input: [1, 4, 4, 3], output: [1, 3, 3, 6], trainable: 2 },
  ],
  separableConv2d: [
    (o) => l.separableConv2d(4, 2, { ...o }) as never,
    { input: [1, 4, 4, 3], output: [1, 3, 3, 4], trainable: 3 },
  ],
  maxPooling2d: [(o) => l.maxPooling2d(2, { ...o }) as never, { input: [1, 4, 5, 2], output: [1, 2, 2, 2] }],
  averagePooling2d: [
    (o) => l.averagePooling2d(2, { ...o, padding: "same" }) as never,
    { input: [1, 4, 5, 2], output: [1, 2, 3, 2] },
  ],
  globalMaxPooling2d: [(o) => l.globalMaxPooling2d({ ...o }) as never, { input: [2, 3, 4, 5], output: [2, 5] }],
  globalAveragePooling2d: [
    (o) => l.globalAveragePooling2d({ ...o, keepdims: true }) as never,
    { input: [2, 3, 4, 5], output: [2, 1, 1, 5] },
  ],
  flatten: [(o) => l.flatten({ ...o }) as never, { input: [2, 3, 4], output: [2, 12] }],
  reshape: [(o) => l.reshape([-1, 2], { ...o }) as never, { input: [2, 3, 4], output: [2, 6, 2] }],
  permute: [(o) => l.permute([2, 1], { ...o }) as never, { input: [2, 3, 4], output: [2, 4, 3] }],
  repeatVector: [(o) => l.repeatVector(3, { ...o }) as never, { input: [2, 4], output: [2, 3, 4] }],
  dropout: [(o) => l.dropout(0.5, { ...o }) as never, { input: [4, 16], output: [4, 16], random: true }],
  spatialDropout1d: [
    (o) => l.spatialDropout1d(0.5, { ...o }) as never,
    { input: [4, 3, 8], output: [4, 3, 8], random: true },
  ],
  gaussianNoise: [(o) => l.gaussianNoise(0.5, { ...o }) as never, { input: [4, 5], output: [4, 5], random: true }],
  gaussianDropout: [(o) => l.gaussianDropout(0.5, { ...o }) as never, { input: [4, 5], output: [4, 5], random: true }],
  alphaDropout: [(o) => l.alphaDropout(0.5, { ...o }) as never, { input: [4, 16], output: [4, 16], random: true }],
  activation: [(o) => l.activation("gelu", { ...o }) as never, { input: [2, 3], output: [2, 3] }],
  relu: [
    (o) => l.relu({ ...o, maxValue: 1, negativeSlope: 0.1, threshold: 0.2 }) as never,
    { input: [4, 3], output: [4, 3] },
  ],
  leakyRelu: [(o) => l.leakyRelu(0.2, { ...o }) as never, { input: [2, 3], output: [2, 3] }],
  elu: [(o) => l.elu(1, { ...o }) as never, { input: [2, 3], output: [2, 3] }],
  prelu: [(o) => l.prelu({ ...o, alphaInitializer: "ones" }) as never, { input: [4, 3], output: [4, 3], trainable: 1 }],
  softmax: [(o) => l.softmax(-1, { ...o }) as never, { input: [2, 4], output: [2, 4] }],
  batchNormalization: [
    (o) => l.batchNormalization({ ...o }) as never,
    { input: [6, 3], output: [6, 3], trainable: 2, frozen: 2 },
  ],
  layerNormalization: [
    (o) => l.layerNormalization({ ...o, betaInitializer: "ones" }) as never,
    { input: [2, 3, 4], output: [2, 3, 4], trainable: 2 },
  ],
  groupNormalization: [
    (o) => l.groupNormalization({ ...o, groups: 2, betaInitializer: "ones" }) as never,
    { input: [2, 3, 4], output: [2, 3, 4], trainable: 2 },
  ],
  rmsNormalization: [(o) => l.rmsNormalization({ ...o }) as never, { input: [2, 4], output: [2, 4], trainable: 1 }],
  rescaling: [(o) => l.rescaling(1 / 255, { ...o, offset: -1 }) as never, { input: [2, 4], output: [2, 4] }],
  zeroPadding2d: [
    (o) =>
      l.zeroPadding2d(
        [
          [1, 0],
          [0, 2],
        ],
        { ...o },
      ) as never,
    { input: [1, 2, 2, 3], output: [1, 3, 4, 3] },
  ],
  cropping2d: [(o) => l.cropping2d(1, { ...o }) as never, { input: [1, 4, 3, 2], output: [1, 2, 1, 2] }],
  upSampling2d: [
    (o) => l.upSampling2d(2, { ...o, interpolation: "bilinear" }) as never,
    { input: [1, 2, 3, 2], output: [1, 4, 6, 2] },
  ],
  embedding: [
    (o) => l.embedding(5, 3, { ...o }) as never,
    { input: [2, 4], output: [2, 4, 3], trainable: 1, dtype: "i32" },
  ],
  einsumDense: [
    (o) => l.einsumDense("abc,cde->abde", [null, 2, 3], { ...o, biasAxes: "de", activation: "tanh" }) as never,
    { input: [2, 5, 4], output: [2, 5, 2, 3], trainable: 2 },
  ],
  attention: [
    (o) => l.attention({ ...o, useScale: true }) as never,
    { input: pair([2, 3, 4], [2, 5, 4]), output: [2, 3, 4], trainable: 1 },
  ],
  additiveAttention: [
    (o) => l.additiveAttention({ ...o }) as never,
    { input: pair([2, 3, 4], [2, 5, 4]), output: [2, 3, 4], trainable: 1 },
  ],
  "attention with dropout": [
    (o) => l.attention({ ...o, dropout: 0.5 }) as never,
    { input: pair([2, 3, 4], [2, 5, 4]), output: [2, 3, 4], random: true },
  ],
  // The keys' bias shifts all scores of a query alike, so that its gradient is 0: no bias here.
  multiHeadAttention: [
    (o) => l.multiHeadAttention(2, 3, { ...o, useBias: false }) as never,
    { input: [2, 5, 4], output: [2, 5, 4], trainable: 4 },
  ],
  "multiHeadAttention with dropout, gate and a window": [
    (o) => l.multiHeadAttention(2, 3, { ...o, useBias: false, useGate: true, dropout: 0.5, slidingWindow: 2 }) as never,
    { input: [2, 5, 4], output: [2, 5, 4], trainable: 5, random: true },
  ],
  groupQueryAttention: [
    (o) => l.groupQueryAttention(2, 4, 2, { ...o, useBias: false }) as never,
    { input: pair([2, 3, 6], [2, 5, 6]), output: [2, 3, 6], trainable: 4 },
  ],
  spectralNormalization: [
    (o) => l.spectralNormalization(l.dense(3, { ...o }), { ...o }) as never,
    { input: [2, 4], output: [2, 3], trainable: 2, frozen: 1 },
  ],
  reversibleEmbedding: [
    (o) => l.reversibleEmbedding(5, 3, { ...o }) as never,
    { input: [2, 4], output: [2, 4, 3], trainable: 1, dtype: "i32" },
  ],
  positionEmbedding: [
    (o) => l.positionEmbedding(6, { ...o }) as never,
    { input: [2, 5, 4], output: [2, 5, 4], trainable: 1, differentiable: false },
  ],
  sinePositionEncoding: [
    (o) => l.sinePositionEncoding({ ...o }) as never,
    { input: [2, 5, 4], output: [2, 5, 4], differentiable: false },
  ],
  rotaryEmbedding: [(o) => l.rotaryEmbedding({ ...o }) as never, { input: [2, 5, 3, 4], output: [2, 5, 3, 4] }],
  adaptiveMaxPooling1d: [(o) => l.adaptiveMaxPooling1d(3, { ...o }) as never, { input: [2, 7, 2], output: [2, 3, 2] }],
  adaptiveAveragePooling2d: [
    (o) => l.adaptiveAveragePooling2d([2, 3], { ...o }) as never,
    { input: [2, 4, 7, 2], output: [2, 2, 3, 2] },
  ],
  add: [
    (o) => l.add({ ...o }) as never,
    {
      input: [
        [2, 3],
        [2, 3],
      ],
      output: [2, 3],
    },
  ],
  concatenate: [
    (o) => l.concatenate({ ...o }) as never,
    {
      input: [
        [2, 3],
        [2, 2],
      ],
      output: [2, 5],
    },
  ],
};

describe("every layer", () => {
  for (const [name, [make, c]] of Object.entries(cases)) it(name, () => checkLayer(make, c));
});

const array = (x: Tensor): NestedNumbers => x.arraySync();

describe("layers", () => {
  it("computes a dense layer", () => {
    const layer = l.dense(2, { activation: "relu" });
    layer.buildFor([null, 2]);
    layer.setWeights([
      [
        [1, -1],
        [2, -2],
      ],
      [0.5, 0.5],
    ]);
    expect(
      array(
        layer.apply([
          [1, 1],
          [0, 1],
        ]),
      ),
    ).toEqual([
      [3.5, 0],
      [2.5, 0],
    ]);
  });
  it("names layers as Keras does", () => {
    configure({ seed: 1 });
    expect([l.dense(1), l.dense(1), l.conv2d(1, 1), l.relu(), l.dense(1, { name: "mine" })].map((x) => x.name)).toEqual(
      ["dense", "dense_1", "conv2d", "re_lu", "mine"],
    );
  });
  it("refuses inputs that do not fit, naming layer and sizes", () => {
    const layer = l.dense(10, { name: "dense_2" });
    layer.buildFor([null, 128]);
    expect(() => layer.apply(tensor(new Float32Array(2 * 784), [2, 784]))).toThrow(
      /E103: dense "dense_2" got 784 features, but its weights are for 128[\s\S]*\[2, 784\]/,
    );
    expect(() => l.conv2d(3, 3).apply(tensor(new Float32Array(12), [3, 4]))).toThrow(/rank 2[\s\S]*rank 4/);
    expect(() => l.conv2d(3, 3).apply(tensor(new Float32Array(8), [1, 2, 2, 2]))).toThrow(/window does not fit/);
  });
  it("says when weights are not known yet", () => {
    expect(() => l.dense(3).getWeights()).toThrow(/E204[\s\S]*inputShape/);
  });
  it("keeps kept elements and their expectation in dropout", () => {
    const y = l
      .dropout(0.25, { seed: 3 })
      .apply(tensor(new Float32Array(10000).fill(1), [100, 100]), { training: true })
      .dataSync();
    const zeros = y.filter((v) => v === 0).length / y.length;
    expect(Math.abs(zeros - 0.25)).toBeLessThan(0.02);
    expect(y.every((v) => v === 0 || Math.abs(v - 1 / 0.75) < 1e-6)).toBe(true);
  });
  it("updates moving averages only in training, and only while trainable", () => {
    const layer = l.batchNormalization({ momentum: 0.5 });
    const x = tensor([
      [1, 2],
      [3, 6],
    ]);
    layer.apply(x).dataSync();
    expect(array(layer.movingMean.read())).toEqual([0, 0]);
    layer.apply(x, { training: true }).dataSync();
    expect(array(layer.movingMean.read())).toEqual([1, 2]);
    expect(array(layer.movingVariance.read())).toEqual([1, 2.5]);
    layer.trainable = false;
    layer.apply(x, { training: true });
    expect(array(layer.movingMean.read())).toEqual([1, 2]);
  });
  it("brings the kernel's largest singular value to 1 in training, and leaves zeros alone", () => {
    const inner = l.dense(2, { useBias: false });
    const layer = l.spectralNormalization(inner, { powerIterations: 30 });
    layer.buildFor([null, 2]);
    layer.setWeights([
      [[0.3, 0.1]],
      [
        [3, 0],
        [0, 4],
      ],
    ]);
    const x = tensor([[1, 1]]);
    expect(array(layer.apply<Tensor>(x))).toEqual([[3, 4]]);
    const [[a, b]] = array(layer.apply<Tensor>(x, { training: true })) as number[][];
    expect(a).toBeCloseTo(0.75, 4);
    expect(b).toBeCloseTo(1, 4);
    inner.kernel.overwrite(new Float32Array(4));
    expect(array(layer.apply<Tensor>(x, { training: true }))).toEqual([[0, 0]]);
  });
  it("refuses indices outside an embedding's table, with row and value", async () => {
    const layer = l.embedding(4, 2, { name: "words" });
    expect(() =>
      layer.apply(
        tensor(
          [
            [0, 3],
            [1, 4],
          ],
          undefined,
          "i32",
        ),
      ),
    ).toThrow(/E308: an index is outside the table of embedding "words"[\s\S]*4 in row 1, element 1[\s\S]*0 … 3/);
    const model = sequential([l.embedding(4, 2, { inputShape: [2] }), l.flatten(), l.dense(1)]);
    model.compile({ loss: "meanSquaredError" });
    const bad = tensor(
      [
        [0, 3],
        [-1, 2],
      ],
      undefined,
      "i32",
    );
    await expect(model.fit(bad, tensor([[0], [1]]), { verbose: 0 })).rejects.toThrow(
      /E308[\s\S]*-1 in row 1, element 0/,
    );
    await expect(model.predict(bad, { verbose: 0 })).rejects.toThrow(/E308/);
    const ids = l.input([2], { dtype: "int32" });
    const graph = functional({ inputs: ids, outputs: l.embedding(3, 2).apply(ids) });
    await expect(graph.predict(tensor([[0, 3]], undefined, "i32"), { verbose: 0 })).rejects.toThrow(/E308[\s\S]*0 … 2/);
  });
  it("runs a layer of one's own", () => {
    class Scale extends l.Layer {
      factor!: ReturnType<Scale["addWeight"]>;
      override build() {
        this.factor = this.addWeight({ name: "factor", shape: [], initializer: "ones" });
      }
      call(x: Tensor): Tensor {
        return x.mul(this.factor.read());
      }
    }
    const layer = new Scale();
    expect(array(layer.apply([1, 2]))).toEqual([1, 2]);
    expect([layer.name, layer.weights.length, layer.countParams()]).toEqual(["scale", 1, 1]);
  });
});
