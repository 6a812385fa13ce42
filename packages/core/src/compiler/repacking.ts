/** Inputs that several operations want in the same other layout, such as the factor of three products: packed once. */
import type { Value } from "../graph/node.ts";
import type { Place } from "./emit-group.ts";
import type { Kernel } from "./loopir.ts";
import type { Lowered, LoweredStep } from "./lowered.ts";

/** Where an operation's input begins, in bytes of the value that it lies in. */
export interface Source {
  readonly source: Value;
  readonly offset: number;
}

/** Steps after which packing again costs less than the memory in between. */
const longest = 24;

interface Packed {
  readonly kernel: Kernel;
  readonly from: readonly Source[];
  readonly place: Place;
  last: number;
}

/** What the steps of one program have packed. Values never change, so that equal kernels make equal copies of them. */
export class Repacking {
  private readonly known: Packed[] = [];

  /** Where a step that does nothing but pack inputs into temporary `temp` has its result already; null if nowhere. */
  find(step: LoweredStep, inputs: readonly Source[], now: number): Place | null {
    const from = sourcesOf(step, inputs);
    const same = this.known.find(
      (p) =>
        now - p.last <= longest &&
        p.from.length === from.length &&
        p.from.every((s, i) => s.source === from[i].source && s.offset === from[i].offset) &&
        sameCode(p.kernel, step.kernel),
    );
    if (!same) return null;
    same.last = now;
    return same.place;
  }

  add(step: LoweredStep, inputs: readonly Source[], place: Place, now: number): void {
    this.known.push({ kernel: step.kernel, from: sourcesOf(step, inputs), place, last: now });
  }
}

function sourcesOf(step: LoweredStep, inputs: readonly Source[]): Source[] {
  return step.roles.flatMap((r) => (r.role === "input" ? [inputs[r.index]] : []));
}

/** The temporary that a step packs some of the first `inputs` inputs into, and that all others only read; -1 for other steps. */
export function packsInto(step: LoweredStep, { steps }: Lowered, inputs: number): number {
  const temps = step.roles.filter((r) => r.role !== "input");
  if (temps.length !== 1 || temps[0].role !== "temp" || temps.length === step.roles.length) return -1;
  if (step.roles.some((r) => r.role === "input" && r.index >= inputs)) return -1;
  const { index } = temps[0];
  const onlyReads = (other: LoweredStep) => {
    const buffers = other.kernel.buffers.filter((b) => b.access !== "scratch");
    return other.roles.every((r, i) => r.role !== "temp" || r.index !== index || buffers[i].access === "read");
  };
  return steps.every((other) => other === step || onlyReads(other)) ? index : -1;
}

/** Whether two kernels compute the same, whatever their names. */
export function sameCode(a: Kernel, b: Kernel): boolean {
  return sameData(a.body, b.body) && sameData(a.grid, b.grid) && sameData(a.buffers, b.buffers);
}

/** Numbers, strings, and arrays and records of such. */
function sameData(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (!sameData(a[i], b[i])) return false;
    return true;
  }
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  for (const k of keys) if (!sameData(a[k as keyof typeof a], b[k as keyof typeof b])) return false;
  return true;
}
