/** From values per sample to one number: sample weights, masks and reductions, as Keras defines them. */
import { formatShape, LayerwiseError } from "../errors.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";

export type Reduction = "sumOverBatchSize" | "mean" | "sum" | "none" | "meanWithSampleWeight";

/**
 * Weights aligned with values: a trailing axis of 1 is dropped or added, and weights of fewer axes belong to the leading
 * ones (one weight per sample, for all time steps of it). Nothing else broadcasts but axes of 1.
 */
export function alignWeights(values: Tensor, weights: Tensor, owner: string): Tensor {
  let w = weights;
  const rank = values.ndim;
  if (w.ndim === 0 || rank === 0) return w;
  if (w.ndim === rank + 1 && w.shape[rank] === 1) w = ops.squeeze(w, -1);
  if (w.ndim < rank) w = ops.reshape(w, [...w.shape, ...new Array(rank - w.ndim).fill(1)]);
  const fits = w.ndim === rank && w.shape.every((d, i) => d === 1 || d === values.shape[i]);
  if (!fits) {
    throw new LayerwiseError("sample weights do not fit the loss values", {
      code: "L105",
      layer: owner,
      received: `weights ${formatShape(weights.shape)}`,
      expected: `${formatShape(values.shape)}, or one weight per sample`,
    });
  }
  return w;
}

/** The reduced loss; `mask` is 1 where a value counts. */
export function reduceWeighted(
  values: Tensor,
  sampleWeight: Tensor | null,
  mask: Tensor | null,
  reduction: Reduction,
  owner: string,
): Tensor {
  let weight: Tensor | null = sampleWeight === null ? null : ops.cast(sampleWeight, values.dtype);
  if (mask !== null) {
    const plain = ops.cast(mask, values.dtype);
    // Means are over what is not masked: valid entries weigh total / valid.
    const share = ops.divideNoNan(plain.size, ops.sum(plain));
    const averaged = reduction === "mean" || reduction === "sumOverBatchSize";
    const factor = averaged ? ops.multiply(plain, share) : plain;
    weight = weight === null ? factor : ops.multiply(alignWeights(factor, weight, owner), factor);
  }
  let weighted = values;
  if (weight !== null) {
    weight = alignWeights(values, weight, owner);
    weighted = ops.multiply(values, weight);
  }
  if (reduction === "none" || weighted.ndim === 0) return weighted;
  const sum = ops.sum(weighted);
  if (reduction === "sum") return sum;
  if (reduction === "meanWithSampleWeight" && weight !== null) return ops.divideNoNan(sum, ops.sum(weight));
  return weighted.size === 0 ? sum : ops.multiply(sum, 1 / weighted.size);
}
