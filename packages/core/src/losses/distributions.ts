/** Losses between whole rows: divergence of distributions, and angle of vectors. */
import { axes, defineSpec, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Loss, lossFields } from "./loss.ts";
import { clipped, epsilon } from "./probabilities.ts";

const klSpec = defineSpec("keras.losses", "KLDivergence", lossFields("kl_divergence"));
/** Σ t·log(t / p) over the last axis, both clipped (Kullback and Leibler 1951). */
export class KLDivergence extends Loss<typeof klSpec> {
  static readonly spec = klSpec;
  constructor(options: OptionsOf<typeof klSpec> = {}) {
    super(klSpec, options);
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor {
    const [t, p] = this.pair(yTrue, yPred).map((x) => clipped(x, epsilon, 1));
    return ops.sum(ops.multiply(t, ops.log(ops.divide(t, p))), -1);
  }
}

const cosineSpec = defineSpec("keras.losses", "CosineSimilarity", {
  ...lossFields("cosine_similarity"),
  axis: axes().default(-1).doc("the axis of the vectors"),
});
/** Minus the cosine of the angle between target and prediction: -1 for equal directions. */
export class CosineSimilarity extends Loss<typeof cosineSpec> {
  static readonly spec = cosineSpec;
  constructor(options: OptionsOf<typeof cosineSpec> = {}) {
    super(cosineSpec, options);
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor {
    const [t, p] = this.pair(yTrue, yPred);
    const { axis } = this.options;
    return ops.negative(ops.sum(ops.multiply(unit(t, axis), unit(p, axis)), axis));
  }
}

/** x / |x| along an axis; rows of zeros stay zeros. */
export function unit(x: Tensor, axis: number | readonly number[]): Tensor {
  const squares = ops.sum(ops.square(x), axis, true);
  return ops.multiply(x, ops.rsqrt(ops.maximum(squares, 1e-12)));
}
