/** R3: two LSTMs over the rows of MNIST's images. Keras reaches 0.986 on the test images after 10 epochs. */
import { configure, datasets, layers, sequential } from "layerwise";
import type { Data, RunOptions } from "./types.ts";

const { dense, lstm } = layers;

export const load = datasets.mnist;

/** Images as sequences of 28 rows of 28 numbers in [0, 1]; the labels stay class numbers. */
export function prepare({ x, y }: Data) {
  return { x: x.div(255), y };
}

export function createModel() {
  const model = sequential([
    lstm(64, { returnSequences: true, inputShape: [28, 28] }),
    lstm(64),
    dense(10, { activation: "softmax" }),
  ]);
  model.compile({ optimizer: "adam", loss: "sparseCategoricalCrossentropy", metrics: ["accuracy"] });
  return model;
}

export async function run({ epochs = 10, seed = 0, ...options }: RunOptions = {}) {
  configure({ seed });
  const data = await load();
  const train = prepare(data.train);
  const test = prepare(data.test);
  const model = createModel();
  return model.fit(train.x, train.y, { epochs, batchSize: 32, validationData: [test.x, test.y], ...options });
}
