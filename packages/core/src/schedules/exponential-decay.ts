/** Exponential decay of the learning rate. */
import { bool, defineSpec, number, type OptionsOf, string } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Schedule } from "./schedule.ts";

const spec = defineSpec("keras.optimizers.schedules", "ExponentialDecay", {
  initialLearningRate: number(),
  decaySteps: number({ above: 0 }).doc("steps in which the rate falls by `decayRate`"),
  decayRate: number(),
  staircase: bool().default(false).doc("whether the rate falls only at multiples of `decaySteps`"),
  name: string().default("ExponentialDecay"),
});
export type ExponentialDecayOptions = OptionsOf<typeof spec>;

/** initialLearningRate · decayRate^(step / decaySteps) */
export class ExponentialDecay extends Schedule<typeof spec> {
  static readonly spec = spec;
  constructor(options: ExponentialDecayOptions) {
    super(spec, options);
  }
  protected rate(step: Tensor): Tensor {
    const { initialLearningRate, decaySteps, decayRate, staircase } = this.options;
    const p = ops.divide(step, decaySteps);
    return ops.multiply(ops.power(decayRate, staircase ? ops.floor(p) : p), initialLearningRate);
  }
}
