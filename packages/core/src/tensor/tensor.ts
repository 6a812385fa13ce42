/** The public tensor: an immutable value that is computed when somebody looks at it. */
import { formatShape, LayerwiseError } from "../errors.ts";
import type { Value } from "../graph/node.ts";
import { constantValue, scalar } from "../graph/ops/source.ts";
import { allocate, type DType, type Shape, sizeOf, type TypedArray } from "../graph/types.ts";
import { evaluateSync, hostData } from "./engine.ts";
import * as ops from "./ops/index.ts";

export type NestedNumbers = number | boolean | readonly NestedNumbers[];
/** What operations take for a tensor. Plain numbers take the dtype of the other operand. */
export type TensorLike = Tensor | NestedNumbers;

/** A chain of this many uncomputed operations is computed, so that a loop that never looks at its results stays flat. */
const longestChain = 1000;

/**
 * A value of `shape` and `dtype`. Operations are lazy: they build a graph; `data()`, `dataSync()`, `array()` and `item()`
 * compile and run it, and remember the result. There is nothing to dispose.
 */
export class Tensor {
  /** The graph value; replaced by a constant once computed. Internal. */
  value: Value;

  constructor(value: Value) {
    this.value = value;
    const { depth } = value.node;
    if (depth >= longestChain && Number.isFinite(depth)) evaluateSync([this]);
  }
  /** Converts numbers and nested arrays; tensors pass through. `dtype` is for numbers (default f32). */
  static of(x: TensorLike, dtype?: DType): Tensor {
    if (x instanceof Tensor) return x;
    if (typeof x === "number" || typeof x === "boolean") {
      return new Tensor(scalar(x, dtype ?? (typeof x === "boolean" ? "bool" : "f32")));
    }
    return tensor(x, undefined, dtype);
  }
  get shape(): Shape {
    return this.value.shape;
  }
  get dtype(): DType {
    return this.value.dtype;
  }
  /** Number of axes. */
  get ndim(): number {
    return this.shape.length;
  }
  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }
  /** The elements, row-major, as a fresh typed array (f16 and bf16 as f32, bool as 0 and 1). */
  async data(): Promise<TypedArray> {
    return this.dataSync();
  }
  /** `data()` without waiting, where the caller may block. */
  dataSync(): TypedArray {
    evaluateSync([this]);
    return hostData(this.value).slice();
  }
  /** Nested arrays of numbers (booleans for bool); a number for a scalar. */
  async array(): Promise<NestedNumbers> {
    return this.arraySync();
  }
  arraySync(): NestedNumbers {
    const flat = this.dataSync();
    let next = 0;
    const build = (axis: number): NestedNumbers => {
      if (axis === this.ndim) {
        const x = flat[next++];
        return this.dtype === "bool" ? x !== 0 : x;
      }
      return Array.from({ length: this.shape[axis] }, () => build(axis + 1));
    };
    return build(0);
  }
  /** The one element of a tensor of size 1. */
  item(): number {
    if (this.size !== 1) {
      throw new LayerwiseError("item() needs a tensor with one element", {
        code: "E103",
        received: formatShape(this.shape),
        expected: "a tensor of size 1",
        hint: "use data() or array()",
      });
    }
    return this.dataSync()[0];
  }
  // Operations; what they mean, and their dtypes, stand with `ops`.
  add(other: TensorLike): Tensor {
    return ops.add(this, other);
  }
  sub(other: TensorLike): Tensor {
    return ops.subtract(this, other);
  }
  mul(other: TensorLike): Tensor {
    return ops.multiply(this, other);
  }
  div(other: TensorLike): Tensor {
    return ops.divide(this, other);
  }
  floorDiv(other: TensorLike): Tensor {
    return ops.floorDivide(this, other);
  }
  mod(other: TensorLike): Tensor {
    return ops.mod(this, other);
  }
  pow(other: TensorLike): Tensor {
    return ops.power(this, other);
  }
  maximum(other: TensorLike): Tensor {
    return ops.maximum(this, other);
  }
  minimum(other: TensorLike): Tensor {
    return ops.minimum(this, other);
  }
  equal(other: TensorLike): Tensor {
    return ops.equal(this, other);
  }
  notEqual(other: TensorLike): Tensor {
    return ops.notEqual(this, other);
  }
  less(other: TensorLike): Tensor {
    return ops.less(this, other);
  }
  lessEqual(other: TensorLike): Tensor {
    return ops.lessEqual(this, other);
  }
  greater(other: TensorLike): Tensor {
    return ops.greater(this, other);
  }
  greaterEqual(other: TensorLike): Tensor {
    return ops.greaterEqual(this, other);
  }
  logicalAnd(other: TensorLike): Tensor {
    return ops.logicalAnd(this, other);
  }
  logicalOr(other: TensorLike): Tensor {
    return ops.logicalOr(this, other);
  }
  matmul(other: TensorLike): Tensor {
    return ops.matmul(this, other);
  }
  neg(): Tensor {
    return ops.negative(this);
  }
  abs(): Tensor {
    return ops.abs(this);
  }
  sign(): Tensor {
    return ops.sign(this);
  }
  floor(): Tensor {
    return ops.floor(this);
  }
  ceil(): Tensor {
    return ops.ceil(this);
  }
  exp(): Tensor {
    return ops.exp(this);
  }
  log(): Tensor {
    return ops.log(this);
  }
  sqrt(): Tensor {
    return ops.sqrt(this);
  }
  rsqrt(): Tensor {
    return ops.rsqrt(this);
  }
  square(): Tensor {
    return ops.square(this);
  }
  tanh(): Tensor {
    return ops.tanh(this);
  }
  sigmoid(): Tensor {
    return ops.sigmoid(this);
  }
  relu(): Tensor {
    return ops.relu(this);
  }
  logicalNot(): Tensor {
    return ops.logicalNot(this);
  }
  sum(axis: ops.Axis = null, keepdims = false): Tensor {
    return ops.sum(this, axis, keepdims);
  }
  mean(axis: ops.Axis = null, keepdims = false): Tensor {
    return ops.mean(this, axis, keepdims);
  }
  max(axis: ops.Axis = null, keepdims = false): Tensor {
    return ops.max(this, axis, keepdims);
  }
  min(axis: ops.Axis = null, keepdims = false): Tensor {
    return ops.min(this, axis, keepdims);
  }
  prod(axis: ops.Axis = null, keepdims = false): Tensor {
    return ops.prod(this, axis, keepdims);
  }
  any(axis: ops.Axis = null, keepdims = false): Tensor {
    return ops.any(this, axis, keepdims);
  }
  all(axis: ops.Axis = null, keepdims = false): Tensor {
    return ops.all(this, axis, keepdims);
  }
  variance(axis: ops.Axis = null, keepdims = false): Tensor {
    return ops.variance(this, axis, keepdims);
  }
  std(axis: ops.Axis = null, keepdims = false): Tensor {
    return ops.std(this, axis, keepdims);
  }
  argmax(axis: number | null = null, keepdims = false): Tensor {
    return ops.argmax(this, axis, keepdims);
  }
  argmin(axis: number | null = null, keepdims = false): Tensor {
    return ops.argmin(this, axis, keepdims);
  }
  softmax(axis = -1): Tensor {
    return ops.softmax(this, axis);
  }
  clip(low: TensorLike | null, high: TensorLike | null): Tensor {
    return ops.clip(this, low, high);
  }
  cast(dtype: DType): Tensor {
    return ops.cast(this, dtype);
  }
  reshape(shape: Shape): Tensor {
    return ops.reshape(this, shape);
  }
  transpose(axes: readonly number[] | null = null): Tensor {
    return ops.transpose(this, axes);
  }
  expandDims(axis: number | readonly number[]): Tensor {
    return ops.expandDims(this, axis);
  }
  squeeze(axis: number | readonly number[] | null = null): Tensor {
    return ops.squeeze(this, axis);
  }
  /** The block of `sizes` that begins at `start`; a size of -1 reaches to the end. */
  slice(start: readonly number[], sizes: readonly number[]): Tensor {
    return ops.slice(this, start, sizes);
  }
  take(indices: TensorLike, axis: number | null = null): Tensor {
    return ops.take(this, indices, axis);
  }
  toString(): string {
    return `Tensor(${this.dtype} ${formatShape(this.shape)})`;
  }
}

