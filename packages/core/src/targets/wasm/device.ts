/** The WebAssembly device: compiles programs once per content, places them in memory, and runs them on one or several threads. */
import type { LoopProgram, TargetProfile } from "../../compiler/loopir.ts";
import { LayerwiseError } from "../../errors.ts";
import {
  availableParallelism,
  hasRelaxedSimd,
  hasSharedMemory,
  offersRevectorization,
  optimizeLater,
  v8Version,
} from "../../platform/platform.ts";
import type { Block, CallTime, Device, Executable } from "../device.ts";
import { ThreadChoice } from "../thread-choice.ts";
import { alignUp } from "./allocator.ts";
import { type Code, CodeCache } from "./code-cache.ts";
import type { Schedule } from "./control.ts";
import { CONTROL, controlBytes, MAX_STAGES, makeSchedule, SYNC, writeControl } from "./control.ts";
import { processMemory, type WasmMemory } from "./memory.ts";
import { emitProgram } from "./module.ts";
import { WorkerPool } from "./pool.ts";
import { sameResults } from "./revectorize.ts";

/** Programs estimated below this many milliseconds run on one thread: waking another would cost more than it saves. */
const WORTH_THREADS = 0.15;
const MAX_THREADS = 16;

export interface WasmDeviceOptions {
  /** Threads including the caller's, 1 to 64. Default: the hardware's, at most 16. One without shared memory. */
  threads?: number;
  /** No fused multiply-add: the same bits as every other target. */
  strict?: boolean;
  /** "direct" keeps 3×3 convolutions from Winograd's algorithm. */
  convolution?: "auto" | "direct";
  /**
   * Pairs of vectors as 256-bit operations: where the engine offers it and a check of its results passes (default), without
   * that check (for the check itself), or never.
   */
  revectorize?: boolean | "unchecked";
  /**
   * Programs estimated below this many milliseconds run on one thread, all others on several: for tests and measurements.
   * By default those above 0.15 ms run on several threads as long as that is faster.
   */
  threadsFrom?: number;
}

class WasmExecutable implements Executable {
  readonly program: LoopProgram;
  readonly schedule: Schedule;
  readonly code: Code;
  readonly control: number;
  readonly constants: number;
  readonly threaded: boolean;
  readonly estimate: number;
  /** Null where the number of threads is settled. */
  readonly choice: ThreadChoice | null;
  /** The device's placement that the control block holds, 0 for none. */
  placement = 0;
  released = false;

  constructor(
    fields: Pick<WasmExecutable, "program" | "schedule" | "code" | "control" | "constants" | "threaded" | "choice">,
  ) {
    this.program = fields.program;
    this.schedule = fields.schedule;
    this.code = fields.code;
    this.control = fields.control;
    this.constants = fields.constants;
    this.threaded = fields.threaded;
    this.choice = fields.choice;
    this.estimate = fields.schedule.seconds * 1000;
  }
}

/** Opens the device. Several devices of one process share its memory, but neither threads nor arena. */
export function createWasmDevice(options: WasmDeviceOptions = {}): WasmDevice {
  return new WasmDevice(options);
}

export class WasmDevice implements Device {
  readonly name = "wasm";
  readonly profile: TargetProfile;
  readonly threads: number;
  private readonly memory: WasmMemory;
  private readonly threadsFrom: number;
  /** Whether programs fall back to one thread while others hold them up. */
  private readonly adaptive: boolean;
  private readonly codes: CodeCache;
  private readonly revectorize: boolean;
  private readonly live = new Set<WasmExecutable>();
  private pool: WorkerPool;
  private arenaBlock: Block = { address: 0, bytes: 0 };
  private scratchBlock: Block = { address: 0, bytes: 0 };
  /** Changes whenever arena, scratch or pool move: control blocks are brought up to date before their next run. */
  private placement = 1;
  private blockBytes = 0;
  private hook = false;

