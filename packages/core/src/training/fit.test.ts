import { beforeEach, describe, expect, it, vi } from "vitest";
import { earlyStopping, lambdaCallback } from "../callbacks/index.ts";
import { Generator } from "../initializers/generator.ts";
import { activation, add, dense, dropout, flatten, input, rescaling } from "../layers/index.ts";
import { functional, Model, sequential } from "../models/index.ts";
import { installOracles } from "../oracles.ts";
import { configure } from "../tensor/config.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import type { FitOptions } from "./options.ts";

installOracles();

beforeEach(() => configure({ device: "reference", seed: 7, silence: [] }));

/** Three classes of noisy 4×4 images: bright where pixel % 3 is the class. */
function images(n: number): { x: Tensor; y: Tensor; labels: Uint8Array } {
  const g = new Generator("images");
  const labels = Uint8Array.from({ length: n }, () => g.integer(3));
  const pixels = Uint8Array.from(
    { length: n * 16 },
    (_, i) => g.integer(100) + ((i % 16) % 3 === labels[Math.floor(i / 16)] ? 120 : 0),
  );
  return { x: tensor(pixels, [n, 4, 4]), y: tensor(labels), labels };
}
function classifier(): ReturnType<typeof sequential> {
  const model = sequential([
    rescaling(1 / 255, { inputShape: [4, 4, 1] }),
    flatten(),
    dense(8, { activation: "relu" }),
    dense(3, { activation: "softmax" }),
  ]);
  model.compile({ optimizer: "adam", loss: "sparseCategoricalCrossentropy", metrics: ["accuracy"] });
  return model;
}
/** y = 2x + 1 on n points. */
function line(n: number): { x: Tensor; y: Tensor } {
  const xs = Float32Array.from({ length: n }, (_, i) => (i % 17) / 17);
  return {
    x: tensor(xs, [n, 1]),
    y: tensor(
      xs.map((v) => 2 * v + 1),
      [n, 1],
    ),
  };
}
function regression(): ReturnType<typeof sequential> {
  const model = sequential([dense(1, { inputShape: [1] })]);
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  return model;
}
const quiet: FitOptions = { verbose: 0 };

