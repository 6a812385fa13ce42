/**
 * `npm run bench -- start`: from the call of the first `fit` to the start of its step 0, every time in a fresh process:
 * cold, with an empty folder for compiled programs, and warm, with the folder that the cold start left.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { answerLines, type Child } from "./children.ts";
import { Bench, type MeasureOptions, median } from "./measure.ts";
import type { BenchName } from "./programs.ts";
import { table } from "./table.ts";

interface Start {
  /** Milliseconds on the clock, and of processor time (of this process alone: not the C compiler's). */
  readonly ms: number;
  readonly cpuMs: number;
}

export async function answerStart(name: BenchName, options: MeasureOptions): Promise<void> {
  const bench = new Bench(name, options);
  await answerLines(async (): Promise<Start> => {
    const { begins, processorMs } = await bench.train(1);
    return { ms: begins[0], cpuMs: processorMs };
  });
}

export async function start(
  names: readonly BenchName[],
  devices: readonly string[],
  rounds: number,
  child: (name: BenchName, device: string, cache: string) => Child,
): Promise<void> {
  const rows: string[][] = [];
  for (const device of devices) {
    for (const name of names) {
      const cold: Start[] = [];
      const warm: Start[] = [];
      for (let r = 0; r < rounds; r++) {
        const cache = mkdtempSync(join(tmpdir(), "layerwise-start-"));
        try {
          for (const times of [cold, warm]) {
            const process = child(name, device, cache);
            try {
              times.push(await process.ask<Start>("start"));
            } finally {
              process.close();
            }
          }
        } finally {
          rmSync(cache, { recursive: true, force: true });
        }
      }
      const cells = [cold, warm].flatMap((s) => [median(s.map((x) => x.ms)), median(s.map((x) => x.cpuMs))]);
      rows.push([`${device} ${name}`, ...cells.map((x) => x.toFixed(0))]);
      console.error(rows[rows.length - 1].join("  "));
    }
  }
  console.log(table(["", "cold ms", "its processor ms", "warm ms", "its processor ms"], rows));
  console.log(`medians of ${rounds} fresh processes each; load ${loadavg()[0].toFixed(2)} at the end`);
}
