/** `npm run accuracy`: full runs of the reference programs and the test accuracy that each must reach. */
import { parseArgs } from "node:util";
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
  { name: "R5", program: "R5", mean: 0.8, last: 0.82 },
  { name: "R5-rate-1", program: "R5", learningRate: 1, mean: 0.99 },
  { name: "R6", program: "R6", mean: 0.983 },
  { name: "R7", program: "R7", mean: 0.65 },
];

await reportErrors(async () => {
  const { values } = parseArgs({
    options: { only: { type: "string" }, seed: { type: "string" }, epochs: { type: "string" } },
  });
  const settings = { ...wholeNumber("seed", values.seed, 0), ...wholeNumber("epochs", values.epochs, 1) };
  const only = values.only?.split(",");
  for (const name of only ?? []) {
    if (!isProgramName(name) && !runs.some((r) => r.name === name)) {
      throw new Error(`there is no run "${name}"; there are ${runs.map((r) => r.name).join(", ")}`);
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
  const header = ["", "epochs", "mean of last 3", "wanted", "last", "wanted", "seconds", "reached"];
  console.log(`\n${table(header, rows)}`);
  if (short > 0) process.exitCode = 1;
});
