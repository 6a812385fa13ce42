/** The memory plan: offsets in the arena for everything that lives there, from liveness. */

/** Something that needs `bytes` from step `first` to step `last`, both included. */
export interface Interval {
  readonly bytes: number;
  first: number;
  last: number;
}

export const alignment = 64;
/** Bytes that may be read after the end of every buffer (LoopIR's promise to vector loads). */
export const slack = 64;

export function aligned(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}

/**
 * Places intervals so that those alive at the same step do not overlap: largest first, each at the lowest free offset.
 * Returns offsets in the order given, and the arena's size.
 */
export function planMemory(intervals: readonly Interval[]): { offsets: number[]; bytes: number } {
  const offsets = new Array<number>(intervals.length).fill(0);
  const order = intervals.map((_, i) => i).sort((a, b) => intervals[b].bytes - intervals[a].bytes || a - b);
  const placed: number[] = [];
  let total = 0;
  for (const i of order) {
    const need = aligned(intervals[i].bytes) + slack;
    const busy = placed
      .filter((j) => intervals[j].first <= intervals[i].last && intervals[i].first <= intervals[j].last)
      .map((j) => [offsets[j], offsets[j] + aligned(intervals[j].bytes) + slack])
      .sort((a, b) => a[0] - b[0]);
    let at = 0;
    for (const [from, to] of busy) {
      if (from - at >= need) break;
      at = Math.max(at, to);
    }
    offsets[i] = at;
    placed.push(i);
    total = Math.max(total, at + need);
  }
  return { offsets, bytes: total };
}
