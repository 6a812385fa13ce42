/** Pieces that several rules share: moving averages and bias corrections. */
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** average + (x - average)·(1 - beta) */
export function movingAverage(average: Tensor, x: Tensor, beta: number): Tensor {
  return ops.add(average, ops.multiply(ops.subtract(x, average), 1 - beta));
}

/** 1 - beta^step, without the cancellation that the power would have in f32. */
export function biasCorrection(beta: number, step: Tensor): Tensor {
  return beta === 0 ? ops.onesLike(step) : ops.negative(ops.expm1(ops.multiply(step, Math.log(beta))));
}
