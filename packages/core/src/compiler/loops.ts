/** Kernels of loop groups: elementwise maps, and row kernels (softmax, norms, cross-entropy) with reductions over rows. */
import type { Value } from "../graph/node.ts";
import { dtypeBytes, sizeOf } from "../graph/types.ts";
import { collapse, commonRefinement, contiguous, refine } from "./access.ts";
import { affine, type Index, KernelBuilder, scaled } from "./builder.ts";
import {
  beforeStore,
  computeType,
  ExpressionEmitter,
  linearAt,
  type Position,
  storageType,
} from "./emit-expression.ts";
import { combine, fold, identity, reductionLanes } from "./fold.ts";
import { type LoopGroup, leavesOf, levelOf } from "./fuse.ts";
import type { Buffer, Kernel, Operand, TargetProfile } from "./loopir.ts";

/** A kernel and the values its non-scratch buffers stand for. */
export interface ValueKernel {
  readonly kernel: Kernel;
  readonly values: readonly Value[];
}

/** Elements one task of a light elementwise kernel handles. */
const lightBlock = 4096;
const heavyBlock = 1024;

/** Declares kernel buffers for values, reads first come first; a value both written and read again is one buffer. */
export class ValueBuffers {
  readonly values: Value[] = [];
  private readonly known = new Map<Value, Buffer>();
  private readonly b: KernelBuilder;
  private readonly written: ReadonlySet<Value>;
  constructor(b: KernelBuilder, written: ReadonlySet<Value>) {
    this.b = b;
    this.written = written;
  }
  of(v: Value): Buffer {
    let buffer = this.known.get(v);
    if (!buffer) {
      buffer = this.b.buffer(
        `v${this.values.length}`,
        storageType(v.dtype),
        sizeOf(v.shape),
        this.written.has(v) ? "readwrite" : "read",
      );
      this.known.set(v, buffer);
      this.values.push(v);
    }
    return buffer;
  }
}

export interface Work {
  flops: number;
  heavy: boolean;
  bytes: number;
}

/** Arithmetic and traffic of the expressions of some members. */
export function workOf(
  members: readonly Value[],
  isBuffer: (v: Value) => boolean,
  stored: (v: Value) => boolean,
): Work {
  let flops = 0;
  let heavy = false;
  const touched = new Set<Value>();
  for (const m of members) {
    const size = m.node.op.kernel.kind === "reduce" ? sizeOf(m.node.inputs[0].shape) : sizeOf(m.shape);
    if (m.node.op.kernel.kind === "reduce") flops += size;
    for (const leaf of leavesOf(m, isBuffer, (n) => {
      const rule = n.op.kernel;
      if (rule.kind === "map") {
        flops += rule.flops * size;
        heavy ||= rule.heavy ?? false;
      }
    })) {
      if (isBuffer(leaf.value)) touched.add(leaf.value);
    }
    if (stored(m)) touched.add(m);
  }
  let bytes = 0;
  for (const v of touched) bytes += sizeOf(v.shape) * dtypeBytes[v.dtype];
  return { flops, heavy, bytes };
}

export function emitLoopGroup(
  group: LoopGroup,
  name: string,
  isBuffer: (v: Value) => boolean,
  profile: TargetProfile,
): ValueKernel {
  const reduces = group.members.some((m) => m.node.op.kernel.kind === "reduce");
  return reduces ? emitRows(group, name, isBuffer) : emitMap(group, name, isBuffer, profile);
}

