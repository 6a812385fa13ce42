/** What op files share: checks of dtypes and shapes, broadcasting of operands, and the maker of elementwise records. */
import type { KernelBuilder } from "../../compiler/builder.ts";
import type { Operand } from "../../compiler/loopir.ts";
import { formatShape, LayerwiseError } from "../../errors.ts";
import { apply1, type GradientContext, type MapContext, type OpRecord, scopePath, type Value } from "../node.ts";
import { broadcastShapes, type DType, isFloat, type Shape, sameShape, type TensorType } from "../types.ts";
import { scalar } from "./source.ts";
import { broadcastTo } from "./view.ts";

/** Which dtypes an op takes. "bits" is integers and bool. */
export type DTypes = "float" | "number" | "integer" | "bits" | "bool" | "any";

const dtypeWords: Record<DTypes, string> = {
  float: "a floating-point dtype (f32, f16, bf16)",
  number: "a numeric dtype",
  integer: "an integer dtype",
  bits: "an integer dtype or bool",
  bool: "bool",
  any: "any dtype",
};

export function isDType(dtype: DType, kind: DTypes): boolean {
  switch (kind) {
    case "float":
      return isFloat(dtype);
    case "number":
      return dtype !== "bool";
    case "integer":
      return dtype !== "bool" && !isFloat(dtype);
    case "bits":
      return !isFloat(dtype);
    case "bool":
      return dtype === "bool";
    case "any":
      return true;
    default:
      return kind satisfies never;
  }
}

/** `f32[2, 3]` */
export function formatType(type: TensorType): string {
  return `${type.dtype}${formatShape(type.shape)}`;
}

export function opError(
  code: string,
  message: string,
  received: string,
  expected: string,
  hint?: string,
): LayerwiseError {
  return new LayerwiseError(message, { code, layer: scopePath() || undefined, received, expected, hint });
}

export function shapeError(
  op: string,
  message: string,
  received: string,
  expected: string,
  hint?: string,
): LayerwiseError {
  return opError("E103", `${op}: ${message}`, received, expected, hint);
}

/** Throws E104 unless every type has a dtype of `kind`. */
export function requireDType(op: string, kind: DTypes, ...types: readonly TensorType[]): void {
  for (const t of types) {
    if (!isDType(t.dtype, kind)) {
      throw opError("E104", `${op} does not take ${t.dtype}`, types.map(formatType).join(" and "), dtypeWords[kind]);
    }
  }
}

/** Throws E104 unless all dtypes are equal. */
export function requireSameDType(op: string, types: readonly TensorType[]): void {
  if (types.some((t) => t.dtype !== types[0].dtype)) {
    throw opError(
      "E104",
      `${op} needs operands of one dtype`,
      types.map(formatType).join(" and "),
      "equal dtypes",
      "cast one of them first",
    );
  }
}

export function requireSameShape(op: string, types: readonly TensorType[]): void {
  if (types.some((t) => !sameShape(t.shape, types[0].shape))) {
    throw shapeError(op, "operands differ in shape", types.map(formatType).join(" and "), "equal shapes");
  }
}

export function requireRank(op: string, what: string, type: TensorType, rank: number): void {
  if (type.shape.length !== rank) {
    throw shapeError(op, `${what} has rank ${type.shape.length}`, formatType(type), `rank ${rank}`);
  }
}

/** Throws E103 unless `list` has `length` integers of at least `least`. */
export function requireIntegers(
  op: string,
  what: string,
  list: readonly number[],
  length: number,
  least: number,
): void {
  if (list.length !== length || list.some((v) => !Number.isInteger(v) || v < least)) {
    throw shapeError(
      op,
      `${what} does not fit`,
      `${what} [${list.join(", ")}]`,
      `${length} integers${least === Number.NEGATIVE_INFINITY ? "" : ` of at least ${least}`}`,
    );
  }
}

/** The operands broadcast to their common shape. */
export function broadcastAll(op: string, values: readonly Value[]): Value[] {
  const first = values[0].shape;
  if (values.every((v) => sameShape(v.shape, first))) return [...values];
  const shape = broadcastShapes(op, ...values.map((v) => v.shape));
  return values.map((v) => broadcastTo(v, shape));
}

