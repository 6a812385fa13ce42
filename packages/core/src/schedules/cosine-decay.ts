/** Cosine decay of the learning rate (Loshchilov and Hutter 2016), with an optional warm-up. */
import { defineSpec, number, type OptionsOf, string } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Schedule } from "./schedule.ts";

const spec = defineSpec("keras.optimizers.schedules", "CosineDecay", {
  initialLearningRate: number(),
  decaySteps: number({ above: 0 }),
  alpha: number().default(0).doc("the rate at the end, as a share of the rate at the start"),
  name: string().default("CosineDecay"),
  warmupTarget: number().nullable().doc("the rate after the warm-up; null: no warm-up"),
  warmupSteps: number({ min: 0 }).default(0),
});
export type CosineDecayOptions = OptionsOf<typeof spec>;

/** Half a cosine from the start rate to `alpha` times it, after a linear warm-up if one is asked for. */
export class CosineDecay extends Schedule<typeof spec> {
  static readonly spec = spec;
  constructor(options: CosineDecayOptions) {
    super(spec, options);
  }
  protected rate(step: Tensor): Tensor {
    const { initialLearningRate, decaySteps, alpha, warmupTarget, warmupSteps } = this.options;
    const decayed = (from: number, done: Tensor) => {
      const cosine = ops.multiply(ops.add(ops.cos(ops.multiply(ops.divide(done, decaySteps), Math.PI)), 1), 0.5);
      return ops.multiply(ops.add(ops.multiply(cosine, 1 - alpha), alpha), from);
    };
    if (warmupTarget === null) return decayed(initialLearningRate, ops.minimum(step, decaySteps));
    const after = decayed(warmupTarget, ops.minimum(ops.maximum(ops.subtract(step, warmupSteps), 0), decaySteps));
    if (warmupSteps === 0) return after;
    const share = ops.divide(step, warmupSteps);
    const during = ops.add(ops.multiply(share, warmupTarget - initialLearningRate), initialLearningRate);
    return ops.where(ops.less(step, warmupSteps), during, after);
  }
}
