/** Layers that run on the host: alone, in models, saved and read again; and the numeric ones that learn from data. */
import { expect, test } from "vitest";
import { defineSpec } from "../config/index.ts";
import { functional, layerFromConfig, type Sequential, sequential } from "../models/index.ts";
import * as optimizers from "../optimizers/index.ts";
import { StringTensor } from "../tensor/string-tensor.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { BytePairs } from "../text/byte-pairs.ts";
import { checkLayer } from "./check-layer.ts";
import {
  bytePairTokenizer,
  categoryEncoding,
  dense,
  discretization,
  embedding,
  globalAveragePooling1d,
  HostLayer,
  hashedCrossing,
  hashing,
  input,
  integerLookup,
  layerFields,
  normalization,
  rescaling,
  stringLookup,
  textVectorization,
} from "./index.ts";
import type { Open } from "./infer.ts";

const texts = ["a good film", "a bad film!", "good good", "bad"];
const labels = [1, 0, 1, 0];

test("vocabulary by frequency; ties by token, later first, as Keras sorts them", () => {
  const layer = textVectorization();
  layer.adapt(["b a c", "c b", "c 😀 ﹏"]);
  expect(layer.getVocabulary()).toEqual(["", "[UNK]", "c", "b", "😀", "﹏", "a"]);
  expect(layer.vocabularySize).toBe(7);
  expect((layer.apply(["c zzz", ""]) as Tensor).arraySync()).toEqual([
    [2, 1],
    [0, 0],
  ]);
});

test("all texts empty: rows of length 0", () => {
  const layer = textVectorization({ vocabulary: ["a"] });
  expect((layer.apply(["", " !"]) as Tensor).shape).toEqual([2, 0]);
  const counts = textVectorization({ vocabulary: ["a"], outputMode: "count" });
  expect((counts.apply(["", "a a b"]) as Tensor).arraySync()).toEqual([
    [0, 0],
    [1, 2],
  ]);
});

test("cut, padded, n-grams, tf-idf, functions, words of Chinese", () => {
  const ids = (options: object, input: string[]) => (textVectorization(options).apply(input) as Tensor).arraySync();
  expect(ids({ vocabulary: ["a", "b"], outputSequenceLength: 2 }, ["a b a", "b"])).toEqual([
    [2, 3],
    [3, 0],
  ]);
  expect(ids({ vocabulary: ["a b", "a"], ngrams: [2] }, ["a b a"])).toEqual([[2, 1]]);
  expect(
    ids({ vocabulary: ["x"], standardize: (t: string) => t.replace("y", "x"), split: (t: string) => t.split("-") }, [
      "y-q",
    ]),
  ).toEqual([[2, 1]]);
  const words = textVectorization({ split: "word", standardize: null });
  words.adapt(["酒店的早餐很好", "早餐不好"]);
  expect(words.getVocabulary()).toContain("早餐");
  expect(words.getVocabulary()).toContain("酒店");
  const idf = textVectorization({ outputMode: "tfIdf" });
  idf.adapt(["a b", "a", "a a c"]);
  // ln(1 + documents / (1 + documents with the token))
  const weights = [Math.log(1 + 3 / 4), Math.log(1 + 3 / 2), Math.log(1 + 3 / 2)];
  const mean = weights.reduce((s, w) => s + w) / 3;
  const row = (idf.apply(["a c c unknown"]) as Tensor).dataSync();
  [mean, weights[0], 2 * weights[1], 0].forEach((w, i) => expect(row[i]).toBeCloseTo(w, 6));
});

test("ragged rows outside models", () => {
  const rows = textVectorization({ vocabulary: ["a"], ragged: true }).apply<Tensor[]>(["a b a", "a", ""]);
  expect(rows.map((r) => r.arraySync())).toEqual([[2, 1, 2], [2], []]);
  expect(() =>
    sequential([textVectorization({ vocabulary: ["a"], ragged: true, inputShape: [] }), embedding(3, 2)]),
  ).toThrow(/E202/);
});

