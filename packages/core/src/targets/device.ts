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

export interface Device {
  readonly name: string;
  readonly profile: TargetProfile;
  readonly threads: number;
  /** Bytes now allocated (blocks and the shared arena); for tests and the memory report. */
  readonly allocatedBytes: number;

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
