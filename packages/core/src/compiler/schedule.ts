/** The order in which groups run. */
import type { Value } from "../graph/node.ts";
import { dtypeBytes, sizeOf } from "../graph/types.ts";
import { type Group, outputsOf } from "./fuse.ts";

/** How much smaller than what it reads a result is that is made as soon as it can be. */
const shrinks = 4;

const bytesOf = (values: Iterable<Value>): number => {
  let bytes = 0;
  for (const v of values) bytes += sizeOf(v.shape) * dtypeBytes[v.dtype];
  return bytes;
};

/**
 * The given order, in which makers come first, but groups whose results are small beside what they read run as soon as
 * they can: the gradients of weights and biases, behind what makes the gradients of activations. Then nothing large is
 * kept for them, and they find it in the caches. `constraints` are groups that must run before others.
 */
export function schedule(
  groups: readonly Group[],
  reads: ReadonlyMap<Group, ReadonlySet<Value>>,
  constraints: ReadonlyMap<Group, ReadonlySet<Group>>,
): Group[] {
  const maker = new Map<Value, Group>();
  for (const g of groups) for (const v of outputsOf(g)) maker.set(v, g);
  const waitsFor = new Map<Group, Set<Group>>();
  const unblocks = new Map<Group, Group[]>(groups.map((g) => [g, []]));
  const early = new Set<Group>();
  for (const g of groups) {
    const made = [...reads.get(g)!].filter((v) => maker.has(v) && maker.get(v) !== g);
    const before = new Set([...made.map((v) => maker.get(v)!), ...(constraints.get(g) ?? [])]);
    waitsFor.set(g, before);
    for (const b of before) unblocks.get(b)!.push(g);
    if (shrinks * bytesOf(outputsOf(g)) <= bytesOf(made)) early.add(g);
  }
  const order = new Set<Group>();
  const run = (start: Group): void => {
    const stack = [start];
    while (stack.length > 0) {
      const g = stack.pop()!;
      order.add(g);
      const ready: Group[] = [];
      for (const next of unblocks.get(g)!) {
        const waiting = waitsFor.get(next)!;
        waiting.delete(g);
        if (waiting.size === 0 && early.has(next)) ready.push(next);
      }
      stack.push(...ready.reverse());
    }
  };
  for (const g of groups) {
    if (order.has(g)) continue;
    if (waitsFor.get(g)!.size > 0) throw new Error("compiler: groups are out of order");
    run(g);
  }
  return [...order];
}
