/** What the engine needs of a place where programs run. One value of this type per process and target. */
import type { LoopProgram, TargetProfile } from "../compiler/loopir.ts";

/** Memory of a device. `address` is meaningful to the device only. Aligned to 64 bytes, followed by 64 readable bytes. */
export interface Block {
  readonly address: number;
  readonly bytes: number;
}

/** A program made ready to run on a device. */
export interface Executable {
  readonly program: LoopProgram;
  /** Estimated milliseconds of one run, from the kernels' costs; decides whether threads are used. */
  readonly estimate: number;
}

/** One call of a timed run: what ran, how long, and the arithmetic (FLOPs) and traffic (bytes) it declares. */
export interface CallTime {
  readonly kernel: string;
  /** Layer or op it belongs to. */
  readonly label: string;
  readonly milliseconds: number;
  readonly flops: number;
  readonly bytes: number;
}

/** Where a device keeps compiled programs between processes. Whatever is wrong with it, it only has nothing. */
export interface ProgramShelf {
  /** What was put under this key, whole and unaltered. */
  get(key: readonly (string | Uint8Array)[]): { readonly text: string; readonly data: Uint8Array } | null;
  put(key: readonly (string | Uint8Array)[], text: string, data: Uint8Array): void;
  /** Names of the machine code of a compiled program's kernels. */
  symbols(program: LoopProgram): readonly string[];
  /** Loads the machine code of these names, which belong to one program; false where some is missing. */
  load(symbols: readonly string[]): boolean;
}

export interface Device {
  readonly name: string;
  readonly profile: TargetProfile;
  readonly threads: number;
  /** Bytes now allocated (blocks and the shared arena); for tests and the memory report. */
  readonly allocatedBytes: number;

  /** Null or absent where nothing can be kept. */
  readonly shelf?: ProgramShelf | null;

  allocate(bytes: number): Block;
  free(block: Block): void;
  /** A fresh view of part of a block; valid until the next call of the device (memory may grow). Never hand it to users. */
  view(block: Block, offset: number, bytes: number): Uint8Array;

  /** Does the slow part of `compile` for several programs at once, where that is faster than one after the other. */
  precompile?(programs: readonly LoopProgram[]): void;
  /** Compiles synchronously; the same program (by content) compiled twice shares its code. */
  compile(program: LoopProgram): Executable;
  /** The block that serves as slot 0 for this executable: write inputs to it before `run`, read outputs after. */
  arena(executable: Executable): Block;
  /**
   * Runs once, to completion. `stores` are the blocks of slots 2, 3, …. Throws a LayerwiseError that names the kernel if
   * a worker fails; the device is usable again afterwards.
   */
  run(executable: Executable, stores: readonly Block[]): void;
  /**
   * As `run`, but call by call on the caller's thread, with what each took; for the profiler. Times of calls far below a
   * microsecond are the clock's.
   */
  timeCalls?(executable: Executable, stores: readonly Block[]): CallTime[];
  /** Releases constants and code of an executable. */
  release(executable: Executable): void;
}
