/** Sentiment of film reviews (SST-2): a bidirectional LSTM on words; the epoch is chosen on the development part. */
import { callbacks, configure, datasets, layers, sequential } from "layerwise";
import type { ExampleOptions } from "./index.ts";

const { bidirectional, dense, dropout, embedding, lstm, spatialDropout1d, textVectorization } = layers;

export function createModel(texts: readonly string[]) {
  const words = textVectorization({ maxTokens: 12_000, standardize: "lower", outputSequenceLength: 40 });
  words.adapt(texts);
  const model = sequential([
    words,
    embedding(words.vocabularySize, 100, { maskZero: true }),
    spatialDropout1d(0.4),
    bidirectional(lstm(64)),
    dropout(0.5),
    dense(1, { activation: "sigmoid" }),
  ]);
  model.compile({ optimizer: "adam", loss: "binaryCrossentropy", metrics: ["accuracy"] });
  return model;
}

export async function run({ epochs = 4, seed = 0, verbose = 1 }: ExampleOptions = {}) {
  configure({ seed });
  const { train, dev, test } = await datasets.sst2();
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
  const [good, bad] = (await model.predict(["what a film !", "a dull and endless mess"])).dataSync();
  console.log(`"what a film !" ${good.toFixed(3)}, "a dull and endless mess" ${bad.toFixed(3)}`);
  return { loss, accuracy };
}
