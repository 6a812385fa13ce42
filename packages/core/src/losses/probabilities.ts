/** Logarithms of class probabilities, from logits, from what a softmax or sigmoid was applied to, or clipped. */
import { normalizeAxis } from "../graph/types.ts";
import * as ops from "../tensor/ops/index.ts";
import { preActivationOf } from "../tensor/pre-activation.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Keras' epsilon: plain probabilities are kept this far from 0 and 1. */
export const epsilon = 1e-7;

/** A probability kept between two bounds, at which the gradient still flows. */
export function clipped(p: Tensor, low: number, high: number): Tensor {
  return ops.where(ops.less(p, low), low, ops.where(ops.greater(p, high), high, p));
}

/** Predictions known as logits, or as probabilities of which nothing more is known. */
export interface Scores {
  readonly x: Tensor;
  readonly areLogits: boolean;
}

/** What a categorical loss computes from: after a softmax over the same axis that is the softmax's input. */
export function classScores(yPred: Tensor, fromLogits: boolean, axis: number): Scores {
  const source = preActivationOf(yPred);
  const last = normalizeAxis(axis, yPred.ndim, "axis of a loss") === yPred.ndim - 1;
  if (source?.kind === "softmax" && last) return { x: source.logits, areLogits: true };
  return { x: yPred, areLogits: fromLogits };
}

/** What a binary loss computes from: after a sigmoid, its input. */
export function binaryScores(yPred: Tensor, fromLogits: boolean): Scores {
  const source = preActivationOf(yPred);
  return source?.kind === "sigmoid" ? { x: source.logits, areLogits: true } : { x: yPred, areLogits: fromLogits };
}

/** Log-probabilities over `axis`: log-softmax of logits; probabilities are scaled to a sum of 1 and clipped, as in Keras. */
export function logProbabilities({ x, areLogits }: Scores, axis: number): Tensor {
  if (areLogits) return ops.logSoftmax(x, axis);
  return ops.log(clipped(ops.divide(x, ops.sum(x, axis, true)), epsilon, 1 - epsilon));
}