/** A tensor over host data (not copied), row-major. */
export function tensorFrom(data: TypedArray, shape: Shape, dtype: DType): Tensor {
  return new Tensor(constantValue(data, { shape: [...shape], dtype }));
}

const dtypeOfArray: [new (n: number) => TypedArray, DType][] = [
  [Float32Array, "f32"],
  [Int32Array, "i32"],
  [Uint32Array, "u32"],
  [Uint8Array, "u8"],
  [Int8Array, "i8"],
  [Int16Array, "i16"],
];

/**
 * Makes a tensor from numbers, nested arrays or a typed array (copied). Float64Array and BigInt64Array are accepted and
 * converted (to f32, and to i32 with a range check). `shape` defaults to that of the nesting.
 */
export function tensor(
  data: NestedNumbers | TypedArray | Uint8ClampedArray | Float64Array | BigInt64Array,
  shape?: Shape,
  dtype?: DType,
): Tensor {
  let flat: ArrayLike<number>;
  let inferred: number[];
  let type = dtype;
  if (data instanceof BigInt64Array) {
    flat = Array.from(data, (b, i) => {
      const n = Number(b);
      if (n !== (n | 0)) {
        throw new LayerwiseError("a 64-bit integer does not fit into i32", {
          code: "E104",
          received: `${b} at position ${i}`,
          expected: "-2147483648 … 2147483647",
        });
      }
      return n;
    });
    inferred = [data.length];
    type ??= "i32";
  } else if (ArrayBuffer.isView(data)) {
    flat = data as ArrayLike<number>;
    inferred = [flat.length];
    type ??= data instanceof Uint8ClampedArray ? "u8" : (dtypeOfArray.find(([c]) => data instanceof c)?.[1] ?? "f32");
  } else {
    inferred = shapeOfNesting(data);
    const list: number[] = [];
    let boolean = true;
    flattenInto(data, inferred, 0, (x) => {
      if (typeof x !== "boolean") boolean = false;
      list.push(Number(x));
    });
    flat = list;
    type ??= boolean && list.length > 0 ? "bool" : "f32";
  }
  const finalShape = shape ?? inferred;
  if (sizeOf(finalShape) !== flat.length) {
    throw new LayerwiseError("the data does not fill the shape", {
      code: "E103",
      received: `${flat.length} values`,
      expected: `${sizeOf(finalShape)} for ${formatShape(finalShape)}`,
    });
  }
  return tensorFrom(toHost(flat, type), finalShape, type);
}

