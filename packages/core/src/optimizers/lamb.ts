/** LAMB (You et al. 2019): Adam with steps scaled to the norm of each variable, for large batches. */
import { defineSpec, number, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { optimizerFields } from "./fields.ts";
import { biasCorrection, movingAverage } from "./moments.ts";
import { Optimizer, type SlotSpec, type Slots, type StepInfo, type Updated } from "./optimizer.ts";

const spec = defineSpec("keras.optimizers", "Lamb", {
  ...optimizerFields(),
  beta1: number({ min: 0, below: 1 }).default(0.9).as("beta_1"),
  beta2: number({ min: 0, below: 1 }).default(0.999).as("beta_2"),
  epsilon: number({ min: 0 }).default(1e-7),
});
export type LambOptions = OptionsOf<typeof spec>;

/** x -= rate·|x| / |u|·u, u being Adam's step. */
export class Lamb extends Optimizer<typeof spec> {
  static readonly spec = spec;
  protected override readonly elementwise = false;
  constructor(options: LambOptions = {}) {
    super(spec, options);
  }
  protected override slots(): readonly SlotSpec[] {
    return [{ name: "momentum" }, { name: "velocity" }];
  }
  protected update(gradient: Tensor, x: Tensor, slots: Slots, { learningRate, step }: StepInfo): Updated {
    const { beta1, beta2, epsilon } = this.options;
    const momentum = movingAverage(slots["momentum"], gradient, beta1);
    const velocity = movingAverage(slots["velocity"], ops.square(gradient), beta2);
    const mean = ops.divide(momentum, ops.cast(biasCorrection(beta1, step), x.dtype));
    const spread = ops.sqrt(ops.divide(velocity, ops.cast(biasCorrection(beta2, step), x.dtype)));
    const direction = ops.divide(mean, ops.add(spread, epsilon));
    const norm = (v: Tensor) => ops.sqrt(ops.sum(ops.square(v)));
    const [size, length] = [norm(x), norm(direction)];
    const known = ops.logicalAnd(ops.greater(size, 0), ops.greater(length, 0));
    const ratio = ops.where(known, ops.divide(size, ops.where(known, length, 1)), 1);
    const rate = ops.multiply(ratio, ops.cast(learningRate, x.dtype));
    return { value: ops.subtract(x, ops.multiply(direction, rate)), slots: { momentum, velocity } };
  }
}
