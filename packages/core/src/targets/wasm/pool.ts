/** The worker threads of a device: they wait for steps on a word of shared memory and join those whose code they have. */
import type { WorkerHandle } from "../../platform/platform.ts";
import { canBlock, spawnWorker } from "../../platform/platform.ts";
import { RECORD, SYNC, syncBytes } from "./control.ts";
import type { WasmMemory } from "./memory.ts";

/**
 * What a worker runs, as text: it must survive bundling into one file and start without loading anything. Between steps
 * it sleeps on the doorbell, never longer than the limit; a message sends it back to its event loop, so a step never
 * waits for a worker that has not received the program yet. `D` holds the offsets, in words, from the synchronisation
 * block's start.
 */
const workerSource = `(port, { memory, sync, thread, D }) => {
  const words = new Int32Array(memory.buffer, sync, D.length);
  const record = D.records + thread * D.recordWords;
  const steps = new Map();
  let seen = 0;
  let mail = 0;
  port.receive((message) => {
    mail++;
    if (message.module) {
      try {
        steps.set(message.id, new WebAssembly.Instance(message.module, { env: { memory } }).exports.step);
      } catch {}
    } else steps.delete(message.id);
    serve();
  });
  serve();

  function serve() {
    while (Atomics.load(words, D.stop) === 0) {
      const bell = Atomics.load(words, D.doorbell);
      const generation = Atomics.load(words, D.generation);
      if (generation !== seen) {
        const step = steps.get(Atomics.load(words, D.module));
        if (step) {
          seen = generation;
          join(step, Atomics.load(words, D.control), generation);
          continue;
        }
      }
      if (Atomics.load(words, D.mail) !== mail) return;
      let spins = Atomics.load(words, D.spins);
      while (spins > 0 && Atomics.load(words, D.doorbell) === bell) spins -= 8;
      Atomics.add(words, D.idle, 1);
      Atomics.wait(words, D.doorbell, bell, 1000);
      Atomics.sub(words, D.idle, 1);
    }
  }

  function join(step, control, generation) {
    Atomics.store(words, record + D.active, 1);
    try {
      step(thread, control, generation, sync);
    } catch (error) {
      const text = String(error && error.message || error).slice(0, D.errorBytes);
      const bytes = new Uint8Array(memory.buffer, sync + 4 * (record + D.error), text.length);
      for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i) & 127;
      words[record + D.errorLength] = text.length;
      Atomics.compareExchange(words, D.abort, 0, thread + 1);
      Atomics.notify(words, D.state);
    }
    Atomics.store(words, record + D.active, 0);
  }
}`;

/** Polls before a thread sleeps: about 15 µs at a nanosecond or two each. */
const SPINS = 8000;

/** What one failed step left behind. */
export interface Failure {
  readonly thread: number;
  /** Index of the call that was running, in the order of the schedule. */
  readonly call: number;
  readonly message: string;
}

/**
 * Threads 1 … threads-1 and the block through which they and thread 0 (the caller) work together. After a failure a
 * pool is not used again: `stop` it and make another.
 */
export class WorkerPool {
  readonly threads: number;
  /** Address of the synchronisation block. */
  readonly sync: number;
  private readonly memory: WasmMemory;
  private workers: WorkerHandle[] | undefined;
  private readonly modules = new Map<number, WebAssembly.Module>();
  private generation = 0;
  private dead = false;

  constructor(memory: WasmMemory, threads: number) {
    this.memory = memory;
    this.threads = threads;
    this.sync = memory.allocate(syncBytes(threads));
    this.store(SYNC.spins, SPINS);
    this.store(SYNC.mainMayWait, canBlock() ? 1 : 0);
  }

  /** True when a worker has died: the pool must be replaced. */
  get broken(): boolean {
    return this.dead;
  }
  get started(): boolean {
    return this.workers !== undefined;
  }

  /** Number of the next step. */
  nextGeneration(): number {
    this.generation = (this.generation + 1) | 0 || 1;
    return this.generation;
  }

  /** Gives a module to all workers and starts them if need be. They take it when their event loop runs. */
  add(id: number, module: WebAssembly.Module): void {
    if (this.threads === 1 || this.modules.has(id)) return;
    this.modules.set(id, module);
    this.start();
    this.post({ id, module });
  }

  /** Makes the workers forget a module. */
  remove(id: number): void {
    if (this.modules.delete(id)) this.post({ id });
  }