/** Copies numbers into the host form of a dtype (f16 and bf16 are made by casting on the device; not here). */
function toHost(flat: ArrayLike<number>, dtype: DType): TypedArray {
  if (dtype === "f16" || dtype === "bf16") {
    throw new LayerwiseError(`${dtype} tensors are made with .cast("${dtype}")`, {
      code: "E104",
      received: dtype,
      expected: "f32 data and a cast",
    });
  }
  const out = allocate(dtype, flat.length);
  if (dtype === "bool") for (let i = 0; i < flat.length; i++) out[i] = flat[i] ? 1 : 0;
  else out.set(flat);
  return out;
}

function shapeOfNesting(x: NestedNumbers): number[] {
  const shape: number[] = [];
  let at: NestedNumbers | undefined = x;
  while (Array.isArray(at)) {
    shape.push(at.length);
    at = at[0] as NestedNumbers | undefined;
  }
  return shape;
}

function flattenInto(
  x: NestedNumbers,
  shape: readonly number[],
  axis: number,
  push: (n: number | boolean) => void,
): void {
  if (axis === shape.length) {
    if (Array.isArray(x)) ragged(shape, axis);
    push(x as number | boolean);
    return;
  }
  if (!Array.isArray(x) || x.length !== shape[axis]) ragged(shape, axis);
  for (const y of x as readonly NestedNumbers[]) flattenInto(y, shape, axis + 1, push);
}

function ragged(shape: readonly number[], axis: number): never {
  throw new LayerwiseError("nested arrays must be rectangular", {
    code: "E103",
    received: `rows of different length at depth ${axis}`,
    expected: `${formatShape(shape)} throughout`,
    hint: "data.padSequences makes sequences equally long",
  });
}