describe("fit", () => {
  it("learns, and reports training and validation logs per epoch", async () => {
    const { x, y } = images(120);
    const model = classifier();
    const history = await model.fit(x, y, { ...quiet, epochs: 12, batchSize: 16, validationSplit: 0.25 });
    expect(Object.keys(history.history)).toEqual(["loss", "accuracy", "val_loss", "val_accuracy"]);
    expect(history.epoch).toHaveLength(12);
    expect(history.history["loss"].at(-1)!).toBeLessThan(history.history["loss"][0]);
    expect(history.history["val_accuracy"].at(-1)!).toBeGreaterThan(0.6);
    expect(model.history).toBe(history);
  });
  it("gives the same numbers for the same seed, and others for another", async () => {
    const { x, y } = images(40);
    const run = async (seed: number) => {
      configure({ seed });
      const model = sequential([
        flatten(),
        dense(8, { activation: "relu" }),
        dropout(0.5),
        dense(3, { activation: "softmax" }),
      ]);
      model.compile({ optimizer: "sgd", loss: "sparseCategoricalCrossentropy" });
      return (await model.fit(x.div(255), y, { ...quiet, epochs: 3, batchSize: 8 })).history["loss"];
    };
    const first = await run(5);
    expect(await run(5)).toEqual(first);
    expect(await run(6)).not.toEqual(first);
  });
  it("draws other dropout masks in every step", async () => {
    const model = sequential([dropout(0.5, { inputShape: [64] }), dense(1, { kernelInitializer: "ones" })]);
    model.compile({
      optimizer: { module: null, class_name: "SGD", config: { learning_rate: 0 }, registered_name: null },
      loss: "meanSquaredError",
    });
    const x = tensor(new Float32Array(64).fill(1), [1, 64]);
    const losses = [];
    for (let i = 0; i < 4; i++) losses.push((await model.trainOnBatch(x, [[0]]))["loss"]);
    expect(new Set(losses).size).toBeGreaterThan(1);
  });
  it("weights the running mean by batch size, with a smaller last batch", async () => {
    const { x, y } = line(10);
    const model = regression();
    model.setWeights([[[0]], [0]]);
    const batches: number[] = [];
    const logs = lambdaCallback({ batchLogs: true, onTrainBatchEnd: (_, l) => void batches.push(l!["loss"]) });
    model.optimizer.learningRate = 0;
    await model.fit(x, y, { ...quiet, batchSize: 4, shuffle: false, callbacks: [logs] });
    const target = [...(await y.data())];
    const mean = (n: number) => target.slice(0, n).reduce((s, v) => s + v * v, 0) / n;
    expect(batches).toHaveLength(3);
    [4, 8, 10].forEach((n, i) => {
      expect(batches[i]).toBeCloseTo(mean(n), 5);
    });
  });
  it("keeps the tail for validation and takes validation weights", async () => {
    const x = tensor([[0], [0], [0], [0]]);
    const y = tensor([[1], [1], [3], [3]]);
    const model = regression();
    model.setWeights([[[0]], [0]]);
    model.optimizer.learningRate = 0;
    const { history } = await model.fit(x, y, { ...quiet, validationSplit: 0.5 });
    expect([history["loss"][0], history["val_loss"][0]]).toEqual([1, 9]);
    const weighted = await model.fit(x, y, { ...quiet, validationData: [x, y, [0, 0, 0, 1]] });
    expect(weighted.history["val_loss"][0]).toBeCloseTo(9 / 4, 6);
  });
  it("turns class weights into sample weights", async () => {
    const { x, y, labels } = images(24);
    const run = async (options: FitOptions) => {
      configure({ seed: 2 });
      const model = classifier();
      return (await model.fit(x, y, { ...quiet, ...options, shuffle: false })).history["loss"];
    };
    const byClass = await run({ classWeight: { 0: 1, 1: 2.5, 2: 0.5 } });
    const bySample = await run({ sampleWeight: Float32Array.from(labels, (l) => [1, 2.5, 0.5][l]) });
    expect(byClass).toEqual(bySample);
    expect(byClass).not.toEqual(await run({}));
  });
  it("counts epochs and steps as asked", async () => {
    const { x, y } = line(20);
    const model = regression();
    let steps = 0;
    const count = lambdaCallback({ onTrainBatchEnd: () => void steps++ });
    const history = await model.fit(x, y, {
      ...quiet,
      epochs: 5,
      initialEpoch: 3,
      stepsPerEpoch: 3,
      batchSize: 4,
      callbacks: [count],
      validationData: [x, y],
      validationFreq: 2,
    });
    expect(history.epoch).toEqual([3, 4]);
    expect(steps).toBe(6);
    expect(history.history["val_loss"]).toHaveLength(1);
  });
  it("takes one batch larger than the data as one smaller batch", async () => {
    const { x, y } = line(5);
    const history = await regression().fit(x, y, { ...quiet, batchSize: 1000 });
    expect(history.history["loss"]).toHaveLength(1);
  });
  it("adds penalties of weights and outputs to the loss", async () => {
    const model = sequential([dense(1, { inputShape: [2], kernelRegularizer: "l2", activityRegularizer: "l1" })]);
    model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    model.setWeights([[[1], [2]], [0]]);
    const logs = await model.testOnBatch([[1, 1]], [[3]]);
    expect(logs["loss"]).toBeCloseTo(0.01 * 5 + 0.01 * 3, 6);
  });
  it("keeps frozen weights and applies constraints", async () => {
    const { x, y } = line(16);
    const frozen = dense(4, { inputShape: [1] });
    const model = sequential([frozen, dense(1, { kernelConstraint: "nonNeg" })]);
    frozen.trainable = false;
    model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    const before = frozen.weights.map((v) => v.snapshot());
    const free = model.layers[1].weights;
    free[0].overwrite(Float32Array.of(-1, 1, -1, 1));
    await model.fit(x, y, quiet);
    expect(frozen.weights.map((v) => v.snapshot())).toEqual(before);
    expect([...free[0].snapshot()].every((v) => v >= 0)).toBe(true);
  });
  it("trains a model of one's own and one with several inputs and outputs", async () => {
    class Mine extends Model {
      a = dense(4, { activation: "relu" });
      b = dense(1);
      drop = dropout(0.2);
      call(x: Tensor): Tensor {
        return this.b.apply(this.drop.apply<Tensor>(this.a.apply<Tensor>(x)));
      }
    }
    const { x, y } = line(12);
    const mine = new Mine();
    mine.compile({ optimizer: "sgd", loss: "mse" });
    await mine.fit(x, y, { ...quiet, epochs: 2 });
    expect(mine.weights.map((v) => v.shape)).toEqual([[1, 4], [4], [4, 1], [1]]);

    const [a, b] = [input([1]), input([1])];
    const shared = dense(2, { name: "shared" });
    const sum = add({ name: "sum" }).apply([shared.apply(a), shared.apply(b)]);
    const model = functional({ inputs: [a, b], outputs: [sum, dense(1, { name: "one" }).apply(a)] as never });
    model.compile({
      optimizer: "sgd",
      loss: { sum: "mse", one: "mse" },
      lossWeights: { one: 0.5 },
      metrics: { one: ["mae"] },
    });
    const history = await model.fit([x, x], { one: y, sum: tensor(new Float32Array(24), [12, 2]) }, quiet);
    expect(Object.keys(history.history)).toEqual(["loss", "sum_loss", "one_loss", "one_mae"]);
    const h = history.history;
    expect(h["loss"][0]).toBeCloseTo(h["sum_loss"][0] + 0.5 * h["one_loss"][0], 5);
  });
  it("stops early and restores the best weights", async () => {
    const { x, y } = line(8);
    const model = regression();
    model.optimizer.learningRate = 3; // far too large: the loss grows from the second epoch on
    const first: Float32Array[] = [];
    const keep = lambdaCallback({
      onEpochEnd: (e) => void (e === 0 && first.push(...model.weights.map((v) => v.snapshot() as Float32Array))),
    });
    const stop = earlyStopping({ monitor: "loss", patience: 1, restoreBestWeights: true });
    const history = await model.fit(x, y, { ...quiet, epochs: 50, shuffle: false, callbacks: [keep, stop] });
    expect(history.epoch).toHaveLength(2);
    expect(model.weights.map((v) => v.snapshot())).toEqual(first);
  });
  it("queues fits of one model and lets callbacks use it", async () => {
    const { x, y } = line(8);
    const model = regression();
    const order: string[] = [];
    const mark = (name: string) => lambdaCallback({ onEpochBegin: (e) => void order.push(`${name}${e}`) });
    const inside = lambdaCallback({
      onEpochEnd: async () => {
        await model.evaluate(x, y, { verbose: 0 });
        order.push("evaluated");
      },
    });
    await Promise.all([
      model.fit(x, y, { ...quiet, epochs: 2, callbacks: [mark("a"), inside] }),
      model.fit(x, y, { ...quiet, callbacks: [mark("b")] }),
    ]);
    expect(order).toEqual(["a0", "evaluated", "a1", "evaluated", "b0"]);
  });
  it("gives way to timers while it runs", async () => {
    const { x, y } = images(200);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 5);
    await classifier().fit(x, y, { ...quiet, epochs: 4, batchSize: 2 });
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(2);
  });
});