/** A constant of this shape with every element equal. */
export function full(shape: Shape, value: number, dtype: DType): Value {
  return broadcastTo(scalar(value, dtype), shape);
}

/** A constant of the shape and dtype of `x`. */
export function fullLike(x: Value, value: number): Value {
  return full(x.shape, value, x.dtype);
}

export type Expr = (b: KernelBuilder, args: readonly Operand[], context: MapContext<null>) => Operand;
export type Gradient = "none" | ((context: GradientContext<null>) => readonly (Value | null)[]);

export interface MapSpec {
  readonly name: string;
  readonly arity: number;
  readonly takes: DTypes;
  /** Default: the dtype of the operands. */
  readonly gives?: DType;
  readonly expr: Expr;
  readonly flops: number;
  readonly heavy?: boolean;
  readonly gradient: Gradient;
}

/** The record of an elementwise op without attributes whose operands have one dtype. */
export function mapOp(spec: MapSpec): OpRecord<null> {
  return {
    name: spec.name,
    infer: (inputs) => {
      requireDType(spec.name, spec.takes, ...inputs);
      requireSameDType(spec.name, inputs);
      requireSameShape(spec.name, inputs);
      return [{ shape: inputs[0].shape, dtype: spec.gives ?? inputs[0].dtype }];
    },
    gradient: spec.gradient,
    kernel: {
      kind: "map",
      expr: (b, args, context) => narrow(b, spec.expr(b, args, context), context.output.dtype),
      flops: spec.flops,
      ...(spec.heavy ? { heavy: true } : {}),
    },
  };
}

export function applyUnary(op: OpRecord<null>, x: Value): Value {
  return apply1(op, [x], null);
}

export function applyBinary(op: OpRecord<null>, a: Value, b: Value): Value {
  requireSameDType(op.name, [a.type, b.type]);
  return apply1(op, broadcastAll(op.name, [a, b]), null);
}

/**
 * Brings a compute value into the range and precision of a storage dtype, as storing and loading it would. Without it a
 * fused chain of u8 or f16 ops would keep digits that the unfused chain loses.
 */
export function narrow(b: KernelBuilder, x: Operand, dtype: DType): Operand {
  const n = x.lanes;
  switch (dtype) {
    case "u8":
      return b.binary("and", x, b.i32(255, n));
    case "i8":
      return b.binary("shr", b.binary("shl", x, b.i32(24, n)), b.i32(24, n));
    case "i16":
      return b.binary("shr", b.binary("shl", x, b.i32(16, n)), b.i32(16, n));
    case "bf16":
      return roundMantissa(b, x, 16);
    case "f16":
      return roundF16(b, x);
    case "f32":
    case "i32":
    case "u32":
    case "bool":
      return x;
    default:
      return dtype satisfies never;
  }
}

/** Drops the lowest `bits` bits of an f32, to nearest even; NaN stays. */
function roundMantissa(b: KernelBuilder, x: Operand, bits: number): Operand {
  const n = x.lanes;
  const raw = b.bitcast(x, "u32");
  const odd = b.binary("and", b.binary("shr", raw, b.u32(bits, n)), b.u32(1, n));
  const up = b.add(b.add(raw, b.u32(2 ** (bits - 1) - 1, n)), odd);
  const kept = b.bitcast(b.binary("and", up, b.u32(2 ** 32 - 2 ** bits, n)), "f32");
  return b.select(b.compare("ne", x, x), x, kept);
}

function roundF16(b: KernelBuilder, x: Operand): Operand {
  const n = x.lanes;
  const sign = b.binary("and", b.bitcast(x, "u32"), b.u32(0x80000000, n));
  const magnitude = b.unary("abs", x);
  const normal = roundMantissa(b, magnitude, 13);
  // The last place of 0.5 is 2^-24, the step of f16 subnormals, so adding it rounds to a multiple of that step.
  const subnormal = b.sub(b.add(magnitude, b.f32(0.5, n)), b.f32(0.5, n));
  const rounded = b.select(b.compare("lt", magnitude, b.f32(2 ** -14, n)), subnormal, normal);
  const limited = b.select(b.compare("ge", rounded, b.f32(65536, n)), b.f32(Number.POSITIVE_INFINITY, n), rounded);
  return b.bitcast(b.binary("or", b.bitcast(limited, "u32"), sign), "f32");
}
