/** Emits inlined expressions: maps over loaded leaves, memoised per scope, with loop-invariant parts hoisted. */
import type { MapContext, Node, Value } from "../graph/node.ts";
import { type DType, sizeOf, type TypedArray } from "../graph/types.ts";
import { type Chain, contiguous, emptyChain, prepend, refine, through } from "./access.ts";
import { affine, type Index, type KernelBuilder, scaled } from "./builder.ts";
import type { Affine, Buffer, Operand, StorageType, ValueType } from "./loopir.ts";

/** The type a dtype is computed in. */
export function computeType(dtype: DType): ValueType {
  switch (dtype) {
    case "f32":
    case "f16":
    case "bf16":
      return "f32";
    case "u32":
      return "u32";
    case "bool":
      return "mask";
    default:
      return "i32";
  }
}

export function storageType(dtype: DType): StorageType {
  return dtype;
}

/** Loads are i32 for bool; expressions want masks. */
export function afterLoad(b: KernelBuilder, x: Operand, dtype: DType): Operand {
  return dtype === "bool" ? b.compare("ne", x, b.i32(0, x.lanes)) : x;
}
export function beforeStore(b: KernelBuilder, x: Operand, dtype: DType): Operand {
  return dtype === "bool" ? b.select(x, b.i32(1, x.lanes), b.i32(0, x.lanes)) : x;
}

export function scalarConstantOf(v: Value): number | undefined {
  if (v.node.op.name !== "constant" || sizeOf(v.shape) !== 1) return undefined;
  return (v.node.attrs as { data: TypedArray }).data[0];
}

/** Where the emitter stands: one index per loop dimension; the last one counts elements and may be a vector. */
export interface Position {
  readonly at: readonly Index[];
  readonly lanes: number;
  readonly count: number;
}

const key = (v: Value, chain: Chain): string => `${v.node.id}.${v.index}|${chain.key}`;

export interface EmitterOptions {
  readonly builder: KernelBuilder;
  /** Loop dimensions before collapsing, and which collapsed dimension each belongs to. */
  readonly dims: readonly number[];
  /** Values that leaves stop at: those with memory, and the members of the group. */
  readonly isBuffer: (v: Value) => boolean;
  /** Values computed by this kernel: uses of them, which are aligned, take what `define` last said. */
  readonly isMember?: (v: Value) => boolean;
  readonly bufferFor: (v: Value) => Buffer;
}

/**
 * Leaves are registered first (`register`), so that the common loop dimensions can be chosen; then `emit` writes code at a
 * position. `registers` holds values that are in locals instead of memory (results of reductions, spread scalars).
 */
export class ExpressionEmitter {
  readonly b: KernelBuilder;
  private readonly options: EmitterOptions;
  /** Strides over the refined dims per leaf key, replaced by collapsed strides through `setStrides`. */
  readonly strides = new Map<string, { offset: number; strides: readonly number[] }>();
  private readonly scopes: Map<string, Operand>[] = [new Map()];
  private readonly variance = new Map<string, number>();
  /** Values held in locals, whatever their chain: row results. */
  readonly registers = new Map<Value, Operand>();

  constructor(options: EmitterOptions) {
    this.options = options;
    this.b = options.builder;
  }

  /** Notes the leaves of an expression over `shape`; `extend` appends zero strides for dims the shape does not have. */
  register(root: Value, pad: readonly number[], isRoot = true): void {
    const visit = (v: Value, chain: Chain, top: boolean): void => {
      const k = key(v, chain);
      if (this.strides.has(k)) return;
      if (scalarConstantOf(v) !== undefined) return;
      if (!top && this.options.isBuffer(v)) {
        this.note(k, v.shape, contiguous(v.shape).strides, chain, pad);
        return;
      }
      const rule = v.node.op.kernel;
      if (rule.kind === "view") visit(v.node.inputs[0], prepend(v.node, chain), false);
      else if (rule.kind === "map") {
        for (const axis of rule.coordinates?.(v.node.attrs) ?? []) {
          const unit = v.shape.map((_, i) => (i === axis ? 1 : 0));
          this.note(`${k}@${axis}`, v.shape, unit, chain, pad);
        }
        for (const i of v.node.inputs) visit(i, chain, false);
      } else if (rule.kind === "reduce" && top) visit(v.node.inputs[0], chain, false);
      else throw new Error(`compiler: ${v.node.op.name} reached inside an expression without memory`);
    };
    visit(root, emptyChain, isRoot);
  }