  /** Test hook: in each step every thread takes one chunk of the first parallel stage before any takes a second. */
  set everyWorkerOnce(on: boolean) {
    this.store(SYNC.everyWorker, on ? this.threads : 0);
  }

  /** Chunks completed by each thread so far. */
  chunkCounts(): number[] {
    return Array.from({ length: this.threads }, (_, t) => this.load(this.record(t) + RECORD.chunks));
  }

  /** Call that thread 0 is running or ran last. */
  mainCall(): number {
    return this.load(this.record(0) + RECORD.call);
  }

  /** Makes every thread leave the step, and waits until they have, at most `limitMs`. */
  abort(limitMs = 2000): void {
    Atomics.compareExchange(this.memory.words, (this.sync + SYNC.abort) >>> 2, 0, 1);
    Atomics.notify(this.memory.words, (this.sync + SYNC.state) >>> 2);
    const mayWait = this.load(SYNC.mainMayWait) !== 0;
    const until = performance.now() + limitMs;
    for (let t = 1; t < this.threads; t++) {
      const active = (this.sync + this.record(t) + RECORD.active) >>> 2;
      while (Atomics.load(this.memory.words, active) === 1 && performance.now() < until) {
        if (mayWait) Atomics.wait(this.memory.words, active, 1, 1);
      }
    }
  }

  /** What the failing worker reported, if a worker failed. */
  failure(): Failure | undefined {
    const thread = this.load(SYNC.abort) - 1;
    if (thread < 1) return undefined;
    const record = this.record(thread);
    const length = this.load(record + RECORD.errorLength);
    const text = this.memory.view(this.sync + record + RECORD.error, length);
    return {
      thread,
      call: this.load(record + RECORD.call),
      message: String.fromCharCode(...text),
    };
  }

  /**
   * Ends the workers. The block is given back only where no worker was ever started: one that is still on its way out
   * may look at it.
   */
  stop(): void {
    this.dead = true;
    if (this.workers === undefined) {
      this.memory.free(this.sync);
      return;
    }
    this.store(SYNC.stop, 1);
    this.ring();
    for (const w of this.workers) w.terminate();
    this.workers = undefined;
  }

  private start(): void {
    if (this.workers !== undefined) return;
    const data = { memory: this.memory.memory, sync: this.sync, D: workerLayout(this.threads) };
    const failed = () => {
      this.dead = true;
    };
    this.workers = [];
    try {
      for (let thread = 1; thread < this.threads; thread++) {
        this.workers.push(spawnWorker(workerSource, { ...data, thread }, failed));
      }
    } catch {
      // A sandbox may refuse threads. Steps never wait for a worker that has not joined, so fewer of them will do.
    }
  }

  private post(message: { id: number; module?: WebAssembly.Module }): void {
    // Counted before it is sent: a worker with more messages than the count would wait in its event loop for ever.
    Atomics.add(this.memory.words, (this.sync + SYNC.mail) >>> 2, 1);
    for (const w of this.workers ?? []) w.post(message);
    this.ring();
  }

  private ring(): void {
    const bell = (this.sync + SYNC.doorbell) >>> 2;
    Atomics.add(this.memory.words, bell, 1);
    Atomics.notify(this.memory.words, bell);
  }

  private record(thread: number): number {
    return SYNC.records + thread * RECORD.bytes;
  }
  private load(offset: number): number {
    return Atomics.load(this.memory.words, (this.sync + offset) >>> 2);
  }
  private store(offset: number, value: number): void {
    Atomics.store(this.memory.words, (this.sync + offset) >>> 2, value);
  }
}

/** Offsets in words, for the worker's Int32Array over the synchronisation block. */
function workerLayout(threads: number): Record<string, number> {
  return {
    length: syncBytes(threads) / 4,
    state: SYNC.state / 4,
    doorbell: SYNC.doorbell / 4,
    idle: SYNC.idle / 4,
    generation: SYNC.generation / 4,
    module: SYNC.module / 4,
    control: SYNC.control / 4,
    mail: SYNC.mail / 4,
    abort: SYNC.abort / 4,
    stop: SYNC.stop / 4,
    spins: SYNC.spins / 4,
    records: SYNC.records / 4,
    recordWords: RECORD.bytes / 4,
    active: RECORD.active / 4,
    errorLength: RECORD.errorLength / 4,
    error: RECORD.error / 4,
    errorBytes: RECORD.bytes - RECORD.error,
  };
}