test("what a vocabulary may not be", () => {
  expect(() => textVectorization().apply(["a"])).toThrow(/E403.*no vocabulary/s);
  expect(() => textVectorization({ vocabulary: ["a", "a"] })).toThrow(/E404/);
  expect(() => textVectorization({ vocabulary: ["b", "", "a"] })).toThrow(/E404/);
  expect(() => textVectorization({ vocabulary: [] })).toThrow(/E404/);
  expect(() => textVectorization({ vocabulary: ["a", "b"], maxTokens: 3 })).toThrow(/E404/);
  expect(() => textVectorization({ vocabulary: ["a"], outputMode: "tfIdf" })).toThrow(/E404/);
  expect(() => textVectorization().adapt(["", "  "])).toThrow(/E405/);
  expect(() => stringLookup({ vocabulary: ["a"], numOovIndices: 0 }).apply(["b"])).toThrow(/E406.*"b"/s);
  expect(() => textVectorization({ vocabulary: ["a"] }).apply([1, 2])).toThrow(/E104/);
  expect(() => textVectorization({ vocabulary: ["a"] }).apply([["a", "b"]])).toThrow(/E103/);
  expect(() => textVectorization({ outputMode: "count", outputSequenceLength: 3 })).toThrow(/E202/);
});

test("lookups both ways, hashes and crosses", () => {
  const forth = stringLookup({ vocabulary: ["red", "green"] });
  const back = stringLookup({ vocabulary: ["red", "green"], invert: true });
  const ids = forth.apply<Tensor>([["red"], ["blue"]]);
  expect(ids.arraySync()).toEqual([[1], [0]]);
  expect(back.apply<StringTensor>(ids).arraySync()).toEqual([["red"], ["[UNK]"]]);
  const ints = integerLookup();
  ints.adapt([7, 9, 7]);
  expect(ints.getVocabulary()).toEqual([-1, 7, 9]);
  expect(hashing(3).apply<Tensor>(["a", "a"]).arraySync()).toEqual(hashing(3).apply<Tensor>(["a", "a"]).arraySync());
  expect(() => hashedCrossing(3).apply(["a", "b"])).toThrow(/E103/);
  expect(() => hashedCrossing(3).apply([new StringTensor(["a"]), tensor([[1, 2]])])).toThrow(/E103/);
});

function sentiment() {
  const vectorize = textVectorization({ maxTokens: 20, outputSequenceLength: 4 });
  vectorize.adapt(texts);
  const model = sequential([
    vectorize,
    embedding(20, 8),
    globalAveragePooling1d(),
    dense(1, { activation: "sigmoid" }),
  ]);
  return model;
}

test("a model from texts to predictions: fit, evaluate, predict, saved and read again", async () => {
  const model = sentiment();
  model.compile({ optimizer: "adam", loss: "binaryCrossentropy", metrics: ["accuracy"] });
  model.optimizer.learningRate = 0.1;
  await model.fit(texts, labels, { epochs: 40, verbose: 0, validationData: [texts, labels] });
  expect((await model.evaluate(texts, labels, { verbose: 0 }))["accuracy"]).toBe(1);
  const said = await model.predict(["what a good film", "bad"]);
  expect(said.shape).toEqual([2, 1]);
  const [good, bad] = said.dataSync();
  expect(good).toBeGreaterThan(0.9);
  expect(bad).toBeLessThan(0.1);

  const saved = JSON.parse(JSON.stringify(model.toConfig()));
  const copy = layerFromConfig(saved) as Sequential;
  expect(copy.built).toBe(true);
  expect(copy.toConfig()).toEqual(saved);
  copy.setWeights(model.getWeights());
  expect((await copy.predict(["what a good film", "bad"])).dataSync()).toEqual(said.dataSync());
  expect(model.summary({ print: () => {} })).toContain("text_vectorization");
  // Called like a layer, and as the first part of another model.
  expect(model.apply<Tensor>(["bad"]).dataSync()[0]).toBeCloseTo(bad, 6);
  const outer = sequential([model, rescaling(2)]);
  expect((await outer.predict(["bad"])).dataSync()[0]).toBeCloseTo(2 * bad, 6);
});

test("bags of words: indices on the host, rows of counts in the program", async () => {
  for (const outputMode of ["multiHot", "count", "tfIdf"] as const) {
    const words = textVectorization({ maxTokens: 50, outputMode });
    words.adapt(texts);
    const staged = words.hostStage.run(new StringTensor(["good good film", "bad"])) as Tensor;
    expect(staged.dtype).toBe("i32");
    expect(staged.arraySync()).toEqual([
      [...words.table.indicesOf(["good", "good", "film"])],
      [...words.table.indicesOf(["bad"]), -1, -1],
    ]);
    const model = sequential([words, dense(1, { activation: "sigmoid" })]);
    model.compile({
      optimizer: optimizers.adam({ learningRate: 0.2 }),
      loss: "binaryCrossentropy",
      metrics: ["accuracy"],
    });
    await model.fit(texts, labels, { epochs: 40, batchSize: 3, verbose: 0 });
    expect((await model.evaluate(texts, labels, { verbose: 0 }))["accuracy"]).toBe(1);
    const copy = layerFromConfig(JSON.parse(JSON.stringify(model.toConfig()))) as Sequential;
    copy.setWeights(model.getWeights());
    expect((await copy.predict(texts)).dataSync()).toEqual((await model.predict(texts)).dataSync());
    expect(model.apply<Tensor>(["bad"]).shape).toEqual([1, 1]);
  }
});

