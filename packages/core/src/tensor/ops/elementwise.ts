/** Elementwise functions: arithmetic, comparison, logic, bits, elementary functions. */
import type { Value } from "../../graph/node.ts";
import * as g from "../../graph/ops/index.ts";
import { type DType, isFloat } from "../../graph/types.ts";
import { Tensor, type TensorLike } from "../tensor.ts";
import {
  arithmetic,
  castTo,
  comparison,
  floatUnary,
  inComputeDtype,
  numberUnary,
  promote,
  toBool,
  toFloat,
  toNumber,
} from "./promote.ts";

const t = (v: Value) => new Tensor(v);

export const add = (a: TensorLike, b: TensorLike): Tensor => {
  const [x, y] = promote(a, b);
  return x.dtype === "bool" ? t(g.logicalOr(x.value, y.value)) : inComputeDtype([x, y], g.add);
};
export const subtract = /* @__PURE__ */ arithmetic(g.sub);
export const multiply = (a: TensorLike, b: TensorLike): Tensor => {
  const [x, y] = promote(a, b);
  return x.dtype === "bool" ? t(g.logicalAnd(x.value, y.value)) : inComputeDtype([x, y], g.mul);
};
/** True division: integers become floats. */
export const divide = (a: TensorLike, b: TensorLike): Tensor => inComputeDtype(promote(a, b).map(toFloat), g.div);
export const trueDivide = divide;
/** a/b, and 0 where b is 0. */
export const divideNoNan = (a: TensorLike, b: TensorLike): Tensor => {
  const [x, y] = promote(a, b).map(toFloat);
  const zero = equal(y, 0);
  return where(zero, 0, divide(x, where(zero, 1, y)));
};
/**
 * ⌊a/b⌋; as in numpy an infinite dividend has no quotient, except by 0, and a negative quotient too small for its dtype
 * (-1e-30 / 1e30, 1 / -∞) is rounded down to -1.
 */
export const floorDivide = (a: TensorLike, b: TensorLike): Tensor => {
  const [x, y] = promote(a, b).map(toNumber);
  if (!isFloat(x.dtype)) return inComputeDtype([x, y], (p, q) => g.div(g.sub(p, g.mod(p, q)), q));
  const quotient = divide(x, y);
  const opposite = notEqual(less(x, 0), less(y, 0));
  const vanished = logicalAnd(equal(quotient, 0), logicalAnd(notEqual(x, 0), opposite));
  const whole = where(vanished, -1, floor(quotient));
  return where(logicalAnd(isinf(x), notEqual(y, 0)), Number.NaN, whole);
};
/** Remainder with the sign of the divisor. */
export const mod = /* @__PURE__ */ arithmetic(g.mod);
export const remainder = mod;
/** Remainder with the sign of the dividend. */
export const fmod = /* @__PURE__ */ arithmetic(g.rem);
export const power = /* @__PURE__ */ arithmetic(g.pow);
export const maximum = (a: TensorLike, b: TensorLike): Tensor => {
  const [x, y] = promote(a, b);
  return x.dtype === "bool" ? t(g.logicalOr(x.value, y.value)) : inComputeDtype([x, y], g.maximum);
};
export const minimum = (a: TensorLike, b: TensorLike): Tensor => {
  const [x, y] = promote(a, b);
  return x.dtype === "bool" ? t(g.logicalAnd(x.value, y.value)) : inComputeDtype([x, y], g.minimum);
};
export const arctan2 = (y: TensorLike, x: TensorLike): Tensor => inComputeDtype(promote(y, x).map(toFloat), g.atan2);
export const nextafter = (a: TensorLike, b: TensorLike): Tensor =>
  inComputeDtype(promote(a, b).map(toFloat), g.nextAfter);

