/** Losses of overlap between regions, for segmentation. */
import { axes, defineSpec, number, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Loss, lossFields } from "./loss.ts";
import { epsilon } from "./probabilities.ts";

const axisField = () => axes().nullable().doc("the axes of one region; null: all");

const diceSpec = defineSpec("keras.losses", "Dice", { ...lossFields("dice"), axis: axisField() });
/** 1 - 2·Σ t·p / (Σ t + Σ p) */
export class Dice extends Loss<typeof diceSpec> {
  static readonly spec = diceSpec;
  constructor(options: OptionsOf<typeof diceSpec> = {}) {
    super(diceSpec, options);
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor {
    const [t, p] = this.pair(yTrue, yPred);
    const { axis } = this.options;
    const both = ops.multiply(ops.sum(ops.multiply(t, p), axis), 2);
    return ops.subtract(1, ops.divide(both, ops.add(ops.add(ops.sum(t, axis), ops.sum(p, axis)), epsilon)));
  }
}

const tverskySpec = defineSpec("keras.losses", "Tversky", {
  ...lossFields("tversky"),
  alpha: number().default(0.5).doc("weight of what was missed"),
  beta: number().default(0.5).doc("weight of what was found in error"),
  axis: axisField(),
});
/** 1 - Σ t·p / (Σ t·p + alpha·Σ t·(1 - p) + beta·Σ (1 - t)·p) (Salehi et al. 2017) */
export class Tversky extends Loss<typeof tverskySpec> {
  static readonly spec = tverskySpec;
  constructor(options: OptionsOf<typeof tverskySpec> = {}) {
    super(tverskySpec, options);
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor {
    const [t, p] = this.pair(yTrue, yPred);
    const { alpha, beta, axis } = this.options;
    const both = ops.sum(ops.multiply(t, p), axis);
    const missed = ops.multiply(ops.sum(ops.multiply(t, ops.subtract(1, p)), axis), alpha);
    const wrong = ops.multiply(ops.sum(ops.multiply(ops.subtract(1, t), p), axis), beta);
    return ops.subtract(1, ops.divide(both, ops.add(ops.add(ops.add(both, missed), wrong), epsilon)));
  }
}
