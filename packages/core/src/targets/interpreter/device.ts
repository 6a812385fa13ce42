/** A device that interprets: slow, exact, and with every access checked. */
import { widePacking } from "../../compiler/contract/packed-once.ts";
import type { LoopProgram, TargetProfile } from "../../compiler/loopir.ts";
import { slack } from "../../compiler/memory.ts";
import type { Block, Device, Executable } from "../device.ts";
import { interpretProgram } from "./interpret.ts";

class Memory implements Block {
  readonly address: number;
  readonly bytes: number;
  readonly buffer: ArrayBuffer;
  constructor(address: number, bytes: number) {
    this.address = address;
    this.bytes = bytes;
    this.buffer = new ArrayBuffer(bytes + slack);
  }
}

interface Interpreted extends Executable {
  readonly constants: Memory;
}

export interface InterpreterDeviceOptions {
  /** Lanes of the profile (default 4). */
  readonly lanes?: 4 | 8 | 16;
  readonly strict?: boolean;
  readonly convolution?: "auto" | "direct";
  /** Whether fma rounds once (default: unless strict). */
  readonly fma?: boolean;
}

export function createInterpreterDevice(options: InterpreterDeviceOptions = {}): Device {
  const strict = options.strict ?? false;
  const fma = options.fma ?? !strict;
  const profile: TargetProfile = {
    name: "interpreter",
    lanes: options.lanes ?? 4,
    tile: { rows: 4, vectors: 2, unroll: 1 },
    strict,
    wide: widePacking,
    ...(options.convolution ? { convolution: options.convolution } : {}),
  };
  let allocated = 0;
  let next = 64;
  let arena = new Memory(0, 0);
  const allocate = (bytes: number): Memory => {
    allocated += bytes;
    const block = new Memory(next, bytes);
    next += Math.ceil((bytes + slack) / 64) * 64;
    return block;
  };
  return {
    name: "interpreter",
    profile,
    threads: 1,
    get allocatedBytes() {
      return allocated + arena.bytes;
    },
    allocate,
    free(block) {
      allocated -= block.bytes;
    },
    view(block, offset, bytes) {
      return new Uint8Array((block as Memory).buffer, offset, bytes);
    },
    compile(program: LoopProgram): Executable {
      if (program.arenaBytes > arena.bytes) arena = new Memory(0, program.arenaBytes);
      const constants = allocate(program.constants.byteLength);
      new Uint8Array(constants.buffer).set(program.constants);
      const executable: Interpreted = { program, estimate: 0, constants };
      return executable;
    },
    arena: () => arena,
    run(executable, stores) {
      const { program, constants } = executable as Interpreted;
      interpretProgram(
        program,
        [arena, constants, ...(stores as Memory[])].map((m) => m.buffer),
        { fma },
      );
    },
    release(executable) {
      allocated -= (executable as Interpreted).constants.bytes;
    },
  };
}
