/** `npm run bench -- reference | peers | compare`: see bench/README.md. */
import { writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { isProgramName, type ProgramName, programs } from "../examples/reference/index.ts";
import { reportErrors, wholeNumber } from "../scripts/program.ts";
import { answerLines, Child } from "./children.ts";
import { type Comparison, compareWithPytorch, measurePytorch } from "./compare.ts";
import { Bench, type MeasureOptions, measure, median, type ProgramFigures } from "./measure.ts";
import { table } from "./table.ts";

const usage = `usage: npm run bench -- reference [--device D] [--threads N] [--only R1,…] [--json FILE]
       npm run bench -- peers --python PYTHON [--threads N] [--only R1,…] [--json FILE]
       npm run bench -- compare --python PYTHON [--rounds N] [--device D] [--threads N] [--only R1,…] [--json FILE]`;

await reportErrors(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      device: { type: "string" },
      threads: { type: "string" },
      only: { type: "string" },
      json: { type: "string" },
      python: { type: "string" },
      rounds: { type: "string" },
    },
  });
  const options: MeasureOptions = { device: values.device, ...wholeNumber("threads", values.threads, 1) };
  const command = positionals[0];
  if (command === "measure-in-this-process" || command === "answer") {
    const name = programName(positionals[1] ?? "");
    if (command === "answer") await answer(name, options);
    else await answerLines(() => measure(name, options));
    return;
  }
  if (positionals.length !== 1 || !["reference", "peers", "compare"].includes(command)) throw new Error(usage);
  const names = values.only ? values.only.split(",").map(programName) : (Object.keys(programs) as ProgramName[]);
  const machine = {
    device: options.device ?? "wasm",
    threads: options.threads ?? availableParallelism(),
    node: process.version,
    cpu: cpus()[0]?.model ?? "unknown",
  };
  console.log(
    `${machine.cpu}, Node ${machine.node}, ${machine.device}, ${machine.threads} threads, load ${loadavg()[0].toFixed(2)}\n`,
  );

  const results: Partial<Record<ProgramName, unknown>> = {};
  const write = () => {
    if (values.json) writeFileSync(values.json, `${JSON.stringify({ ...machine, programs: results }, null, 2)}\n`);
  };
  if (command === "reference") {
    const rows: string[][] = [];
    for (const name of names) {
      const figures = await inChild<ProgramFigures>("measure-in-this-process", name, options, (child) =>
        child.ask("measure"),
      );
      results[name] = figures;
      const { trainMs, predictMs, prepareMs, compileMs, rssMb } = figures;
      rows.push([
        name,
        trainMs.toFixed(3),
        predictMs.toFixed(3),
        prepareMs.toFixed(0),
        compileMs.toFixed(0),
        rssMb.toFixed(0),
      ]);
    }
    console.log(table(["", "train ms/step", "predict ms/batch", "prepare ms", "compile ms", "peak MB"], rows));
  } else {
    if (!values.python)
      throw new Error(`--python names a Python that has PyTorch, such as one of a virtual environment\n${usage}`);
    const peer = { python: values.python, threads: machine.threads };
    if (command === "peers") {
      const rows: string[][] = [];
      for (const name of names) {
        const { version, contiguous, channelsLast } = await measurePytorch(name, peer);
        results[name] = { version, contiguous, channelsLast };
        rows.push([
          name,
          version,
          ...[contiguous, channelsLast].flatMap((f) => [f.trainMs.toFixed(3), f.predictMs.toFixed(3)]),
        ]);
      }
      console.log(
        table(["", "PyTorch", "train ms", "predict ms", "train ms, channels last", "predict ms, channels last"], rows),
      );
    } else {
      const { rounds = 5 } = wholeNumber("rounds", values.rounds, 1);
      const rows: string[][] = [];
      for (const name of names) {
        const result: Comparison = await inChild("answer", name, options, (child) =>
          compareWithPytorch(name, child, peer, rounds),
        );
        results[name] = result;
        const { train, predict } = result;
        rows.push([
          name,
          ...[train, predict].flatMap((c) => [
            c.ours.toFixed(3),
            c.contiguous.toFixed(3),
            c.channelsLast.toFixed(3),
            `${c.ratio.toFixed(2)}×`,
            `${c.bestRatio.toFixed(2)}×`,
          ]),
        ]);
      }
      const columns = ["ours ms", "PyTorch ms", "channels last", "ratio", "to the better"];
      console.log(table(["", ...columns.map((c) => `train: ${c}`), ...columns.map((c) => `predict: ${c}`)], rows));
      console.log(
        `\nratios are medians over ${rounds} rounds of ours / PyTorch eager; load ${loadavg()[0].toFixed(2)} at the end`,
      );
    }
  }
  write();
});

function programName(name: string): ProgramName {
  if (!isProgramName(name))
    throw new Error(`there is no program "${name}"; there are ${Object.keys(programs).join(", ")}`);
  return name;
}

/** Runs this same file for one program in a process of its own. */
async function inChild<T>(
  command: string,
  name: ProgramName,
  { device, threads }: MeasureOptions,
  use: (child: Child) => Promise<T>,
): Promise<T> {
  const args = [...process.execArgv, process.argv[1], command, name];
  if (device !== undefined) args.push("--device", device);
  if (threads !== undefined) args.push("--threads", String(threads));
  const child = new Child(`the process of ${name}`, process.execPath, args);
  try {
    return await use(child);
  } finally {
    child.close();
  }
}

/** Answers "train" and "predict" with the median step of a round, as bench/peers/pytorch.py does. */
async function answer(name: ProgramName, options: MeasureOptions): Promise<void> {
  const bench = new Bench(name, options);
  await answerLines(async (line) => {
    const durations = line === "train" ? (await bench.train()).durations : await bench.predict();
    return { ms: median(durations), steps: bench.steps };
  });
}