  constructor(options: WasmDeviceOptions) {
    const shared = hasSharedMemory();
    this.threads = shared ? checkThreads(options.threads) : 1;
    this.threadsFrom = options.threadsFrom ?? WORTH_THREADS;
    this.adaptive = options.threadsFrom === undefined;
    this.memory = processMemory(shared);
    const strict = options.strict ?? false;
    const { revectorize: wish = true } = options;
    const revectorize = wish === "unchecked" || (wish && revectorizes());
    this.revectorize = revectorize;
    this.codes = new CodeCache(this.memory, revectorize);
    this.profile = {
      name: "wasm",
      // Adjacent pairs of vectors in every statement are what the engine fuses.
      lanes: revectorize ? 8 : 4,
      tile: revectorize ? { rows: 6, vectors: 2, unroll: 4 } : engineTile(),
      strict,
      convolution: options.convolution ?? "auto",
    };
    this.pool = new WorkerPool(this.memory, this.threads);
  }

  get allocatedBytes(): number {
    return this.blockBytes;
  }

  allocate(bytes: number): Block {
    const address = this.memory.allocate(bytes);
    this.blockBytes += alignUp(Math.max(bytes, 1));
    return { address, bytes };
  }

  free(block: Block): void {
    this.memory.free(block.address);
    this.blockBytes -= alignUp(Math.max(block.bytes, 1));
  }

  view(block: Block, offset: number, bytes: number): Uint8Array {
    if (offset < 0 || bytes < 0 || offset + bytes > block.bytes) {
      throw new RangeError(`view of bytes ${offset} to ${offset + bytes} in a block of ${block.bytes}`);
    }
    return this.memory.view(block.address + offset, bytes);
  }

  compile(program: LoopProgram): Executable {
    const schedule = makeSchedule(program);
    const { strict } = this.profile;
    const relaxedFma = !strict && hasRelaxedSimd();
    const { shared } = this.memory;
    const options = { shared, relaxedFma, strict, revectorize: this.revectorize };
    const code = this.codes.get(optimizeLater(() => emitProgram(program, options)));
    const threaded =
      this.threads > 1 &&
      schedule.seconds * 1000 >= this.threadsFrom &&
      schedule.stages.length <= MAX_STAGES &&
      schedule.stages.some((s) => s.chunks > 1);
    const choice = threaded && this.adaptive ? new ThreadChoice() : null;
    const control = this.memory.allocate(controlBytes(schedule, program.slots));
    const constants = this.memory.allocate(program.constants.byteLength);
    this.memory.bytes.set(program.constants, constants);
    writeControl(this.memory.words, control, schedule, program.slots, code.id);
    const executable = new WasmExecutable({ program, schedule, code, control, constants, threaded, choice });
    this.blockBytes += ownBytes(executable);
    code.users++;
    this.live.add(executable);
    try {
      this.reserve();
    } catch (error) {
      this.release(executable);
      throw error;
    }
    if (threaded) this.pool.add(code.id, code.module);
    return executable;
  }

  arena(executable: Executable): Block {
    this.own(executable);
    return this.arenaBlock;
  }

  run(executable: Executable, stores: readonly Block[]): void {
    const e = this.own(executable);
    this.prepare(e, stores);
    let status = 0;
    try {
      if (e.choice === null) status = this.step(e);
      else {
        const start = performance.now();
        const several = e.choice.useSeveral(start);
        if (several) status = this.step(e);
        else e.code.run(e.control);
        const end = performance.now();
        e.choice.note(several, end - start, end);
      }
    } catch (error) {
      this.fail(e, error);
    }
    if (status !== 0) this.fail(e, undefined);
  }

  private step(e: WasmExecutable): number {
    if (e.threaded) return e.code.step!(0, e.control, this.pool.nextGeneration(), this.pool.sync);
    e.code.run(e.control);
    return 0;
  }

