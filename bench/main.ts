/** `npm run bench -- reference | peers | compare | micro`: see bench/README.md. */
import { writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { reportErrors, wholeNumber } from "../scripts/program.ts";
import { answerBusy, busy } from "./busy.ts";
import { answerLines, Child } from "./children.ts";
import { type Comparison, compare, type Ours } from "./compare.ts";
import { Bench, type MeasureOptions, measure, median, type ProgramFigures, peakMb } from "./measure.ts";
import { micro } from "./micro.ts";
import { overhead } from "./overhead.ts";
import { peerNames, peersFor } from "./peers.ts";
import { type BenchName, isBenchName, programs, usual } from "./programs.ts";
import { memoryTable, missingPeers, peerTables, ratioTables } from "./report.ts";
import { answerStart, start } from "./start.ts";
import { table } from "./table.ts";
import { unit } from "./unit.ts";

const usage = `usage: npm run bench -- reference [--device D] [--threads N] [--only R1,…] [--json FILE]
       npm run bench -- peers [--python PYTHON] [--js FOLDER] [--peers NAME,…] [--rounds N] [--threads N] [--only R1,…] [--json FILE]
       npm run bench -- compare [--device wasm,native,…] [--node NODE,…] [--processor] and the options of peers
       npm run bench -- micro [--device wasm|native] [--only TEXT] [--json FILE]
       npm run bench -- busy [--device wasm,native] [--rounds N] [--load N] [--only R1,…] [--json FILE]
       npm run bench -- start [--device wasm,native] [--node NODE] [--rounds N] [--only R1,…]
       npm run bench -- overhead [--device wasm,native]
       npm run bench -- unit [--seconds N] [--threads N]`;

await reportErrors(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      device: { type: "string" },
      threads: { type: "string" },
      processor: { type: "boolean" },
      only: { type: "string" },
      json: { type: "string" },
      python: { type: "string" },
      js: { type: "string" },
      peers: { type: "string" },
      node: { type: "string" },
      rounds: { type: "string" },
      convolution: { type: "string" },
      matrix: { type: "string" },
      tile: { type: "string" },
      kernels: { type: "boolean" },
      seconds: { type: "string" },
      load: { type: "string" },
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
  if (command === "measure-start") return answerStart(programName(positionals[1] ?? ""), options);
  if (command === "answer-busy") return answerBusy(programName(positionals[1] ?? ""), options);
  const commands = ["reference", "peers", "compare", "micro", "busy", "start", "overhead", "unit"];
  if (positionals.length !== 1 || !commands.includes(command)) throw new Error(usage);
  const devices = (values.device ?? "wasm,native").split(",");
  if (command === "overhead") return overhead(devices);
  if (command === "unit") {
    const { seconds = 15 } = wholeNumber("seconds", values.seconds, 1);
    return unit(seconds, options.threads ?? availableParallelism());
  }
  if (command === "micro") {
    const { device, only, json, convolution, matrix, tile, kernels, seconds } = values;
    await micro({ device: device ?? "wasm", only, json, convolution, matrix, tile, kernels, seconds });
    return;
  }
  const names = values.only ? values.only.split(",").map(programName) : usual;
  if (command === "busy") {
    const { rounds = 5 } = wholeNumber("rounds", values.rounds, 1);
    const { load = 1 } = wholeNumber("load", values.load, 0);
    return busy(names, { devices, rounds, load, json: values.json });
  }
  if (command === "start") {
    const { rounds = 5 } = wholeNumber("rounds", values.rounds, 1);
    return start(names, devices, rounds, (name, device, cache) =>
      startChild("measure-start", name, { device }, values.node, { LAYERWISE_CACHE: cache }),
    );
  }
  const threads = options.threads ?? availableParallelism();
  const machine = { threads, node: process.version, cpu: cpus()[0]?.model ?? "unknown" };
  console.log(`${machine.cpu}, Node ${machine.node}, ${threads} threads, load ${loadavg()[0].toFixed(2)}\n`);

  const results: Partial<Record<BenchName, unknown>> = {};
  const write = (more: Record<string, unknown>) => {
    if (values.json)
      writeFileSync(values.json, `${JSON.stringify({ ...machine, ...more, programs: results }, null, 2)}\n`);
  };
  if (command === "reference") {
    const rows: string[][] = [];
    for (const name of names) {
      const figures = await inChild<ProgramFigures>("measure-in-this-process", name, options, (child) =>
        child.ask("measure"),
      );
      results[name] = figures;
      const { trainMs, predictMs, prepareMs, compileMs, rssMb } = figures;
      const cells = [
        trainMs.toFixed(3),
        predictMs.toFixed(3),
        ...[prepareMs, compileMs, rssMb].map((x) => x.toFixed(0)),
      ];
      rows.push([name, ...cells]);
    }
    console.log(table(["", "train ms/step", "predict ms/batch", "prepare ms", "compile ms", "peak MB"], rows));
    write({ device: options.device ?? "wasm" });
    return;
  }

  const only = values.peers?.split(",");
  const unknown = only?.find((p) => !peerNames.includes(p));
  if (unknown) throw new Error(`there is no peer "${unknown}"; there are ${peerNames.join(", ")}`);
  const peers = peersFor({ python: values.python, javascript: values.js, threads, only });
  const ours = command === "compare" ? participants(values.device ?? "wasm", values.node, threads) : [];
  const { rounds = 5 } = wholeNumber("rounds", values.rounds, 1);
  const all: [BenchName, Comparison][] = [];
  for (const name of names) {
    const result = await compare(name, ours, peers, rounds, values.processor ? "cpuMs" : "ms");
    results[name] = result;
    all.push([name, result]);
    const best = (kind: "train" | "predict") => {
      const side = result[kind];
      const figures = side.ours.map((o) => `${o.name} ${o.median.toFixed(3)} ms`);
      const peer = side.peers.find((p) => p.name === side.best);
      return `${kind}: ${[...figures, peer ? `${peer.name} ${peer.median.toFixed(3)} ms` : "no peer"].join(", ")}`;
    };
    console.error(`${name}  ${best("train")}; ${best("predict")}`);
    write({ rounds, load: loadavg()[0] });
  }
  console.log(command === "compare" ? ratioTables(all) : peerTables(all));
  console.log(`\n${memoryTable(all)}`);
  console.log(missingPeers(all));
  console.log(
    `medians of ${rounds} rounds${values.processor ? ", processor time" : ""}; load ${loadavg()[0].toFixed(2)} at the end`,
  );
});

