/** The one linear memory of the process: blocks, growth, and views that stay right after growth. */
import { LayerwiseError } from "../../errors.ts";
import { ALIGNMENT, RangeAllocator } from "./allocator.ts";
import { Code } from "./code.ts";
import { ModuleBuilder } from "./encoder.ts";

const PAGE = 65536;
/** Growth by at least this much, so that many small requests do not grow the memory one by one. */
const GROWTH = 16 * 1024 * 1024;
/** Address 0 stays unused: a null pointer never names a block. */
const FIRST_ADDRESS = ALIGNMENT;
/** Vector loads may run past the end of a block; behind the last one this much stays free. */
const TAIL = ALIGNMENT;

/** Linear memory with an allocator. Blocks are zeroed, aligned to 64 bytes and followed by 64 readable bytes. */
export class WasmMemory {
  readonly memory: WebAssembly.Memory;
  /** True where threads can share it. */
  readonly shared: boolean;
  readonly maximumBytes: number;
  /** Fresh after each growth: never keep it across an allocation. */
  bytes: Uint8Array;
  words: Int32Array;
  private readonly ranges: RangeAllocator;
  /** Addresses from here on were never handed out and hold zeros, so they need no clearing (and no physical pages). */
  private untouched = FIRST_ADDRESS;
  private readonly clear: (address: number, bytes: number) => void;

  constructor(options: { shared: boolean; maximumPages?: number; initialPages?: number }) {
    const initial = options.initialPages ?? 64;
    const { memory, pages } = createMemory(options.shared, initial, options.maximumPages ?? 65536);
    this.memory = memory;
    this.shared = options.shared;
    this.maximumBytes = pages * PAGE;
    this.bytes = new Uint8Array(memory.buffer);
    this.words = new Int32Array(memory.buffer);
    this.ranges = new RangeAllocator(FIRST_ADDRESS, initial * PAGE - TAIL);
    this.clear = clearFunction(memory, options.shared);
  }

  get usedBytes(): number {
    return this.ranges.usedBytes;
  }

  /** The address of a zeroed block. Throws E503 when the memory cannot grow far enough. */
  allocate(bytes: number): number {
    let address = this.ranges.allocate(bytes);
    if (address === undefined) {
      this.grow(bytes);
      address = this.ranges.allocate(bytes)!;
    }
    const end = address + this.ranges.sizeOf(address)!;
    if (address < this.untouched) this.clear(address, Math.min(end, this.untouched) - address);
    this.untouched = Math.max(this.untouched, end);
    return address;
  }

  /** Throws E502 for an address that is not in use. */
  free(address: number): void {
    this.ranges.free(address);
  }

  view(address: number, bytes: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, address, bytes);
  }

  private grow(bytes: number): void {
    const current = this.memory.buffer.byteLength;
    const shortfall = this.ranges.shortfall(bytes);
    const generous = Math.ceil(Math.max(shortfall, GROWTH, current / 8) / PAGE);
    const room = (this.maximumBytes - current) / PAGE;
    const attempts = [Math.min(generous, room), Math.ceil(shortfall / PAGE)];
    for (const pages of attempts) {
      if (pages > room || pages * PAGE < shortfall) continue;
      try {
        this.memory.grow(pages);
      } catch {
        continue;
      }
      this.bytes = new Uint8Array(this.memory.buffer);
      this.words = new Int32Array(this.memory.buffer);
      this.ranges.extend(this.memory.buffer.byteLength - TAIL);
      return;
    }
    throw new LayerwiseError("out of device memory", {
      code: "E503",
      received: `a request for ${megabytes(bytes)} with ${megabytes(this.usedBytes)} in use`,
      expected: `at most ${megabytes(this.maximumBytes)} in all`,
      hint: "a smaller batchSize needs less memory",
    });
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1048576).toFixed(1)} MB`;
}

/** The largest maximum the engine grants: it reserves address space, which limits on a process or a phone may refuse. */
function createMemory(shared: boolean, initial: number, maximum: number) {
  for (let pages = maximum; ; pages = Math.floor(pages / 2)) {
    try {
      return { memory: new WebAssembly.Memory({ initial, maximum: pages, shared }), pages };
    } catch (cause) {
      if (pages / 2 < Math.max(initial, 1024)) {
        throw new LayerwiseError(
          "the engine refuses WebAssembly memory",
          { code: "E503", hint: "a limit on address space (ulimit -v) may be the reason" },
          { cause },
        );
      }
    }
  }
}

/** `fill` of a typed array on shared memory writes element by element, at a twentieth of this function's speed. */
function clearFunction(memory: WebAssembly.Memory, shared: boolean): (address: number, bytes: number) => void {
  const module = new ModuleBuilder({ shared });
  const body = new Code(2).get(0).i32(0).get(1).memoryFill().finish();
  module.exportFunction("clear", module.addFunction("clear", 2, 0, Uint8Array.from(body)));
  const compiled = new WebAssembly.Module(module.finish() as BufferSource);
  return new WebAssembly.Instance(compiled, { env: { memory } }).exports["clear"] as ReturnType<typeof clearFunction>;
}

let common: WasmMemory | undefined;

/** The memory that all devices of this process use. Shared among threads where the platform has shared memory. */
export function processMemory(shared: boolean): WasmMemory {
  common ??= new WasmMemory({ shared });
  return common;
}
