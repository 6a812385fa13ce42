/** The native device: programs compiled by the system's C compiler, run by the runtime library through koffi. */

import { availableParallelism } from "node:os";
import { LayerwiseError } from "@layerwise/core";
import type {
  Block,
  CallTime,
  Device,
  Executable,
  LoopProgram,
  ProgramShelf,
  TargetProfile,
} from "@layerwise/core/target-kit";
import * as targets from "@layerwise/core/target-kit";
import type { KernelLibraries, KernelSource } from "./libraries.ts";
import { openRuntime, type Runtime } from "./runtime.ts";
import { machineLanes, requireToolchain } from "./toolchain.ts";

export interface NativeOptions {
  readonly threads?: number;
  readonly strict?: boolean;
  readonly convolution?: TargetProfile["convolution"];
  /** Large products on the matrix unit, where there is one. Default true; never with `strict`. */
  readonly matrixUnit?: boolean;
  /** Lanes of vectors; default: the widest the machine has. */
  readonly lanes?: 4 | 8 | 16;
  /**
   * Programs estimated below this many milliseconds run on one thread, all others on several: for tests and measurements.
   * By default those above 0.06 ms run on several threads as long as that is faster.
   */
  readonly threadsFrom?: number;
}

const worthThreads = 0.06;
/** The runtime counts stages in 16 bits; all ones mean "done". */
const maxStages = 0xfffe;

interface NativeBlock extends Block {
  readonly pointer: unknown;
  readonly memory: ArrayBuffer;
}

class NativeExecutable implements Executable {
  readonly program: LoopProgram;
  readonly estimate: number;
  readonly handle: unknown;
  readonly constants: NativeBlock | null;
  readonly threads: number;
  /** Null where the number of threads is settled. */
  readonly choice: targets.ThreadChoice | null;
  /** Addresses the program was last placed at. */
  readonly placed: Float64Array;
  constructor(
    program: LoopProgram,
    estimate: number,
    handle: unknown,
    constants: NativeBlock | null,
    threads: number,
    choice: targets.ThreadChoice | null,
  ) {
    this.program = program;
    this.estimate = estimate;
    this.handle = handle;
    this.constants = constants;
    this.threads = threads;
    this.choice = choice;
    this.placed = new Float64Array(program.slots).fill(-1);
  }
}

/** Register tiles by lanes: as many accumulators as fit beside the operands in 16 registers, 32 with AVX-512 and NEON. */
const tiles: Record<4 | 8 | 16, TargetProfile["tile"]> = {
  16: { rows: 12, vectors: 2, unroll: 4 },
  8: { rows: 6, vectors: 2, unroll: 4 },
  4: { rows: 8, vectors: 2, unroll: 4 },
};

function outOfScratch(exe: NativeExecutable): LayerwiseError {
  return new LayerwiseError("out of memory for the scratch of a program", {
    code: "N104",
    received: `${exe.program.scratchBytes} bytes a thread`,
    expected: "free memory",
  });
}

/** Opens the device; throws (N101 to N106) when koffi or a working compiler is missing. */
export function createNativeDevice(options: NativeOptions = {}): NativeDevice {
  const toolchain = requireToolchain();
  return new NativeDevice(openRuntime(toolchain), options.lanes ?? machineLanes(toolchain), options);
}

export class NativeDevice implements Device {
  readonly name = "native";
  readonly profile: TargetProfile;
  readonly threads: number;
  readonly shelf: ProgramShelf | null;
  private readonly rt: Runtime;
  private readonly kernels: KernelLibraries;
  private readonly threadsFrom: number;
  /** Whether programs fall back to one thread while others hold them up. */
  private readonly adaptive: boolean;
  private readonly pool: unknown;
  private readonly live = new Set<NativeExecutable>();
  /** With texts between `precompile` and `compile`. */
  private readonly sources = new WeakMap<LoopProgram, KernelSource[]>();
  private arenaBlock: NativeBlock;
  private bytes = 0;

  constructor(rt: Runtime, lanes: 4 | 8 | 16, options: NativeOptions) {
    this.rt = rt;
    this.threads = options.threads ?? Math.min(16, availableParallelism());
    this.threadsFrom = options.threadsFrom ?? worthThreads;
    this.adaptive = options.threadsFrom === undefined;
    const strict = options.strict ?? false;
    const matrix = rt.matrix && lanes === 16 && !strict && (options.matrixUnit ?? true);
    this.profile = {
      name: "c",
      lanes,
      tile: tiles[lanes],
      strict,
      convolution: options.convolution ?? "auto",
      ...(matrix && { matrix: targets.matrixUnit }),
      wide: targets.widePacking,
    };
    this.kernels = rt.libraries(targets.prelude(!strict));
    this.shelf = this.kernels.shelf((program) => this.sourcesOf(program).map((k) => k.name));
    this.pool = rt.pool(this.threads);
    this.arenaBlock = this.allocate(64);
  }

  get allocatedBytes(): number {
    return this.bytes;
  }
  allocate(bytes: number): NativeBlock {
    const pointer = this.rt.alloc(bytes);
    if (!pointer)
      throw new LayerwiseError("out of memory", {
        code: "N104",
        received: `a request of ${bytes} bytes`,
        expected: "free memory",
      });
    this.bytes += bytes;
    return {
      address: Number(this.rt.koffi.address(pointer)),
      bytes,
      pointer,
      memory: this.rt.koffi.view(pointer, bytes),
    };
  }
  free(block: Block): void {
    this.bytes -= block.bytes;
    this.rt.free((block as NativeBlock).pointer, block.bytes);
  }
  view(block: Block, offset: number, bytes: number): Uint8Array {
    return new Uint8Array((block as NativeBlock).memory, offset, bytes);
  }
  arena(): Block {
    return this.arenaBlock;
  }

