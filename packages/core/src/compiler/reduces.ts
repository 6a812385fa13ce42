/** Kernels of reductions that are not row loops: over leading or mixed axes, or over very long rows, split for threads. */
import type { Value } from "../graph/node.ts";
import { sizeOf } from "../graph/types.ts";
import { commonRefinement, contiguous, refine } from "./access.ts";
import { affine, type Index, KernelBuilder, scaled } from "./builder.ts";
import { partsNear } from "./contract/split.ts";
import { computeType, ExpressionEmitter, linearAt, type Position } from "./emit-expression.ts";
import { combine, fold, identity, reductionLanes } from "./fold.ts";
import type { ReduceGroup } from "./fuse.ts";
import type { Buffer, Kernel, Local, Operand, StorageType } from "./loopir.ts";
import { collapseAll, ValueBuffers, workOf } from "./loops.ts";

/** A kernel buffer is a value, or a temporary of the lowering. */
export type Part = Value | { readonly temp: number };
export interface ReduceKernels {
  readonly steps: readonly { readonly kernel: Kernel; readonly parts: readonly Part[] }[];
  readonly temps: readonly { readonly type: StorageType; readonly size: number }[];
}

/** Elements of input that one part of a split reduction reads, about. */
const partElements = 32768;
const maxParts = 64;

interface Dim {
  readonly size: number;
  readonly reduced: boolean;
}

export function emitReduceGroup(group: ReduceGroup, name: string, isBuffer: (v: Value) => boolean): ReduceKernels {
  const first = group.members[0].node;
  const rule = first.op.kernel;
  if (rule.kind !== "reduce") throw new Error("not a reduction");
  const shape = first.inputs[0].shape;
  const axes = rule.axes(first.attrs);
  const outSize = sizeOf(first.types[0].shape);
  const inSize = sizeOf(shape);
  if (inSize === 0) return emptyReduce(group, name, outSize);

  const b = new KernelBuilder(name);
  const buffers = new ValueBuffers(b, new Set(group.members));
  const refined = commonRefinement([shape])!;
  // Which refined dims are reduced: mark them through a pretend access that is 1 on reduced axes.
  const marks = refine({ ...contiguous(shape), strides: shape.map((_, i) => (axes.includes(i) ? 1 : 0)) }, refined);
  const emitter = new ExpressionEmitter({ builder: b, dims: refined, isBuffer, bufferFor: (v) => buffers.of(v) });
  for (const m of group.members) emitter.register(m, []);
  const flags = marks.map((x) => x !== 0);
  const cuts = flags.flatMap((f, i) => (i > 0 && f !== flags[i - 1] ? [i] : []));
  const flat = collapseAll(emitter, refined, [], cuts);
  const dims: Dim[] = [];
  for (let i = 0, r = 0; i < flat.length; i++) {
    dims.push({ size: flat[i], reduced: flags[r] ?? true });
    for (let p = 1; p < flat[i]; r++) p *= refined[r];
  }
  const last = dims.length - 1;
  const columns = !dims[last].reduced;
  // Split the outermost reduced dimension so that threads have something to share. A function of the shape alone.
  const splitDim = dims.findIndex((d) => d.reduced);
  const unit = splitDim === last ? reductionLanes : 1;
  // Equal parts if possible, so that one code serves all of them.
  const units = Math.ceil(dims[splitDim].size / unit);
  const wanted = partsNear(units, Math.min(maxParts, Math.ceil(inSize / partElements)));
  const partLength = wanted <= 1 ? dims[splitDim].size : Math.ceil(units / wanted) * unit;
  const parts = Math.ceil(dims[splitDim].size / partLength);
  const lastLength = dims[splitDim].size - (parts - 1) * partLength;
  const split = parts > 1;
  const types = group.members.map((m) => computeType(m.dtype) as StorageType);
  const temps = split ? group.members.map((_, i) => ({ type: types[i], size: parts * outSize })) : [];

  // Tasks: part, outer kept dims, blocks of columns.
  const part = split ? b.task("part", parts) : null;
  const keptOuter = dims.map((d, i) => (!d.reduced && i !== last ? b.task(`k${i}`, d.size) : null));
  const columnBlock = group.members.length > 1 ? 32 : 64;
  const width = columns ? dims[last].size : 1;
  const blocks = Math.ceil(width / columnBlock);
  const block = columns && blocks > 1 ? b.task("columns", blocks) : null;
  const targets: Buffer[] = group.members.map((m, i) =>
    split ? b.buffer(`partial${i}`, types[i], parts * outSize, "write") : buffers.of(m),
  );

  const run = (length: number, columnsHere: number): void => {
    const at: Index[] = dims.map((_, i) => keptOuter[i] ?? 0);
    const columnStart: Index = block ? scaled(block, columnBlock) : 0;
    const keptAt: Index[] = [];
    const keptSizes: number[] = [];
    dims.forEach((d, i) => {
      if (d.reduced) return;
      keptSizes.push(d.size);
      keptAt.push(i === last ? columnStart : keptOuter[i]!);
    });
    const outAt = linearAt(part ? [parts, ...keptSizes] : keptSizes, part ? [part, ...keptAt] : keptAt);
    const lanes = reductionLanes;
    const vectors = columns ? Math.ceil(columnsHere / lanes) : 1;
    const acc: Local[][] = group.members.map((m) =>
      Array.from({ length: vectors }, () => b.var(identity(b, m, lanes))),
    );
    const add = (m: Value, i: number, j: number, p: Position): void => {
      const x = emitter.value(m.node.inputs[0], p, undefined, false);
      const full =
        columns || p.count === lanes
          ? x
          : b.select(b.compare("lt", b.iota(lanes), b.i32(p.count, lanes)), x, identity(b, m, lanes));
      b.assign(acc[i][j], combine(b, m, acc[i][j], full));
    };
    const walk = (d: number): void => {
      if (d === dims.length) return;
      if (!dims[d].reduced && d !== last) return walk(d + 1);
      if (d === last) {
        if (columns) {
          for (let j = 0; j < vectors; j++) {
            const p = {
              at: [...at.slice(0, last), affine(columnStart, j * lanes)],
              lanes,
              count: Math.min(lanes, columnsHere - j * lanes),
            };
            emitter.scoped(() => group.members.forEach((m, i) => add(m, i, j, p)));
          }
          return;
        }
        const n = d === splitDim ? length : dims[d].size;
        const start: Index = d === splitDim && part ? scaled(part, partLength) : 0;
        const whole = Math.floor(n / lanes);
        const step = (i: Index, count: number) =>
          emitter.scoped(() =>
            group.members.forEach((m, k) =>
              add(m, k, 0, { at: [...at.slice(0, last), affine(start, i)], lanes, count }),
            ),
          );
        b.loop("i", whole, (i) => step(scaled(i, lanes), lanes));
        if (n % lanes > 0) step(whole * lanes, n % lanes);
        return;
      }
      const n = d === splitDim ? length : dims[d].size;
      b.loop(`r${d}`, n, (v) => {
        at[d] = d === splitDim && part ? affine(v, scaled(part, partLength)) : v;
        emitter.scoped(() => walk(d + 1));
      });
    };
    walk(0);
    group.members.forEach((m, i) => {
      if (!columns) b.store(targets[i], outAt, fold(b, m, acc[i][0]));
      else
        acc[i].forEach((x, j) => {
          const count = Math.min(lanes, columnsHere - j * lanes);
          b.store(targets[i], affine(outAt, j * lanes), x, count < lanes ? { count } : {});
        });
    });
  };
  const lastColumns = width - (blocks - 1) * columnBlock;
  const byColumns = (length: number): void => {
    if (!block || lastColumns === columnBlock) run(length, block ? columnBlock : width);
    else
      b.if(
        b.compare("eq", b.index(block), b.i32(blocks - 1)),
        () => emitter.scoped(() => run(length, lastColumns)),
        () => emitter.scoped(() => run(length, columnBlock)),
      );
  };
  if (!part || lastLength === partLength) byColumns(partLength);
  else
    b.if(
      b.compare("eq", b.index(part), b.i32(parts - 1)),
      () => emitter.scoped(() => byColumns(lastLength)),
      () => emitter.scoped(() => byColumns(partLength)),
    );

  const work = workOf(group.members, isBuffer, () => true);
  const kernel = b.finish(work);
  const values: Part[] = [];
  let next = 0;
  for (const buffer of kernel.buffers) {
    const t = targets.indexOf(buffer);
    values.push(split && t >= 0 ? { temp: t } : buffers.values[next++]);
  }
  const steps = [{ kernel, parts: values }];
  if (split)
    group.members.forEach((m, i) => steps.push(combineParts(m, i, `${name}_combine`, parts, outSize, types[i])));
  return { steps, temps };
}

