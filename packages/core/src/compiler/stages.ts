/** Stages: which kernels are shared among threads, in how many chunks, and which are too small to share. */
import { type Kernel, type KernelCall, type Stage, taskCount } from "./loopir.ts";

/** Kernels below this many microseconds run on one thread; handing them out would cost more than it gains. */
const serialMicroseconds = 8;
/** Chunks a kernel is cut into. More balance, fewer means less traffic on the shared word. */
const chunksPerKernel = 16;

/** Rough time of a kernel on one core, in microseconds: 25 GFLOP/s and 10 GB/s. Decides structure, never results. */
export function estimateMicroseconds(kernel: Kernel): number {
  return 0.2 + kernel.flops / 25e3 + kernel.bytes / 10e3;
}

export function makeStages(calls: readonly KernelCall[], kernels: readonly Kernel[]): Stage[] {
  const stages: Stage[] = [];
  let serial: KernelCall[] = [];
  const flush = (): void => {
    if (serial.length > 0)
      stages.push({ calls: serial, serial: true, chunk: serial.map((c) => taskCount(kernels[c.kernel])) });
    serial = [];
  };
  for (const call of calls) {
    const kernel = kernels[call.kernel];
    const tasks = taskCount(kernel);
    if (tasks <= 1 || estimateMicroseconds(kernel) < serialMicroseconds) {
      serial.push(call);
      continue;
    }
    flush();
    stages.push({ calls: [call], serial: false, chunk: [Math.ceil(tasks / chunksPerKernel)] });
  }
  flush();
  return stages;
}
