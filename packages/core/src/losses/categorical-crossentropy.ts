/** Crossentropy of class probabilities against one-hot rows (or probabilities). */
import { bool, defineSpec, int, number, type OptionsOf } from "../config/index.ts";
import { sameShape } from "../graph/types.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { shapeMismatch } from "./align.ts";
import { Loss, lossFields } from "./loss.ts";
import { classScores, logProbabilities } from "./probabilities.ts";

const spec = defineSpec("keras.losses", "CategoricalCrossentropy", {
  ...lossFields("categorical_crossentropy"),
  fromLogits: bool().default(false).doc("whether predictions are scores before the softmax"),
  labelSmoothing: number({ min: 0, max: 1 }).default(0).doc("share of the targets that is spread over all classes"),
  axis: int().default(-1).doc("the axis of classes"),
});

/** -Σ t·log p over the axis of classes. */
export class CategoricalCrossentropy extends Loss<typeof spec> {
  static readonly spec = spec;
  constructor(options: OptionsOf<typeof spec> = {}) {
    super(spec, options);
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor {
    const { fromLogits, labelSmoothing, axis } = this.options;
    if (!sameShape(yTrue.shape, yPred.shape)) throw shapeMismatch(yTrue, yPred, yPred.shape, this.name);
    const scores = classScores(yPred, fromLogits, axis);
    const target = smooth(ops.cast(yTrue, this.dtype), labelSmoothing);
    const logs = logProbabilities({ ...scores, x: ops.cast(scores.x, this.dtype) }, axis);
    return ops.negative(ops.sum(ops.multiply(target, logs), axis));
  }
}

/** t·(1 - share) + share / classes, classes being along the last axis. */
export function smooth(target: Tensor, share: number): Tensor {
  if (share === 0) return target;
  return ops.add(ops.multiply(target, 1 - share), share / target.shape[target.ndim - 1]);
}