export const equal = /* @__PURE__ */ comparison(g.equal);
export const notEqual = /* @__PURE__ */ comparison(g.notEqual);
export const less = /* @__PURE__ */ comparison(g.less);
export const lessEqual = /* @__PURE__ */ comparison(g.lessEqual);
export const greater = /* @__PURE__ */ comparison(g.greater);
export const greaterEqual = /* @__PURE__ */ comparison(g.greaterEqual);

const logic =
  /* @__NO_SIDE_EFFECTS__ */
    (f: (a: Value, b: Value) => Value) =>
    (a: TensorLike, b: TensorLike): Tensor =>
      t(f(toBool(a).value, toBool(b).value));
export const logicalAnd = logic(g.logicalAnd);
export const logicalOr = logic(g.logicalOr);
export const logicalXor = logic(g.logicalXor);
export const logicalNot = (x: TensorLike): Tensor => t(g.logicalNot(toBool(x).value));

const bits =
  /* @__NO_SIDE_EFFECTS__ */
    (f: (a: Value, b: Value) => Value) =>
    (a: TensorLike, b: TensorLike): Tensor =>
      inComputeDtype(promote(a, b), f);
export const bitwiseAnd = bits(g.bitwiseAnd);
export const bitwiseOr = bits(g.bitwiseOr);
export const bitwiseXor = bits(g.bitwiseXor);
export const leftShift = bits(g.shiftLeft);
export const bitwiseLeftShift = leftShift;
export const rightShift = bits(g.shiftRight);
export const bitwiseRightShift = rightShift;
export const bitwiseNot = (x: TensorLike): Tensor =>
  inComputeDtype([Tensor.of(x)], (v) => (v.dtype === "bool" ? g.logicalNot(v) : g.bitwiseNot(v)));
export const bitwiseInvert = bitwiseNot;

/** `condition ? a : b`, element by element. */
export function where(condition: TensorLike, a: TensorLike, b: TensorLike): Tensor {
  const [x, y] = promote(a, b);
  return t(g.select(toBool(condition).value, x.value, y.value));
}

export function cast(x: TensorLike, dtype: DType): Tensor {
  return castTo(Tensor.of(x), dtype);
}

export const negative = /* @__PURE__ */ numberUnary(g.neg);
export const abs = /* @__PURE__ */ numberUnary((x) => (x.dtype === "u32" ? x : g.abs(x)));
export const absolute = abs;
export const sign = /* @__PURE__ */ numberUnary(g.sign);
const rounding =
  /* @__NO_SIDE_EFFECTS__ */
    (f: (x: Value) => Value) =>
    (x: TensorLike): Tensor => {
      const y = toNumber(x);
      return isFloat(y.dtype) ? inComputeDtype([y], f) : y;
    };
