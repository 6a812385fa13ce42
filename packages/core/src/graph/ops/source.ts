/** Sources of a graph: inputs, constants and variable reads. They have no kernels. */
import { decodeBf16, decodeF16, encodeBf16, encodeF16 } from "../half.ts";
import { apply1, type OpRecord, type Value } from "../node.ts";
import { allocate, type DType, type Shape, sizeOf, type TensorType, type TypedArray } from "../types.ts";

/** A parameter of a program. */
export const input: OpRecord<{ readonly name: string; readonly type: TensorType }> = {
  name: "input",
  infer: (_, a) => [a.type],
  gradient: "none",
  kernel: { kind: "source" },
};

/** A literal array in host form (see `allocate`), row-major. */
export const constant: OpRecord<{ readonly data: TypedArray; readonly type: TensorType }> = {
  name: "constant",
  infer: (_, a) => [a.type],
  gradient: "none",
  kernel: { kind: "source" },
};

/** What a graph needs to know of a variable; `tensor/variable.ts` has the real one. */
export interface VariableRef {
  readonly id: number;
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: DType;
}

/** The contents of a variable at the start of the program. */
export const variable: OpRecord<{ readonly variable: VariableRef }> = {
  name: "variable",
  infer: (_, a) => [{ shape: a.variable.shape, dtype: a.variable.dtype }],
  gradient: "none",
  kernel: { kind: "source" },
};

export function inputValue(name: string, type: TensorType): Value {
  return apply1(input, [], { name, type });
}
export function constantValue(data: TypedArray, type: TensorType): Value {
  return apply1(constant, [], { data, type });
}
/** A rank-0 constant. */
export function scalar(value: number | boolean, dtype: DType = "f32"): Value {
  const data = allocate(dtype, 1);
  data[0] = dtype === "f16" ? encodeF16(Number(value)) : dtype === "bf16" ? encodeBf16(Number(value)) : Number(value);
  return constantValue(data, { shape: [], dtype });
}
/** A constant with every element equal. */
export function isScalarConstant(v: Value): boolean {
  return v.node.op === constant && sizeOf(v.shape) === 1;
}
/** The number that a one-element constant holds; undefined for anything else. */
export function constantNumber(v: Value): number | undefined {
  if (!isScalarConstant(v)) return undefined;
  const [raw] = (v.node.attrs as { data: TypedArray }).data;
  return v.dtype === "f16" ? decodeF16(raw) : v.dtype === "bf16" ? decodeBf16(raw) : raw;
}
