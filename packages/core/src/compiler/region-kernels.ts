/**
 * Lowering of loops and branches: the kernels of a body are put together to one kernel with the loop or branch inside.
 * The tasks of a scan are blocks of rows where rows do not depend on one another.
 */
import { apply1, type Node, type Value } from "../graph/node.ts";
import { type CondAttrs, condOp, type WhileAttrs, whileOp } from "../graph/ops/branch.ts";
import { type ScanAttrs, scanOp } from "../graph/ops/scan.ts";
import { isSpreadConstant, type Region } from "../graph/region.ts";
import { dtypeBytes, sizeOf } from "../graph/types.ts";
import { buffersOf, emitBody, inputPlacesOf, Memory, type Outside, ownResults, planBody } from "./bodies.ts";
import { affine, KernelBuilder, scaled } from "./builder.ts";
import { copy, type EmitContext, nameOf, type Place, shifted } from "./emit-group.ts";
import { InlineBuilder, type Spot } from "./inline.ts";
import { type Affine, type Kernel, type Operand, type StorageType, storageBytes } from "./loopir.ts";
import { mergeRegions } from "./merge-regions.ts";
import { plugRegions } from "./regions.ts";
import { type Rows, resized, rowsOf } from "./row-blocks.ts";

/** Rows that one task carries through all steps; one where each is an image or more. */
function rowsPerTask(region: Region): number {
  return region.parameters.some((p) => p.shape.length > 3) ? 1 : 8;
}

/** Enables the compiler to compile loops and branches. */
export function plugRegionKernels(): void {
  plugRegions({ emit: emitRegion, merge: mergeRegions });
}

function emitRegion(node: Node, c: EmitContext, label: string): void {
  if (node.op === scanOp) new ScanLowering(node, c, label).emit();
  else if (node.op === condOp) emitCond(node, c, label);
  else if (node.op === whileOp) emitWhile(node, c, label);
  else throw new Error(`compiler: ${node.op.name} has no lowering`);
}

/** Whether a bool in memory is set. */
function isTrue(b: InlineBuilder, { buffer, at }: Spot): Operand {
  const loaded = b.local("i32", 1);
  b.push({ kind: "load", dst: loaded, buffer, at });
  const mask = b.local("mask", 1);
  b.push({ kind: "compare", op: "ne", dst: mask, a: loaded, b: { kind: "const", type: "i32", lanes: 1, value: 0 } });
  return mask;
}

function emitCond(node: Node, c: EmitContext, label: string): void {
  const { then, otherwise } = node.attrs as CondAttrs;
  const places = inputPlacesOf(node, c);
  const b = new InlineBuilder("cond");
  const memory = new Memory(b, c, false);
  const whole = (place: Place, v: Value): Outside => ({ place, size: sizeOf(v.shape), at: affine(0) });
  const branch = (region: Region, first: number) => (): void => {
    const external = new Map<Value, Outside>();
    region.parameters.forEach((p, i) => {
      external.set(p, whole(places[first + i], p));
    });
    const results = ownResults(region, region.results);
    results.forEach((r, i) => {
      if (sizeOf(r.shape) > 0) external.set(r, whole(c.placeOf(node.outputs[i]), r));
    });
    emitBody(
      b,
      memory,
      planBody(
        results.filter((r) => sizeOf(r.shape) > 0),
        c,
        (v) => external.get(v) ?? null,
      ),
    );
  };
  const condition = isTrue(b, memory.outside(whole(places[0], node.inputs[0]), "bool"));
  b.branch(condition, branch(then, 1), branch(otherwise, 1 + then.parameters.length));
  c.step(b.finish(), memory.places(), label);
}

function emitWhile(node: Node, c: EmitContext, label: string): void {
  const { test, body, states } = node.attrs as WhileAttrs;
  const places = inputPlacesOf(node, c);
  const b = new InlineBuilder("while");
  const memory = new Memory(b, c, false);
  const whole = (place: Place, v: Value): Outside => ({ place, size: sizeOf(v.shape), at: affine(0) });
  const state = node.outputs.map((o) => c.placeOf(o));
  const external = new Map<Value, Outside>();
  const bind = (region: Region, first: number): void =>
    region.parameters.forEach((p, i) => {
      external.set(p, whole(i < states ? state[i] : places[first + i], p));
    });
  bind(test, 0);
  bind(body, test.parameters.length - states);
  const lookup = (v: Value) => external.get(v) ?? null;
  const copyTo = (from: Spot, to: Spot, v: Value): void => {
    if (sizeOf(v.shape) > 0) b.inline(copyKernel(v.dtype, sizeOf(v.shape)), [from, to]);
  };
  node.outputs.forEach((o, i) => {
    copyTo(memory.outside(whole(places[i], o), o.dtype), memory.outside(whole(state[i], o), o.dtype), o);
  });
  const [condition] = ownResults(test, test.results);
  const testBody = planBody([condition], c, lookup);
  const next = ownResults(body, body.results);
  const stepBody = planBody(
    next.filter((v) => sizeOf(v.shape) > 0),
    c,
    lookup,
  );
  b.repeat(
    () => {
      emitBody(b, memory, testBody);
      return isTrue(b, memory.spot(testBody, testBody.placeOf(condition), "bool"));
    },
    () => {
      emitBody(b, memory, stepBody);
      next.forEach((v, i) => {
        if (sizeOf(v.shape) === 0) return;
        copyTo(memory.spot(stepBody, stepBody.placeOf(v), v.dtype), memory.outside(whole(state[i], v), v.dtype), v);
      });
    },
  );
  c.step(b.finish(), memory.places(), label);
}

