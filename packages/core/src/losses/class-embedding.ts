/** Losses over class numbers that are no crossentropies: circle loss of embeddings, and the generalized crossentropy. */
import { bool, defineSpec, number, type OptionsOf } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import * as g from "../graph/ops/index.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import { shapeMismatch } from "./align.ts";
import { Loss, lossFields, type MaskedValues } from "./loss.ts";

/** Class numbers, one per row of predictions. */
function rowLabels(yTrue: Tensor, yPred: Tensor, owner: string): Tensor {
  if (yPred.ndim === 2 && yTrue.size === yPred.shape[0] && (yTrue.ndim === 1 || yTrue.shape[1] === 1)) {
    return ops.reshape(ops.cast(yTrue, "i32"), [yPred.shape[0]]);
  }
  throw shapeMismatch(yTrue, yPred, yPred.shape.slice(0, 1), owner);
}

const circleSpec = defineSpec("keras.losses", "Circle", {
  ...lossFields("circle"),
  gamma: number({ min: 0 }).default(80).doc("scale of the similarities"),
  margin: number().default(0.4),
  removeDiagonal: bool().default(true).doc("whether a sample is left out of its own comparisons"),
});
/**
 * Circle loss (Sun et al. 2020) within the batch: predictions are unit vectors [N, D], targets class numbers [N]; values
 * [N], of which the positive ones count.
 */
export class Circle extends Loss<typeof circleSpec> {
  static readonly spec = circleSpec;
  constructor(options: OptionsOf<typeof circleSpec> = {}) {
    super(circleSpec, options);
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor | MaskedValues {
    const { gamma, margin, removeDiagonal } = this.options;
    const labels = rowLabels(yTrue, yPred, this.name);
    const n = labels.size;
    const x = ops.cast(yPred, this.dtype);
    const distances = ops.maximum(ops.subtract(1, ops.matmul(x, ops.transpose(x))), 0);
    const same = ops.equal(ops.reshape(labels, [n, 1]), ops.reshape(labels, [1, n]));
    const row = new Tensor(g.iota([n, n], 0));
    const column = new Tensor(g.iota([n, n], 1));
    const positive = removeDiagonal ? ops.logicalAnd(same, ops.notEqual(row, column)) : same;
    const negative = ops.logicalNot(same);
    const positiveWeights = ops.maximum(ops.add(distances, margin), 0);
    const negativeWeights = ops.maximum(ops.subtract(1 + margin, distances), 0);
    const positives = ops.multiply(ops.multiply(positiveWeights, ops.subtract(margin, distances)), -gamma);
    const negatives = ops.multiply(ops.multiply(negativeWeights, ops.subtract(1 - margin, distances)), gamma);
    const values = ops.softplus(ops.add(logSumWhere(positive, positives), logSumWhere(negative, negatives)));
    return { values, mask: ops.greater(values, 0) };
  }
}

/** log Σ e^x over the last axis, where the condition holds; -∞ where it holds nowhere. */
function logSumWhere(condition: Tensor, x: Tensor): Tensor {
  const low = ops.where(condition, x, Number.NEGATIVE_INFINITY);
  const highest = ops.max(low, -1, true);
  const shift = ops.stopGradient(ops.where(ops.isfinite(highest), highest, 0));
  const sum = ops.sum(ops.where(condition, ops.exp(ops.subtract(x, shift)), 0), -1);
  const none = ops.equal(sum, 0);
  const logs = ops.add(ops.log(ops.where(none, 1, sum)), ops.squeeze(shift, -1));
  return ops.where(none, Number.NEGATIVE_INFINITY, logs);
}

const generalizedSpec = defineSpec("keras.losses", "CategoricalGeneralizedCrossEntropy", {
  ...lossFields("categorical_generalized_cross_entropy"),
  q: number().default(0.5).doc("between 0 (crossentropy) and 1 (mean absolute error), both excluded"),
});
/** (1 - p^q) / q, p being the probability of the class (Zhang and Sabuncu 2018): robust against wrong labels. */
export class CategoricalGeneralizedCrossEntropy extends Loss<typeof generalizedSpec> {
  static readonly spec = generalizedSpec;
  constructor(options: OptionsOf<typeof generalizedSpec> = {}) {
    super(generalizedSpec, options);
    const { q } = this.options;
    if (!(q > 0 && q < 1)) {
      throw new LayerwiseError("q of CategoricalGeneralizedCrossEntropy is not valid", {
        code: "E202",
        layer: this.name,
        received: String(q),
        expected: "a number between 0 and 1, both excluded",
      });
    }
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor {
    const labels = ops.expandDims(rowLabels(yTrue, yPred, this.name), -1);
    const chosen = ops.equal(new Tensor(g.iota(yPred.shape, 1)), labels);
    const p = ops.sum(ops.where(chosen, ops.cast(yPred, this.dtype), 0), -1);
    return ops.divide(ops.subtract(1, ops.power(p, this.options.q)), this.options.q);
  }
}
