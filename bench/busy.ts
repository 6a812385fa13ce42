/**
 * `npm run bench -- busy`: the step with two threads against the step with one, while another process is busy on one core
 * (`--load N`: on N). Both stay alive and take turns; a round is a `fit`, and its figure the mean step, so that every
 * stall counts.
 */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { answerLines, Child } from "./children.ts";
import { Bench, type MeasureOptions, median } from "./measure.ts";
import type { BenchName } from "./programs.ts";
import { table } from "./table.ts";

export interface BusyOptions {
  readonly devices: readonly string[];
  readonly rounds: number;
  readonly load: number;
  readonly json: string | undefined;
}

/** Answers each line with the mean milliseconds of a step of one round. */
export async function answerBusy(name: BenchName, options: MeasureOptions): Promise<void> {
  const bench = new Bench(name, options);
  await answerLines(async () => {
    const { begins, ends } = await bench.train();
    return { ms: (ends[ends.length - 1] - begins[0]) / ends.length };
  });
}

export async function busy(names: readonly BenchName[], { devices, rounds, load, json }: BusyOptions): Promise<void> {
  const others = Array.from({ length: load }, () =>
    spawn(process.execPath, ["-e", "for (;;);"], { stdio: ["ignore", "ignore", "inherit"] }),
  );
  const rows: string[][] = [];
  const figures: Record<string, unknown>[] = [];
  try {
    for (const device of devices) {
      for (const name of names) {
        const [one, two] = [1, 2].map(
          (threads) =>
            new Child(`${name} with ${threads} threads`, process.execPath, [
              process.argv[1],
              "answer-busy",
              name,
              "--device",
              device,
              "--threads",
              String(threads),
            ]),
        );
        const ask = async (child: Child) => (await child.ask<{ ms: number }>("train")).ms;
        const measured: { one: number; two: number }[] = [];
        try {
          await ask(one);
          await ask(two);
          for (let r = 0; r < rounds; r++) measured.push({ one: await ask(one), two: await ask(two) });
        } finally {
          one.close();
          two.close();
        }
        const ratio = median(measured.map((m) => m.two / m.one));
        figures.push({ device, name, ratio, rounds: measured });
        const figure = (of: (m: { one: number; two: number }) => number) => median(measured.map(of)).toFixed(3);
        rows.push([`${device} ${name}`, figure((m) => m.one), figure((m) => m.two), `${ratio.toFixed(2)}×`]);
        console.error(rows[rows.length - 1].join("  "));
      }
    }
  } finally {
    for (const other of others) other.kill("SIGKILL");
  }
  console.log(table(["", "one thread ms", "two threads ms", "ratio"], rows));
  console.log(
    `medians of ${rounds} rounds beside ${load} busy process(es); load ${loadavg()[0].toFixed(2)} at the end`,
  );
  if (json) writeFileSync(json, `${JSON.stringify({ load, rounds, figures }, null, 2)}\n`);
}
