/**
 * Air in Beijing: a day of dust and weather says how much fine dust there will be six hours later. Four years to learn on, the
 * last year to test on, beside saying "as now".
 */
import { configure, data, datasets, layers, sequential, tensor } from "layerwise";
import type { ExampleOptions } from "./index.ts";

const { dense, lstm } = layers;
const hours = 24;
const ahead = 6;

export function createModel(features: number) {
  const model = sequential([lstm(32, { inputShape: [hours, features] }), dense(1)]);
  model.compile({ optimizer: "adam", loss: "meanAbsoluteError" });
  return model;
}

const meanAbsolute = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a, (v, i) => Math.abs(v - b[i])).reduce((s, v) => s + v, 0) / a.length;

export async function run({ epochs = 5, seed = 0, verbose = 1 }: ExampleOptions = {}) {
  configure({ seed });
  const { values, features, years } = await datasets.beijingAir();
  const [rows, width] = values.shape;
  const given = values.dataSync();
  const dust = Float32Array.from({ length: rows }, (_, i) => given[i * width]);
  const split = years.indexOf(2014);

  // Every feature with mean 0 and variance 1 over the years to learn on; dust as a logarithm, since it is never negative.
  const scaled = new Float32Array(rows * width);
  const scales: { mean: number; deviation: number }[] = [];
  for (let c = 0; c < width; c++) {
    const column = Float64Array.from({ length: rows }, (_, i) =>
      c === 0 ? Math.log1p(dust[i]) : given[i * width + c],
    );
    const known = column.subarray(0, split);
    const mean = known.reduce((s, v) => s + v, 0) / split;
    const deviation = Math.sqrt(known.reduce((s, v) => s + (v - mean) ** 2, 0) / split);
    scales.push({ mean, deviation });
    for (let i = 0; i < rows; i++) scaled[i * width + c] = (column[i] - mean) / deviation;
  }
  const series = tensor(scaled, [rows, width]);
  // What the network learns is the change from the last hour of the window to `ahead` hours later.
  const change = Float32Array.from(
    { length: rows - hours - ahead + 1 },
    (_, i) => scaled[(i + hours - 1 + ahead) * width] - scaled[(i + hours - 1) * width],
  );
  const part = (startIndex: number, endIndex: number) =>
    data.timeseriesDataset(series, tensor(change), { sequenceLength: hours, startIndex, endIndex });
  const train = part(0, split - ahead);
  const test = part(split, rows);

  const model = createModel(width);
  await model.fit(train.x, train.y, { epochs, batchSize: 128, verbose });
  const predicted = (await model.predict(test.x, { batchSize: 512 })).dataSync();

  const { mean, deviation } = scales[0];
  const at = Array.from(predicted, (_, i) => split + i + hours - 1);
  const truth = at.map((t) => dust[t + ahead]);
  const figures = {
    network: meanAbsolute(
      at.map((t, i) => Math.expm1((scaled[t * width] + predicted[i]) * deviation + mean)),
      truth,
    ),
    persistence: meanAbsolute(
      at.map((t) => dust[t]),
      truth,
    ),
  };
  console.log(`${features[0]} ${ahead} hours ahead, ${truth.length} hours of 2014, mean absolute error in µg/m³:`);
  console.log(`  as now       ${figures.persistence.toFixed(1)}`);
  console.log(`  the network  ${figures.network.toFixed(1)}`);
  return { ...figures, share: figures.network / figures.persistence };
}
