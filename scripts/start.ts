/** `npm start`: trains a convolutional network on MNIST and shows what it has learned. */
import { parseArgs } from "node:util";
import { configure, datasets, LayerwiseError, report, type Tensor } from "layerwise";
import * as R6 from "../examples/reference/r6.ts";
import { reportErrors, wholeNumber } from "./program.ts";

type Splits = Awaited<ReturnType<typeof datasets.mnist>>;

/** MNIST, or drawn digits where it cannot be had; says in one line which and why. */
async function load(seed: number): Promise<Splits> {
  try {
    const data = await datasets.mnist();
    console.log(`MNIST: ${data.train.x.shape[0]} handwritten digits to train on, ${data.test.x.shape[0]} to test on`);
    return data;
  } catch (error) {
    if (!(error instanceof LayerwiseError && error.code.startsWith("D2"))) throw error;
    const why = error.message.split("\n", 1)[0];
    console.log(
      `MNIST cannot be had (${why}; ${error.received ?? "no reason given"}): training on synthetic digits instead`,
    );
    return datasets.syntheticDigits({ seed });
  }
}

/** Index of the largest number of each row of `probabilities: [N, K]`. */
async function classes(probabilities: Tensor): Promise<number[]> {
  const [n, k] = probabilities.shape;
  const p = await probabilities.data();
  return Array.from({ length: n }, (_, row) => {
    let best = 0;
    for (let c = 1; c < k; c++) if (p[row * k + c] > p[row * k + best]) best = c;
    return best;
  });
}

await reportErrors(async () => {
  const { values } = parseArgs({ options: { epochs: { type: "string" }, seed: { type: "string" } } });
  const { epochs = 5 } = wholeNumber("epochs", values.epochs, 1);
  const { seed = 0 } = wholeNumber("seed", values.seed, 0);
  configure({ seed });

  const { train, test } = await load(seed);
  const model = R6.createModel();
  model.summary();
  await model.fit(train.x, train.y, { epochs, batchSize: 128 });
  const { accuracy } = await model.evaluate(test.x, test.y, { batchSize: 128, verbose: 0 });
  console.log(`test accuracy ${accuracy.toFixed(4)}\n`);

  const predictions = await classes(await model.predict(test.x, { batchSize: 128, verbose: 0 }));
  const labels = await test.y.data();
  console.log(report.drawConfusion(report.confusionMatrix(labels, predictions, 10)));

  const [, height, width] = test.x.shape;
  const pixels = await test.x.data();
  const color = process.stdout.isTTY === true && process.env["NO_COLOR"] === undefined;
  const samples = Array.from({ length: 8 }, (_, i) => ({
    caption: `predicted ${predictions[i]}, is ${labels[i]}`,
    lines: report.drawPicture(
      { data: pixels.subarray(i * height * width, (i + 1) * height * width), height, width },
      { color },
    ),
  }));
  const perRow = Math.max(1, Math.min(4, Math.floor((process.stdout.columns ?? 120) / (width + 2))));
  console.log(`\n${report.sideBySide(samples, width, perRow)}`);
});
