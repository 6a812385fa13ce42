/** Functions of networks: normalisation, crossentropy of probabilities, attention. */
import * as g from "../../graph/ops/index.ts";
import { normalizeAxis } from "../../graph/types.ts";
import { causalMask } from "../causal-mask.ts";
import { Tensor, type TensorLike } from "../tensor.ts";
import { logSoftmax, relu, softmax } from "./activations.ts";
import {
  abs,
  add,
  clip,
  divide,
  exp,
  log,
  log1p,
  multiply,
  negative,
  rsqrt,
  square,
  subtract,
  where,
} from "./elementwise.ts";
import { einsum, matmul } from "./linalg.ts";
import { argumentError, castTo, toBool, toFloat } from "./promote.ts";
import { type Axis, mean, moments, sum } from "./reduce.ts";
import { expandDims, oneHot, reshape, squeeze, transpose } from "./shape.ts";

/** Keras' epsilon: probabilities are kept this far from 0 and 1. */
export const fuzz = 1e-7;

export function stopGradient(x: TensorLike): Tensor {
  return new Tensor(g.stopGradient(Tensor.of(x).value));
}

const along = (v: TensorLike, rank: number, axis: number): Tensor => {
  const t = toFloat(v);
  return reshape(
    t,
    Array.from({ length: rank }, (_, i) => (i === axis ? t.size : 1)),
  );
};
/** (x - mean) / √(variance + epsilon) · scale + offset, with one number of each per position of `axis`. */
export function batchNormalization(
  x: TensorLike,
  average: TensorLike,
  variance: TensorLike,
  axis: number,
  offset: TensorLike | null = null,
  scale: TensorLike | null = null,
  epsilon = 1e-3,
): Tensor {
  const y = toFloat(x);
  const a = normalizeAxis(axis, y.ndim, "batchNormalization");
  let factor = rsqrt(add(along(variance, y.ndim, a), epsilon));
  if (scale !== null) factor = multiply(factor, along(scale, y.ndim, a));
  const shifted = multiply(subtract(y, along(average, y.ndim, a)), factor);
  return offset === null ? shifted : add(shifted, along(offset, y.ndim, a));
}
export function layerNormalization(
  x: TensorLike,
  gamma: TensorLike | null = null,
  beta: TensorLike | null = null,
  axis: Axis = -1,
  epsilon = 1e-5,
): Tensor {
  const y = toFloat(x);
  const [m, v] = moments(y, axis, true);
  let r = multiply(subtract(y, m), rsqrt(add(v, epsilon)));
  if (gamma !== null) r = multiply(r, gamma);
  return beta === null ? r : add(r, beta);
}
export function rmsNormalization(x: TensorLike, scale: TensorLike = 1, axis: Axis = -1, epsilon = 1e-5): Tensor {
  const y = toFloat(x);
  return multiply(multiply(y, rsqrt(add(mean(square(y), axis, true), epsilon))), scale);
}

/** -t·log p - (1 - t)·log(1 - p), elementwise; with logits, from softplus. */
export function binaryCrossentropy(target: TensorLike, output: TensorLike, fromLogits = false): Tensor {
  const x = toFloat(output);
  const t = castTo(Tensor.of(target), x.dtype);
  if (fromLogits) return add(subtract(relu(x), multiply(x, t)), log1p(exp(negative(abs(x)))));
  const p = clip(x, fuzz, 1 - fuzz);
  return negative(add(multiply(t, log(p)), multiply(subtract(1, t), log(subtract(1, p)))));
}
/** -Σ t·log p over `axis`; probabilities are first scaled to sum 1 and kept away from 0. */
export function categoricalCrossentropy(target: TensorLike, output: TensorLike, fromLogits = false, axis = -1): Tensor {
  const x = toFloat(output);
  return negative(sum(multiply(castTo(Tensor.of(target), x.dtype), logProbabilities(x, fromLogits, axis)), axis));
}
/** The same for class numbers; the target has no class axis, or one of size 1. */
export function sparseCategoricalCrossentropy(
  target: TensorLike,
  output: TensorLike,
  fromLogits = false,
  axis = -1,
): Tensor {
  const x = toFloat(output);
  const a = normalizeAxis(axis, x.ndim, "sparseCategoricalCrossentropy");
  let t = castTo(Tensor.of(target), "i32");
  if (t.ndim === x.ndim && t.shape[t.ndim - 1] === 1) t = squeeze(t, -1);
  const rest = x.shape.filter((_, i) => i !== a);
  if (rest.join() !== t.shape.join()) {
    throw argumentError(
      "sparseCategoricalCrossentropy",
      "targets and outputs do not agree",
      `targets [${t.shape}]`,
      `[${rest}]`,
    );
  }
  return crossentropyOfLabels(t, x, fromLogits, a);
}
/** -log p of the labelled class: the logarithm of the one probability only, not of all. */
export function crossentropyOfLabels(labels: Tensor, x: Tensor, fromLogits: boolean, axis: number): Tensor {
  const hot = oneHot(labels, x.shape[axis], axis, "bool");
  const pick = (v: Tensor) => sum(where(hot, v, 0), axis);
  if (fromLogits) return negative(pick(logSoftmax(x, axis)));
  const p = clip(divide(x, sum(x, axis, true)), fuzz, 1 - fuzz);
  return negative(log(add(pick(p), castTo(new Tensor(g.logicalNot(anyHot(hot, axis))), "f32"))));
}
/** Whether a label lies among the classes. */
const anyHot = (hot: Tensor, axis: number): Tensor["value"] =>
  g.greater(g.reduceSum(g.cast(hot.value, "i32"), [axis]), g.scalar(0, "i32"));

