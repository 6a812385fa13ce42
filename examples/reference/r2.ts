/** R2: a convolutional network on MNIST. Keras reaches 0.991 on the test images. */
import { configure, datasets, layers, sequential } from "layerwise";
import type { Data, RunOptions } from "./types.ts";

const { conv2d, dense, flatten, maxPooling2d } = layers;

export const load = datasets.mnist;

/** Images with numbers in [0, 1]; the labels stay class numbers. */
export function prepare({ x, y }: Data) {
  return { x: x.reshape([x.shape[0], 28, 28, 1]).div(255), y };
}

export function createModel() {
  const model = sequential([
    conv2d(32, 3, { activation: "relu", inputShape: [28, 28, 1] }),
    maxPooling2d(2),
    conv2d(64, 3, { activation: "relu" }),
    maxPooling2d(2),
    conv2d(64, 3, { activation: "relu" }),
    flatten(),
    dense(64, { activation: "relu" }),
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