class ScanLowering {
  private readonly node: Node;
  private readonly attrs: ScanAttrs;
  private readonly c: EmitContext;
  private readonly label: string;
  /** Where each carry lives: all of its values one after another, or one place. */
  private readonly carryPlaces: { place: Place; tape: boolean }[] = [];
  private readonly inputPlaces: readonly Place[];
  private readonly copies: { v: Value; from: Place }[] = [];

  constructor(node: Node, c: EmitContext, label: string) {
    this.node = node;
    this.attrs = node.attrs as ScanAttrs;
    this.c = c;
    this.label = label;
    this.inputPlaces = inputPlacesOf(node, c);
  }

  emit(): void {
    this.planCarries();
    this.kernels();
    for (const { v, from } of this.copies)
      this.c.step(copyKernel(v.dtype, sizeOf(v.shape)), [from, this.c.placeOf(v)], this.label);
  }

  private kernels(): void {
    const { region, carries, xs } = this.attrs;
    const rows = rowsOf(region, carries, xs);
    if (!rows || rows.count === 0) {
      this.kernel(region, null, 0, 1);
      return;
    }
    const block = Math.min(rowsPerTask(region), rows.count);
    const blocks = Math.floor(rows.count / block);
    const rest = rows.count - blocks * block;
    this.kernel(resized(region, rows, block), rows, 0, blocks);
    if (rest > 0) this.kernel(resized(region, rows, rest), rows, blocks * block, 1);
  }

  /** Which result is the carry before (or after) each step, so that both can share one tape. */
  private tapeOf(result: number): { carry: number; after: boolean } | null {
    const { region, carries } = this.attrs;
    const v = region.results[result];
    const before = region.parameters.indexOf(v);
    if (before >= 0 && before < carries) return { carry: before, after: false };
    const after = region.results.indexOf(v);
    return after < carries && !isSpreadConstant(v) && !region.parameters.includes(v)
      ? { carry: after, after: true }
      : null;
  }

  /** A result that is part of a tape: it lies there, or is copied from there where it has a place already. */
  private putOnTape(v: Value, tape: Place, offset: number): void {
    if (!this.c.placeIn(v, tape, offset)) this.copies.push({ v, from: shifted(tape, offset) });
  }

  private planCarries(): void {
    const { region, carries, length, reverse } = this.attrs;
    const { outputs } = this.node;
    const tapes = new Map<number, Place>();
    for (let r = carries; r < region.results.length; r++) {
      const t = this.tapeOf(r);
      if (!t || sizeOf(outputs[r].shape) === 0) continue;
      const bytes = sizeOf(region.results[r].shape) * dtypeBytes[region.results[r].dtype];
      let tape = tapes.get(t.carry);
      if (!tape) {
        tape = this.c.inArena(bytes * (length + 1), this.c.steps.length);
        tapes.set(t.carry, tape);
        this.putOnTape(outputs[t.carry], tape, reverse ? 0 : bytes * length);
      }
      this.putOnTape(outputs[r], tape, t.after === reverse ? 0 : bytes);
    }
    for (let i = 0; i < carries; i++) {
      const tape = tapes.get(i);
      this.carryPlaces.push(tape ? { place: tape, tape: true } : { place: this.c.placeOf(outputs[i]), tape: false });
    }
  }

