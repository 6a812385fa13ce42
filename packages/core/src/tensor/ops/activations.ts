/** Activation functions with Keras' formulas; numerically stable, with gradients that need little. */
import { gradients } from "../../autodiff/gradients.ts";
import * as g from "../../graph/ops/index.ts";
import { normalizeAxes, normalizeAxis } from "../../graph/types.ts";
import { Tensor, type TensorLike } from "../tensor.ts";
import {
  abs,
  add,
  clip,
  divide,
  erf,
  exp,
  expm1,
  greater,
  greaterEqual,
  less,
  lessEqual,
  log,
  log1p,
  logicalAnd,
  multiply,
  negative,
  sqrt,
  square,
  subtract,
  tanh,
  where,
} from "./elementwise.ts";
import { cumsum, sort } from "./order.ts";
import { inComputeDtype, toFloat, toNumber } from "./promote.ts";
import { max, sum } from "./reduce.ts";
import { reverse, sliceAxis } from "./shape.ts";

/**
 * A function of single elements whose gradient is dy·f'(x), f'(x) in one piece: it is made beside f(x), and nothing else of
 * the function is kept for the backward pass.
 */
function elementFunction(x: Tensor, f: (x: Tensor) => Tensor): Tensor {
  const { value } = f(x);
  const [out] = g.customGradient([value], [x.value], ([dy]) => {
    const [slope] = gradients([value], [g.fullLike(value, 1)], [x.value]);
    return [slope && g.mul(dy, slope)];
  });
  return new Tensor(out);
}

export const relu = (x: TensorLike): Tensor => inComputeDtype([toNumber(x)], g.relu);
/** min(max(x, 0), 6); the gradient is 0 at both bounds. */
export const relu6 = (x: TensorLike): Tensor => {
  const y = toNumber(x);
  return where(lessEqual(y, 0), 0, where(greaterEqual(y, 6), 6, y));
};
export const sigmoid = (x: TensorLike): Tensor => inComputeDtype([toFloat(x)], g.sigmoid);
export const leakyRelu = (x: TensorLike, negativeSlope = 0.2): Tensor => {
  const y = toFloat(x);
  return where(greaterEqual(y, 0), y, multiply(y, negativeSlope));
};
/** log(1 + e^x) = max(x, 0) + log1p(e^-|x|). */
export const softplus = (x: TensorLike): Tensor => {
  const y = toFloat(x);
  return customSoftplus(y);
};
function customSoftplus(y: Tensor): Tensor {
  const value = add(relu(y), log1p(exp(negative(abs(y)))));
  const [out] = g.customGradient([value.value], [y.value], ([dy]) => [g.mul(dy, g.sigmoid(y.value))]);
  return new Tensor(out);
}
export const softsign = (x: TensorLike): Tensor => {
  const y = toFloat(x);
  return divide(y, add(abs(y), 1));
};
export const silu = (x: TensorLike): Tensor => elementFunction(toFloat(x), (y) => multiply(y, sigmoid(y)));
export const swish = silu;
export const logSigmoid = (x: TensorLike): Tensor => negative(softplus(negative(toFloat(x))));
export const elu = (x: TensorLike, alpha = 1): Tensor => {
  const y = toFloat(x);
  const below = lessEqual(y, 0);
  return where(below, multiply(expm1(where(below, y, 0)), alpha), y);
};
export const selu = (x: TensorLike): Tensor => multiply(elu(x, 1.6732632423543772), 1.0507009873554805);
export const celu = (x: TensorLike, alpha = 1): Tensor => {
  const y = toFloat(x);
  const below = lessEqual(y, 0);
  return where(below, multiply(expm1(divide(where(below, y, 0), alpha)), alpha), y);
};
/** x·Φ(x); the default is the tanh approximation, as keras.ops has it. */
export const gelu = (x: TensorLike, approximate = true): Tensor =>
  elementFunction(toFloat(x), (y) => {
    if (!approximate) return multiply(multiply(y, 0.5), add(erf(multiply(y, Math.SQRT1_2)), 1));
    const inner = multiply(Math.sqrt(2 / Math.PI), add(y, multiply(0.044715, multiply(y, square(y)))));
    return multiply(multiply(y, 0.5), add(tanh(inner), 1));
  });