export const floor = /* @__PURE__ */ floatUnary(g.floor);
export const ceil = /* @__PURE__ */ floatUnary(g.ceil);
export const trunc = rounding(g.trunc);
/** Half to even. `decimals` places, which may be negative. */
export const round = (x: TensorLike, decimals = 0): Tensor => {
  const y = toNumber(x);
  if (!isFloat(y.dtype)) {
    if (decimals >= 0) return y;
    return cast(multiply(round(divide(y, 10 ** -decimals)), 10 ** -decimals), y.dtype);
  }
  if (decimals === 0) return inComputeDtype([y], g.round);
  return decimals > 0
    ? divide(inComputeDtype([multiply(y, 10 ** decimals)], g.round), 10 ** decimals)
    : multiply(inComputeDtype([divide(y, 10 ** -decimals)], g.round), 10 ** -decimals);
};
export const square = (x: TensorLike): Tensor => numberUnary((v) => g.mul(v, v))(x);
export const reciprocal = /* @__PURE__ */ floatUnary((x) => g.div(g.scalar(1, x.dtype), x));
export const sqrt = /* @__PURE__ */ floatUnary(g.sqrt);
export const rsqrt = /* @__PURE__ */ floatUnary(g.rsqrt);
export const exp = /* @__PURE__ */ floatUnary(g.exp);
export const exp2 = /* @__PURE__ */ floatUnary((x) => g.pow(g.scalar(2, x.dtype), x));
export const expm1 = /* @__PURE__ */ floatUnary(g.expm1);
export const log = /* @__PURE__ */ floatUnary(g.log);
export const log1p = /* @__PURE__ */ floatUnary(g.log1p);
export const log2 = /* @__PURE__ */ floatUnary((x) => g.mul(g.log(x), g.scalar(Math.LOG2E, x.dtype)));
export const log10 = /* @__PURE__ */ floatUnary((x) => g.mul(g.log(x), g.scalar(Math.LOG10E, x.dtype)));
export const sin = /* @__PURE__ */ floatUnary(g.sin);
export const cos = /* @__PURE__ */ floatUnary(g.cos);
export const tan = /* @__PURE__ */ floatUnary(g.tan);
export const arcsin = /* @__PURE__ */ floatUnary(g.asin);
export const arccos = /* @__PURE__ */ floatUnary(g.acos);
export const arctan = /* @__PURE__ */ floatUnary(g.atan);
export const sinh = /* @__PURE__ */ floatUnary(g.sinh);
export const cosh = /* @__PURE__ */ floatUnary(g.cosh);
export const tanh = /* @__PURE__ */ floatUnary(g.tanh);
export const arcsinh = /* @__PURE__ */ floatUnary(g.asinh);
export const arccosh = /* @__PURE__ */ floatUnary(g.acosh);
export const arctanh = /* @__PURE__ */ floatUnary(g.atanh);
export const erf = /* @__PURE__ */ floatUnary(g.erf);
export const deg2rad = /* @__PURE__ */ floatUnary((x) => g.mul(x, g.scalar(Math.PI / 180, x.dtype)));
export const rad2deg = /* @__PURE__ */ floatUnary((x) => g.mul(x, g.scalar(180 / Math.PI, x.dtype)));
/** Real cube root, negative for negative numbers. */
export const cbrt = /* @__PURE__ */ floatUnary((x) => g.mul(g.sign(x), g.pow(g.abs(x), g.scalar(1 / 3, x.dtype))));
/** sin(πx)/(πx), 1 at 0. */
export function sinc(x: TensorLike): Tensor {
  const y = multiply(toFloat(x), Math.PI);
  const zero = equal(y, 0);
  const safe = where(zero, 1, y);
  return where(zero, 1, divide(sin(safe), safe));
}
/** Inverse error function: Giles' starting value (2010), then two Newton steps on erf. */
export function erfinv(x: TensorLike): Tensor {
  const t = toFloat(x);
  const value = erfinvValue(t);
  // d/dx = √π/2·e^(y²).
  const [out] = g.customGradient([value.value], [t.value], ([dy]) => [
    multiply(multiply(new Tensor(dy), Math.sqrt(Math.PI) / 2), exp(square(value))).value,
  ]);
  return new Tensor(out);
}
function erfinvValue(x: TensorLike): Tensor {
  const y = toFloat(x);
  const w = negative(log(multiply(subtract(1, y), add(1, y))));
  const poly = (v: Tensor, c: readonly number[]) =>
    c.slice(1).reduce((p, k) => add(multiply(p, v), k), Tensor.of(c[0], y.dtype));
  const central = poly(
    subtract(w, 2.5),
    [
      2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087, -0.00125372503, -0.00417768164,
      0.246640727, 1.50140941,
    ],
  );
  const tail = poly(
    subtract(sqrt(maximum(w, 5)), 3),
    [
      -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
      1.00167406, 2.83297682,
    ],
  );
  const start = multiply(where(less(w, 5), central, tail), y);
  const newton = (z: Tensor) =>
    subtract(z, divide(subtract(erf(z), y), multiply(2 / Math.sqrt(Math.PI), exp(negative(square(z))))));
  const inside = less(abs(y), 0.9);
  const refined = where(inside, newton(where(inside, start, 0)), start);
  const limit = where(equal(abs(y), 1), multiply(y, Number.POSITIVE_INFINITY), refined);
  return where(greater(abs(y), 1), Number.NaN, limit);
}