describe("evaluate and predict", () => {
  it("gives one result whatever the batch size", async () => {
    const { x, y } = images(50);
    const model = classifier();
    const a = await model.evaluate(x, y, { verbose: 0, batchSize: 7 });
    const b = await model.evaluate(x, y, { verbose: 0, batchSize: 64 });
    expect(a["loss"]).toBeCloseTo(b["loss"], 5);
    expect(a["accuracy"]).toBeCloseTo(b["accuracy"], 6);
    const p = await model.predict(x, { batchSize: 7 });
    expect(p.shape).toEqual([50, 3]);
    const q = await model.predictOnBatch(x);
    expect(p.dataSync()).toEqual(q.dataSync());
  });
  it("applies lazy expressions per batch: u8 stays u8 until the step", async () => {
    const { x, y } = images(30);
    const model = sequential([flatten(), dense(3, { activation: "softmax" })]);
    model.compile({ optimizer: "sgd", loss: "sparseCategoricalCrossentropy" });
    const lazy = x.div(255).sub(0.5);
    const a = await model.evaluate(lazy, y, { verbose: 0, batchSize: 8 });
    expect(lazy.value.node.op.name).not.toBe("constant"); // never computed as a whole
    const b = await model.evaluate(tensor(x.div(255).sub(0.5).dataSync() as Float32Array, [30, 4, 4]), y, {
      verbose: 0,
    });
    expect(a["loss"]).toBeCloseTo(b["loss"], 5);
  });
});