test("a vocabulary larger than the embedding's table is refused, and other inputs are not mistaken for it", async () => {
  const words = textVectorization({ vocabulary: ["a", "b", "c"] });
  await expect(sequential([words, embedding(3, 2)]).predict(["a b c"])).rejects.toThrow(/E308.*3 in row 0/s);
  const text = input([1], { dtype: "string" });
  const other = input([2], { dtype: "int32" });
  const small = embedding(3, 2).apply(textVectorization({ vocabulary: ["a"], outputSequenceLength: 2 }).apply(text));
  const model = functional({ inputs: [other, text], outputs: [small, embedding(10, 2).apply(other)] });
  const ids = tensor(Int32Array.of(9, 8), [1, 2], "i32");
  const out = (await model.predict([ids, new StringTensor(["a a"])] as never)) as unknown as Tensor[];
  expect(out.map((t) => t.shape)).toEqual([
    [1, 2, 2],
    [1, 2, 2],
  ]);
  await expect(
    model.predict([tensor(Int32Array.of(14, 8), [1, 2], "i32"), new StringTensor(["a a"])] as never),
  ).rejects.toThrow(/E308.*14/s);
});

test("texts of one column [N, 1] and of shape [N] are the same", async () => {
  const model = sequential([textVectorization({ vocabulary: ["a", "b"], inputShape: [1] }), embedding(4, 2)]);
  expect(model.built).toBe(true);
  const a = await model.predict(["a b", "b"]);
  expect(a.shape).toEqual([2, 2, 2]);
  expect((await model.predict([["a b"], ["b"]])).dataSync()).toEqual(a.dataSync());
});

test("a functional model with texts, categories and numbers", async () => {
  const text = input([1], { dtype: "string", name: "text" });
  const colour = input([1], { dtype: "string", name: "colour" });
  const size = input([2], { name: "size" });
  const words = textVectorization({ vocabulary: ["good", "bad"], outputMode: "multiHot" }).apply(text);
  const kind = stringLookup({ vocabulary: ["red", "green"], outputMode: "oneHot" }).apply(colour);
  const crossed = hashedCrossing(4).apply([text, colour]);
  expect(crossed.dtype).toBe("i32");
  expect(kind.shape).toEqual([null, 3]);
  const joined = dense(3).apply(words);
  const also = dense(3).apply(kind);
  const sized = dense(3).apply(size);
  const model = functional({ inputs: [text, colour, size], outputs: [joined, also, sized, crossed] });
  const data = {
    text: ["good", "bad bad"],
    colour: ["red", "blue"],
    size: [
      [1, 2],
      [3, 4],
    ],
  };
  const out = (await model.predict(data as never)) as unknown as Tensor[];
  expect(out.map((t) => t.shape)).toEqual([
    [2, 3],
    [2, 3],
    [2, 3],
    [2, 1],
  ]);
  const copy = layerFromConfig(JSON.parse(JSON.stringify(model.toConfig()))) as typeof model;
  copy.setWeights(model.getWeights());
  const again = (await copy.predict([data.text, data.colour, data.size] as never)) as unknown as Tensor[];
  expect(again.map((t) => [...t.dataSync()])).toEqual(out.map((t) => [...t.dataSync()]));
  const two = functional({ inputs: [text, colour], outputs: crossed });
  expect((await two.predict([data.text, data.colour])).shape).toEqual([2, 1]);
  // Inside another functional model.
  const other = input([1], { dtype: "string" });
  const inner = functional({ inputs: text, outputs: joined });
  const whole = functional({ inputs: other, outputs: dense(1).apply(inner.apply(other)) });
  expect((await whole.predict(["good"])).shape).toEqual([1, 1]);
});

