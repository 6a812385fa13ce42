/**
 * What the WebAssembly device's scheduler costs and brings: overhead of a run, cost of a stage, speed-up by stage length.
 *
 *   node scripts/run.mjs bench/threads.ts [--threads 2] [--runs 400]
 *
 * Runs on one thread and on several alternate; each line gives both at five quantiles, so that a machine with other
 * work shows as a wide range. Times in microseconds.
 */
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { createWasmDevice } from "../packages/core/src/targets/wasm/device.ts";
import {
  call,
  heavyKernel,
  mixKernel,
  parallel,
  program,
  serial,
} from "../packages/core/src/targets/wasm/test-programs.ts";

const { values: args } = parseArgs({
  options: { threads: { type: "string", default: "2" }, runs: { type: "string", default: "400" } },
});
const threads = Number(args.threads);
const runs = Number(args.runs);

const one = createWasmDevice({ threads: 1 });
const many = createWasmDevice({ threads, threadsFrom: 0 });

/** Median microseconds of a call, from 15 rounds. */
function median(body: () => void, calls: number): number {
  const rounds = Array.from({ length: 15 }, () => {
    const start = performance.now();
    for (let i = 0; i < calls; i++) body();
    return ((performance.now() - start) / calls) * 1000;
  });
  return rounds.sort((a, b) => a - b)[7]!;
}

console.log(`Node ${process.version}, ${threads} threads, load average ${loadavg()[0]!.toFixed(2)}`);

const tiny = { ...mixKernel("tiny", 2, 4, 1), flops: 1e6 };
const single = one.compile(program([tiny], [serial([call(0, [0, 64, 128])])], { arenaBytes: 256 }));
console.log(`a run of one tiny kernel, one thread: ${median(() => one.run(single, []), 20000).toFixed(3)} µs`);
const step = many.compile(program([tiny], [parallel([call(0, [0, 64, 128])], 1)], { arenaBytes: 256 }));
console.log(`the same through the scheduler: ${median(() => many.run(step, []), 5000).toFixed(3)} µs`);

for (const [stages, rounds] of [
  [10, 400],
  [50, 40],
  [100, 10],
  [200, 4],
] as const) {
  const kernel = { ...heavyKernel("heavy", 64, 256, rounds), flops: 1e7 };
  const p = program(
    [kernel],
    Array.from({ length: stages }, (_, i) => parallel([call(0, i % 2 ? [65536, 0] : [0, 65536])], 8)),
    { arenaBytes: 131072 },
  );
  const a = one.compile(p);
  const b = many.compile(p);
  for (let i = 0; i < 30; i++) {
    one.run(a, []);
    many.run(b, []);
  }
  const alone: number[] = [];
  const together: number[] = [];
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    one.run(a, []);
    const middle = performance.now();
    many.run(b, []);
    alone.push(middle - start);
    together.push(performance.now() - middle);
  }
  alone.sort((x, y) => x - y);
  together.sort((x, y) => x - y);
  const quantiles = [0, 0.05, 0.25, 0.5, 0.9].map((q) => {
    const i = Math.floor(q * (runs - 1));
    const [x, y] = [alone[i]!, together[i]!];
    return `${q * 100} %: ${(x * 1000).toFixed(0)} / ${(y * 1000).toFixed(0)} = ${(x / y).toFixed(2)}`;
  });
  const length = ((alone[0]! * 1000) / stages).toFixed(1);
  console.log(`${stages} stages of ${length} µs, one / ${threads} threads at ${quantiles.join(", ")}`);
}
one.close();
many.close();
