/** For tests of targets: one kernel in memory of its own, run by WebAssembly and by the interpreter, and compared bit by bit. */
import { type Buffer, type Kernel, storageBytes, taskCount } from "../compiler/loopir.ts";
import { scratchBytes } from "../compiler/scratch.ts";
import { compileWasm, hasRelaxedSimd, offersRevectorization } from "../platform/platform.ts";
import { storeElement } from "./interpreter/elements.ts";
import { interpretKernel, type Region } from "./interpreter/interpret.ts";
import { emitKernel, kernelParameters } from "./wasm/emit.ts";
import { ModuleBuilder } from "./wasm/encoder.ts";

/** Numbers of the LoopIR types; a buffer that is not named starts as a pattern of bytes. */
export type Contents = Readonly<Record<string, ArrayLike<number>>>;

export interface Memory {
  readonly bytes: ArrayBuffer;
  /** In the order of the kernel's buffers; scratch buffers have none. */
  readonly regions: readonly Region[];
}

const pageBytes = 65536;

/**
 * Scratch, then the buffers one after the other with their slack: the first two begin and end where the memory does
 * (as far as alignment allows), so that wild accesses trap. What lies between is a pattern.
 */
export function layOut(kernel: Kernel): { offsets: number[]; scratch: number; pages: number } {
  const named = kernel.buffers.filter((b) => b.access !== "scratch");
  const room = (b: Buffer) => Math.ceil((b.size * storageBytes[b.type]) / 64) * 64 + 64;
  // As on the device, nothing lies at address 0.
  const first = 64;
  const pages = Math.ceil((named.reduce((sum, b) => sum + room(b), first) + scratchBytes(kernel)) / pageBytes);
  const places = new Map<Buffer, number>();
  let low = first;
  let high = pages * pageBytes;
  for (const [i, b] of named.entries()) {
    if (i === 1) high -= room(b);
    places.set(b, i === 1 ? high : low);
    if (i !== 1) low += room(b);
  }
  return { offsets: kernel.buffers.map((b) => places.get(b) ?? -1), scratch: low, pages };
}

export function fill(
  kernel: Kernel,
  buffer: ArrayBufferLike,
  offsets: readonly number[],
  contents: Contents,
): Region[] {
  const bytes = new Uint8Array(buffer);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 37 + 11) & 127;
  return kernel.buffers.map((b, i) => {
    if (b.access === "scratch") {
      return { memory: new DataView(new ArrayBuffer(b.size * storageBytes[b.type])), offset: 0 };
    }
    const region = { memory: new DataView(buffer), offset: offsets[i] };
    const numbers = contents[b.name];
    if (numbers) {
      if (numbers.length !== b.size)
        throw new Error(`${b.name} has ${b.size} elements and got ${numbers.length} numbers`);
      for (let n = 0; n < numbers.length; n++) storeElement(region, b.type, n, numbers[n]);
    }
    return region;
  });
}

export interface RunOptions {
  /** One rounding for `fma` (default true; WebAssembly then needs relaxed SIMD). */
  readonly fma?: boolean;
  /** Cuts the tasks: [begin, end) of each call, default all in one. */
  readonly ranges?: readonly (readonly [number, number])[];
  /** Code for engines that fuse pairs of 128-bit operations, fused where this engine does. */
  readonly revectorize?: boolean;
}

export function runInterpreter(kernel: Kernel, contents: Contents, options: RunOptions = {}): Memory {
  const { offsets, scratch, pages } = layOut(kernel);
  const bytes = new ArrayBuffer(pages * pageBytes);
  const regions = fill(kernel, bytes, offsets, contents);
  for (const [begin, end] of options.ranges ?? [[0, taskCount(kernel)]]) {
    interpretKernel(kernel, regions, { fma: options.fma ?? true }, begin, end);
  }
  new Uint8Array(bytes).fill(0, scratch, scratch + scratchBytes(kernel));
  return { bytes, regions };
}

type KernelFunction = (begin: number, end: number, scratch: number, ...pointers: number[]) => void;