  private note(
    k: string,
    shape: readonly number[],
    strides: readonly number[],
    chain: Chain,
    pad: readonly number[],
  ): void {
    const access = through({ shape, strides, offset: 0 }, chain);
    if ("blocked" in access) throw new Error("compiler: a view that strides cannot express was not given memory");
    const full = {
      shape: [...access.shape, ...pad],
      strides: [...access.strides, ...pad.map(() => 0)],
      offset: access.offset,
    };
    this.strides.set(k, { offset: access.offset, strides: refine(full, this.options.dims) });
  }

  /** Runs `body` in a scope of its own: what it computes is forgotten afterwards. */
  scoped(body: () => void): void {
    this.scopes.push(new Map());
    try {
      body();
    } finally {
      this.scopes.pop();
    }
  }
  private recall(k: string): Operand | undefined {
    for (let i = this.scopes.length - 1; i >= 0; i--) {
      const x = this.scopes[i].get(k);
      if (x) return x;
    }
    return undefined;
  }
  private remember(k: string, x: Operand): Operand {
    this.scopes[this.scopes.length - 1].set(k, x);
    return x;
  }
  /** Says that a value is now known at the current position (it was just computed or reloaded). */
  define(v: Value, x: Operand): void {
    this.remember(`${key(v, emptyChain)}×${x.lanes}`, x);
  }

  /** Address of a leaf at a position. */
  private address(k: string, p: Position): Affine {
    const s = this.strides.get(k)!;
    return affine(s.offset, ...p.at.map((i, d) => scaled(i, s.strides[d])));
  }

  /** The innermost collapsed dimension an expression varies along, -1 for uniform values. */
  private varies(v: Value, chain: Chain): number {
    const k = key(v, chain);
    const known = this.variance.get(k);
    if (known !== undefined) return known;
    let result = -1;
    const lastNonZero = (s: readonly number[]) => {
      for (let i = s.length - 1; i >= 0; i--) if (s[i] !== 0) return i;
      return -1;
    };
    const s = this.strides.get(k);
    if (this.registers.has(v)) result = -1;
    else if (scalarConstantOf(v) !== undefined) result = -1;
    // Members are known only where they were computed; hoisting must not reach them.
    else if (this.options.isMember?.(v)) result = Number.POSITIVE_INFINITY;
    else if (s && this.options.isBuffer(v)) result = lastNonZero(s.strides);
    else {
      const rule = v.node.op.kernel;
      if (rule.kind === "view") result = this.varies(v.node.inputs[0], prepend(v.node, chain));
      else {
        for (const i of v.node.inputs) result = Math.max(result, this.varies(i, chain));
        if (rule.kind === "map") {
          for (const axis of rule.coordinates?.(v.node.attrs) ?? [])
            result = Math.max(result, lastNonZero(this.strides.get(`${k}@${axis}`)!.strides));
        }
      }
    }
    this.variance.set(k, result);
    return result;
  }

  /** Computes now, as scalars, the parts of an expression that do not vary along dimensions from `inner` on. */
  hoist(v: Value, p: Position, inner: number, chain: Chain = emptyChain, top = true): void {
    if (scalarConstantOf(v) !== undefined || this.registers.has(v)) return;
    const rule = v.node.op.kernel;
    if (!top && this.varies(v, chain) < inner && v.dtype !== "bool") {
      this.value(v, { at: p.at, lanes: 1, count: 1 }, chain, false);
      return;
    }
    if (!top && this.options.isBuffer(v)) return;
    if (rule.kind === "view") this.hoist(v.node.inputs[0], p, inner, prepend(v.node, chain), false);
    else for (const i of v.node.inputs) this.hoist(i, p, inner, chain, false);
  }

