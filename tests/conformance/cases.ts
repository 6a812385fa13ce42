/** The cases of Keras as files hold them: their form, and the conversion of golden tensors (see FORMAT of the cases). */
import { type DType, isFloat, type Shape, sizeOf, type TypedArray } from "../../packages/core/src/graph/types.ts";
import { hostForm } from "../../packages/core/src/layers/arguments.ts";
import { type Tensor, tensorFrom } from "../../packages/core/src/tensor/tensor.ts";

/** JSON as it comes; cases are read with care, not typed field by field. */
// biome-ignore lint/suspicious/noExplicitAny: foreign data.
export type Any = any;

export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly data: readonly (number | boolean | string)[];
}
export type GoldenTree = GoldenTensor | null | readonly GoldenTree[] | { readonly [key: string]: GoldenTree };

export interface Case {
  readonly id: string;
  readonly kind: string;
  readonly class?: string;
  readonly op?: string;
  readonly tol?: { readonly output?: number; readonly grads?: number; readonly predict_before?: number };
  readonly [key: string]: Any;
}

/** A case that needs something that does not exist yet; `reason` names the class. */
export class Skip extends Error {}

export const isGolden = (x: unknown): x is GoldenTensor =>
  x !== null && typeof x === "object" && "data" in x && "shape" in x && "dtype" in x;

const dtypes: Record<string, DType> = {
  float64: "f32",
  float32: "f32",
  float16: "f16",
  bfloat16: "bf16",
  int64: "i32",
  int32: "i32",
  int16: "i16",
  int8: "i8",
  uint8: "u8",
  uint16: "i32",
  uint32: "u32",
  bool: "bool",
};
/** Layerwise's dtype of one of Keras'. There are no 64-bit types. */
export function dtypeOf(name: string): DType {
  const found = dtypes[name];
  if (!found) throw new Skip(`dtype ${name}`);
  return found;
}

/** A number as the files write it; undefined for "?" (not to be checked). */
export function numberOf(x: number | boolean | string): number | undefined {
  if (typeof x === "number") return x;
  if (typeof x === "boolean") return x ? 1 : 0;
  return x === "?" ? undefined : Number(x);
}

export function goldenTensor(t: GoldenTensor): Tensor {
  const dtype = dtypeOf(t.dtype);
  return tensorFrom(
    hostForm(
      t.data.map((x) => numberOf(x) ?? 0),
      dtype,
    ),
    t.shape,
    dtype,
  );
}

/** The tree with tensors in place of golden tensors; other values stay. */
export function tensorTree(x: Any): Any {
  if (isGolden(x)) return goldenTensor(x);
  if (Array.isArray(x)) return x.map(tensorTree);
  if (x !== null && typeof x === "object") {
    return Object.fromEntries(Object.entries(x).map(([k, v]) => [k, tensorTree(v)]));
  }
  return x;
}
export function goldenLeaves(x: GoldenTree | undefined): GoldenTensor[] {
  if (x === null || x === undefined) return [];
  if (isGolden(x)) return [x];
  return (Array.isArray(x) ? x : Object.values(x)).flatMap(goldenLeaves);
}

export interface Result {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly data: ArrayLike<number>;
}

/** Another order of summation may cost this many tolerances. */
const allowance = 5;

/** Throws unless every element agrees: |got - want| ≤ 5·tol·max(1, |want|), integers exactly. */
export function compare(what: string, got: Result, want: GoldenTensor, tolerance: number): void {
  if (got.shape.join() !== want.shape.join()) throw new Error(`${what}: shape [${got.shape}], expected [${want.shape}]`);
  const exact = !isFloat(dtypeOf(want.dtype));
  for (let i = 0; i < want.data.length; i++) {
    const w = numberOf(want.data[i]);
    const g = got.data[i];
    if (w === undefined || g === w || (Number.isNaN(w) && Number.isNaN(g))) continue;
    if (!exact && Math.abs(g - w) <= allowance * tolerance * Math.max(1, Math.abs(w))) continue;
    throw new Error(`${what}[${i}]: ${g}, expected ${w} (tolerance ${exact ? 0 : tolerance})`);
  }
}
export function compareNumber(what: string, got: number, want: number | string, tolerance: number): void {
  compare(what, { shape: [], dtype: "f32", data: [got] }, { shape: [], dtype: "float32", data: [want] }, tolerance);
}
export function zerosLike(type: { readonly shape: Shape; readonly dtype: DType }): Result {
  return { shape: type.shape, dtype: type.dtype, data: new Float32Array(sizeOf(type.shape)) };
}
export function resultOf(t: Tensor): Result {
  return { shape: t.shape, dtype: t.dtype, data: t.dataSync() };
}
export type { TypedArray };
