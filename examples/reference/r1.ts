/** R1: a small multilayer perceptron on MNIST. Keras reaches 0.967 on the test images. */
import { configure, datasets, layers, ops, sequential } from "layerwise";
import type { Data, RunOptions } from "./types.ts";

const { dense } = layers;

export const load = datasets.mnist;

/** Images as rows of 784 numbers in [0, 1]; labels as one-hot rows. Both stay bytes until a batch is taken. */
export function prepare({ x, y }: Data) {
  return { x: x.reshape([x.shape[0], 784]).div(255), y: ops.oneHot(y, 10) };
}

export function createModel() {
  const model = sequential([
    dense(32, { activation: "relu", inputShape: [784] }),
    dense(10, { activation: "softmax" }),
  ]);
  model.compile({ optimizer: "adam", loss: "categoricalCrossentropy", metrics: ["accuracy"] });
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