function emitMap(group: LoopGroup, name: string, isBuffer: (v: Value) => boolean, profile: TargetProfile): ValueKernel {
  const b = new KernelBuilder(name);
  const outputs = group.members.filter((m) => !group.internal.has(m));
  const members = new Set(group.members);
  const buffers = new ValueBuffers(b, new Set(outputs));
  const dims = commonRefinement(group.members.map((m) => m.shape))!;
  const known = (v: Value) => isBuffer(v) || members.has(v);
  const emitter = new ExpressionEmitter({
    builder: b,
    dims,
    isBuffer: known,
    isMember: (v) => members.has(v),
    bufferFor: (v) => buffers.of(v),
  });
  for (const m of group.members) emitter.register(m, []);
  const outStrides = refine(contiguous(group.members[0].shape), dims);
  const shape = collapseAll(emitter, dims, [outStrides], []);
  const work = workOf(group.members, known, (m) => !group.internal.has(m));
  const inner = shape[shape.length - 1];
  const block = work.heavy ? heavyBlock : lightBlock;

  // Outer dimensions become tasks until a task has enough to do; long rows are cut into blocks.
  const outer = shape.slice(0, -1);
  let gridDims = outer.length;
  let perTask = inner;
  while (gridDims > 1 && perTask * outer[gridDims - 1] <= block / 4) perTask *= outer[--gridDims];
  // The last of them may still be many small ones: a task takes as many as come out equal.
  const last = gridDims - 1;
  const runs = last < 0 ? 1 : partsAbove(outer[last], Math.ceil((outer[last] * perTask) / block));
  const taken = last < 0 ? 1 : outer[last] / runs;
  const tasks: Index[] = outer.slice(0, gridDims).map((d, i) => b.task(`d${i}`, i === last ? runs : d));
  const blocks = Math.ceil(inner / block);
  const wide = work.heavy ? profile.lanes : 16;
  const lanes = inner >= wide ? Math.max(4, wide) : inner > 8 ? 16 : inner > 4 ? 8 : 4;

  const atPosition = (at: Index[], count: number): void => {
    const p: Position = { at, lanes, count };
    const address = linearAt(shape, at);
    // All loads come before the first store: an output may lie where an input lay (updates in place).
    const results = group.members.map((m) => {
      const x = emitter.value(m, p);
      emitter.define(m, x);
      return x;
    });
    group.members.forEach((m, i) => {
      if (!group.internal.has(m))
        b.store(buffers.of(m), address, beforeStore(b, results[i], m.dtype), count < lanes ? { count } : {});
    });
  };
  const row = (at: Index[], start: Index, length: number): void => {
    for (const m of group.members) emitter.hoist(m, { at: [...at, 0], lanes: 1, count: 1 }, shape.length - 1);
    const full = Math.floor(length / lanes);
    b.loop("i", full, (i) => emitter.scoped(() => atPosition([...at, affine(start, scaled(i, lanes))], lanes)));
    if (length % lanes > 0) emitter.scoped(() => atPosition([...at, affine(start, full * lanes)], length % lanes));
  };
  const inside = (at: Index[], depth: number, then: (at: Index[]) => void): void => {
    if (depth === outer.length) then(at);
    else b.loop(`d${depth}`, outer[depth], (v) => emitter.scoped(() => inside([...at, v], depth + 1, then)));
  };
  const inTask = (then: (at: Index[]) => void): void => {
    // What is the same everywhere is computed once.
    for (const m of group.members) emitter.hoist(m, { at: shape.map(() => 0), lanes: 1, count: 1 }, 0);
    if (taken === 1) inside(tasks, gridDims, then);
    else
      b.loop("run", taken, (v) =>
        emitter.scoped(() => inside([...tasks.slice(0, -1), affine(scaled(tasks[last], taken), v)], gridDims, then)),
      );
  };
  if (inner > 0) {
    if (blocks <= 1) inTask((at) => row(at, 0, inner));
    else {
      const t = b.task("block", blocks);
      const end = inner - (blocks - 1) * block;
      const whole = () => inTask((at) => row(at, scaled(t, block), block));
      if (end === block) whole();
      else {
        const isLast = b.compare("eq", b.index(t), b.i32(blocks - 1));
        b.if(
          isLast,
          () => emitter.scoped(() => inTask((at) => row(at, scaled(t, block), end))),
          () => emitter.scoped(whole),
        );
      }
    }
  }
  return { kernel: b.finish({ flops: work.flops, bytes: work.bytes }), values: buffers.values };
}

/** The smallest divisor of `extent` that is at least `least`, if it is not many times that; otherwise `extent` itself. */
function partsAbove(extent: number, least: number): number {
  for (let p = Math.max(1, least); p <= 4 * least && p < extent; p++) if (extent % p === 0) return p;
  return extent;
}