/** A kernel as a function of its own, and the bytes of its body. */
export function instantiate(
  kernel: Kernel,
  memory: WebAssembly.Memory,
  fma: boolean,
  revectorize = false,
): { run: KernelFunction; codeBytes: number } {
  if (fma && !hasRelaxedSimd()) throw new Error("this engine has no relaxed SIMD");
  const module = new ModuleBuilder({ shared: false });
  const body = emitKernel(kernel, { relaxedFma: fma, strict: !fma, revectorize });
  module.exportFunction("run", module.addFunction(kernel.name, kernelParameters(kernel), 0, body));
  const { exports } = new WebAssembly.Instance(compileWasm(module.finish(), revectorize && offersRevectorization()), {
    env: { memory },
  });
  return { run: exports["run"] as KernelFunction, codeBytes: body.length };
}

export function runWasm(kernel: Kernel, contents: Contents, options: RunOptions = {}): Memory {
  const { offsets, scratch, pages } = layOut(kernel);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: 65536 });
  const regions = fill(kernel, memory.buffer, offsets, contents);
  const { run } = instantiate(kernel, memory, options.fma ?? true, options.revectorize);
  const pointers = offsets.filter((o) => o >= 0);
  for (const [begin, end] of options.ranges ?? [[0, taskCount(kernel)]]) run(begin, end, scratch, ...pointers);
  const bytes = memory.buffer.slice(0);
  // Scratch may hold anything.
  new Uint8Array(bytes).fill(0, scratch, scratch + scratchBytes(kernel));
  return { bytes, regions };
}

/** Contents of a buffer as raw bits, NaN of float types made one. */
export function bitsOf(memory: Memory, kernel: Kernel, buffer: Buffer): number[] {
  const region = memory.regions[kernel.buffers.indexOf(buffer)];
  const view = new DataView(memory.bytes, region.offset);
  const wide = storageBytes[buffer.type];
  return Array.from({ length: buffer.size }, (_, i) => {
    const bits = wide === 4 ? view.getUint32(i * 4, true) : wide === 2 ? view.getUint16(i * 2, true) : view.getUint8(i);
    if (buffer.type === "f32") return (bits & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : bits;
    if (buffer.type === "f16") return (bits & 0x7fff) > 0x7c00 ? 0x7e00 : bits;
    if (buffer.type === "bf16") return (bits & 0x7fff) > 0x7f80 ? 0x7fc0 : bits;
    return bits;
  });
}

/** f32 contents of a buffer. */
export function floatsOf(memory: Memory, kernel: Kernel, name: string): Float32Array {
  const i = kernel.buffers.findIndex((b) => b.name === name);
  return new Float32Array(memory.bytes, memory.regions[i].offset, kernel.buffers[i].size);
}

/** Everything that `difference` has compared in this process, so that a slower compiler can take it all at once. */
export const compared: { readonly kernel: Kernel; readonly contents: Contents }[] = [];

/**
 * The first difference between the two targets, with fma and without, for wider vectors too, or null. Bytes outside the buffers count too:
 * nothing may be written there.
 */
export function difference(kernel: Kernel, contents: Contents, options: Omit<RunOptions, "fma"> = {}): string | null {
  compared.push({ kernel, contents });
  for (const fma of [true, false]) {
    const expected = runInterpreter(kernel, contents, { ...options, fma });
    for (const revectorize of [false, true]) {
      const actual = runWasm(kernel, contents, { ...options, fma, revectorize });
      const found = differenceOf(kernel, expected, actual, "wasm");
      if (found) return `with fma ${fma}, revectorize ${revectorize}: ${found}`;
    }
  }
  return null;
}

/** The first difference between two memories after a kernel, or null. */
export function differenceOf(kernel: Kernel, expected: Memory, actual: Memory, target: string): string | null {
  const covered = new Uint8Array(actual.bytes.byteLength);
  for (const [i, b] of kernel.buffers.entries()) {
    if (b.access === "scratch") continue;
    covered.fill(1, actual.regions[i].offset, actual.regions[i].offset + b.size * storageBytes[b.type]);
    const want = bitsOf(expected, kernel, b);
    const got = bitsOf(actual, kernel, b);
    const n = want.findIndex((x, k) => x !== got[k]);
    if (n >= 0) return `${b.name}[${n}]: interpreter 0x${want[n].toString(16)}, ${target} 0x${got[n].toString(16)}`;
  }
  const [a, b] = [new Uint8Array(expected.bytes), new Uint8Array(actual.bytes)];
  for (let n = 0; n < covered.length; n++) {
    if (!covered[n] && a[n] !== b[n]) return `byte ${n} outside all buffers was written`;
  }
  return null;
}
