/** What lowerings of single ops share: a kernel with its buffers' roles, cutting loops into tasks, and vectors along rows. */
import { affine, type Index, KernelBuilder, scaled } from "../../../compiler/builder.ts";
import type { Buffer, StorageType } from "../../../compiler/loopir.ts";
import type { Lowered, LoweredStep, Role } from "../../../compiler/lowered.ts";

/** Bytes that one task should move, about 10 µs at memory speed. */
export const taskBytes = 128 * 1024;

/** Lanes of a full vector on every target, so that what is computed together never depends on the target. */
export const wide = 16;

export class LowerStep {
  readonly b: KernelBuilder;
  private readonly roles: Role[] = [];

  constructor(name: string) {
    this.b = new KernelBuilder(name);
  }
  input(index: number, name: string, size: number, type: StorageType): Buffer {
    return this.add("input", index, name, size, type, "read");
  }
  output(index: number, name: string, size: number, type: StorageType, access: Buffer["access"] = "write"): Buffer {
    return this.add("output", index, name, size, type, access);
  }
  temp(index: number, name: string, size: number, type: StorageType, access: Buffer["access"]): Buffer {
    return this.add("temp", index, name, size, type, access);
  }
  scratch(name: string, size: number, type: StorageType): Buffer {
    return this.b.buffer(name, type, size, "scratch");
  }
  finish(cost: { flops: number; bytes: number }): LoweredStep {
    return { kernel: this.b.finish(cost), roles: this.roles };
  }
  private add(
    role: Role["role"],
    index: number,
    name: string,
    size: number,
    type: StorageType,
    access: Buffer["access"],
  ): Buffer {
    this.roles.push({ role, index });
    return this.b.buffer(name, type, size, access);
  }
}

/** A lowering of one kernel without temporaries. */
export function single(step: LoweredStep): Lowered {
  return { steps: [step], temps: [] };
}

/** Nothing to compute: every output is empty. */
export const nothing: Lowered = { steps: [], temps: [] };

/**
 * Runs `body` once for every combination of coordinates below `extents` (the last runs fastest). A task takes as many
 * consecutive combinations as move about `target` bytes, `unitBytes` each; the rest is loops inside the task.
 */
export function overTasks(
  b: KernelBuilder,
  extents: readonly number[],
  unitBytes: number,
  body: (at: Index[]) => void,
  target = taskBytes,
): void {
  // How many coordinates of each dimension a task takes: all of the last ones, a part of one, then one by one.
  const inside = new Array<number>(extents.length).fill(1);
  let room = Math.max(1, Math.floor(target / Math.max(1, unitBytes)));
  for (let i = extents.length - 1; i >= 0 && room > 1; i--) {
    inside[i] = balanced(extents[i], room);
    room = inside[i] < extents[i] ? 1 : Math.floor(room / extents[i]);
  }
  const tasks = extents.map((d, i) => b.task(`t${i}`, Math.ceil(d / inside[i])));
  const walk = (at: Index[], i: number): void => {
    if (i === extents.length) {
      body(at);
      return;
    }
    b.loop(`i${i}`, inside[i], (v) => {
      const here = affine(scaled(tasks[i], inside[i]), v);
      const next = () => walk([...at, here], i + 1);
      if (extents[i] % inside[i] === 0) next();
      else b.if(b.compare("lt", b.index(here), b.i32(extents[i])), next);
    });
  };
  walk([], 0);
}

/** The size of blocks of at most `limit` that cut `n` into equal parts as nearly as possible. */
function balanced(n: number, limit: number): number {
  return n <= limit ? n : Math.ceil(n / Math.ceil(n / limit));
}

/** Cuts `length` into blocks, one task each; the body exists twice where the last block is shorter. */
export function overBlocks(
  b: KernelBuilder,
  length: number,
  perTask: number,
  body: (start: Index, length: number) => void,
): void {
  const blocks = Math.ceil(length / perTask);
  const rest = length - (blocks - 1) * perTask;
  const t = b.task("block", blocks);
  if (blocks === 1 || rest === perTask) body(scaled(t, perTask), rest);
  else {
    b.if(
      b.compare("eq", b.index(t), b.i32(blocks - 1)),
      () => body(scaled(t, perTask), rest),
      () => body(scaled(t, perTask), perTask),
    );
  }
}

/** The smallest vector for `count` elements: `wide`, or a multiple of the native width. */
export function vectorLanes(count: number, native: number): number {
  const unit = Math.max(4, native);
  return count >= wide ? wide : Math.min(wide, Math.ceil(count / unit) * unit);
}

/** Covers `length` elements with vectors of `wide` lanes and a shorter one for the rest. */
export function overVectors(
  b: KernelBuilder,
  length: number,
  native: number,
  body: (at: Index, lanes: number, count: number) => void,
): void {
  const full = Math.floor(length / wide);
  b.loop("v", full, (v) => body(scaled(v, wide), wide, wide));
  const rest = length - full * wide;
  if (rest > 0) body(full * wide, vectorLanes(rest, native), rest);
}

/** Options of a store of the first `count` lanes. */
export function only(count: number, lanes: number): { count?: number } {
  return count < lanes ? { count } : {};
}

/** Copies `length` neighbouring elements between buffers of one storage type. */
export function copyRow(
  b: KernelBuilder,
  from: Buffer,
  fromAt: Index,
  to: Buffer,
  toAt: Index,
  length: number,
  native: number,
): void {
  overVectors(b, length, native, (v, lanes, count) => {
    b.store(to, affine(toAt, v), b.load(from, affine(fromAt, v), lanes), only(count, lanes));
  });
}

/** Sets `length` neighbouring elements to a constant. */
export function fillRow(b: KernelBuilder, to: Buffer, at: Index, length: number, value: number, native: number): void {
  const type = to.type === "f32" || to.type === "f16" || to.type === "bf16" ? "f32" : to.type === "u32" ? "u32" : "i32";
  overVectors(b, length, native, (v, lanes, count) => {
    b.store(to, affine(at, v), b.const(type, value, lanes), only(count, lanes));
  });
}

/** A kernel that copies input `from` (or a constant) to output `to`, cut into tasks. */
export function copyStep(
  name: string,
  size: number,
  type: StorageType,
  bytes: number,
  native: number,
  from: { readonly input: number } | { readonly value: number },
): LoweredStep {
  const step = new LowerStep(name);
  const { b } = step;
  const source = "input" in from ? step.input(from.input, "x", size, type) : null;
  const out = step.output(0, "out", size, type);
  const row = (at: Index, length: number): void => {
    if (source) copyRow(b, source, at, out, at, length, native);
    else fillRow(b, out, at, length, (from as { value: number }).value, native);
  };
  overBlocks(b, size, Math.ceil(taskBytes / bytes / wide) * wide, row);
  return step.finish({ flops: 0, bytes: size * bytes * (source ? 2 : 1) });
}
