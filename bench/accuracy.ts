/** `npm run accuracy`: full runs of the reference programs and examples, and the figures that each must reach. */
import { parseArgs } from "node:util";
import { examples } from "../examples/index.ts";
import { isProgramName, type ProgramName, programs } from "../examples/reference/index.ts";
import { reportErrors, wholeNumber } from "../scripts/program.ts";
import { table } from "./table.ts";

interface Run {
  readonly name: string;
  readonly program: ProgramName;
  readonly learningRate?: number;
  /** Least mean of the last three epochs' test accuracy … */
  readonly mean: number;
  /** … and least accuracy of the last epoch. */
  readonly last?: number;
}

const runs: readonly Run[] = [
  { name: "R1", program: "R1", mean: 0.96 },
  { name: "R2", program: "R2", mean: 0.985 },
  { name: "R3", program: "R3", mean: 0.983 },
  { name: "R5", program: "R5", mean: 0.8, last: 0.82 },
  { name: "R5-rate-1", program: "R5", learningRate: 1, mean: 0.99 },
  { name: "R6", program: "R6", mean: 0.983 },
  { name: "R7", program: "R7", mean: 0.65 },
];

/** Examples with one figure each on their test part, at the epoch that the development part chose. */
const figures: readonly {
  readonly name: string;
  readonly figure: string;
  readonly least?: number;
  readonly most?: number;
}[] = [
  { name: "film-reviews", figure: "accuracy", least: 0.73 },
  { name: "sentiment", figure: "accuracy", least: 0.785 },
  { name: "questions", figure: "accuracy", least: 0.85 },
  { name: "hotel-reviews", figure: "accuracy", least: 0.85 },
  { name: "spoken-digits", figure: "accuracy", least: 0.95 },
  // Errors as a share of what saying "as a year ago" and "as now" gives.
  { name: "airline-passengers", figure: "share", most: 0.6 },
  { name: "beijing-air", figure: "share", most: 0.93 },
  { name: "shakespeare", figure: "loss", most: 1.7 },
  { name: "gpt", figure: "loss", most: 1.7 },
];

await reportErrors(async () => {
  const { values } = parseArgs({
    options: { only: { type: "string" }, seed: { type: "string" }, epochs: { type: "string" } },
  });
  const settings = { ...wholeNumber("seed", values.seed, 0), ...wholeNumber("epochs", values.epochs, 1) };
  const only = values.only?.split(",");
  for (const name of only ?? []) {
    if (!isProgramName(name) && ![...runs, ...figures].some((r) => r.name === name)) {
      throw new Error(`there is no run "${name}"; there are ${[...runs, ...figures].map((r) => r.name).join(", ")}`);
    }
  }
  const rows: string[][] = [];
  let short = 0;
  for (const run of runs.filter((r) => !only || only.includes(r.name) || only.includes(r.program))) {
    console.log(`${run.name}${run.learningRate === undefined ? "" : `: learning rate ${run.learningRate}`}`);
    const begin = performance.now();
    const history = await programs[run.program].run({
      seed: 0,
      ...settings,
      ...(run.learningRate !== undefined && { learningRate: run.learningRate }),
    });
    const seconds = (performance.now() - begin) / 1000;
    const accuracies = history.history["val_accuracy"];
    const tail = accuracies.slice(-3);
    const mean = tail.reduce((a, b) => a + b, 0) / tail.length;
    const last = accuracies[accuracies.length - 1];
    const good = mean >= run.mean && last >= (run.last ?? 0);
    if (!good) short++;
    rows.push([
      run.name,
      String(accuracies.length),
      mean.toFixed(4),
      `≥ ${run.mean.toFixed(3)}`,
      last.toFixed(4),
      run.last === undefined ? "" : `≥ ${run.last.toFixed(3)}`,
      seconds.toFixed(0),
      good ? "yes" : "NO",
    ]);
  }
  const found: string[][] = [];
  for (const { name, figure, least, most } of figures.filter((f) => !only || only.includes(f.name))) {
    console.log(name);
    const begin = performance.now();
    const { run } = await examples[name]();
    const value = (await run({ seed: 0, ...settings }))[figure];
    const good = least === undefined ? value <= most! : value >= least;
    if (!good) short++;
    const wanted = least === undefined ? `≤ ${most}` : `≥ ${least}`;
    const seconds = (performance.now() - begin) / 1000;
    found.push([name, figure, value.toFixed(4), wanted, seconds.toFixed(0), good ? "yes" : "NO"]);
  }
  const header = ["", "epochs", "mean of last 3", "wanted", "last", "wanted", "seconds", "reached"];
  if (rows.length > 0) console.log(`\n${table(header, rows)}`);
  if (found.length > 0) console.log(`\n${table(["", "", "on the test part", "wanted", "seconds", "reached"], found)}`);
  if (short > 0) process.exitCode = 1;
});
