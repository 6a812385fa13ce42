/** Reference semantics of elementwise ops, and the special functions that JavaScript's Math lacks. */
import type { DType, TensorType } from "../types.ts";
import { type Reference, refArray } from "./array.ts";

/** Applies `f` to corresponding elements; `dtype` is that of the operands. */
export function elementwise(f: (args: readonly number[], dtype: DType) => number): Reference<unknown> {
  return (inputs, _, [out], types: readonly TensorType[]) => {
    const args = new Array<number>(inputs.length);
    return [
      refArray(out.shape, (i) => {
        for (let k = 0; k < args.length; k++) args[k] = inputs[k].data[i];
        return f(args, types[0].dtype);
      }),
    ];
  };
}

/** Rounds to an integer, halves to the even neighbour; keeps the sign of zero. */
export function roundHalfEven(x: number): number {
  if (!Number.isFinite(x) || Math.abs(x) >= 2 ** 52) return x;
  const floor = Math.floor(x);
  const rest = x - floor;
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0);
  const rounded = up ? floor + 1 : floor;
  return rounded === 0 && (x < 0 || Object.is(x, -0)) ? -0 : rounded;
}

/**
 * The error function to about 1e-15: Kummer's series e^(-x²)·2/√π·Σ 2^n x^(2n+1)/(2n+1)!! below 3, whose terms are all
 * positive, and Laplace's continued fraction of erfc above (Abramowitz and Stegun 7.1.6, 7.1.14).
 */
export function erf(x: number): number {
  if (Number.isNaN(x)) return x;
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a < 3) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let fraction = a;
  for (let n = 60; n >= 1; n--) fraction = a + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / fraction);
}

/** 1 / (1 + e^-x) without overflow. */
export function sigmoid(x: number): number {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
}

/** Brings an integer into the range of an integer dtype, modulo its size. Exact for |x| < 2^53. */
export function wrap(x: number, dtype: DType): number {
  switch (dtype) {
    case "i32":
      return x | 0;
    case "u32":
      return x >>> 0;
    case "u8":
      return x & 255;
    case "i8":
      return (x << 24) >> 24;
    case "i16":
      return (x << 16) >> 16;
    default:
      return x;
  }
}
