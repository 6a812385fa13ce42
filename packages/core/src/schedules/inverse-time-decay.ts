/** Decay of the learning rate with the inverse of time. */
import { bool, defineSpec, number, type OptionsOf, string } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Schedule } from "./schedule.ts";

const spec = defineSpec("keras.optimizers.schedules", "InverseTimeDecay", {
  initialLearningRate: number(),
  decaySteps: number({ above: 0 }),
  decayRate: number(),
  staircase: bool().default(false).doc("whether the rate falls only at multiples of `decaySteps`"),
  name: string().default("InverseTimeDecay"),
});
export type InverseTimeDecayOptions = OptionsOf<typeof spec>;

/** initialLearningRate / (1 + decayRate · step / decaySteps) */
export class InverseTimeDecay extends Schedule<typeof spec> {
  static readonly spec = spec;
  constructor(options: InverseTimeDecayOptions) {
    super(spec, options);
  }
  protected rate(step: Tensor): Tensor {
    const { initialLearningRate, decaySteps, decayRate, staircase } = this.options;
    const p = ops.divide(step, decaySteps);
    return ops.divide(initialLearningRate, ops.add(ops.multiply(staircase ? ops.floor(p) : p, decayRate), 1));
  }
}
