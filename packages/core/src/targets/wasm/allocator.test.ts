import { describe, expect, it } from "vitest";
import { ALIGNMENT, RangeAllocator } from "./allocator.ts";
import { WasmMemory } from "./memory.ts";

/** A small deterministic generator: the tests must fail the same way twice. */
function randomSource(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe("RangeAllocator", () => {
  it.each([1, 2, 3])("keeps blocks apart, aligned and accounted for, seed %i", (seed) => {
    const random = randomSource(seed);
    const ranges = new RangeAllocator(64, 1 << 20);
    const live = new Map<number, number>();
    for (let step = 0; step < 4000; step++) {
      if (random(100) < 55) {
        const size = random(4) === 0 ? random(40_000) : random(700);
        const address = ranges.allocate(size);
        if (address === undefined) {
          expect(ranges.freeRanges().every((r) => r.size < size)).toBe(true);
          continue;
        }
        expect(address % ALIGNMENT).toBe(0);
        for (const [other, otherSize] of live) {
          if (address < other + otherSize && other < address + Math.max(size, 1)) {
            throw new Error(`block at ${address} overlaps the one at ${other}`);
          }
        }
        live.set(address, ranges.sizeOf(address)!);
      } else if (live.size > 0) {
        const address = [...live.keys()][random(live.size)]!;
        live.delete(address);
        ranges.free(address);
      }
      const used = [...live.values()].reduce((a, b) => a + b, 0);
      expect(ranges.usedBytes).toBe(used);
    }
    const free = ranges.freeRanges();
    for (let i = 1; i < free.length; i++) {
      // Neighbouring free ranges would mean that coalescing was missed.
      expect(free[i]!.start).toBeGreaterThan(free[i - 1]!.start + free[i - 1]!.size);
    }
    for (const address of live.keys()) ranges.free(address);
    expect(ranges.freeRanges()).toEqual([{ start: 64, size: (1 << 20) - 64 }]);
  });

  it("refuses a second release and an address inside a block", () => {
    const ranges = new RangeAllocator(64, 65536);
    const address = ranges.allocate(1000)!;
    expect(() => ranges.free(address + 64)).toThrow(/E502/);
    ranges.free(address);
    expect(() => ranges.free(address)).toThrow(/E502/);
  });

  it("takes the tightest block of the request's own size class", () => {
    const ranges = new RangeAllocator(0, 1 << 16);
    const blocks = [1152, 64, 1088, 64, 1216, 64].map((size) => ranges.allocate(size)!);
    ranges.free(blocks[0]!);
    ranges.free(blocks[2]!);
    ranges.free(blocks[4]!);
    expect(ranges.allocate(1088)).toBe(blocks[2]);
    expect(ranges.allocate(1150)).toBe(blocks[0]);
  });
});

describe("WasmMemory", () => {
  it("zeroes reused blocks, grows, and refreshes its views", () => {
    const memory = new WasmMemory({ shared: true, initialPages: 1, maximumPages: 1024 });
    const first = memory.allocate(1000);
    memory.view(first, 1000).fill(7);
    memory.free(first);
    const second = memory.allocate(1000);
    expect(second).toBe(first);
    expect(memory.view(second, 1000).every((x) => x === 0)).toBe(true);
    const large = memory.allocate(3_000_000);
    expect(memory.bytes.byteLength).toBe(memory.memory.buffer.byteLength);
    memory.bytes[large + 2_999_999] = 1;
    // A vector load may run 64 bytes past the end of the last block.
    expect(memory.memory.buffer.byteLength).toBeGreaterThanOrEqual(large + 3_000_000 + 64);
    expect(memory.words.byteLength).toBe(memory.bytes.byteLength);
  });

  it("says how much was asked for when the maximum is reached, and stays usable", () => {
    const memory = new WasmMemory({ shared: true, initialPages: 1, maximumPages: 64 });
    expect(() => memory.allocate(64 * 65536)).toThrow(/E503[\s\S]*4\.0 MB/);
    const address = memory.allocate(63 * 65536);
    memory.free(address);
    expect(memory.usedBytes).toBe(0);
  });
});
