/**
 * The profile of a training step of every reference program, for docs/performance.md:
 *
 *   node scripts/run.mjs bench/profiles.ts [--device wasm|native] [--only R1,…]
 */
import { parseArgs } from "node:util";
import { isProgramName, type ProgramName, programs } from "../examples/reference/index.ts";
import { Profiler } from "../packages/core/src/training/profile.ts";
import { Bench } from "./measure.ts";
import { table } from "./table.ts";

const { values } = parseArgs({
  options: { device: { type: "string", default: "wasm" }, only: { type: "string" } },
});
const names = values.only ? values.only.split(",").filter(isProgramName) : (Object.keys(programs) as ProgramName[]);

for (const name of names) {
  const bench = new Bench(name, { device: values.device });
  await bench.train(3);
  const profiler = new Profiler();
  await bench.train(26);
  const [profile] = profiler.stop(0).filter((p) => p.program.startsWith("train"));
  const { milliseconds, peak } = profile;
  console.log(
    `\n**${name}**: ${milliseconds.toFixed(2)} ms in kernels on one thread, the fastest of 20 runs of each (peak ${peak.toFixed(0)} GFLOP/s)\n`,
  );
  const rows: string[][] = [];
  let shown = 0;
  for (const k of [...profile.kernels].sort((a, b) => b.milliseconds - a.milliseconds)) {
    if (shown > 0.95 || rows.length === 12) break;
    shown += k.share;
    rows.push([
      k.label.replace("sequential/", ""),
      `\`${k.kernel.slice(0, 40)}\``,
      `${(100 * k.share).toFixed(1)} %`,
      k.gflops.toFixed(0),
      `${(100 * k.ofPeak).toFixed(0)} %`,
      k.gbytes.toFixed(1),
    ]);
  }
  console.log(table(["layer", "kernel", "of the step", "GFLOP/s", "of peak", "GB/s"], rows));
}