export const mish = (x: TensorLike): Tensor => elementFunction(toFloat(x), (y) => multiply(y, tanh(softplus(y))));
/** relu6(x + 3) / 6; the gradient is 1/6 strictly between -3 and 3, and 0 elsewhere, for NaN too. */
export const hardSigmoid = (x: TensorLike): Tensor => {
  const y = add(toFloat(x), 3);
  const sloped = logicalAnd(greater(y, 0), less(y, 6));
  return divide(where(sloped, y, stop(clip(y, 0, 6))), 6);
};
export const hardSilu = (x: TensorLike): Tensor => multiply(toFloat(x), hardSigmoid(x));
export const hardSwish = hardSilu;
export const hardTanh = (x: TensorLike): Tensor => {
  const y = toFloat(x);
  return where(greater(y, 1), 1, where(less(y, -1), -1, y));
};
export const hardShrink = (x: TensorLike, threshold = 0.5): Tensor => {
  const y = toFloat(x);
  return where(greater(abs(y), threshold), y, 0);
};
export const softShrink = (x: TensorLike, threshold = 0.5): Tensor => {
  const y = toFloat(x);
  return where(greater(y, threshold), subtract(y, threshold), where(less(y, -threshold), add(y, threshold), 0));
};
export const tanhShrink = (x: TensorLike): Tensor => subtract(toFloat(x), tanh(x));
export const threshold = (x: TensorLike, limit: number, value: number): Tensor => {
  const y = toFloat(x);
  return where(greater(y, limit), y, value);
};
export const squareplus = (x: TensorLike, b = 4): Tensor => {
  const y = toFloat(x);
  return divide(add(y, sqrt(add(square(y), b))), 2);
};
export const sparsePlus = (x: TensorLike): Tensor => {
  const y = toFloat(x);
  return where(lessEqual(y, -1), 0, where(less(y, 1), multiply(0.25, square(add(y, 1))), y));
};
export const sparseSigmoid = (x: TensorLike): Tensor => multiply(0.5, clip(add(toFloat(x), 1), 0, 2));
/** The first half of an axis times the sigmoid of the second. */
export function glu(x: TensorLike, axis = -1): Tensor {
  const y = toFloat(x);
  const a = normalizeAxis(axis, y.ndim, "glu");
  const half = y.shape[a] / 2;
  return multiply(sliceAxis(y, a, 0, half), sigmoid(sliceAxis(y, a, half, 2 * half)));
}

/** e^x / Σ e^x over `axis` (one or several), with the maximum taken out. */
export function softmax(x: TensorLike, axis: number | readonly number[] | null = -1): Tensor {
  const y = toFloat(x);
  const axes = normalizeAxes(axis, y.ndim, "softmax");
  const e = exp(subtract(y, stop(max(y, axes, true))));
  const p = divide(e, sum(e, axes, true));
  // From the result alone: the exponentials and their sum need not be kept.
  const [out] = g.customGradient([p.value], [y.value], ([dy]) => {
    const dp = new Tensor(dy);
    return [multiply(p, subtract(dp, sum(multiply(p, dp), axes, true))).value];
  });
  return new Tensor(out);
}
/** x - log Σ e^x over `axis`. */
export function logSoftmax(x: TensorLike, axis: number | readonly number[] | null = -1): Tensor {
  const y = toFloat(x);
  const axes = normalizeAxes(axis, y.ndim, "logSoftmax");
  const shifted = subtract(y, stop(max(y, axes, true)));
  return subtract(shifted, log(sum(exp(shifted), axes, true)));
}
const stop = (x: Tensor) => new Tensor(g.stopGradient(x.value));

/**
 * Sparse softmax along `axis` after Martins and Astudillo (2016), with the threshold as Keras computes it: the running
 * sums of all supported elements are added up (the paper takes the last one), so rows need not sum to 1.
 */
export function sparsemax(x: TensorLike, axis = -1): Tensor {
  const y = toFloat(x);
  const a = normalizeAxis(axis, y.ndim, "sparsemax");
  const sorted = reverse(sort(y, a), [a]);
  const rank = add(new Tensor(g.iota(y.shape, a, "f32")), 1);
  const sums = cumsum(sorted, a);
  const support = greater(add(1, multiply(rank, sorted)), sums);
  const k = sum(where(support, 1, 0), a, true);
  const tau = divide(subtract(sum(where(support, sums, 0), a, true), 1), k);
  return relu(subtract(y, tau));
}
