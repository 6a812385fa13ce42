/** Sentiment of film reviews (rt-polarity) with one LSTM on words. */
import { callbacks, configure, datasets, layers, sequential } from "layerwise";
import type { ExampleOptions } from "./index.ts";

const { dense, embedding, lstm, textVectorization } = layers;

export function createModel(texts: readonly string[]) {
  const words = textVectorization({ maxTokens: 20_000, outputSequenceLength: 80 });
  words.adapt(texts);
  const model = sequential([
    words,
    embedding(20_000, 64, { maskZero: true }),
    lstm(64),
    dense(2, { activation: "softmax" }),
  ]);
  model.compile({ optimizer: "adam", loss: "sparseCategoricalCrossentropy", metrics: ["accuracy"] });
  return model;
}

export async function run({ epochs = 4, seed = 0, verbose = 1 }: ExampleOptions = {}) {
  configure({ seed });
  const { train, dev, test } = await datasets.rtPolarity();
  const model = createModel(train.x);
  await model.fit(train.x, train.y, {
    epochs,
    batchSize: 32,
    verbose,
    validationData: [dev.x, dev.y],
    callbacks: [callbacks.earlyStopping({ monitor: "val_accuracy", patience: epochs, restoreBestWeights: true })],
  });
  const { loss, accuracy } = await model.evaluate(test.x, test.y, { verbose: 0 });
  console.log(`test accuracy ${accuracy.toFixed(4)} on ${test.x.length} sentences`);
  return { loss, accuracy };
}
