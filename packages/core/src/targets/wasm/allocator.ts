/** An allocator of address ranges: 64-byte units, size-class bins, immediate coalescing; its bookkeeping lies outside the memory. */
import { LayerwiseError } from "../../errors.ts";

/** Every block starts at a multiple of this and has a multiple of it as size. */
export const ALIGNMENT = 64;

export function alignUp(bytes: number, alignment: number = ALIGNMENT): number {
  return Math.ceil(bytes / alignment) * alignment;
}

/** Four bins per power of two: a free block of a higher bin than the request's own always fits. */
const BINS_PER_OCTAVE = 4;

function binOf(size: number): number {
  const units = size / ALIGNMENT;
  const octave = Math.floor(Math.log2(units));
  return octave * BINS_PER_OCTAVE + Math.floor((units / 2 ** octave - 1) * BINS_PER_OCTAVE);
}

/**
 * Hands out ranges of [base, limit). Free ranges are kept by start, by end and by size class, so that allocation and
 * release take a time that does not grow with the number of blocks.
 */
export class RangeAllocator {
  /** Sizes of the blocks in use, by address. */
  private readonly used = new Map<number, number>();
  private readonly freeByStart = new Map<number, number>();
  private readonly freeByEnd = new Map<number, number>();
  private readonly bins: Set<number>[] = [];
  private limit: number;
  private usedTotal = 0;

  constructor(base: number, limit: number) {
    this.limit = base;
    this.extend(limit);
  }

  /** Bytes in use. */
  get usedBytes(): number {
    return this.usedTotal;
  }
  get end(): number {
    return this.limit;
  }

  /** Adds [end, limit) to the free space. */
  extend(limit: number): void {
    if (limit <= this.limit) return;
    const start = this.limit;
    this.limit = limit;
    this.insertFree(start, limit - start);
  }

  /** Bytes missing at the end for a block of `size`: what `extend` must add when `allocate` finds nothing. */
  shortfall(size: number): number {
    const last = this.freeByEnd.get(this.limit);
    return alignUp(Math.max(size, 1)) - (last === undefined ? 0 : this.limit - last);
  }

  /** The address of a block of at least `size` bytes, or undefined where no free range is large enough. */
  allocate(size: number): number | undefined {
    const bytes = alignUp(Math.max(size, 1));
    const start = this.findFree(bytes);
    if (start === undefined) return undefined;
    const available = this.freeByStart.get(start)!;
    this.removeFree(start, available);
    if (available > bytes) this.addFree(start + bytes, available - bytes);
    this.used.set(start, bytes);
    this.usedTotal += bytes;
    return start;
  }

  /** Gives a block back. Throws E502 for an address that is not in use, as after a second release. */
  free(address: number): void {
    const bytes = this.used.get(address);
    if (bytes === undefined) {
      throw new LayerwiseError("a block of device memory was released twice, or never allocated", {
        code: "E502",
        received: `address ${address}`,
        expected: "the address of a block in use",
      });
    }
    this.used.delete(address);
    this.usedTotal -= bytes;
    this.insertFree(address, bytes);
  }

  /** Size of the block in use at this address. */
  sizeOf(address: number): number | undefined {
    return this.used.get(address);
  }

  /** Free ranges in order of address, for tests. */
  freeRanges(): { start: number; size: number }[] {
    return [...this.freeByStart].map(([start, size]) => ({ start, size })).sort((a, b) => a.start - b.start);
  }

  private findFree(bytes: number): number | undefined {
    // The request's own bin holds blocks on both sides of the size, so the tightest of them is looked for.
    const own = binOf(bytes);
    let best: number | undefined;
    let bestSize = Number.POSITIVE_INFINITY;
    let looked = 0;
    for (const start of this.bins[own] ?? []) {
      const size = this.freeByStart.get(start)!;
      if (size >= bytes && size < bestSize) {
        best = start;
        bestSize = size;
      }
      if (bestSize === bytes || (best !== undefined && ++looked > 32)) break;
    }
    for (let bin = own + 1; best === undefined && bin < this.bins.length; bin++) {
      for (const start of this.bins[bin] ?? []) {
        best = start;
        break;
      }
    }
    return best;
  }

  private insertFree(start: number, size: number): void {
    const following = this.freeByStart.get(start + size);
    if (following !== undefined) {
      this.removeFree(start + size, following);
      size += following;
    }
    const preceding = this.freeByEnd.get(start);
    if (preceding !== undefined) {
      const precedingSize = start - preceding;
      this.removeFree(preceding, precedingSize);
      start = preceding;
      size += precedingSize;
    }
    this.addFree(start, size);
  }

  private addFree(start: number, size: number): void {
    this.freeByStart.set(start, size);
    this.freeByEnd.set(start + size, start);
    const bin = binOf(size);
    (this.bins[bin] ??= new Set()).add(start);
  }

  private removeFree(start: number, size: number): void {
    this.freeByStart.delete(start);
    this.freeByEnd.delete(start + size);
    this.bins[binOf(size)]!.delete(start);
  }
}
