/** What a question asks for (TREC): six classes, a bidirectional LSTM on words; a tenth of the training part chooses the epoch. */
import { callbacks, configure, data, datasets, layers, sequential } from "layerwise";
import type { ExampleOptions } from "./index.ts";

const { bidirectional, dense, dropout, embedding, lstm, spatialDropout1d, textVectorization } = layers;

export function createModel(texts: readonly string[], classes: number) {
  const words = textVectorization({ standardize: "lower", outputSequenceLength: 24 });
  words.adapt(texts);
  const model = sequential([
    words,
    embedding(words.vocabularySize, 128, { maskZero: true }),
    spatialDropout1d(0.4),
    bidirectional(lstm(64)),
    dropout(0.5),
    dense(classes, { activation: "softmax" }),
  ]);
  model.compile({ optimizer: "adam", loss: "sparseCategoricalCrossentropy", metrics: ["accuracy"] });
  return model;
}

export async function run({ epochs = 6, seed = 0, verbose = 1 }: ExampleOptions = {}) {
  configure({ seed });
  const { train, test, classes } = await datasets.trec();
  const [own, dev] = data.split(train, [0.9, 0.1], { seed: 0, stratify: false });
  const model = createModel(own.x, classes.length);
  await model.fit(own.x, own.y, {
    epochs,
    batchSize: 32,
    verbose,
    validationData: [dev.x, dev.y],
    callbacks: [callbacks.earlyStopping({ monitor: "val_accuracy", patience: epochs, restoreBestWeights: true })],
  });
  const { loss, accuracy } = await model.evaluate(test.x, test.y, { verbose: 0 });
  console.log(`test accuracy ${accuracy.toFixed(4)} on ${test.x.length} questions`);
  const question = "Who wrote the first novel ?";
  const scores = (await model.predict([question])).dataSync();
  console.log(`"${question}" asks for: ${classes[scores.indexOf(Math.max(...scores))]}`);
  return { loss, accuracy };
}
