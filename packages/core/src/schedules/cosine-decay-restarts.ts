/** Cosine decay with warm restarts (Loshchilov and Hutter 2016). */
import { defineSpec, number, type OptionsOf, string } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Schedule } from "./schedule.ts";

const spec = defineSpec("keras.optimizers.schedules", "CosineDecayRestarts", {
  initialLearningRate: number(),
  firstDecaySteps: number({ above: 0 }),
  tMul: number({ min: 1 }).default(2).doc("each period is this many times as long as the one before"),
  mMul: number().default(1).doc("each period starts at this multiple of the rate of the one before"),
  alpha: number().default(0).doc("the lowest rate, as a share of the initial one"),
  name: string().default("SGDRDecay"),
});
export type CosineDecayRestartsOptions = OptionsOf<typeof spec>;

/** Cosine decay that starts anew, each time over a longer period. */
export class CosineDecayRestarts extends Schedule<typeof spec> {
  static readonly spec = spec;
  constructor(options: CosineDecayRestartsOptions) {
    super(spec, options);
  }
  protected rate(step: Tensor): Tensor {
    const { initialLearningRate, firstDecaySteps, tMul, mMul, alpha } = this.options;
    const periods = ops.divide(step, firstDecaySteps);
    let restarts: Tensor;
    let done: Tensor;
    if (tMul === 1) {
      restarts = ops.floor(periods);
      done = ops.subtract(periods, restarts);
    } else {
      // Periods are a geometric series: the first n of them take (tMul^n - 1) / (tMul - 1) of the first one's time.
      const grown = ops.add(ops.multiply(periods, tMul - 1), 1);
      // What is added makes up for rounding, so that a period's first step belongs to it.
      restarts = ops.floor(ops.add(ops.multiply(ops.log(grown), 1 / Math.log(tMul)), 2e-6));
      const length = ops.power(tMul, restarts);
      const begun = ops.multiply(ops.subtract(length, 1), 1 / (tMul - 1));
      done = ops.maximum(ops.divide(ops.subtract(periods, begun), length), 0);
    }
    const height = ops.multiply(ops.power(mMul, restarts), 0.5);
    const cosine = ops.multiply(height, ops.add(ops.cos(ops.multiply(done, Math.PI)), 1));
    return ops.multiply(ops.add(ops.multiply(cosine, 1 - alpha), alpha), initialLearningRate);
  }
}
