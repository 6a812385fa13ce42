/** Crossentropy of yes-or-no probabilities. */
import { bool, defineSpec, int, number, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { alignTargets } from "./align.ts";
import { Loss, lossFields } from "./loss.ts";
import { binaryScores, clipped, epsilon } from "./probabilities.ts";

const spec = defineSpec("keras.losses", "BinaryCrossentropy", {
  ...lossFields("binary_crossentropy"),
  fromLogits: bool().default(false).doc("whether predictions are scores before the sigmoid"),
  labelSmoothing: number({ min: 0, max: 1 }).default(0).doc("how far targets are moved towards 0.5"),
  axis: int().default(-1).doc("the axis over which values are averaged"),
});

/** mean(-t·log p - (1 - t)·log(1 - p)) */
export class BinaryCrossentropy extends Loss<typeof spec> {
  static readonly spec = spec;
  constructor(options: OptionsOf<typeof spec> = {}) {
    super(spec, options);
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor {
    const { fromLogits, labelSmoothing, axis } = this.options;
    const { x, areLogits } = binaryScores(yPred, fromLogits);
    const [t, p] = alignTargets(ops.cast(yTrue, this.dtype), ops.cast(x, this.dtype), this.name);
    return ops.mean(binaryTerms(smoothBinary(t, labelSmoothing), p, areLogits), axis);
  }
}

/** -t·log p - (1 - t)·log(1 - p) for each element; p clipped, or from logits. */
export function binaryTerms(target: Tensor, x: Tensor, areLogits: boolean): Tensor {
  // softplus has the exact gradient, sigmoid, at 0 too.
  if (areLogits) return ops.subtract(ops.softplus(x), ops.multiply(x, target));
  const p = clipped(x, epsilon, 1 - epsilon);
  const yes = ops.multiply(target, ops.log(p));
  return ops.negative(ops.add(yes, ops.multiply(ops.subtract(1, target), ops.log(ops.subtract(1, p)))));
}

/** t·(1 - share) + share/2 */
export function smoothBinary(target: Tensor, share: number): Tensor {
  return share === 0 ? target : ops.add(ops.multiply(target, 1 - share), 0.5 * share);
}
