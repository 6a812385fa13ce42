/** Dtype promotion as in Keras: numbers are weak, mixed integers widen, integers with floats become floats. */
import { LayerwiseError } from "../../errors.ts";
import type { Value } from "../../graph/node.ts";
import * as g from "../../graph/ops/index.ts";
import { type DType, isFloat } from "../../graph/types.ts";
import { Tensor, type TensorLike } from "../tensor.ts";

const integerBits: Partial<Record<DType, number>> = { bool: 1, u8: 8, i8: 8, i16: 16, i32: 32, u32: 32 };
const unsigned = (d: DType) => d === "u8" || d === "u32" || d === "bool";

/** The dtype two tensors are brought to before they meet. There is no 64-bit integer: u32 with i32 gives i32. */
export function promoteDtypes(a: DType, b: DType): DType {
  if (a === b) return a;
  if (isFloat(a) || isFloat(b)) {
    if (isFloat(a) && isFloat(b)) return "f32";
    return isFloat(a) ? a : b;
  }
  if (a === "bool") return b;
  if (b === "bool") return a;
  const [wide, narrow] = integerBits[a]! >= integerBits[b]! ? [a, b] : [b, a];
  if (unsigned(a) === unsigned(b)) return wide;
  if (integerBits[wide] === 32) return "i32";
  // An unsigned partner needs one more bit than a signed type of its width has.
  return !unsigned(wide) && integerBits[wide]! > integerBits[narrow]! ? wide : "i16";
}

/** The dtype a plain number (or boolean) takes beside a tensor of `dtype`. */
export function weakDtype(x: number | boolean, dtype: DType): DType {
  if (typeof x === "boolean") return dtype;
  if (isFloat(dtype)) return dtype;
  if (!Number.isInteger(x)) return "f32";
  return dtype === "bool" ? "i32" : dtype;
}

const isNumber = (x: TensorLike): x is number | boolean => typeof x === "number" || typeof x === "boolean";

/** Brings operands to one dtype; plain numbers adapt to the tensors among them. */
export function promote(...xs: readonly TensorLike[]): Tensor[] {
  let dtype: DType | null = null;
  for (const x of xs) {
    if (isNumber(x)) continue;
    const d = Tensor.of(x).dtype;
    dtype = dtype === null ? d : promoteDtypes(dtype, d);
  }
  let common: DType | null = dtype;
  for (const x of xs) {
    if (!isNumber(x)) continue;
    common =
      common === null
        ? typeof x === "boolean"
          ? "bool"
          : Number.isInteger(x)
            ? "i32"
            : "f32"
        : promoteDtypes(common, weakDtype(x, common));
  }
  // Numbers alone are floats: there is nothing they could adapt to.
  if (dtype === null && common !== "bool") common = "f32";
  return xs.map((x) => (isNumber(x) ? new Tensor(g.scalar(x, common!)) : castTo(Tensor.of(x), common!)));
}

export function castTo(x: Tensor, dtype: DType): Tensor {
  return x.dtype === dtype ? x : new Tensor(g.cast(x.value, dtype));
}

/** Floats as they are, everything else as f32. */
export function toFloat(x: TensorLike): Tensor {
  const t = Tensor.of(x);
  return isFloat(t.dtype) ? t : castTo(t, "f32");
}
/** bool as i32. */
export function toNumber(x: TensorLike): Tensor {
  const t = Tensor.of(x);
  return t.dtype === "bool" ? castTo(t, "i32") : t;
}
export function toBool(x: TensorLike): Tensor {
  const t = Tensor.of(x);
  return t.dtype === "bool" ? t : new Tensor(g.notEqual(t.value, g.scalar(0, t.dtype)));
}

const compute = (d: DType) => d === "f32" || d === "i32" || d === "u32" || d === "bool";
/** Storage dtypes are computed in i32 or f32 and narrowed back, so that every intermediate result has its dtype. */
export function inComputeDtype(xs: readonly Tensor[], f: (...xs: Value[]) => Value, keep = true): Tensor {
  const dtype = xs[0].dtype;
  if (compute(dtype)) return new Tensor(f(...xs.map((x) => x.value)));
  const wide: DType = isFloat(dtype) ? "f32" : "i32";
  const y = f(...xs.map((x) => castTo(x, wide).value));
  return keep && y.dtype === wide ? castTo(new Tensor(y), dtype) : new Tensor(y);
}

/** A unary function on floats; integers become f32. */
export function floatUnary(f: (x: Value) => Value): (x: TensorLike) => Tensor {
  return (x) => inComputeDtype([toFloat(x)], f);
}
/** A unary function that keeps integers; bool becomes i32. */
export function numberUnary(f: (x: Value) => Value): (x: TensorLike) => Tensor {
  return (x) => inComputeDtype([toNumber(x)], f);
}
/** An arithmetic function of two promoted operands; bool becomes i32. */
export function arithmetic(f: (a: Value, b: Value) => Value): (a: TensorLike, b: TensorLike) => Tensor {
  return (a, b) => inComputeDtype(promote(a, b).map(toNumber), f);
}
export function comparison(f: (a: Value, b: Value) => Value): (a: TensorLike, b: TensorLike) => Tensor {
  return (a, b) => inComputeDtype(promote(a, b).map(toNumber), f, false);
}

/** An error about an argument of `ops.name`. */
export function argumentError(name: string, message: string, received: string, expected: string): LayerwiseError {
  return new LayerwiseError(`ops.${name}: ${message}`, { code: "E107", layer: `ops.${name}`, received, expected });
}