/** Replaces the refined strides of an emitter by collapsed ones; returns the collapsed dims (one of size 1 for scalars). */
export function collapseAll(
  emitter: ExpressionEmitter,
  dims: readonly number[],
  extra: readonly (readonly number[])[],
  cuts: readonly number[],
): number[] {
  const keys = [...emitter.strides.keys()];
  if (dims.length === 0) {
    for (const k of keys) emitter.strides.set(k, { offset: emitter.strides.get(k)!.offset, strides: [0] });
    return [1];
  }
  const result = collapse(dims, [...keys.map((k) => emitter.strides.get(k)!.strides), ...extra], cuts);
  keys.forEach((k, i) => {
    emitter.strides.set(k, { offset: emitter.strides.get(k)!.offset, strides: result.strides[i] });
  });
  return result.dims;
}

/**
 * Row kernels. Full-level members have rows × inner elements, row-level members one per row. Each reduction ends a pass
 * over the row; what a later pass needs again is kept in thread scratch (or read back from its own buffer).
 */
function emitRows(group: LoopGroup, name: string, isBuffer: (v: Value) => boolean): ValueKernel {
  const b = new KernelBuilder(name);
  const { rows, inner } = group;
  const members = new Set(group.members);
  const stored = (m: Value) => !group.internal.has(m);
  const buffers = new ValueBuffers(b, new Set(group.members.filter(stored)));
  const known = (v: Value) => isBuffer(v) || members.has(v);
  const isReduce = (m: Value) => m.node.op.kernel.kind === "reduce";
  const level = (m: Value) => (isReduce(m) ? "row" : inner === 1 ? "full" : levelOf(sizeOf(m.shape), rows, inner)!);
  const fullShape = (m: Value) => (isReduce(m) ? m.node.inputs[0].shape : m.shape);
  const shapes = group.members.map((m) => (isReduce(m) || level(m) === "full" ? fullShape(m) : [...m.shape, inner]));
  const dims = commonRefinement([[rows, inner], ...shapes])!;
  const emitter = new ExpressionEmitter({
    builder: b,
    dims,
    isBuffer: known,
    isMember: (v) => members.has(v),
    bufferFor: (v) => buffers.of(v),
  });
  for (const m of group.members) emitter.register(m, !isReduce(m) && level(m) === "row" ? [inner] : []);
  // Rows and inner dims collapse separately.
  let cut = 0;
  for (let p = 1; cut < dims.length && p < rows; cut++) p *= dims[cut];
  const total = [rows * inner];
  const outStrides = refine(contiguous(total), dims);
  const rowOut = refine({ shape: [rows, inner], strides: [1, 0], offset: 0 }, dims);
  const flat = collapseAll(emitter, dims, [outStrides, rowOut], [cut]);
  let rowDims = 0;
  for (let p = 1; rowDims < flat.length && p < rows; rowDims++) p *= flat[rowDims];
  const outer = flat.slice(0, rowDims);
  const within = flat.slice(rowDims);
  if (within.length === 0) within.push(1);
  const last = within[within.length - 1];
  const shape = [...outer, ...within];
  if (flat.length < shape.length) {
    for (const [k, s] of emitter.strides) emitter.strides.set(k, { offset: s.offset, strides: [...s.strides, 0] });
  }

  // Which pass over the row computes each member, and when row values are ready.
  const pass = new Map<Value, number>();
  for (const m of group.members) {
    let p = 0;
    for (const leaf of leavesOf(m, known)) if (members.has(leaf.value)) p = Math.max(p, pass.get(leaf.value)!);
    pass.set(m, isReduce(m) ? p + 1 : p);
  }
  const passes = Math.max(...pass.values());
  const lanes = reductionLanes;
  const single = within.length === 1 && last <= lanes;
  const needLater = new Set<Value>();
  for (const m of group.members) {
    const at = isReduce(m) ? pass.get(m)! - 1 : pass.get(m)!;
    for (const leaf of leavesOf(m, known)) {
      if (members.has(leaf.value) && level(leaf.value) === "full" && pass.get(leaf.value)! < at)
        needLater.add(leaf.value);
    }
  }
  const scratch = new Map<Value, Buffer>();
  if (!single) {
    for (const v of needLater) {
      if (!stored(v))
        scratch.set(
          v,
          b.buffer(
            `s${scratch.size}`,
            v.dtype === "bool"
              ? "i32"
              : computeType(v.dtype) === "f32"
                ? "f32"
                : (computeType(v.dtype) as "i32" | "u32"),
            inner + lanes,
            "scratch",
          ),
        );
    }
  }

  const rowAt: Index[] = outer.map((d, i) => b.task(`r${i}`, d));
  const zeros = within.map(() => 0);
  const rowPosition: Position = { at: [...rowAt, ...zeros], lanes: 1, count: 1 };
  const rowAddress = linearAt(outer, rowAt);

  const runPass = (p: number): void => {
    for (const m of group.members) {
      if (isReduce(m) || level(m) !== "row" || pass.get(m) !== p) continue;
      const x = emitter.value(m, rowPosition);
      emitter.registers.set(m, x);
      if (stored(m)) b.store(buffers.of(m), rowAddress, beforeStore(b, x, m.dtype));
    }
    const maps = group.members.filter((m) => !isReduce(m) && level(m) === "full" && pass.get(m) === p);
    const reduces = group.members.filter((m) => isReduce(m) && pass.get(m) === p + 1);
    if (maps.length + reduces.length === 0) return;
    for (const m of [...maps, ...reduces]) emitter.hoist(m, rowPosition, rowDims);
    const accumulators = reduces.map((m) => (single ? null : b.var(identity(b, m, lanes))));
    const results = new Map<Value, Operand>();
    const body = (at: Index[], count: number): void => {
      const position: Position = { at: [...rowAt, ...at], lanes, count };
      const address = linearAt(shape, position.at);
      const inRow = linearAt(within, at);
      if (!single) {
        // Bring back what earlier passes computed.
        for (const v of needLater) {
          if (pass.get(v)! >= p) continue;
          const from = scratch.get(v);
          const x = from ? b.load(from, inRow, lanes) : b.load(buffers.of(v), address, lanes);
          emitter.define(v, v.dtype === "bool" ? b.compare("ne", x, b.i32(0, lanes)) : x);
        }
      }
      for (const m of maps) {
        const x = emitter.value(m, position);
        emitter.define(m, x);
        if (stored(m)) b.store(buffers.of(m), address, beforeStore(b, x, m.dtype), count < lanes ? { count } : {});
        const keep = scratch.get(m);
        if (keep) b.store(keep, inRow, beforeStore(b, x, m.dtype));
      }
      reduces.forEach((m, i) => {
        let x = emitter.value(m.node.inputs[0], position, undefined, false);
        if (count < lanes) x = b.select(b.compare("lt", b.iota(lanes), b.i32(count, lanes)), x, identity(b, m, lanes));
        const acc = accumulators[i];
        if (acc) b.assign(acc, combine(b, m, acc, x));
        else results.set(m, x);
      });
    };
    if (single) body([0], last);
    else {
      const walk = (at: Index[], depth: number): void => {
        if (depth < within.length - 1) {
          b.loop(`i${depth}`, within[depth], (v) => emitter.scoped(() => walk([...at, v], depth + 1)));
          return;
        }
        const full = Math.floor(last / lanes);
        b.loop("i", full, (i) => emitter.scoped(() => body([...at, scaled(i, lanes)], lanes)));
        if (last % lanes > 0) emitter.scoped(() => body([...at, full * lanes], last % lanes));
      };
      emitter.scoped(() => walk([], 0));
    }
    reduces.forEach((m, i) => {
      const x = fold(b, m, accumulators[i] ?? results.get(m)!);
      emitter.registers.set(m, x);
      if (stored(m)) b.store(buffers.of(m), rowAddress, x);
    });
  };
  for (let p = 0; p <= passes; p++) runPass(p);
  const work = workOf(group.members, known, stored);
  return { kernel: b.finish({ flops: work.flops, bytes: work.bytes }), values: buffers.values };
}