function programName(name: string): BenchName {
  if (!isBenchName(name))
    throw new Error(`there is no program "${name}"; there are ${Object.keys(programs).join(", ")}`);
  return name;
}

/** Ours: every device in the first Node, wasm in the others too. */
function participants(devices: string, nodes: string | undefined, threads: number): Ours[] {
  const out: Ours[] = [];
  for (const [i, node] of (nodes ?? process.execPath).split(",").entries())
    for (const device of devices.split(",")) {
      if (i > 0 && device === "native") continue;
      const name = nodes?.includes(",") && device !== "native" ? `${device} ${i + 1}` : device;
      out.push({ name, start: (program) => startChild("answer", program, { device, threads }, node) });
    }
  return out;
}

/** Starts this same file for one program in a process of its own. */
function startChild(
  command: string,
  program: string,
  { device, threads }: MeasureOptions,
  node = process.execPath,
  environment: Readonly<Record<string, string>> = {},
): Child {
  // "/path/to/node --flag": a command with flags of its own.
  const [executable, ...flags] = node.split(" ");
  const args = [...flags, process.argv[1], command, program];
  if (device !== undefined) args.push("--device", device);
  if (threads !== undefined) args.push("--threads", String(threads));
  return new Child(`the process of ${program}`, executable, args, "shown", environment);
}

async function inChild<T>(
  command: string,
  name: BenchName,
  options: MeasureOptions,
  use: (child: Child) => Promise<T>,
): Promise<T> {
  const child = startChild(command, name, options);
  try {
    return await use(child);
  } finally {
    child.close();
  }
}

/** Answers "train N" and "predict N" with the median step of a round, as the peers do. */
async function answer(name: BenchName, options: MeasureOptions): Promise<void> {
  const bench = new Bench(name, options);
  await answerLines(async (line) => {
    const [what, count] = line.split(" ");
    const before = process.cpuUsage();
    const durations =
      what === "train" ? (await bench.train(Number(count))).durations : await bench.predict(Number(count));
    const { user, system } = process.cpuUsage(before);
    const cpuMs = (user + system) / 1000 / durations.length;
    return { ms: median(durations), cpuMs, rssMb: peakMb(), version: `Node ${process.version}` };
  });
}
