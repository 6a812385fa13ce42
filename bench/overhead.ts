/**
 * `npm run bench -- overhead`: what a step costs beside its kernels. A program of one node (y = x + 1 on 32 numbers), its
 * variable and an input gathered from a data set, run as `fit` runs its steps, less the time of the same executable alone;
 * and all that a `fit` of a small model does between two runs of the device.
 */
import { configure, layers, sequential, tensor } from "layerwise";
import { add, inputValue } from "../packages/core/src/graph/ops/index.ts";
import type { Executable } from "../packages/core/src/targets/device.ts";
import { currentDevice } from "../packages/core/src/tensor/device.ts";
import { compileProgram } from "../packages/core/src/tensor/engine.ts";
import { Tensor } from "../packages/core/src/tensor/tensor.ts";
import { Trace, withTrace } from "../packages/core/src/tensor/trace.ts";
import { Variable } from "../packages/core/src/tensor/variable.ts";
import { gatherRows } from "../packages/core/src/training/data.ts";
import { median } from "./measure.ts";
import { table } from "./table.ts";

const rows = 32;
const samples = 10_000;

/** Microseconds of a step of `fit` that are spent outside the device's `run`, and those inside it. */
async function fitOverhead(): Promise<{ outside: number; inside: number }> {
  const device = currentDevice();
  const steps = samples;
  const model = sequential([layers.dense(1, { inputShape: [8] })]);
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  const x = tensor(new Float32Array(steps * rows * 8), [steps * rows, 8]);
  const y = tensor(new Float32Array(steps * rows), [steps * rows, 1]);
  const train = () => model.fit(x, y, { batchSize: rows, epochs: 1, verbose: 0 });
  await train();
  const run = device.run.bind(device);
  let began = 0;
  let ended = 0;
  const outside: number[] = [];
  const inside: number[] = [];
  device.run = (executable, stores) => {
    began = performance.now();
    run(executable, stores);
    if (ended > 0) outside.push(began - ended);
    ended = performance.now();
    inside.push(ended - began);
  };
  await train();
  device.run = run;
  return { outside: median(outside) * 1000, inside: median(inside) * 1000 };
}

export async function overhead(devices: readonly string[]): Promise<void> {
  const lines: string[][] = [];
  for (const name of devices) {
    configure({ device: name });
    const device = currentDevice();
    let executable: Executable | null = null;
    const compile = device.compile.bind(device);
    device.compile = (program) => {
      executable = compile(program);
      return executable;
    };
    const variable = new Variable(new Float32Array(rows), [rows], "f32");
    const x = inputValue("x", { shape: [rows], dtype: "f32" });
    const trace = new Trace();
    withTrace(trace, () => variable.assign(new Tensor(add(variable.value(), x))));
    const program = compileProgram({ name: "one node", inputs: [x], outputs: [], trace });
    const data = [{ data: new Float32Array(4096), rowSize: 1, rowShape: [], dtype: "f32" as const }];
    const order = Uint32Array.from({ length: 4096 }, (_, i) => (i * 2467) % 4096);
    program.inputs();
    program.execute();
    const block = (variable.placement as unknown as { block: never }).block;
    const time = (body: (i: number) => void): number => {
      const times: number[] = [];
      for (let i = 0; i < samples; i++) {
        const start = performance.now();
        body(i);
        times.push((performance.now() - start) * 1000);
      }
      return median(times);
    };
    const step = (i: number) => {
      gatherRows(data, program.inputs(), rows, order, (i * rows) % 4096);
      program.execute();
    };
    const kernel = () => device.run(executable!, [block]);
    // Both once before, so that neither is measured cold.
    time(step);
    time(kernel);
    const [whole, alone] = [time(step), time(kernel)];
    lines.push([`${name}, one node`, alone.toFixed(2), (whole - alone).toFixed(2)]);
    const { inside, outside } = await fitOverhead();
    lines.push([`${name}, fit of a dense layer`, inside.toFixed(2), outside.toFixed(2)]);
  }
  console.log(table(["", "call and kernels µs", "the rest of the step µs"], lines));
  console.log(`medians of ${samples}`);
}