  /** The value of an expression at a position. `top`: compute it even if it has memory of its own. */
  value(v: Value, p: Position, chain: Chain = emptyChain, top = true): Operand {
    const { b } = this;
    const constant = scalarConstantOf(v);
    if (constant !== undefined) return b.const(computeType(v.dtype), constant, p.lanes);
    const register = this.registers.get(v);
    if (register) return b.splat(register, p.lanes);
    const base = key(v, !top && this.options.isMember?.(v) ? emptyChain : chain);
    const k = `${base}×${p.lanes}`;
    const known = this.recall(k);
    if (known) return known;
    if (p.lanes > 1 && v.dtype !== "bool") {
      const single = this.recall(`${base}×1`);
      if (single) return this.remember(k, b.splat(single, p.lanes));
    }
    if (!top && this.options.isMember?.(v))
      throw new Error(`compiler: ${v.node.op.name} is used before it is computed`);
    if (!top && this.options.isBuffer(v)) return this.remember(k, this.load(v, base, p));
    const rule = v.node.op.kernel;
    if (rule.kind === "view") return this.value(v.node.inputs[0], p, prepend(v.node, chain), false);
    if (rule.kind !== "map") throw new Error(`compiler: cannot inline ${v.node.op.name}`);
    if (rule.guards) return this.remember(k, this.guarded(v, p, chain));
    const args = v.node.inputs.map((i) => this.value(i, p, chain, false));
    return this.remember(k, rule.expr(b, args, this.context(v.node, base, p)));
  }

  /** A choice that computes, and loads, what it chooses only where a lane needs it. */
  private guarded(v: Value, p: Position, chain: Chain): Operand {
    const { b } = this;
    const [condition, x] = v.node.inputs;
    // Where all lanes share one condition it is a scalar.
    const uniform = this.varies(condition, chain) < p.at.length - 1;
    const holds = this.value(condition, uniform ? { at: p.at, lanes: 1, count: 1 } : p, chain, false);
    const zero = b.const(computeType(v.dtype), 0, p.lanes);
    const result = b.var(zero);
    b.if(holds.lanes === 1 ? holds : b.any(holds), () =>
      this.scoped(() => {
        const value = this.value(x, p, chain, false);
        b.assign(result, holds.lanes === 1 ? value : b.select(holds, value, zero));
      }),
    );
    return result;
  }

  private load(v: Value, k: string, p: Position): Operand {
    const { b } = this;
    const buffer = this.options.bufferFor(v);
    const at = this.address(k, p);
    if (p.lanes === 1) return afterLoad(b, b.load(buffer, at), v.dtype);
    const stride = this.strides.get(k)!.strides.at(-1) ?? 0;
    const options = stride === 1 ? {} : stride === 0 ? { stride: 0 } : { stride, count: p.count };
    return afterLoad(b, b.load(buffer, at, p.lanes, options), v.dtype);
  }

  private context(node: Node, k: string, p: Position): MapContext<unknown> {
    return {
      attrs: node.attrs,
      lanes: p.lanes,
      inputs: node.inputs.map((i) => i.type),
      output: node.types[0],
      coordinate: (axis) => {
        const kk = `${k}@${axis}`;
        const first = this.b.index(this.address(kk, p));
        if (p.lanes === 1) return first;
        const stride = this.strides.get(kk)!.strides.at(-1) ?? 0;
        const base = this.b.splat(first, p.lanes);
        if (stride === 0) return base;
        const lane = this.b.iota(p.lanes);
        return this.b.add(base, stride === 1 ? lane : this.b.mul(lane, this.b.i32(stride, p.lanes)));
      },
    };
  }
}

/** Row-major position in a contiguous buffer of these dims. */
export function linearAt(dims: readonly number[], at: readonly Index[]): Affine {
  let stride = 1;
  const parts: Index[] = [];
  for (let i = dims.length - 1; i >= 0; i--) {
    parts.push(scaled(at[i], stride));
    stride *= dims[i];
  }
  return affine(...parts);
}
