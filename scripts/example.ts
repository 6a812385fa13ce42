/** `npm run example -- R5 [--epochs N] [--seed S]`: runs one of the reference programs or another example. */
import { parseArgs } from "node:util";
import { examples } from "../examples/index.ts";
import { isProgramName, programs } from "../examples/reference/index.ts";
import { reportErrors, wholeNumber } from "./program.ts";

await reportErrors(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { epochs: { type: "string" }, seed: { type: "string" }, "learning-rate": { type: "string" } },
  });
  const example = examples[positionals[0] ?? ""];
  if (example && positionals.length === 1) {
    const { run } = await example();
    await run({ ...wholeNumber("epochs", values.epochs, 1), ...wholeNumber("seed", values.seed, 0) });
    return;
  }
  const name = positionals[0]?.toUpperCase() ?? "";
  if (!isProgramName(name) || positionals.length !== 1) {
    const names = [...Object.keys(programs), ...Object.keys(examples)];
    throw new Error(`usage: npm run example -- ${names.join("|")} [--epochs N] [--seed S]`);
  }
  const rate = values["learning-rate"];
  if (rate !== undefined && !(Number(rate) > 0))
    throw new Error(`--learning-rate wants a positive number, not "${rate}"`);
  const history = await programs[name].run({
    ...wholeNumber("epochs", values.epochs, 1),
    ...wholeNumber("seed", values.seed, 0),
    ...(rate !== undefined && { learningRate: Number(rate) }),
  });
  const accuracies = history.history["val_accuracy"];
  console.log(`test accuracy ${accuracies[accuracies.length - 1].toFixed(4)}`);
});