  precompile(programs: readonly LoopProgram[]): void {
    this.kernels.load(programs.map((p) => this.sourcesOf(p)));
  }

  compile(program: LoopProgram): Executable {
    const sources = this.sourcesOf(program);
    this.kernels.load([sources]);
    // The texts are long.
    this.sources.set(
      program,
      sources.map(({ name }) => ({ name, text: null })),
    );
    const functions = sources.map((k) => this.kernels.address(k.name));
    const { table, offsets, callFunctions, milliseconds, stages } = this.tables(program, functions);
    const handle = this.rt.program(table, offsets, callFunctions, program.scratchBytes);
    let constants: NativeBlock | null = null;
    if (program.constants.byteLength > 0) {
      constants = this.allocate(program.constants.byteLength);
      this.view(constants, 0, constants.bytes).set(program.constants);
    }
    const threads = milliseconds < this.threadsFrom || stages > maxStages ? 1 : this.threads;
    const choice = threads > 1 && this.adaptive ? new targets.ThreadChoice() : null;
    const executable = new NativeExecutable(program, milliseconds, handle, constants, threads, choice);
    this.live.add(executable);
    this.fitArena();
    return executable;
  }

  private sourcesOf(program: LoopProgram): KernelSource[] {
    const known = this.sources.get(program);
    if (known) return known;
    const options = { lanes: this.profile.lanes as 4 | 8 | 16, strict: this.profile.strict };
    const sources = program.kernels.map((kernel) => {
      if (kernel.symbol !== undefined) return { name: kernel.symbol, text: null };
      const text = targets.emitKernel(kernel, options);
      return { name: this.kernels.nameOf(text), text };
    });
    this.sources.set(program, sources);
    return sources;
  }

  /** Keeps an arena that is large enough for every live program and not four times too large. */
  private fitArena(): void {
    let need = 64;
    for (const e of this.live) need = Math.max(need, e.program.arenaBytes);
    const { bytes } = this.arenaBlock;
    if (bytes >= need && bytes <= Math.max(4 * need, 1 << 20)) return;
    this.free(this.arenaBlock);
    this.arenaBlock = this.allocate(need);
  }

  private tables(program: LoopProgram, functions: readonly bigint[]) {
    const { calls, stages, seconds } = targets.makeSchedule(program);
    const bindings = calls.flatMap((c) => c.call.bindings);
    const table = new Int32Array(3 + calls.length * 4 + stages.length * 4 + bindings.length);
    table.set([calls.length, stages.length, bindings.length]);
    let at = 3;
    for (const c of calls) {
      table.set([c.call.bindings.length, c.tasks, c.tasksPerChunk, c.firstChunk], at);
      at += 4;
    }
    for (const s of stages) {
      table.set([s.firstCall, s.calls, s.chunks, s.serial ? 1 : 0], at);
      at += 4;
    }
    table.set(
      bindings.map((b) => b.slot),
      at,
    );
    const offsets = BigInt64Array.from(bindings, (b) => BigInt(b.offset));
    const callFunctions = BigUint64Array.from(calls, (c) => functions[c.call.kernel]);
    return { table, offsets, callFunctions, milliseconds: seconds * 1000, stages: stages.length };
  }

  run(executable: Executable, stores: readonly Block[]): void {
    const exe = executable as NativeExecutable;
    this.place(exe, stores);
    const { choice } = exe;
    const start = choice === null ? 0 : performance.now();
    const several = choice === null || choice.useSeveral(start);
    const status = this.rt.run(this.pool, exe.handle, several ? exe.threads : 1);
    if (choice !== null) {
      const end = performance.now();
      choice.note(several, end - start, end);
    }
    if (status !== 0) throw outOfScratch(exe);
  }

  timeCalls(executable: Executable, stores: readonly Block[]): CallTime[] {
    const exe = executable as NativeExecutable;
    this.place(exe, stores);
    const { calls } = targets.makeSchedule(exe.program);
    const nanoseconds = new Float64Array(Math.max(1, calls.length));
    if (this.rt.time(this.pool, exe.handle, nanoseconds) !== 0) throw outOfScratch(exe);
    return calls.map(({ call }, i) => {
      const { name: kernel, flops, bytes } = exe.program.kernels[call.kernel];
      return { kernel, label: call.label, milliseconds: nanoseconds[i] / 1e6, flops, bytes };
    });
  }

  /** Tells the program where its slots are, if something has moved. */
  private place(exe: NativeExecutable, stores: readonly Block[]): void {
    const { placed } = exe;
    const constants = exe.constants?.address ?? 0;
    let moved = placed[0] !== this.arenaBlock.address || placed[1] !== constants;
    for (let i = 0; i < stores.length; i++) moved ||= placed[i + 2] !== stores[i].address;
    if (moved) {
      placed.set([this.arenaBlock.address, constants, ...stores.map((s) => s.address)]);
      this.rt.place(exe.handle, BigUint64Array.from(placed, BigInt));
    }
  }

  release(executable: Executable): void {
    const exe = executable as NativeExecutable;
    if (!this.live.delete(exe)) return;
    this.rt.programFree(exe.handle);
    if (exe.constants) this.free(exe.constants);
    this.fitArena();
  }

  /** Ends the threads and releases all executables. Not usable afterwards. */
  close(): void {
    for (const e of [...this.live]) this.release(e);
    this.rt.poolFree(this.pool);
  }
}
