/** Spoken digits: raw sound through a mel spectrogram, which is a layer of the model, into a small convolutional network. */
import { configure, datasets, layers, sequential } from "layerwise";
import type { ExampleOptions } from "./index.ts";

const { conv2d, dense, dropout, flatten, layerNormalization, maxPooling2d, melSpectrogram, reshape } = layers;

export function createModel(samples: number, samplingRate: number) {
  const bands = 40;
  const stride = 100; // 12.5 ms
  const frames = Math.floor(samples / stride) + 1;
  const model = sequential([
    melSpectrogram({
      inputShape: [samples],
      samplingRate,
      fftLength: 256,
      sequenceStride: stride,
      numMelBins: bands,
      minFreq: 60,
      // A fixed floor of silence. `topDb` would count from the loudest recording of the batch.
      minPower: 1e-3,
      topDb: 200,
    }), // [N, bands, frames]
    // How loud somebody speaks says nothing about the digit.
    layerNormalization({ axis: [1, 2] }),
    reshape([bands, frames, 1]),
    conv2d(16, 3, { padding: "same", activation: "relu" }),
    maxPooling2d(2),
    conv2d(32, 3, { padding: "same", activation: "relu" }),
    maxPooling2d(2),
    conv2d(64, 3, { padding: "same", activation: "relu" }),
    maxPooling2d(2),
    flatten(),
    dropout(0.5),
    dense(64, { activation: "relu" }),
    dropout(0.5),
    dense(10, { activation: "softmax" }),
  ]);
  model.compile({ optimizer: "adam", loss: "sparseCategoricalCrossentropy", metrics: ["accuracy"] });
  return model;
}

export async function run({ epochs = 15, seed = 0, verbose = 1 }: ExampleOptions = {}) {
  configure({ seed });
  const samples = 8000; // one second
  const { train, test, samplingRate } = await datasets.spokenDigits({ samples });
  const model = createModel(samples, samplingRate);
  model.summary();
  await model.fit(train.x, train.y, { epochs, batchSize: 32, verbose });
  const { loss, accuracy } = await model.evaluate(test.x, test.y, { verbose: 0 });
  console.log(`test accuracy ${accuracy.toFixed(4)} on ${test.x.shape[0]} recordings of takes 0 to 4`);
  return { loss, accuracy };
}
