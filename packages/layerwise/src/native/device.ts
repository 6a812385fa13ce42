/** The native device: programs compiled by the system's C compiler, run by the runtime library through koffi. */

import { availableParallelism } from "node:os";
import { LayerwiseError } from "@layerwise/core";
import type { Block, Device, Executable, LoopProgram, TargetProfile } from "@layerwise/core/target-kit";
import * as targets from "@layerwise/core/target-kit";
import { type Koffi, loadKoffi, type NativeFunction, type NativeLibrary } from "./ffi.ts";
import { runtimeSource } from "./runtime-source.ts";
import { buildLibrary, findToolchain, machineLanes, type Toolchain } from "./toolchain.ts";

export interface NativeOptions {
  readonly threads?: number;
  readonly strict?: boolean;
  readonly convolution?: TargetProfile["convolution"];
}

/** Programs estimated below this many milliseconds run on one thread. */
const worthThreads = 0.06;

interface Runtime {
  readonly koffi: Koffi;
  /** Kept so that it stays loaded. */
  readonly library: NativeLibrary;
  readonly alloc: NativeFunction;
  readonly free: NativeFunction;
  readonly pool: NativeFunction;
  readonly program: NativeFunction;
  readonly programFree: NativeFunction;
  readonly place: NativeFunction;
  readonly run: NativeFunction;
}

let runtime: Runtime | null = null;

function openRuntime(toolchain: Toolchain): Runtime {
  if (runtime) return runtime;
  const koffi = loadKoffi();
  const lib = koffi.load(buildLibrary([runtimeSource], toolchain).path);
  runtime = {
    koffi,
    library: lib,
    alloc: lib.func("void *lw_alloc(int64_t bytes)"),
    free: lib.func("void lw_free(void *p)"),
    pool: lib.func("void *lw_pool(int32_t threads)"),
    program: lib.func(
      "void *lw_program(const int32_t *table, const int64_t *offsets, const uint64_t *functions, int64_t scratch)",
    ),
    programFree: lib.func("void lw_program_free(void *program)"),
    place: lib.func("void lw_place(void *program, const uint64_t *slots)"),
    run: lib.func("int32_t lw_run(void *pool, void *program, int32_t threads)"),
  };
  return runtime;
}

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
  /** Addresses the program was last placed at. */
  placed: BigUint64Array;
  constructor(program: LoopProgram, estimate: number, handle: unknown, constants: NativeBlock | null, threads: number) {
    this.program = program;
    this.estimate = estimate;
    this.handle = handle;
    this.constants = constants;
    this.threads = threads;
    this.placed = new BigUint64Array(program.slots);
  }
}

/** Opens the device; throws (N101, N102, N103) when koffi or a working compiler is missing. */
export function createNativeDevice(options: NativeOptions = {}): Device {
  const toolchain = findToolchain();
  if (!toolchain) {
    throw new LayerwiseError("the native target needs a C compiler", {
      code: "N103",
      received: "none of $CC, cc, gcc, clang answers",
      expected: "a C compiler on the PATH",
      hint: "install gcc or clang, or use the wasm device",
    });
  }
  return new NativeDevice(toolchain, openRuntime(toolchain), options);
}

class NativeDevice implements Device {
  readonly name = "native";
  readonly profile: TargetProfile;
  readonly threads: number;
  private readonly toolchain: Toolchain;
  private readonly rt: Runtime;
  private readonly pool: unknown;
  /** Kernel addresses by library path. The library object is kept: koffi unloads what nobody refers to. */
  private readonly libraries = new Map<string, { library: NativeLibrary; functions: BigUint64Array }>();
  private arenaBlock: NativeBlock;
  private bytes = 0;

  constructor(toolchain: Toolchain, rt: Runtime, options: NativeOptions) {
    this.toolchain = toolchain;
    this.rt = rt;
    this.threads = options.threads ?? Math.min(16, availableParallelism());
    const lanes = machineLanes(toolchain);
    const tile =
      lanes === 16
        ? { rows: 12, vectors: 2, unroll: 4 }
        : lanes === 8
          ? { rows: 6, vectors: 2, unroll: 4 }
          : { rows: 8, vectors: 2, unroll: 4 };
    this.profile = {
      name: "c",
      lanes,
      tile,
      strict: options.strict ?? false,
      ...(options.convolution ? { convolution: options.convolution } : {}),
    };
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
    this.rt.free((block as NativeBlock).pointer);
  }
  view(block: Block, offset: number, bytes: number): Uint8Array {
    return new Uint8Array((block as NativeBlock).memory, offset, bytes);
  }
  arena(): Block {
    return this.arenaBlock;
  }

  compile(program: LoopProgram): Executable {
    const functions = this.functionsOf(program);
    const { table, offsets, callFunctions, milliseconds } = this.tables(program, functions);
    const handle = this.rt.program(table, offsets, callFunctions, program.scratchBytes);
    if (program.arenaBytes > this.arenaBlock.bytes) {
      this.free(this.arenaBlock);
      this.arenaBlock = this.allocate(program.arenaBytes);
    }
    let constants: NativeBlock | null = null;
    if (program.constants.byteLength > 0) {
      constants = this.allocate(program.constants.byteLength);
      this.view(constants, 0, constants.bytes).set(program.constants);
    }
    return new NativeExecutable(
      program,
      milliseconds,
      handle,
      constants,
      milliseconds < worthThreads ? 1 : this.threads,
    );
  }

  /** Addresses of the program's kernels, compiled in as many shards as there are cores. */
  private functionsOf(program: LoopProgram): BigUint64Array {
    const { koffi } = this.rt;
    const options = { lanes: this.profile.lanes as 4 | 8 | 16, strict: this.profile.strict };
    const n = program.kernels.length;
    const shards = Math.max(1, Math.min(availableParallelism(), Math.ceil(n / 4)));
    const size = Math.ceil(n / shards);
    const sources: string[] = [];
    for (let from = 0; from < n; from += size)
      sources.push(targets.emitShard(program, from, Math.min(n, from + size), "lw", options));
    if (n === 0) return new BigUint64Array(0);
    sources.push(targets.emitTable(n, "lw"));
    const { path } = buildLibrary(sources, this.toolchain);
    const known = this.libraries.get(path);
    if (known) return known.functions;
    const functions = new BigUint64Array(n);
    const library = koffi.load(path);
    library.func("void lw_table(_Out_ uint64_t *out)")(functions);
    this.libraries.set(path, { library, functions });
    return functions;
  }

  private tables(program: LoopProgram, functions: BigUint64Array) {
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
    return { table, offsets, callFunctions, milliseconds: seconds * 1000 };
  }

  run(executable: Executable, stores: readonly Block[]): void {
    const exe = executable as NativeExecutable;
    const { placed } = exe;
    let moved = false;
    const put = (slot: number, address: number): void => {
      const a = BigInt(address);
      if (placed[slot] !== a) {
        placed[slot] = a;
        moved = true;
      }
    };
    put(0, this.arenaBlock.address);
    put(1, exe.constants?.address ?? 0);
    for (let i = 0; i < stores.length; i++) put(i + 2, stores[i].address);
    if (moved) this.rt.place(exe.handle, placed);
    if (this.rt.run(this.pool, exe.handle, exe.threads) !== 0) {
      throw new LayerwiseError("out of memory for the scratch of a program", {
        code: "N104",
        received: `${exe.program.scratchBytes} bytes a thread`,
        expected: "free memory",
      });
    }
  }

  release(executable: Executable): void {
    const exe = executable as NativeExecutable;
    this.rt.programFree(exe.handle);
    if (exe.constants) this.free(exe.constants);
  }
}
