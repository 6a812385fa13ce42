/** What recurrent layers do beyond the battery: states, masks, initial states, both directions, cells of one's own. */
import { beforeAll, describe, expect, test } from "vitest";
import { defineSpec, int, type OptionsOf } from "../../config/index.ts";
import { sequential } from "../../models/index.ts";
import { configure } from "../../tensor/config.ts";
import { jit } from "../../tensor/functions.ts";
import * as ops from "../../tensor/ops/index.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import type { TensorTree } from "../arguments.ts";
import * as l from "../index.ts";
import { layerFields } from "../layer.ts";
import { setMask } from "../mask.ts";

beforeAll(() => configure({ device: "wasm", threads: 1, seed: 3 }));

const wave = (shape: number[]) => {
  const size = shape.reduce((a, b) => a * b, 1);
  return tensor(
    Float32Array.from({ length: size }, (_, i) => Math.sin(i * 1.7) * 0.8),
    shape,
  );
};
const close = (a: Tensor, b: Tensor) => {
  expect(a.shape).toEqual(b.shape);
  const expected = b.dataSync();
  a.dataSync().forEach((v, i) => {
    expect(v).toBeCloseTo(expected[i], 5);
  });
};
const steps = (x: Tensor, from: number, to: number) => x.slice([0, from, 0], [x.shape[0], to - from, x.shape[2]]);

describe("states", () => {
  test("a stateful layer goes on where the last call ended, until it is reset", () => {
    const x = wave([2, 6, 3]);
    const plain = l.lstm(4, { returnSequences: true });
    const whole = plain.apply<Tensor>(x);
    const kept = l.lstm(4, { returnSequences: true, stateful: true });
    kept.buildFor([2, 3, 3]);
    kept.setWeights(plain.getWeights());
    const run = jit((x: Tensor) => kept.apply<Tensor>(x));
    close(run(steps(x, 0, 3)), steps(whole, 0, 3));
    close(run(steps(x, 3, 6)), steps(whole, 3, 6));
    kept.resetState();
    close(run(steps(x, 0, 3)), steps(whole, 0, 3));
    expect(() => kept.apply<Tensor>(wave([3, 3, 3]))).toThrow(/batch/);
    expect(() => plain.resetState()).toThrow(/no state/);
  });

  test("a model with a stateful layer trains on batches of one size", async () => {
    const layer = l.gru(4, { stateful: true, inputShape: [5, 3] });
    const model = sequential([layer as never, l.dense(1)]);
    model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    const options = { batchSize: 4, epochs: 2, shuffle: false, verbose: 0 } as const;
    await model.fit(wave([8, 5, 3]), wave([8, 1]), options);
    const predict = () => model.predict(wave([4, 5, 3]), { batchSize: 4 }) as Promise<Tensor>;
    layer.resetState();
    const first = await predict();
    const second = await predict();
    expect(Array.from(second.dataSync())).not.toEqual(Array.from(first.dataSync()));
    layer.resetState();
    close(await predict(), first);
    await expect(model.fit(wave([6, 5, 3]), wave([6, 1]), options)).rejects.toThrow(/batch/);
  });

  test("the states returned are a good beginning for the rest", () => {
    const x = wave([2, 6, 3]);
    const layer = l.gru(4, { returnState: true });
    const [whole] = layer.apply<[Tensor, Tensor]>(x);
    const [, state] = layer.apply<[Tensor, Tensor]>(steps(x, 0, 2));
    const [rest] = layer.apply<[Tensor, Tensor]>(steps(x, 2, 6), { initialState: state });
    close(rest, whole);
  });
});

test("masked steps change nothing, whatever they hold", () => {
  const x = wave([2, 5, 3]);
  const mask = tensor([1, 1, 1, 0, 0, 1, 1, 1, 0, 0], [2, 5], "bool");
  for (const layer of [
    l.lstm(4),
    l.gru(4),
    l.simpleRnn(4),
    l.bidirectional(l.lstm(4) as never),
  ] as unknown as l.Layer[])
    close(layer.apply<Tensor>(setMask(x.add(0), mask)), layer.apply<Tensor>(steps(x, 0, 3)));
});

test("the two directions of a wrapper have weights of their own, also around cells", () => {
  const both = l.bidirectional(l.rnn([l.gruCell(2), l.lstmCell(3)] as never) as never);
  const y = both.apply<Tensor>(wave([2, 4, 3]));
  expect(y.shape).toEqual([2, 6]);
  expect(new Set(both.weights).size).toBe(12);
  expect(() => l.bidirectional(l.dense(3) as never)).toThrow(/recurrent layer/);
});

test("a cell of one's own", () => {
  const spec = defineSpec("tests", "Decay", { ...layerFields, units: int() });
  class Decay extends l.RnnCell<typeof spec> {
    constructor(options: OptionsOf<typeof spec>) {
      super(options, spec);
    }
    get stateSize() {
      return this.options.units;
    }
    call(x: Tensor, { states }: l.CellContext): TensorTree {
      const next = (states as Tensor[])[0].mul(0.5).add(x);
      return [next.mul(2), [next]];
    }
  }
  const layer = l.rnn(new Decay({ units: 2 }) as never);
  expect(Array.from(layer.apply<Tensor>(ops.ones([1, 3, 2])).dataSync())).toEqual([3.5, 3.5]);
});

test("dropout drops the same at every step, and only in training", () => {
  const layer = l.simpleRnn(4, { dropout: 0.5, returnSequences: true, activation: "linear", useBias: false });
  const x = ops.ones([1, 6, 8]);
  layer.apply(x);
  const [kernel, recurrent, ...rest] = layer.getWeights();
  expect(rest).toEqual([]);
  layer.setWeights([kernel, recurrent.mul(0)]);
  const training = layer.apply<Tensor>(x, { training: true });
  const first = steps(training, 0, 1);
  for (let t = 1; t < 6; t++) close(steps(training, t, t + 1), first);
  expect(Array.from(first.dataSync())).not.toEqual(Array.from(steps(layer.apply<Tensor>(x), 0, 1).dataSync()));
});