/** Adds the partial results [parts, out] in order of the parts (columns), or as one row when there is a single result. */
function combineParts(
  m: Value,
  temp: number,
  name: string,
  parts: number,
  outSize: number,
  type: StorageType,
): { kernel: Kernel; parts: Part[] } {
  const b = new KernelBuilder(name);
  const from = b.buffer("partial", type, parts * outSize, "read");
  const to = b.buffer("out", m.dtype, outSize, "write");
  const lanes = reductionLanes;
  if (outSize === 1) {
    const acc = b.var(identity(b, m, lanes));
    const whole = Math.floor(parts / lanes);
    b.loop("i", whole, (i) => b.assign(acc, combine(b, m, acc, b.load(from, scaled(i, lanes), lanes))));
    if (parts % lanes > 0) {
      const x = b.load(from, whole * lanes, lanes);
      b.assign(
        acc,
        combine(
          b,
          m,
          acc,
          b.select(b.compare("lt", b.iota(lanes), b.i32(parts % lanes, lanes)), x, identity(b, m, lanes)),
        ),
      );
    }
    b.store(to, 0, fold(b, m, acc));
  } else {
    const column = (at: Index, count: number): void => {
      const acc = b.var(identity(b, m, lanes));
      b.loop("p", parts, (p) => b.assign(acc, combine(b, m, acc, b.load(from, affine(scaled(p, outSize), at), lanes))));
      b.store(to, at, acc, count < lanes ? { count } : {});
    };
    const whole = Math.floor(outSize / lanes);
    if (whole > 0 && outSize % lanes > 0) {
      const t = b.task("c", whole + 1);
      b.if(
        b.compare("eq", b.index(t), b.i32(whole)),
        () => column(whole * lanes, outSize % lanes),
        () => column(scaled(t, lanes), lanes),
      );
    } else if (whole > 0) column(scaled(b.task("c", whole), lanes), lanes);
    else column(0, outSize);
  }
  return { kernel: b.finish({ flops: parts * outSize, bytes: 4 * parts * outSize }), parts: [{ temp }, m] };
}

/** Nothing to fold: every result is the identity. */
function emptyReduce(group: ReduceGroup, name: string, outSize: number): ReduceKernels {
  const steps = group.members.map((m) => {
    const b = new KernelBuilder(name);
    const to = b.buffer("out", m.dtype, outSize, "write");
    b.loop("i", outSize, (i) => b.store(to, i, identity(b, m, 1) as Operand));
    return { kernel: b.finish({ flops: 0, bytes: 4 * outSize }), parts: [m] };
  });
  return { steps, temps: [] };
}
