/**
 * The profile of a training step of every reference program, for docs/performance.md:
 *
 *   node scripts/run.mjs bench/profiles.ts [--device wasm|native] [--only R1,…] [--sum]
 *
 * `--sum` adds up the calls of equal kernels, which deep models repeat layer by layer.
 */
import { parseArgs } from "node:util";
import { Profiler } from "../packages/core/src/training/profile.ts";
import { Bench } from "./measure.ts";
import { type BenchName, isBenchName, usual } from "./programs.ts";
import { table } from "./table.ts";

const { values } = parseArgs({
  options: { device: { type: "string", default: "wasm" }, only: { type: "string" }, sum: { type: "boolean" } },
});
const names = values.only ? values.only.split(",").filter(isBenchName) : (usual as readonly BenchName[]);

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
  // Blocks of a deep model run the same kernels: one line for all calls of a kernel.
  const lines = new Map<
    string,
    { label: string; kernel: string; calls: number; ms: number; flops: number; bytes: number }
  >();
  for (const k of profile.kernels) {
    const key = values.sum ? `${k.kernel} ${k.flops} ${k.bytes}` : String(lines.size);
    const line = lines.get(key) ?? { label: k.label, kernel: k.kernel, calls: 0, ms: 0, flops: 0, bytes: 0 };
    line.calls++;
    line.ms += k.milliseconds;
    line.flops += k.flops;
    line.bytes += k.bytes;
    lines.set(key, line);
  }
  const rows: string[][] = [];
  let shown = 0;
  for (const k of [...lines.values()].sort((a, b) => b.ms - a.ms)) {
    if (shown > (values.sum ? 0.99 : 0.95) || rows.length === (values.sum ? 40 : 12)) break;
    shown += k.ms / milliseconds;
    const gflops = k.flops / k.ms / 1e6;
    rows.push([
      k.label.replace("sequential/", ""),
      `\`${k.kernel.slice(0, 40)}\`${k.calls > 1 ? ` ×${k.calls}` : ""}`,
      `${((100 * k.ms) / milliseconds).toFixed(1)} %`,
      gflops.toFixed(0),
      `${((100 * gflops) / peak).toFixed(0)} %`,
      (k.bytes / k.ms / 1e6).toFixed(1),
    ]);
  }
  console.log(table(["layer", "kernel", "of the step", "GFLOP/s", "of peak", "GB/s"], rows));
}
