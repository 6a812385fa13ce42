/** R7: the network of R2 on CIFAR-10. Keras reaches 0.68 on the test images. */
import { configure, datasets, layers, sequential } from "layerwise";
import type { Data, RunOptions } from "./types.ts";

const { conv2d, dense, flatten, maxPooling2d } = layers;

export const load = datasets.cifar10;

/** Images with numbers in [0, 1]; the labels stay class numbers. */
export function prepare({ x, y }: Data) {
  return { x: x.div(255), y };
}

export function createModel() {
  const model = sequential([
    conv2d(32, 3, { activation: "relu", inputShape: [32, 32, 3] }),
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
