/** The profiler of `fit`: time per kernel with layer names, arithmetic, traffic and share of the peak; a table and a trace. */
import { peakProgram } from "../compiler/peak.ts";
import { environment, writeTextFile } from "../platform/platform.ts";
import type { CallTime, Device } from "../targets/device.ts";
import { watch } from "../tensor/profiling.ts";

/** One call of a program: a low quantile of its timed runs, since other work on the machine only ever adds. */
export interface KernelTime extends CallTime {
  /** Share of the milliseconds of all calls. */
  readonly share: number;
  readonly gflops: number;
  readonly gbytes: number;
  /** Share of the arithmetic peak of one thread. */
  readonly ofPeak: number;
}

export interface ProgramProfile {
  readonly program: string;
  readonly device: string;
  readonly runs: number;
  readonly milliseconds: number;
  /** GFLOP/s of multiply-adds in registers, one thread. */
  readonly peak: number;
  /** In the order they run. */
  readonly kernels: readonly KernelTime[];
}

interface Watched {
  readonly device: Device;
  readonly runs: (readonly CallTime[])[];
}

/** Collects timed runs from its construction to `stop`. */
export class Profiler {
  private readonly programs = new Map<string, Watched>();

  constructor() {
    watch((program, device, calls) => {
      const known = this.programs.get(program);
      if (known?.device === device && known.runs[0].length === calls.length) known.runs.push(calls);
      else this.programs.set(program, { device, runs: [calls] });
    });
  }

  /** `quantile` of the runs: 0 takes the fastest time of each kernel. */
  stop(quantile = 0.25): ProgramProfile[] {
    watch(null);
    const peaks = new Map<Device, number>();
    return [...this.programs].map(([program, { device, runs }]) => {
      const peak = peaks.get(device) ?? measurePeak(device);
      peaks.set(device, peak);
      return summarise(program, device.name, runs, peak, quantile);
    });
  }
}

function at(quantile: number, values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(quantile * (sorted.length - 1))];
}

function summarise(
  program: string,
  device: string,
  runs: readonly (readonly CallTime[])[],
  peak: number,
  quantile: number,
): ProgramProfile {
  const times = runs[0].map((_, i) =>
    at(
      quantile,
      runs.map((calls) => calls[i].milliseconds),
    ),
  );
  const total = times.reduce((sum, ms) => sum + ms, 0);
  const kernels = runs[0].map((call, i): KernelTime => {
    const milliseconds = times[i];
    const rate = (amount: number) => (milliseconds > 0 ? amount / milliseconds / 1e6 : 0);
    return {
      ...call,
      milliseconds,
      share: total > 0 ? milliseconds / total : 0,
      gflops: rate(call.flops),
      gbytes: rate(call.bytes),
      ofPeak: rate(call.flops) / peak,
    };
  });
  return { program, device, runs: runs.length, milliseconds: total, peak, kernels };
}

/** The fastest of a few runs: other work only ever takes time away. */
function measurePeak(device: Device): number {
  const { program, flops } = peakProgram(device.profile);
  const executable = device.compile(program);
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 12; i++) {
    const begin = performance.now();
    device.run(executable, []);
    best = Math.min(best, performance.now() - begin);
  }
  device.release(executable);
  return flops / best / 1e6;
}

/** A table per program, the slowest kernels first; those that together take less than 1 % are one line. */
export function profileTable(profiles: readonly ProgramProfile[]): string {
  return profiles
    .map(({ program, device, runs, milliseconds, peak, kernels }) => {
      const title = `${program} on ${device}: ${milliseconds.toFixed(3)} ms in kernels on one thread, first quartiles of ${runs} runs; peak ${peak.toFixed(1)} GFLOP/s`;
      const sorted = [...kernels].sort((a, b) => b.milliseconds - a.milliseconds);
      const rows: string[][] = [["ms", "share", "layer", "kernel", "GFLOP/s", "of peak", "GB/s"]];
      let shown = 0;
      for (const k of sorted) {
        if (shown >= 0.99) break;
        shown += k.share;
        rows.push([
          k.milliseconds.toFixed(4),
          `${(100 * k.share).toFixed(1)} %`,
          k.label,
          k.kernel,
          k.gflops.toFixed(1),
          `${(100 * k.ofPeak).toFixed(0)} %`,
          k.gbytes.toFixed(1),
        ]);
      }
      const rest = sorted.slice(rows.length - 1);
      if (rest.length > 0) {
        const ms = rest.reduce((sum, k) => sum + k.milliseconds, 0);
        rows.push([
          ms.toFixed(4),
          `${((100 * ms) / milliseconds).toFixed(1)} %`,
          `${rest.length} more`,
          "",
          "",
          "",
          "",
        ]);
      }
      return `${title}\n${aligned(rows)}`;
    })
    .join("\n\n");
}

/** Columns of text to the left, of numbers to the right. */
function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, c) => Math.max(...rows.map((r) => r[c].length)));
  const line = (r: readonly string[]) =>
    r.map((cell, c) => (c === 2 || c === 3 ? cell.padEnd(widths[c]) : cell.padStart(widths[c]))).join("  ");
  return rows.map((r) => `  ${line(r).trimEnd()}`).join("\n");
}

/** The last timed run of each program in Chrome's trace format (chrome://tracing, Perfetto): one row per program. */
export function chromeTrace(profiles: readonly ProgramProfile[]): string {
  const events: object[] = [];
  profiles.forEach(({ program, kernels }, tid) => {
    events.push({ ph: "M", name: "thread_name", pid: 1, tid, args: { name: program } });
    let at = 0;
    for (const k of kernels) {
      const dur = 1000 * k.milliseconds;
      const { flops, bytes, gflops, gbytes, ofPeak } = k;
      const args = { kernel: k.kernel, flops, bytes, gflops, gbytes, ofPeak };
      events.push({ ph: "X", name: k.label, cat: k.kernel, pid: 1, tid, ts: at, dur, args });
      at += dur;
    }
  });
  return JSON.stringify({ traceEvents: events, displayTimeUnit: "ms" });
}

/** What is asked for by `fit({ profile })` or else by LAYERWISE_PROFILE: nothing, a table, or a trace file besides. */
export function profileWish(option: boolean | string | undefined): boolean | string {
  if (option !== undefined) return option;
  const given = environment("LAYERWISE_PROFILE");
  if (given === undefined || given === "0" || given === "false") return false;
  return given === "1" || given === "true" ? true : given;
}

/** Prints the table, and writes the trace where a file was named. */
export function reportProfile(profiles: readonly ProgramProfile[], wish: true | string): void {
  if (profiles.length === 0) {
    console.log("profile: no program ran often enough to be timed (the first 3 runs are left out)");
    return;
  }
  console.log(profileTable(profiles));
  if (typeof wish === "string" && writeTextFile(wish, chromeTrace(profiles))) console.log(`trace written to ${wish}`);
}
