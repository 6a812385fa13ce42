/** Measures one reference program in this process: step times, time until the first step, memory. */
import { Callback, configure, tensor } from "layerwise";
import { type BenchName, inputs, programs } from "./programs.ts";

export interface MeasureOptions {
  readonly device?: string | undefined;
  readonly threads?: number | undefined;
}

/** Milliseconds, and megabytes of 1e6 bytes. */
export interface ProgramFigures {
  /** Median of a training step. */
  readonly trainMs: number;
  /** Median of a batch of `predict`. */
  readonly predictMs: number;
  /** From the call of the first `fit` to the start of its step 0. */
  readonly prepareMs: number;
  /** From the call of the first `fit` to the first step within 1.2× of the steady median. */
  readonly compileMs: number;
  /** Largest resident memory of the process. */
  readonly rssMb: number;
}

/** "native-fma" is the native device without the CPU's matrix unit. */
function deviceSettings(device: string | undefined): { device?: string; matrixUnit?: boolean } {
  if (device === undefined) return {};
  return device === "native-fma" ? { device: "native", matrixUnit: false } : { device };
}

/** Steps of one round; a round lasts about a second on two cores. */
const stepsPerRound: Readonly<Record<string, number>> = {
  R1: 800,
  R2: 80,
  R3: 80,
  R4: 60,
  R5: 10,
  R6: 50,
  R7: 80,
  GPT: 5,
};

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Notes when each step begins and ends. */
class StepClock extends Callback {
  readonly begins: number[] = [];
  readonly ends: number[] = [];
  /** Processor time of this process at the first of them, in ms. */
  processorMs = 0;
  override onTrainBatchBegin(): void {
    if (this.begins.length === 0) this.processorMs = processorMs();
    this.begins.push(performance.now());
  }
  override onTrainBatchEnd(): void {
    this.ends.push(performance.now());
  }
  override onPredictBatchBegin(): void {
    this.begins.push(performance.now());
  }
  override onPredictBatchEnd(): void {
    this.ends.push(performance.now());
  }
  /** From end to end, so that what happens between two steps counts; the first from its beginning. */
  durations(): number[] {
    return this.ends.map((end, i) => end - (i === 0 ? this.begins[0] : this.ends[i - 1]));
  }
}

/** A reference program on made-up data of the right shapes and types, which can be run for a round at a time. */
export class Bench {
  readonly steps: number;
  private readonly name: BenchName;
  private readonly model;
  private readonly data;

  constructor(name: BenchName, { device, threads }: MeasureOptions) {
    configure({ seed: 0, ...(threads !== undefined && { threads }), ...deviceSettings(device) });
    this.name = name;
    this.steps = stepsPerRound[name] ?? 50;
    const { image, batchSize, values = 256, classes = 10, targets = [] } = inputs[name];
    const rows = this.steps * batchSize;
    const size = rows * image.reduce((a, b) => a * b, 1);
    const x = values > 256 ? fill(new Int32Array(size), values) : fill(new Uint8Array(size), values);
    const y = fill(new Uint8Array(rows * targets.reduce((a, b) => a * b, 1)), classes);
    this.data = programs[name].prepare({ x: tensor(x, [rows, ...image]), y: tensor(y, [rows, ...targets], "u8") });
    this.model = programs[name].createModel();
  }

  /** Times of the steps of one `fit`, from its call to the beginning and end of each step, and processor time to step 0. */
  async train(
    steps = this.steps,
  ): Promise<{ durations: number[]; begins: number[]; ends: number[]; processorMs: number }> {
    const clock = new StepClock();
    const called = performance.now();
    const before = processorMs();
    const { batchSize } = inputs[this.name];
    await this.model.fit(this.data.x, this.data.y, {
      epochs: 1,
      stepsPerEpoch: steps,
      batchSize,
      verbose: 0,
      callbacks: [clock],
    });
    return {
      durations: clock.durations(),
      begins: clock.begins.map((t) => t - called),
      ends: clock.ends.map((t) => t - called),
      processorMs: clock.processorMs - before,
    };
  }

  /** Times of the batches of `predict` over the data, as often as it takes for so many batches. */
  async predict(steps = this.steps): Promise<number[]> {
    const durations: number[] = [];
    const { batchSize } = inputs[this.name];
    while (durations.length < steps) {
      const clock = new StepClock();
      await this.model.predict(this.data.x, { batchSize, verbose: 0, callbacks: [clock] });
      durations.push(...clock.durations());
    }
    return durations;
  }
}

/** Largest resident memory of this process so far, in 10⁶ bytes. */
export function peakMb(): number {
  return (process.resourceUsage().maxRSS * 1024) / 1e6;
}

/** The same numbers in [0, limit) at every run: a linear congruential generator (Numerical Recipes). */
function fill<T extends Uint8Array | Int32Array>(array: T, limit: number): T {
  let state = 1;
  for (let i = 0; i < array.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    array[i] = ((state >>> 16) * limit) >>> 16;
  }
  return array;
}

/** All figures of one program. The process must be fresh: memory and compilation are those of the process. */
export async function measure(name: BenchName, options: MeasureOptions): Promise<ProgramFigures> {
  const bench = new Bench(name, options);
  const first = await bench.train();
  await bench.train();
  const steady: number[] = [];
  for (let round = 0; round < 3; round++) steady.push(...(await bench.train()).durations);
  const trainMs = median(steady);
  const settled = first.durations.findIndex((d) => d <= 1.2 * trainMs);
  await bench.predict();
  const predictions: number[] = [];
  for (let round = 0; round < 3; round++) predictions.push(...(await bench.predict()));
  return {
    trainMs,
    predictMs: median(predictions),
    prepareMs: first.begins[0],
    compileMs: first.ends[settled < 0 ? first.ends.length - 1 : settled],
    rssMb: peakMb(),
  };
}
