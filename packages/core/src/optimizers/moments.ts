/** Pieces that several rules share: moving averages and bias corrections. */
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Far below anything that moves a weight, far above the numbers that lose precision. */
const nothing = 2 ** -110;

/**
 * Zero in place of what is smaller than 2⁻¹¹⁰. The averages of weights that get no more gradients (dead units, words that
 * do not occur) decay until they are subnormal, and rounding keeps them there for good: an update then takes twenty to
 * fifty times as long on most CPUs.
 */
export function settled(average: Tensor): Tensor {
  return ops.where(ops.less(ops.abs(average), nothing), ops.zerosLike(average), average);
}

/** average + (x - average)·(1 - beta), settled. */
export function movingAverage(average: Tensor, x: Tensor, beta: number): Tensor {
  return settled(ops.add(average, ops.multiply(ops.subtract(x, average), 1 - beta)));
}

/** 1 - beta^step, without the cancellation that the power would have in f32. */
export function biasCorrection(beta: number, step: Tensor): Tensor {
  return beta === 0 ? ops.onesLike(step) : ops.negative(ops.expm1(ops.multiply(step, Math.log(beta))));
}
