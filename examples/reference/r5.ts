/** R5: the classic convolutional network with dropout on MNIST. Keras reaches 0.835 with its slow default of Adadelta, 0.99 at 1. */
import { configure, datasets, layers, ops, optimizers, sequential } from "layerwise";
import type { Data, RunOptions } from "./types.ts";

const { conv2d, dense, dropout, flatten, maxPooling2d } = layers;

export const load = datasets.mnist;

/** Images with numbers in [0, 1]; labels as one-hot rows. */
export function prepare({ x, y }: Data) {
  return { x: x.reshape([x.shape[0], 28, 28, 1]).div(255), y: ops.oneHot(y, 10) };
}

/** `learningRate` is 0.001 in Keras 3; the paper of Adadelta has none, which is 1. */
export function createModel({ learningRate = 0.001 } = {}) {
  const model = sequential([
    conv2d(32, 3, { activation: "relu", inputShape: [28, 28, 1] }),
    conv2d(64, 3, { activation: "relu" }),
    maxPooling2d(2),
    dropout(0.25),
    flatten(),
    dense(128, { activation: "relu" }),
    dropout(0.5),
    dense(10, { activation: "softmax" }),
  ]);
  model.compile({
    optimizer: optimizers.adadelta({ learningRate }),
    loss: "categoricalCrossentropy",
    metrics: ["accuracy"],
  });
  return model;
}

export async function run({ epochs = 12, seed = 0, learningRate = 0.001, ...options }: RunOptions = {}) {
  configure({ seed });
  const data = await load();
  const train = prepare(data.train);
  const test = prepare(data.test);
  const model = createModel({ learningRate });
  return model.fit(train.x, train.y, { epochs, batchSize: 128, validationData: [test.x, test.y], ...options });
}
