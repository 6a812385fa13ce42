/** Polynomial decay of the learning rate. */
import { bool, defineSpec, number, type OptionsOf, string } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import { Schedule } from "./schedule.ts";

const spec = defineSpec("keras.optimizers.schedules", "PolynomialDecay", {
  initialLearningRate: number(),
  decaySteps: number({ above: 0 }),
  endLearningRate: number().default(0.0001),
  power: number().default(1),
  cycle: bool().default(false).doc("whether the decay starts anew, over a longer time, when it has reached its end"),
  name: string().default("PolynomialDecay"),
});
export type PolynomialDecayOptions = OptionsOf<typeof spec>;

/** (initialLearningRate - endLearningRate) · (1 - step / decaySteps)^power + endLearningRate */
export class PolynomialDecay extends Schedule<typeof spec> {
  static readonly spec = spec;
  constructor(options: PolynomialDecayOptions) {
    super(spec, options);
  }
  protected rate(step: Tensor): Tensor {
    const { initialLearningRate, decaySteps, endLearningRate, power, cycle } = this.options;
    // The first multiple of decaySteps that is not before this step.
    const rounds = ops.maximum(ops.ceil(ops.divide(step, decaySteps)), 1);
    const span = cycle ? ops.multiply(rounds, decaySteps) : Tensor.of(decaySteps);
    const left = ops.subtract(1, ops.divide(ops.minimum(step, span), span));
    return ops.add(ops.multiply(ops.power(left, power), initialLearningRate - endLearningRate), endLearningRate);
  }
}
