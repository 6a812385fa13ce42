/** Sentiment of Chinese hotel reviews (ChnSentiCorp): a bidirectional LSTM on characters; a convolution finds the words. */
import { callbacks, configure, datasets, layers, sequential } from "layerwise";
import type { ExampleOptions } from "./index.ts";

const {
  bidirectional,
  conv1d,
  dense,
  dropout,
  embedding,
  globalMaxPooling1d,
  lstm,
  spatialDropout1d,
  textVectorization,
} = layers;

export function createModel(texts: readonly string[]) {
  const characters = textVectorization({
    maxTokens: 4000,
    standardize: null,
    split: "character",
    outputSequenceLength: 160,
  });
  characters.adapt(texts);
  const model = sequential([
    characters,
    embedding(characters.vocabularySize, 64),
    spatialDropout1d(0.3),
    conv1d(64, 3, { padding: "same", activation: "relu" }),
    bidirectional(lstm(48, { returnSequences: true })),
    globalMaxPooling1d(),
    dropout(0.5),
    dense(1, { activation: "sigmoid" }),
  ]);
  model.compile({ optimizer: "adam", loss: "binaryCrossentropy", metrics: ["accuracy"] });
  return model;
}

export async function run({ epochs = 5, seed = 0, verbose = 1 }: ExampleOptions = {}) {
  configure({ seed });
  const { train, dev, test } = await datasets.chnSentiCorp({ seed: 0 });
  const model = createModel(train.x);
  await model.fit(train.x, train.y, {
    epochs,
    batchSize: 32,
    verbose,
    validationData: [dev.x, dev.y],
    callbacks: [callbacks.earlyStopping({ monitor: "val_accuracy", patience: epochs, restoreBestWeights: true })],
  });
  const { loss, accuracy } = await model.evaluate(test.x, test.y, { verbose: 0 });
  console.log(`test accuracy ${accuracy.toFixed(4)} on ${test.x.length} reviews`);
  const texts = ["房间很干净，服务也不错，下次还来。", "房间又小又脏，服务太差了。"];
  const scores = (await model.predict(texts)).dataSync();
  texts.forEach((text, i) => {
    console.log(`${text} ${scores[i].toFixed(3)}`);
  });
  return { loss, accuracy };
}
