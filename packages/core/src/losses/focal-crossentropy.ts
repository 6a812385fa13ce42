/** Focal crossentropies (Lin et al. 2017): what is already right counts less. */
import { bool, defineSpec, either, int, list, number, type OptionsOf } from "../config/index.ts";
import { sameShape } from "../graph/types.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import { alignTargets, shapeMismatch } from "./align.ts";
import { binaryTerms, smoothBinary } from "./binary-crossentropy.ts";
import { smooth } from "./categorical-crossentropy.ts";
import { Loss, lossFields } from "./loss.ts";
import { binaryScores, classScores, clipped, epsilon } from "./probabilities.ts";

const binarySpec = defineSpec("keras.losses", "BinaryFocalCrossentropy", {
  ...lossFields("binary_focal_crossentropy"),
  applyClassBalancing: bool().default(false).doc("whether the classes weigh alpha and 1 - alpha"),
  alpha: number().default(0.25).doc("weight of class 1"),
  gamma: number().default(2).doc("how much less certain answers count"),
  fromLogits: bool().default(false),
  labelSmoothing: number({ min: 0, max: 1 }).default(0),
  axis: int().default(-1),
});
/** mean((1 - p of the truth)^gamma · crossentropy) */
export class BinaryFocalCrossentropy extends Loss<typeof binarySpec> {
  static readonly spec = binarySpec;
  constructor(options: OptionsOf<typeof binarySpec> = {}) {
    super(binarySpec, options);
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor {
    const { applyClassBalancing, alpha, gamma, fromLogits, labelSmoothing, axis } = this.options;
    const { x, areLogits } = binaryScores(yPred, fromLogits);
    const [given, score] = alignTargets(ops.cast(yTrue, this.dtype), ops.cast(x, this.dtype), this.name);
    const t = smoothBinary(given, labelSmoothing);
    const p = areLogits ? ops.sigmoid(score) : score;
    const other = ops.subtract(1, t);
    const right = ops.add(ops.multiply(t, p), ops.multiply(other, ops.subtract(1, p)));
    const focus = ops.power(ops.subtract(1, right), gamma);
    let value = ops.multiply(focus, binaryTerms(t, p, false));
    if (applyClassBalancing)
      value = ops.multiply(value, ops.add(ops.multiply(t, alpha), ops.multiply(other, 1 - alpha)));
    return ops.mean(value, axis);
  }
}

const categoricalSpec = defineSpec("keras.losses", "CategoricalFocalCrossentropy", {
  ...lossFields("categorical_focal_crossentropy"),
  alpha: either(number(), list(number())).default(0.25).doc("weight of all classes, or of each"),
  gamma: number().default(2).doc("how much less certain answers count"),
  fromLogits: bool().default(false),
  labelSmoothing: number({ min: 0, max: 1 }).default(0),
  axis: int().default(-1),
});
/** -Σ alpha·(1 - p)^gamma·t·log p over the axis of classes. */
export class CategoricalFocalCrossentropy extends Loss<typeof categoricalSpec> {
  static readonly spec = categoricalSpec;
  constructor(options: OptionsOf<typeof categoricalSpec> = {}) {
    super(categoricalSpec, options);
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor {
    const { alpha, gamma, fromLogits, labelSmoothing, axis } = this.options;
    if (!sameShape(yTrue.shape, yPred.shape)) throw shapeMismatch(yTrue, yPred, yPred.shape, this.name);
    const { x, areLogits } = classScores(yPred, fromLogits, axis);
    const t = smooth(ops.cast(yTrue, this.dtype), labelSmoothing);
    const score = ops.cast(x, this.dtype);
    const p = areLogits ? ops.softmax(score, axis) : score;
    const output = clipped(ops.divide(p, ops.sum(p, axis, true)), epsilon, 1 - epsilon);
    const weight = ops.multiply(
      ops.power(ops.subtract(1, output), gamma),
      typeof alpha === "number" ? alpha : Tensor.of([...alpha]),
    );
    return ops.negative(ops.sum(ops.multiply(weight, ops.multiply(t, ops.log(output))), axis));
  }
}