export const isnan = (x: TensorLike): Tensor => t(g.isNan(toFloat(x).value));
export const isfinite = (x: TensorLike): Tensor => t(g.isFinite(toFloat(x).value));
export const isinf = (x: TensorLike): Tensor => t(g.isInf(toFloat(x).value));
export const isposinf = (x: TensorLike): Tensor => equal(toFloat(x), Number.POSITIVE_INFINITY);
export const isneginf = (x: TensorLike): Tensor => equal(toFloat(x), Number.NEGATIVE_INFINITY);
/** The sign bit, also of -0. */
export const signbit = (x: TensorLike): Tensor => {
  const y = toNumber(x);
  return isFloat(y.dtype) ? less(t(g.bitcast(castTo(y, "f32").value, "i32")), 0) : less(y, 0);
};
export function nanToNum(
  x: TensorLike,
  nan = 0,
  posinf = 3.4028234663852886e38,
  neginf = -3.4028234663852886e38,
): Tensor {
  const y = Tensor.of(x);
  if (!isFloat(y.dtype)) return y;
  return where(isnan(y), nan, where(isposinf(y), posinf, where(isneginf(y), neginf, y)));
}
/** min(max(x, low), high). */
export function clip(x: TensorLike, low: TensorLike | null, high: TensorLike | null): Tensor {
  let y = toNumber(x);
  if (low !== null) y = maximum(y, low);
  if (high !== null) y = minimum(y, high);
  return y;
}
export function isclose(a: TensorLike, b: TensorLike, rtol = 1e-5, atol = 1e-8, equalNan = false): Tensor {
  const [x, y] = promote(a, b).map(toFloat);
  const near = logicalAnd(
    logicalAnd(isfinite(x), isfinite(y)),
    lessEqual(abs(subtract(x, y)), add(atol, multiply(rtol, abs(y)))),
  );
  const result = logicalOr(near, equal(x, y));
  return equalNan ? logicalOr(result, logicalAnd(isnan(x), isnan(y))) : result;
}
export function logaddexp(a: TensorLike, b: TensorLike): Tensor {
  const [x, y] = promote(a, b).map(toFloat);
  const high = maximum(x, y);
  const same = equal(x, y);
  const difference = where(same, 0, subtract(minimum(x, y), high));
  return where(logicalOr(isnan(x), isnan(y)), Number.NaN, add(high, log1p(exp(difference))));
}
export const logaddexp2 = (a: TensorLike, b: TensorLike): Tensor =>
  divide(logaddexp(multiply(a, Math.LN2), multiply(b, Math.LN2)), Math.LN2);
/** √(a² + b²) without overflow. */
export function hypot(a: TensorLike, b: TensorLike): Tensor {
  const [x, y] = promote(a, b).map((v) => abs(toFloat(v)));
  const high = maximum(x, y);
  const low = minimum(x, y);
  const ok = logicalAnd(greater(high, 0), isfinite(high));
  const ratio = divide(low, where(ok, high, 1));
  const value = multiply(high, sqrt(add(1, square(ratio))));
  return where(ok, value, where(logicalOr(isinf(x), isinf(y)), Number.POSITIVE_INFINITY, high));
}
/** 0 below, 1 above, `atZero` at 0 (and where x is NaN). */
export const heaviside = (x: TensorLike, atZero: TensorLike): Tensor => {
  const [y, h] = promote(x, atZero).map(toFloat);
  return where(less(y, 0), 0, where(greater(y, 0), 1, h));
};
export const angle = (x: TensorLike): Tensor => where(less(toFloat(x), 0), Math.PI, 0);
