/** Timed runs: while somebody watches, the first runs of every program are made call by call. */
import type { CallTime, Device } from "../targets/device.ts";

/** Sees every timed run. */
export type Watcher = (program: string, device: Device, calls: readonly CallTime[]) => void;

/** Runs of a program that are left alone (caches are cold), and how many are then timed. */
const coldRuns = 3;
const timedRuns = 20;

let watcher: Watcher | null = null;
const runs = new Map<object, number>();

/** Begins to watch, or ends it (null). */
export function watch(next: Watcher | null): void {
  watcher = next;
  runs.clear();
}

/** Who wants this run of a program timed; null when nobody does. */
export function watcherOf(program: object): Watcher | null {
  if (watcher === null) return null;
  const count = runs.get(program) ?? 0;
  runs.set(program, count + 1);
  return count >= coldRuns && count < coldRuns + timedRuns ? watcher : null;
}
