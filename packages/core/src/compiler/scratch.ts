/** Layout of a kernel's thread scratch: its scratch buffers one after the other, each aligned to 64 bytes. */
import { type Buffer, type Kernel, storageBytes } from "./loopir.ts";

/** Byte offset of each scratch buffer, and the total (with readable slack at the end). */
export function scratchLayout(kernel: Kernel): { offsets: ReadonlyMap<Buffer, number>; bytes: number } {
  const offsets = new Map<Buffer, number>();
  let bytes = 0;
  for (const buffer of kernel.buffers) {
    if (buffer.access !== "scratch") continue;
    offsets.set(buffer, bytes);
    bytes += Math.ceil((buffer.size * storageBytes[buffer.type]) / 64) * 64 + 64;
  }
  return { offsets, bytes };
}

export function scratchBytes(kernel: Kernel): number {
  return scratchLayout(kernel).bytes;
}