function logProbabilities(x: Tensor, fromLogits: boolean, axis: number): Tensor {
  if (fromLogits) return logSoftmax(x, axis);
  return log(clip(divide(x, sum(x, axis, true)), fuzz, 1 - fuzz));
}

/** 20·log10(maxVal) - 10·log10(mean squared difference). */
export function psnr(x1: TensorLike, x2: TensorLike, maxVal: number): Tensor {
  const error = mean(square(subtract(x2, x1)));
  return subtract(20 * Math.log10(maxVal), multiply(log(error), 10 / Math.LN10));
}

/** softmax(q·kᵀ·scale + bias)·v for [N, T, heads, D]; key and value heads may be fewer than query heads. */
export function dotProductAttention(
  query: TensorLike,
  key: TensorLike,
  value: TensorLike,
  bias: TensorLike | null = null,
  mask: TensorLike | null = null,
  scale: number | null = null,
  isCausal = false,
): Tensor {
  const heads = (x: TensorLike) => transpose(toFloat(x), [0, 2, 1, 3]);
  return heads(attentionOfHeads(heads(query), heads(key), heads(value), { bias, mask, scale, isCausal }));
}

export interface AttentionArguments {
  /** Added to the scores; broadcasts to [N, heads, T, S]. */
  readonly bias?: TensorLike | null;
  /** true: the key is looked at; broadcasts to [N, heads, T, S]. A row that is false throughout gives the plain mean. */
  readonly mask?: TensorLike | null;
  /** Default: 1 / √D. */
  readonly scale?: number | null;
  /** Whether query i sees keys 0 … i only. */
  readonly isCausal?: boolean;
}

/** `dotProductAttention` with heads before time: query [N, heads, T, D], key and value [N, heads / groups, S, D]. */
export function attentionOfHeads(
  query: TensorLike,
  key: TensorLike,
  value: TensorLike,
  { bias = null, mask = null, scale = null, isCausal = false }: AttentionArguments = {},
): Tensor {
  const q = toFloat(query);
  const many = (x: TensorLike) => {
    const h = toFloat(x);
    const groups = q.shape[1] / h.shape[1];
    if (groups === 1) return h;
    const [n, k, t, d] = h.shape;
    return reshape(new Tensor(g.broadcastTo(expandDims(h, 2).value, [n, k, groups, t, d])), [n, k * groups, t, d]);
  };
  const k = many(key);
  const v = many(value);
  let logits = multiply(einsum("nhtd,nhsd->nhts", q, k), scale ?? 1 / Math.sqrt(q.shape[3]));
  if (bias !== null) logits = add(logits, bias);
  const [t, s] = logits.shape.slice(2);
  const low = -0.7 * (q.dtype === "f16" ? 65504 : 3.4028234663852886e38);
  if (mask !== null) logits = where(toBool(mask), logits, low);
  if (isCausal) logits = where(causalMask(t, s), logits, low);
  return matmul(softmax(logits, -1), v);
}
