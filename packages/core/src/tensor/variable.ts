/** Variables: the state of models (weights, optimizer slots, moving averages, metrics, counters). */
import { formatShape, LayerwiseError } from "../errors.ts";
import type { Value } from "../graph/node.ts";
import { apply1 } from "../graph/node.ts";
import { concat, reshape, slice, variable as variableOp } from "../graph/ops/index.ts";
import { allocate, type DType, dtypeBytes, type Shape, sameShape, sizeOf, type TypedArray } from "../graph/types.ts";
import { Tensor, type TensorLike, tensorFrom } from "./tensor.ts";
import { currentTrace } from "./trace.ts";

let nextId = 1;

/** Where a root variable lives on a device; made and used by the engine. */
export interface Placement {
  /** Copies the variable's bytes out of, or into, device memory. */
  read(target: TypedArray): void;
  write(source: TypedArray): void;
  release(): void;
}

/**
 * A mutable tensor. Outside a traced function `read()` is a snapshot and `assign` acts at once; inside, both are part of
 * the program, in program order.
 *
 * A variable is a root with memory of its own, or a member: a range of a flat one-dimensional root (see `flatten`).
 */
export class Variable {
  readonly id: number = nextId++;
  readonly shape: Shape;
  readonly dtype: DType;
  name: string;
  trainable: boolean;
  /** A large table of rows, of which a step names few: it stays out of flat roots, so that its gradient is read where it lies. */
  table = false;
  /** Root this variable is a range of, and its first element there. */
  parent: { readonly root: Variable; readonly offset: number } | null = null;
  /** Device memory, once a program has used the variable; then `host` is stale. */
  placement: Placement | null = null;
  /** Contents while not placed. Null for members. */
  host: TypedArray | null;
  /** Grows whenever the variable moves between roots, so that programs compiled for the old place are not used again. */
  version = 0;

  constructor(initial: TypedArray, shape: Shape, dtype: DType, options: { name?: string; trainable?: boolean } = {}) {
    if (initial.length !== sizeOf(shape)) {
      throw new LayerwiseError("a variable's data does not fill its shape", {
        code: "E103",
        layer: options.name,
        received: `${initial.length} values`,
        expected: `${sizeOf(shape)} for ${formatShape(shape)}`,
      });
    }
    this.shape = [...shape];
    this.dtype = dtype;
    this.name = options.name ?? "variable";
    this.trainable = options.trainable ?? true;
    this.host = initial.slice();
  }

  get size(): number {
    return sizeOf(this.shape);
  }
  get bytes(): number {
    return this.size * dtypeBytes[this.dtype];
  }

  /** The value: symbolic in a trace, else a snapshot. */
  read(): Tensor {
    return new Tensor(this.value());
  }
  /** The graph value of `read()`. */
  value(): Value {
    const trace = currentTrace();
    if (!trace) return tensorFrom(this.snapshot(), this.shape, this.dtype).value;
    if (this.parent) {
      const parent = this.parent.root.value();
      const known = trace.members.get(this);
      if (known?.parent === parent) return known.value;
      const { offset } = this.parent;
      const value = reshape(slice(parent, [offset], [offset + this.size]), this.shape);
      trace.members.set(this, { parent, value });
      return value;
    }
    let value = trace.current.get(this);
    if (!value) {
      value = apply1(variableOp, [], { variable: this });
      trace.initial.set(this, value);
      trace.current.set(this, value);
    }
    return value;
  }

  /** Sets the value; shape and dtype must agree. */
  assign(next: TensorLike | TypedArray): void {
    const trace = currentTrace();
    if (isTyped(next)) {
      if (trace) this.assign(tensorFrom(next.slice(), this.shape, this.dtype));
      else this.overwrite(next);
      return;
    }
    const t = Tensor.of(next, this.dtype);
    this.check(t.shape, t.dtype);
    if (!trace) {
      this.overwrite(t.dataSync());
      return;
    }
    if (this.parent) {
      const { root, offset } = this.parent;
      const old = root.value();
      const flat = reshape(t.value, [this.size]);
      const parts = [slice(old, [0], [offset]), flat, slice(old, [offset + this.size], [root.size])];
      trace.current.set(
        root,
        concat(
          parts.filter((p) => sizeOf(p.shape) > 0),
          0,
        ),
      );
    } else {
      this.value();
      trace.current.set(this, t.value);
    }
  }

  /** A copy of the contents, in host form. */
  snapshot(): TypedArray {
    if (this.parent) {
      const { root, offset } = this.parent;
      return root.snapshot().slice(offset, offset + this.size);
    }
    if (this.placement) {
      const out = allocate(this.dtype, this.size);
      this.placement.read(out);
      return out;
    }
    return this.host!.slice();
  }
  /** Replaces the contents outside any trace. */
  overwrite(data: TypedArray): void {
    if (data.length !== this.size) {
      throw new LayerwiseError(`"${this.name}" cannot take values of another size`, {
        code: "E103",
        layer: this.name,
        received: `${data.length} values`,
        expected: `${this.size} for ${formatShape(this.shape)}`,
      });
    }
    if (this.parent) {
      const { root, offset } = this.parent;
      const all = root.snapshot();
      all.set(data, offset);
      root.overwrite(all);
    } else if (this.placement) this.placement.write(data);
    else this.host = data.slice();
  }

  private check(shape: Shape, dtype: DType): void {
    if (sameShape(shape, this.shape) && dtype === this.dtype) return;
    throw new LayerwiseError(`"${this.name}" cannot be assigned a value of another shape or dtype`, {
      code: "E103",
      layer: this.name,
      received: `${dtype} ${formatShape(shape)}`,
      expected: `${this.dtype} ${formatShape(this.shape)}`,
    });
  }
}

function isTyped(x: unknown): x is TypedArray {
  return ArrayBuffer.isView(x);
}

/** Members of a flat root start at multiples of this many elements, so that each is aligned for vectors. */
const memberAlignment = 16;

/**
 * Moves f32 variables into one flat root, in order, so that one kernel can update them all. Returns the root
 * (one-dimensional; gaps between members are zero). Variables that already are members are moved out of their old root.
 */
export function flatten(variables: readonly Variable[], name: string): Variable {
  let size = 0;
  const offsets = variables.map((v) => {
    const offset = size;
    size = Math.ceil((offset + v.size) / memberAlignment) * memberAlignment;
    return offset;
  });
  const data = new Float32Array(size);
  variables.forEach((v, i) => {
    data.set(v.snapshot(), offsets[i]);
  });
  const root = new Variable(data, [size], "f32", { name, trainable: false });
  variables.forEach((v, i) => {
    v.placement?.release();
    v.placement = null;
    v.host = null;
    v.parent = { root, offset: offsets[i] };
    v.version++;
  });
  return root;
}
