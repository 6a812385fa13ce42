/** Kernels of assemble ops (concat, pad, dilate): fill, then copy each part to its place. */
import type { Node, Value } from "../graph/node.ts";
import { rowMajor, type Shape, sizeOf } from "../graph/types.ts";
import { commonRefinement, refine } from "./access.ts";
import { affine, type Index, KernelBuilder, scaled } from "./builder.ts";
import { beforeStore, computeType, ExpressionEmitter } from "./emit-expression.ts";
import { collapseAll, ValueBuffers, type ValueKernel } from "./loops.ts";

export interface AssemblePart {
  readonly input: Value;
  /** First element in the output, and output strides of the part's axes, in elements. */
  readonly offset: number;
  readonly strides: readonly number[];
  /** The part is one run of consecutive elements of the output. */
  readonly dense: boolean;
}

export function assembleParts(node: Node): AssemblePart[] {
  const rule = node.op.kernel;
  if (rule.kind !== "assemble") throw new Error("not an assemble op");
  const out = rowMajor(node.types[0].shape);
  return rule
    .parts(
      node.inputs.map((v) => v.type),
      node.attrs,
    )
    .map((p) => {
      const input = node.inputs[p.input];
      const strides = out.map((s, i) => s * (p.step?.[i] ?? 1));
      const offset = p.start.reduce((sum, x, i) => sum + x * out[i], 0);
      return { input, offset, strides, dense: denseStrides(input.shape, strides) };
    });
}

function denseStrides(shape: Shape, strides: readonly number[]): boolean {
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] === 1) continue;
    if (strides[i] !== expected) return false;
    expected *= shape[i];
  }
  return true;
}

/** Writes the fill value everywhere. */
export function emitFill(node: Node, name: string): ValueKernel {
  const rule = node.op.kernel;
  if (rule.kind !== "assemble" || !rule.fill) throw new Error("nothing to fill");
  const v = node.outputs[0];
  const b = new KernelBuilder(name);
  const buffers = new ValueBuffers(b, new Set([v]));
  const size = sizeOf(v.shape);
  const lanes = 16;
  const x = beforeStore(b, b.const(computeType(v.dtype), rule.fill(node.attrs), lanes), v.dtype);
  const block = 8192;
  const blocks = Math.floor(size / block);
  const rest = size - blocks * block;
  const to = buffers.of(v);
  const run = (start: Index, length: number): void => {
    b.loop("i", Math.floor(length / lanes), (i) => b.store(to, affine(start, scaled(i, lanes)), x));
    const tail = length % lanes;
    if (tail > 0) b.store(to, affine(start, length - tail), x, { count: tail });
  };
  if (blocks === 0) run(0, size);
  else {
    const t = b.task("block", rest > 0 ? blocks + 1 : blocks);
    if (rest === 0) run(scaled(t, block), block);
    else
      b.if(
        b.compare("eq", b.index(t), b.i32(blocks)),
        () => run(blocks * block, rest),
        () => run(scaled(t, block), block),
      );
  }
  return { kernel: b.finish({ flops: 0, bytes: size * 4 }), values: buffers.values };
}

/** Copies one part. */
export function emitPart(node: Node, part: AssemblePart, name: string, isBuffer: (v: Value) => boolean): ValueKernel {
  const v = node.outputs[0];
  const b = new KernelBuilder(name);
  const buffers = new ValueBuffers(b, new Set([v]));
  const dims = commonRefinement([part.input.shape])!;
  const emitter = new ExpressionEmitter({ builder: b, dims, isBuffer, bufferFor: (x) => buffers.of(x) });
  emitter.register(part.input, [], false);
  // The destination takes part in collapsing like one more leaf.
  const target = "destination";
  emitter.strides.set(target, {
    offset: 0,
    strides: refine({ shape: part.input.shape, strides: part.strides, offset: 0 }, dims),
  });
  const shape = collapseAll(emitter, dims, [], []);
  const destination = emitter.strides.get(target)!.strides;
  const inner = shape[shape.length - 1];
  const stride = destination[destination.length - 1];
  const outer = shape.slice(0, -1);
  const lanes = inner > 8 ? 16 : inner > 4 ? 8 : 4;
  let grid = outer.length;
  let perTask = inner;
  while (grid > 1 && perTask * outer[grid - 1] <= 1024) perTask *= outer[--grid];
  const tasks: Index[] = outer.slice(0, grid).map((d, i) => b.task(`d${i}`, d));
  const block = 4096;
  const blocks = Math.ceil(inner / block);
  const at = (position: readonly Index[], count: number): void => {
    const x = emitter.value(part.input, { at: position, lanes, count }, undefined, false);
    const address = affine(part.offset, ...position.map((i, d) => scaled(i, destination[d])));
    b.store(
      buffers.of(v),
      address,
      beforeStore(b, x, v.dtype),
      stride === 1 ? (count < lanes ? { count } : {}) : { stride, count },
    );
  };
  const row = (prefix: Index[], start: Index, length: number): void => {
    const whole = Math.floor(length / lanes);
    b.loop("i", whole, (i) => emitter.scoped(() => at([...prefix, affine(start, scaled(i, lanes))], lanes)));
    if (length % lanes > 0) emitter.scoped(() => at([...prefix, affine(start, whole * lanes)], length % lanes));
  };
  const inside = (prefix: Index[], depth: number, then: (prefix: Index[]) => void): void => {
    if (depth === outer.length) then(prefix);
    else b.loop(`d${depth}`, outer[depth], (i) => emitter.scoped(() => inside([...prefix, i], depth + 1, then)));
  };
  if (inner > 0) {
    if (blocks <= 1) inside(tasks, grid, (p) => row(p, 0, inner));
    else {
      const t = b.task("block", blocks);
      const last = inner - (blocks - 1) * block;
      const whole = () => emitter.scoped(() => inside(tasks, grid, (p) => row(p, scaled(t, block), block)));
      if (last === block) whole();
      else
        b.if(
          b.compare("eq", b.index(t), b.i32(blocks - 1)),
          () => emitter.scoped(() => inside(tasks, grid, (p) => row(p, scaled(t, block), last))),
          whole,
        );
    }
  }
  const size = sizeOf(part.input.shape);
  return { kernel: b.finish({ flops: 0, bytes: size * 8 }), values: buffers.values };
}
