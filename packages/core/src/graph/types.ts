/** Dtypes and tensor types of the graph. */
import { formatShape, LayerwiseError } from "../errors.ts";

/** Compute happens in f32, i32, u32 and bool; the others are storage (loads widen, stores narrow). */
export type DType = "f32" | "i32" | "u32" | "bool" | "u8" | "i8" | "i16" | "f16" | "bf16";

export type Shape = readonly number[];

export interface TensorType {
  readonly shape: Shape;
  readonly dtype: DType;
}

export type TypedArray = Float32Array | Int32Array | Uint32Array | Uint8Array | Int8Array | Int16Array | Uint16Array;

export const dtypeBytes: Record<DType, number> = {
  f32: 4,
  i32: 4,
  u32: 4,
  bool: 1,
  u8: 1,
  i8: 1,
  i16: 2,
  f16: 2,
  bf16: 2,
};

export function isFloat(dtype: DType): boolean {
  return dtype === "f32" || dtype === "f16" || dtype === "bf16";
}

/** Number of elements. */
export function sizeOf(shape: Shape): number {
  let n = 1;
  for (const d of shape) n *= d;
  return n;
}

/** Strides in elements of a contiguous row-major tensor. */
export function rowMajor(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let s = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = s;
    s *= shape[i];
  }
  return strides;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((d, i) => d === b[i]);
}

/** The array that holds elements of a dtype on the host (f16 and bf16 as raw 16 bits, bool as 0 or 1). */
export function allocate(dtype: DType, size: number): TypedArray {
  switch (dtype) {
    case "f32":
      return new Float32Array(size);
    case "i32":
      return new Int32Array(size);
    case "u32":
      return new Uint32Array(size);
    case "u8":
    case "bool":
      return new Uint8Array(size);
    case "i8":
      return new Int8Array(size);
    case "i16":
      return new Int16Array(size);
    case "f16":
    case "bf16":
      return new Uint16Array(size);
    default:
      return dtype satisfies never;
  }
}

/** The numpy broadcast of several shapes, or an error that names `what`. */
export function broadcastShapes(what: string, ...shapes: Shape[]): number[] {
  const rank = Math.max(...shapes.map((s) => s.length));
  const out = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    for (let i = 0; i < shape.length; i++) {
      const j = rank - shape.length + i;
      if (shape[i] === 1) continue;
      if (out[j] !== 1 && out[j] !== shape[i]) {
        throw new LayerwiseError(`${what} cannot broadcast its operands together`, {
          code: "E101",
          received: shapes.map(formatShape).join(" and "),
          expected: "sizes that are equal or 1, aligned at the last axis",
        });
      }
      out[j] = shape[i];
    }
  }
  return out;
}

/** Turns a possibly negative axis into 0 … rank-1, or throws. */
export function normalizeAxis(axis: number, rank: number, what: string): number {
  const a = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(a) || a < 0 || a >= rank) {
    throw new LayerwiseError(`${what}: axis ${axis} is out of range`, {
      code: "E102",
      received: `axis ${axis} for a tensor of rank ${rank}`,
      expected: rank === 0 ? "no axis (the tensor is a scalar)" : `an integer from ${-rank} to ${rank - 1}`,
    });
  }
  return a;
}

/** Normalises a list of axes (null or undefined: all), sorted and without duplicates. */
export function normalizeAxes(
  axes: number | readonly number[] | null | undefined,
  rank: number,
  what: string,
): number[] {
  if (axes === null || axes === undefined) return Array.from({ length: rank }, (_, i) => i);
  const list = typeof axes === "number" ? [axes] : axes;
  const set = new Set(list.map((a) => normalizeAxis(a, rank, what)));
  return [...set].sort((a, b) => a - b);
}