  timeCalls(executable: Executable, stores: readonly Block[]): CallTime[] {
    const e = this.own(executable);
    this.prepare(e, stores);
    const record = this.pool.sync + SYNC.records;
    const callTable = this.memory.words[(e.control + CONTROL.callTable) >>> 2]!;
    const times = new Float64Array(e.schedule.calls.length);
    try {
      for (let i = 0; i < times.length; i++) {
        const start = performance.now();
        e.code.calls(e.control, this.scratchBlock.address, record, callTable, i, i + 1);
        times[i] = performance.now() - start;
      }
    } catch (error) {
      this.fail(e, error);
    }
    return e.schedule.calls.map(({ call }, i) => ({
      kernel: e.program.kernels[call.kernel]!.name,
      label: call.label,
      milliseconds: times[i]!,
      flops: e.program.kernels[call.kernel]!.flops,
      bytes: e.program.kernels[call.kernel]!.bytes,
    }));
  }

  release(executable: Executable): void {
    const e = this.own(executable);
    e.released = true;
    this.live.delete(e);
    this.memory.free(e.control);
    this.memory.free(e.constants);
    this.blockBytes -= ownBytes(e);
    if (--e.code.users === 0) {
      this.pool.remove(e.code.id);
      this.codes.drop(e.code);
    }
    if (this.live.size === 0) {
      this.resize("arenaBlock", 0);
      this.resize("scratchBlock", 0);
    }
  }

  /** Ends the workers and releases all executables; blocks that the caller allocated stay. Not usable afterwards. */
  close(): void {
    for (const e of [...this.live]) this.release(e);
    this.pool.stop();
  }

  /** Test hook: every thread takes one chunk of a step's first parallel stage before any takes a second (within 5 s). */
  set everyWorkerOnce(on: boolean) {
    this.hook = on;
    this.pool.everyWorkerOnce = on;
  }

  /** Chunks that each thread has completed in threaded runs, the caller's first. */
  chunkCounts(): number[] {
    return this.pool.chunkCounts();
  }

  /** Memory of the whole process, by all devices. */
  get processBytes(): number {
    return this.memory.usedBytes;
  }

  /** Brings the control block up to date for the next run. */
  private prepare(e: WasmExecutable, stores: readonly Block[]): void {
    if (stores.length !== e.program.slots - 2) {
      throw new Error(`run: ${stores.length} stores for a program with ${e.program.slots - 2}`);
    }
    if (this.pool.broken) this.replacePool();
    if (e.placement !== this.placement) this.place(e);
    const words = this.memory.words;
    const slots = (e.control + CONTROL.addresses) >>> 2;
    for (let i = 0; i < stores.length; i++) words[slots + 2 + i] = stores[i]!.address;
  }

  private own(executable: Executable): WasmExecutable {
    const e = executable as WasmExecutable;
    if (!this.live.has(e)) throw new Error("the executable was released or belongs to another device");
    return e;
  }

  /** Makes arena and scratch as large as the largest live program needs. */
  private reserve(): void {
    let arena = 0;
    let scratch = 0;
    for (const e of this.live) {
      arena = Math.max(arena, e.program.arenaBytes);
      scratch = Math.max(scratch, scratchStride(e.program));
    }
    this.fit("arenaBlock", arena);
    this.fit("scratchBlock", scratch * this.threads);
  }

  /** Keeps a block that is large enough and not four times too large. */
  private fit(which: "arenaBlock" | "scratchBlock", bytes: number): void {
    const { address, bytes: current } = this[which];
    if (address === 0 || current < bytes || current > Math.max(4 * bytes, 1 << 20)) this.resize(which, bytes);
  }

  /** Another block of this size; nothing in the old one survives. */
  private resize(which: "arenaBlock" | "scratchBlock", bytes: number): void {
    const old = this[which];
    if (old.address !== 0) this.free(old);
    this.placement++;
    this[which] = { address: 0, bytes: 0 };
    if (bytes === 0) return;
    try {
      this[which] = this.allocate(bytes);
    } catch (error) {
      // The old size fitted a moment ago: the programs compiled so far stay usable.
      if (old.address !== 0) this[which] = this.allocate(old.bytes);
      throw error;
    }
  }

