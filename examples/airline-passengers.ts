/**
 * Airline passengers: a year of months says what the next month brings. The network learns on eight years of logarithms and is
 * compared, on the four years after, with saying "as last month" and "as a year ago".
 */
import { configure, data, datasets, layers, sequential, tensor } from "layerwise";
import type { ExampleOptions } from "./index.ts";

const { dense, lstm } = layers;
const year = 12;
const trainMonths = 96;

export function createModel() {
  const model = sequential([lstm(32, { inputShape: [year, 1] }), dense(1)]);
  model.compile({ optimizer: "adam", loss: "meanSquaredError" });
  return model;
}

/** Root of the mean squared difference. */
const rmse = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.sqrt(Array.from(a, (v, i) => (v - b[i]) ** 2).reduce((s, v) => s + v, 0) / a.length);

export async function run({ epochs = 300, seed = 0, verbose = 0 }: ExampleOptions = {}) {
  configure({ seed });
  const { passengers } = await datasets.airlinePassengers();
  const counts = passengers.dataSync();
  // Growth from month to month, as logarithms: growth has no trend, and seasons are the same size in every year.
  const growth = Float32Array.from({ length: counts.length - 1 }, (_, i) => Math.log(counts[i + 1] / counts[i]));
  const windows = (from: number, to: number) =>
    data.timeseriesDataset(tensor(growth.slice(from, to), [to - from, 1]), tensor(growth.slice(from + year, to)), {
      sequenceLength: year,
    });
  const train = windows(0, trainMonths - 1);
  const test = windows(trainMonths - 1 - year, growth.length);
  const model = createModel();
  await model.fit(train.x.mul(10), train.y.mul(10), { epochs, batchSize: 16, verbose });
  const predicted = (await model.predict(test.x.mul(10))).dataSync();

  const months = Array.from({ length: counts.length - trainMonths }, (_, i) => trainMonths + i);
  const truth = months.map((m) => counts[m]);
  const figures = {
    network: rmse(
      months.map((m, i) => counts[m - 1] * Math.exp(predicted[i] / 10)),
      truth,
    ),
    lastMonth: rmse(
      months.map((m) => counts[m - 1]),
      truth,
    ),
    lastYear: rmse(
      months.map((m) => counts[m - year]),
      truth,
    ),
  };
  console.log(`root mean squared error on ${months.length} months, in thousands of passengers:`);
  console.log(`  as last month  ${figures.lastMonth.toFixed(1)}`);
  console.log(`  as a year ago  ${figures.lastYear.toFixed(1)}`);
  console.log(`  the network    ${figures.network.toFixed(1)}`);
  return { ...figures, share: figures.network / figures.lastYear };
}