  /** One kernel: the body for the rows that `region` is made for, from row `start`, in `blocks` tasks. */
  private kernel(region: Region, rows: Rows | null, start: number, blocks: number): void {
    const { length, reverse, carries, xs } = this.attrs;
    const { inputs, outputs } = this.node;
    const whole = this.attrs.region;
    const b = new InlineBuilder(`scan_${nameOf({ kind: "lower", node: this.node, chain: [] })}`);
    const memory = new Memory(b, this.c, rows !== null);
    const task = rows ? b.task("rows", blocks) : null;
    const time = b.variable("t", length);

    const rowed = (full: Value, part: Value): Affine => {
      if (!rows || full.shape.length === 0 || rows.count === 0) return affine(0);
      const row = sizeOf(full.shape) / rows.count;
      return affine(start * row, task ? scaled(task, part.shape[0] * row) : 0);
    };
    const stacked = (full: Value, part: Value): Affine => {
      const n = sizeOf(full.shape);
      return affine(rowed(full, part), reverse ? affine((length - 1) * n, scaled(time, -n)) : scaled(time, n));
    };
    const external = new Map<Value, Outside>();
    const carryAt = (i: number, step: "in" | "out" | "first"): Outside => {
      const full = whole.parameters[i];
      const { place, tape } = this.carryPlaces[i];
      const n = sizeOf(full.shape);
      const base = rowed(full, region.parameters[i]);
      if (!tape) return { place, size: n, at: base };
      const forward = step === "first" ? affine(0) : affine(scaled(time, n), step === "out" ? n : 0);
      const at = reverse ? affine(length * n, scaled(forward, -1)) : forward;
      return { place, size: (length + 1) * n, at: affine(base, at) };
    };
    region.parameters.forEach((p, i) => {
      const full = whole.parameters[i];
      const size = sizeOf(inputs[i].shape);
      if (i < carries) external.set(p, carryAt(i, "in"));
      else if (i < carries + xs) external.set(p, { place: this.inputPlaces[i], size, at: stacked(full, p) });
      else {
        const at = rows?.parameters[i] ? rowed(full, p) : affine(0);
        external.set(p, { place: this.inputPlaces[i], size, at });
      }
    });

    // Results that lie outside are values of their own, each made by a kernel of the body.
    const taken = new Set<Value>();
    let serial = 0;
    const own = (v: Value): Value => {
      const plain = !v.node.inputs.length || isSpreadConstant(v) || taken.has(v) || region.parameters.includes(v);
      const made = plain ? apply1(copy, [v], { serial: serial++ }) : v;
      taken.add(made);
      return made;
    };
    const roots: Value[] = [];
    const moves: { from: Value; to: Outside }[] = [];
    for (let i = 0; i < carries; i++) {
      const v = own(region.results[i]);
      roots.push(v);
      if (this.carryPlaces[i].tape) external.set(v, carryAt(i, "out"));
      else moves.push({ from: v, to: carryAt(i, "out") });
    }
    for (let r = carries; r < region.results.length; r++) {
      if (sizeOf(outputs[r].shape) === 0 || this.tapeOf(r)) continue;
      const v = own(region.results[r]);
      const at = stacked(whole.results[r], region.results[r]);
      external.set(v, { place: this.c.placeOf(outputs[r]), size: sizeOf(outputs[r].shape), at });
      roots.push(v);
    }

    const body = planBody(roots, this.c, (v) => external.get(v) ?? null);
    const spot = (v: Value, outside: Outside): Spot => memory.outside(outside, v.dtype);
    for (let i = 0; i < carries; i++) {
      const p = region.parameters[i];
      const size = sizeOf(p.shape);
      if (size === 0) continue;
      const from: Outside = {
        place: this.inputPlaces[i],
        size: sizeOf(inputs[i].shape),
        at: rowed(whole.parameters[i], p),
      };
      b.inline(copyKernel(p.dtype, size), [spot(p, from), spot(p, carryAt(i, "first"))]);
    }
    b.loop(time, () => {
      for (const s of body.steps)
        b.inline(
          s.kernel,
          s.places.map((p, i) => memory.spot(body, p, buffersOf(s.kernel)[i].type)),
        );
      for (const { from, to } of moves) {
        const size = sizeOf(from.shape);
        if (size > 0)
          b.inline(copyKernel(from.dtype, size), [memory.spot(body, body.placeOf(from), from.dtype), spot(from, to)]);
      }
    });
    this.c.step(b.finish(), memory.places(), this.label);
  }
}

function copyKernel(type: StorageType, size: number): Kernel {
  const b = new KernelBuilder("copy");
  const from = b.buffer("from", type, size, "read");
  const to = b.buffer("to", type, size, "write");
  const lanes = 16;
  const whole = Math.floor(size / lanes);
  b.loop("i", whole, (i) => b.store(to, scaled(i, lanes), b.load(from, scaled(i, lanes), lanes)));
  const count = size % lanes;
  if (count > 0) b.store(to, whole * lanes, b.load(from, whole * lanes, lanes), { count });
  return b.finish({ flops: 0, bytes: 2 * size * storageBytes[type] });
}
