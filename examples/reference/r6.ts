/** R6: a small convolutional network on MNIST. Keras reaches 0.985 on the test images. */
import { configure, datasets, layers, sequential } from "layerwise";
import type { Data, RunOptions } from "./types.ts";

const { conv2d, dense, flatten, maxPooling2d, rescaling } = layers;

export const load = datasets.mnist;

/** Images and labels go in as they come; the model rescales. */
export function prepare({ x, y }: Data) {
  return { x, y };
}

export function createModel() {
  const model = sequential([
    rescaling(1 / 255, { inputShape: [28, 28, 1] }),
    conv2d(32, 3, { activation: "relu" }),
    maxPooling2d(2),
    flatten(),
    dense(128, { activation: "relu" }),
    dense(10, { activation: "softmax" }),
  ]);
  model.compile({ optimizer: "adam", loss: "sparseCategoricalCrossentropy", metrics: ["accuracy"] });
  return model;
}

export async function run({ epochs = 5, seed = 0, ...options }: RunOptions = {}) {
  configure({ seed });
  const { train, test } = await load();
  const model = createModel();
  return model.fit(train.x, train.y, { epochs, batchSize: 128, validationData: [test.x, test.y], ...options });
}