test("what host layers refuse in models", async () => {
  expect(() => sequential([dense(2, { inputShape: [3] }), hashing(3)])).toThrow(/E209/);
  const x = input([3]);
  const h = dense(2).apply(x);
  expect(() => functional({ inputs: x, outputs: hashing(4).apply(h) })).toThrow(/E209/);
  expect(() => sequential([input([1], { dtype: "string" }), dense(2)])).toThrow(/E104.*strings/s);
  const words = sequential([textVectorization({ vocabulary: ["a"], outputMode: "count" }), dense(1)]);
  await expect(words.predict([])).rejects.toThrow(/E301/);
  await expect(words.predict(new StringTensor([]))).rejects.toThrow(/E301/);
  await expect(words.predict([1, 2])).rejects.toThrow(/E104/);
  const numeric = sequential([dense(1, { inputShape: [1] })]);
  await expect(numeric.predict(["a"])).rejects.toThrow(/E104.*textVectorization/s);
  const f = textVectorization({ vocabulary: ["a"], split: (t: string) => [t] });
  expect(() => f.toConfig()).toThrow(/E202.*cannot be saved/s);
});

test("a host layer of one's own", async () => {
  const spec = defineSpec("own", "WordCount", layerFields);
  class WordCount extends HostLayer<typeof spec> {
    static readonly spec = spec;
    constructor() {
      super({}, spec);
    }
    compute(x: StringTensor) {
      return tensor(x.data.map((t) => [t.split(" ").length]));
    }
    infer({ shape }: Open): Open {
      return { shape: [shape[0] ?? null, 1], dtype: "f32", maskShape: null };
    }
  }
  const model = sequential([new WordCount(), rescaling(10)]);
  expect((await model.predict(["a b c", "d"])).arraySync()).toEqual([[30], [10]]);
});

test("byte pairs inside a model", async () => {
  const pairs = BytePairs.train(texts, { vocabularySize: 270 });
  const model = sequential([bytePairTokenizer(pairs, { sequenceLength: 6 }), embedding(270, 2)]);
  const said = await model.predict(["good film", ""]);
  expect(said.shape).toEqual([2, 6, 2]);
  const copy = layerFromConfig(JSON.parse(JSON.stringify(model.toConfig()))) as Sequential;
  copy.setWeights(model.getWeights());
  expect((await copy.predict(["good film", ""])).dataSync()).toEqual(said.dataSync());
});

test("CategoryEncoding, Discretization and Normalization as layers of the program", () => {
  checkLayer((o) => categoryEncoding({ numTokens: 5, outputMode: "count", ...o }), {
    input: [3, 4],
    output: [3, 5],
    dtype: "i32",
    differentiable: false,
  });
  checkLayer((o) => discretization({ binBoundaries: [-0.5, 0.5], outputMode: "oneHot", ...o }), {
    input: [3, 4],
    output: [3, 4, 3],
    differentiable: false,
  });
  checkLayer((o) => normalization({ mean: 0.5, variance: 4, ...o }), { input: [3, 4], output: [3, 4] });
  checkLayer((o) => normalization(o), { input: [3, 4], output: [3, 4], frozen: 3 });
});

test("adapt of Normalization and Discretization", () => {
  const x = tensor([
    [1, 1000],
    [3, 1002],
    [5, 1004],
  ]);
  const norm = normalization();
  norm.adapt(x);
  const y = norm.apply<Tensor>(x).dataSync();
  [-1, -1, 0, 0, 1, 1].forEach((v, i) => expect(y[i]).toBeCloseTo(v * Math.sqrt(1.5), 4));
  const all = normalization({ axis: null });
  all.adapt([0, 2, 4, 6].map((v) => [v]));
  expect(all.apply<Tensor>([[3]]).item()).toBeCloseTo(0, 6);
  expect(() => normalization({ mean: 1 })).toThrow(/E202/);
  expect(() => normalization({ mean: 1, variance: 1 }).adapt(x)).toThrow(/E202/);
  expect(() => norm.adapt([] as never)).toThrow(/E301/);
  const bins = discretization({ numBins: 4 });
  expect(() => bins.apply([1])).toThrow(/E403/);
  bins.adapt(Float32Array.from({ length: 1000 }, (_, i) => i));
  const counts = [0, 0, 0, 0];
  for (const b of bins.apply<Tensor>(Float32Array.from({ length: 1000 }, (_, i) => i)).dataSync()) counts[b]++;
  for (const c of counts) expect(Math.abs(c - 250)).toBeLessThanOrEqual(15);
  expect(bins.apply<Tensor>(Float32Array.of(-1e9, 1e9, Number.NaN)).arraySync()).toEqual([0, 3, 3]);
  const copy = layerFromConfig(bins.toConfig()) as typeof bins;
  expect(copy.binBoundaries).toEqual(bins.binBoundaries);
});