  private place(e: WasmExecutable): void {
    const words = this.memory.words;
    const at = e.control >>> 2;
    words[at + CONTROL.sync / 4] = this.pool.sync;
    words[at + CONTROL.scratch / 4] = this.scratchBlock.address;
    words[at + CONTROL.scratchStride / 4] = scratchStride(e.program);
    words[at + CONTROL.addresses / 4] = this.arenaBlock.address;
    words[at + CONTROL.addresses / 4 + 1] = e.constants;
    e.placement = this.placement;
  }

  private replacePool(): void {
    this.pool.stop();
    this.pool = new WorkerPool(this.memory, this.threads);
    this.pool.everyWorkerOnce = this.hook;
    this.placement++;
    for (const e of this.live) if (e.threaded) this.pool.add(e.code.id, e.code.module);
  }

  /** Clears up after a failed run and throws the error that says which kernel failed. */
  private fail(e: WasmExecutable, thrown: unknown): never {
    let index = this.pool.mainCall();
    let message = thrown instanceof Error ? thrown.message : String(thrown);
    if (e.threaded) {
      this.pool.abort();
      const failure = this.pool.failure();
      if (thrown === undefined) {
        message = failure?.message ?? "a worker thread made no progress for two minutes";
        index = failure?.call ?? index;
      }
      this.replacePool();
    }
    const call = e.schedule.calls[index]?.call;
    const kernel = call ? e.program.kernels[call.kernel]!.name : "unknown";
    throw new LayerwiseError(
      `kernel "${kernel}" failed while the program ran`,
      {
        code: "E501",
        layer: call?.label,
        received: call?.label ? `${message}, in ${call.label}` : message,
        hint: "this is a fault of Layerwise, please report it; values written by this step are not reliable",
      },
      thrown === undefined ? undefined : { cause: thrown },
    );
  }
}

let revectorization: boolean | undefined;

/** Asked once per process; the check costs a few milliseconds where the engine has the pass, nothing elsewhere. */
function revectorizes(): boolean {
  if (revectorization === undefined) {
    revectorization = false;
    if (offersRevectorization()) {
      const plain = new WasmDevice({ threads: 1, revectorize: false });
      const fused = new WasmDevice({ threads: 1, revectorize: "unchecked" });
      try {
        revectorization = sameResults(plain, fused);
      } finally {
        plain.close();
        fused.close();
      }
    }
  }
  return revectorization;
}

/** Scratch of one thread: a line more than the program asks for, so that neighbours share none. */
function scratchStride(program: LoopProgram): number {
  return program.scratchBytes === 0 ? 0 : alignUp(program.scratchBytes) + 128;
}

function ownBytes(e: WasmExecutable): number {
  return alignUp(controlBytes(e.schedule, e.program.slots)) + alignUp(Math.max(e.program.constants.byteLength, 1));
}

function checkThreads(threads: number | undefined): number {
  if (threads === undefined) return Math.min(availableParallelism(), MAX_THREADS);
  if (!Number.isInteger(threads) || threads < 1 || threads > 64) {
    throw new LayerwiseError("the number of threads is not usable", {
      code: "E504",
      received: `threads: ${threads}`,
      expected: "an integer from 1 to 64",
    });
  }
  return threads;
}

/**
 * Register tile of contractions. V8 up to 12.4 hoists loads, so that more accumulators or unrolling spill; V8 13 keeps
 * the order of the code. Other engines get the tile that is safe everywhere.
 */
function engineTile(): TargetProfile["tile"] {
  const version = v8Version();
  return version !== undefined && version[0] >= 13
    ? { rows: 6, vectors: 2, unroll: 4 }
    : { rows: 4, vectors: 2, unroll: 1 };
}