describe("bad input", () => {
  const { x, y } = images(12);
  const fit = (data: Parameters<Model["fit"]>[0], targets: Parameters<Model["fit"]>[1], options: FitOptions = {}) =>
    classifier().fit(data, targets, { ...quiet, ...options });

  it("wrong rank or size", async () => {
    await expect(fit(tensor(new Float32Array(12 * 5), [12, 5]), y)).rejects.toThrow(/E103[\s\S]*\[null, 4, 4, 1\]/);
    await expect(fit(x, tensor([0, 1]))).rejects.toThrow(/E302[\s\S]*x has 12, y has 2/);
  });
  it("labels out of range and one-hot rows against a sparse loss", async () => {
    const wrong = Uint8Array.from({ length: 12 }, (_, i) => (i === 5 ? 7 : 0));
    await expect(fit(x, wrong)).rejects.toThrow(/L104[\s\S]*label 7 in row 5[\s\S]*0 to 2/);
    await expect(fit(x, tensor(new Float32Array(36), [12, 3]))).rejects.toThrow(
      /L104[\s\S]*one-hot[\s\S]*categoricalCrossentropy/,
    );
  });
  it("class numbers against a loss for one-hot rows, and shapes that would broadcast", async () => {
    const model = sequential([flatten({ inputShape: [4, 4] }), dense(3, { activation: "softmax" })]);
    model.compile({ optimizer: "sgd", loss: "categoricalCrossentropy" });
    await expect(model.fit(x, y, quiet)).rejects.toThrow(/L104[\s\S]*sparseCategoricalCrossentropy/);
    const other = sequential([flatten({ inputShape: [4, 4] }), dense(3)]);
    other.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    await expect(other.fit(x, tensor(new Float32Array(12), [12, 1]), quiet)).rejects.toThrow(
      /L105[\s\S]*never broadcast/,
    );
  });
  it("NaN and Inf, with the row", async () => {
    const data = new Float32Array(12 * 16);
    data[3 * 16 + 2] = Number.NaN;
    await expect(fit(tensor(data, [12, 4, 4]), y)).rejects.toThrow(/L110[\s\S]*NaN in row 3, element 2/);
    const weights = new Float32Array(12).fill(Number.POSITIVE_INFINITY);
    await expect(fit(x, y, { sampleWeight: weights })).rejects.toThrow(/L110: sampleWeight holds Infinity/);
  });
  it("empty data", async () => {
    await expect(fit(tensor(new Float32Array(0), [0, 4, 4]), new Uint8Array(0))).rejects.toThrow(
      /E301: there is no data/,
    );
  });
  it("batch sizes and epochs that are not counts", async () => {
    await expect(fit(x, y, { batchSize: 0 })).rejects.toThrow(/E303[\s\S]*integer ≥ 1/);
    await expect(fit(x, y, { batchSize: 2.5 })).rejects.toThrow(/E303/);
    await expect(fit(x, y, { epochs: -1 })).rejects.toThrow(/E303: "epochs"/);
    await expect(fit(x, y, { validationSplit: 1 })).rejects.toThrow(/E306/);
  });
  it("activations that do not fit the loss", async () => {
    const model = (units: number, f: string, loss: string) => {
      const m = sequential([flatten({ inputShape: [4, 4] }), dense(units, { activation: f as never })]);
      m.compile({ optimizer: "sgd", loss: loss as never });
      return m.fit(x, units === 1 ? tensor(new Float32Array(12), [12, 1]) : y, quiet);
    };
    await expect(model(1, "softmax", "binaryCrossentropy")).rejects.toThrow(/L103[\s\S]*always gives 1/);
    await expect(model(1, "relu", "binaryCrossentropy")).rejects.toThrow(/L103[\s\S]*sigmoid/);
    await expect(model(3, "linear", "sparseCategoricalCrossentropy")).rejects.toThrow(/L102[\s\S]*fromLogits/);
  });
  it("softmax with fromLogits is computed from the logits, with a warning", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const build = (f: "softmax" | null, fromLogits: boolean) => {
      configure({ seed: 4 });
      const m = sequential([flatten({ inputShape: [4, 4] }), dense(3), ...(f ? [activation(f)] : [])]);
      m.compile({
        optimizer: "sgd",
        loss: {
          module: null,
          class_name: "SparseCategoricalCrossentropy",
          config: { from_logits: fromLogits },
          registered_name: null,
        },
      });
      return m;
    };
    const both = await build("softmax", true).fit(x.div(255), y, quiet);
    expect(warn.mock.calls.flat().join()).toContain("L101");
    const logits = await build(null, true).fit(x.div(255), y, quiet);
    expect(both.history["loss"][0]).toBeCloseTo(logits.history["loss"][0], 6);
    warn.mockRestore();
  });
  it("use before compiling or building", async () => {
    const model = sequential([dense(3)]);
    await expect(sequential([dense(3)]).fit(x, y)).rejects.toThrow(/E207[\s\S]*compile/);
    expect(() => model.summary()).toThrow(/E204/);
    expect(() => model.getWeights()).toThrow(/E204/);
  });
  it("names that are not known", () => {
    const model = sequential([dense(3, { inputShape: [2] })]);
    expect(() => model.compile({ optimizer: "adamm" as never })).toThrow(/E203[\s\S]*"adam"/);
    expect(() => dense(3, { activation: "rellu" as never })).toThrow(/did you mean "relu"/);
    expect(() => model.getLayer("dens")).toThrow(/E203/);
  });
});
