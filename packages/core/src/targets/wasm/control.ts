/** The memory that steps and threads talk through: a control block per program, a synchronisation block per pool. */
import type { Kernel, KernelCall, LoopProgram } from "../../compiler/loopir.ts";
import { taskCount } from "../../compiler/loopir.ts";
import { alignUp } from "./allocator.ts";

/** Offsets in a control block: everything that a program's code reads instead of holding it as a constant. */
export const CONTROL = {
  sync: 0,
  scratch: 4,
  /** Bytes of scratch of one thread. */
  scratchStride: 8,
  stages: 12,
  calls: 16,
  /** Addresses of the two tables. */
  stageTable: 20,
  callTable: 24,
  /** Which module this program's code is in, so that workers find their instance. */
  module: 28,
  /** First stage with several chunks, for the test hook; -1 where there is none. */
  firstParallel: 32,
  /** One address per slot. */
  addresses: 64,
} as const;

/** One entry of the stage table. A serial stage has one chunk, which is all of its calls in order. */
export const STAGE = { bytes: 16, firstCall: 0, calls: 4, chunks: 8, serial: 12 } as const;
/** One entry of the call table; `firstChunk` counts within the stage. */
export const CALL = { bytes: 16, firstChunk: 0, tasksPerChunk: 4, tasks: 8 } as const;

/** Offsets in a synchronisation block. Words that are written at different times lie on lines of their own. */
export const SYNC = {
  /** u64: generation << 32 | stage << 16 | next chunk. Threads take chunks by compare-and-swap. */
  state: 0,
  /** Chunks of the open stage that are complete. */
  completed: 8,
  /** Threads that sleep on `state`. */
  sleepers: 12,
  /** Workers sleep on the doorbell between steps; it is rung for every step and every message. */
  doorbell: 128,
  /** Workers that sleep on the doorbell. */
  idle: 132,
  generation: 136,
  module: 140,
  control: 144,
  /** Messages sent to each worker so far: a worker that has seen fewer goes back to its event loop. */
  mail: 148,
  /** Nonzero: leave at once. A failing thread's wrapper sets it to 1 + its number. */
  abort: 256,
  /** Nonzero: workers end. */
  stop: 260,
  /** Polls before a thread sleeps, and whether thread 0 may sleep at all. */
  spins: 264,
  mainMayWait: 268,
  /** Test hook: each thread takes one chunk of the first parallel stage before any takes two; how many threads, or 0. */
  everyWorker: 272,
  joined: 276,
  records: 384,
} as const;

/** One record per thread. */
export const RECORD = {
  bytes: 256,
  /** Index of the call that is running or ran last. */
  call: 0,
  /** Chunks this thread has completed since the pool was made. */
  chunks: 4,
  /** 1 while the thread is inside a step. */
  active: 8,
  /** What a failed thread caught: length and UTF-8 text. */
  errorLength: 12,
  error: 64,
} as const;

export function syncBytes(threads: number): number {
  return SYNC.records + threads * RECORD.bytes;
}

/** The state word counts stages and chunks in 16 bits each, and all ones mean "not open yet". */
export const MAX_STAGES = 0xfffe;
const MAX_CHUNKS = 1024;

/** A stage below this many seconds of one thread's time is one chunk: opening it for others would cost more. */
const WORTH_SHARING = 10e-6;

/** Seconds that one thread needs for a whole kernel, roughly: the arithmetic or the traffic, whichever takes longer. */
export function kernelSeconds(kernel: Kernel): number {
  return 0.3e-6 + Math.max(kernel.flops / 30e9, kernel.bytes / 8e9);
}

/** What the scheduler does, stage by stage. Consecutive stages of one chunk are merged: nothing can overlap there. */
export interface Schedule {
  readonly calls: readonly { call: KernelCall; tasks: number; tasksPerChunk: number; firstChunk: number }[];
  readonly stages: readonly { firstCall: number; calls: number; chunks: number; serial: boolean }[];
  /** Estimated seconds on one thread. */
  readonly seconds: number;
}

/** Cuts stages into chunks: a function of the program alone, so that results never depend on the number of threads. */
export function makeSchedule(program: LoopProgram): Schedule {
  const calls: Schedule["calls"][number][] = [];
  const stages: { firstCall: number; calls: number; chunks: number; serial: boolean }[] = [];
  let seconds = 0;
  for (const stage of program.stages) {
    const firstCall = calls.length;
    let stageSeconds = 0;
    let chunks = 0;
    for (const [i, call] of stage.calls.entries()) {
      const kernel = program.kernels[call.kernel]!;
      const tasks = taskCount(kernel);
      stageSeconds += kernelSeconds(kernel);
      if (tasks === 0) continue;
      const limit = Math.max(1, Math.floor(MAX_CHUNKS / stage.calls.length));
      const tasksPerChunk = Math.max(stage.serial ? tasks : (stage.chunk[i] ?? 1), Math.ceil(tasks / limit), 1);
      calls.push({ call, tasks, tasksPerChunk, firstChunk: chunks });
      chunks += Math.ceil(tasks / tasksPerChunk);
    }
    seconds += stageSeconds;
    const count = calls.length - firstCall;
    if (count === 0) continue;
    const serial = stage.serial || chunks <= 1 || chunks > 0xfffe || stageSeconds < WORTH_SHARING;
    const previous = stages.at(-1);
    if (serial && previous?.serial) previous.calls += count;
    else stages.push({ firstCall, calls: count, chunks: serial ? 1 : chunks, serial });
  }
  return { calls, stages, seconds };
}

/** Bytes of a control block with its tables. */
export function controlBytes(schedule: Schedule, slots: number): number {
  return (
    alignUp(CONTROL.addresses + slots * 4) + schedule.stages.length * STAGE.bytes + schedule.calls.length * CALL.bytes
  );
}

/** Writes header and tables at `address`; addresses of slots, scratch and synchronisation block are filled in per run. */
export function writeControl(words: Int32Array, address: number, schedule: Schedule, slots: number, module: number) {
  const stageTable = address + alignUp(CONTROL.addresses + slots * 4);
  const callTable = stageTable + schedule.stages.length * STAGE.bytes;
  const put = (at: number, value: number) => {
    words[at >>> 2] = value;
  };
  put(address + CONTROL.stages, schedule.stages.length);
  put(address + CONTROL.calls, schedule.calls.length);
  put(address + CONTROL.stageTable, stageTable);
  put(address + CONTROL.callTable, callTable);
  put(address + CONTROL.module, module);
  put(
    address + CONTROL.firstParallel,
    schedule.stages.findIndex((s) => s.chunks > 1),
  );
  for (const [i, s] of schedule.stages.entries()) {
    const at = stageTable + i * STAGE.bytes;
    put(at + STAGE.firstCall, s.firstCall);
    put(at + STAGE.calls, s.calls);
    put(at + STAGE.chunks, s.chunks);
    put(at + STAGE.serial, s.serial ? 1 : 0);
  }
  for (const [i, c] of schedule.calls.entries()) {
    const at = callTable + i * CALL.bytes;
    put(at + CALL.firstChunk, c.firstChunk);
    put(at + CALL.tasksPerChunk, c.tasksPerChunk);
    put(at + CALL.tasks, c.tasks);
  }
}
