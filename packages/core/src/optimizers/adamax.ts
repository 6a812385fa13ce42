/** Adamax (Kingma and Ba 2014, section 7). */
import { defineSpec, number, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { optimizerFields } from "./fields.ts";
import { biasCorrection, movingAverage } from "./moments.ts";
import { Optimizer, type SlotSpec, type Slots, type StepInfo, type Updated } from "./optimizer.ts";

const spec = defineSpec("keras.optimizers", "Adamax", {
  ...optimizerFields(),
  beta1: number({ min: 0, below: 1 }).default(0.9).as("beta_1"),
  beta2: number({ min: 0, below: 1 }).default(0.999).as("beta_2"),
  epsilon: number({ min: 0 }).default(1e-7),
});
export type AdamaxOptions = OptionsOf<typeof spec>;

/** Adam with the largest recent gradient in place of the root mean square. */
export class Adamax extends Optimizer<typeof spec> {
  static readonly spec = spec;
  constructor(options: AdamaxOptions = {}) {
    super(spec, options);
  }
  protected override slots(): readonly SlotSpec[] {
    return [{ name: "momentum" }, { name: "norm" }];
  }
  protected update(gradient: Tensor, x: Tensor, slots: Slots, { learningRate, step }: StepInfo): Updated {
    const { beta1, beta2, epsilon } = this.options;
    const momentum = movingAverage(slots["momentum"], gradient, beta1);
    const norm = ops.maximum(ops.multiply(slots["norm"], beta2), ops.abs(gradient));
    const rate = ops.cast(ops.divide(learningRate, biasCorrection(beta1, step)), x.dtype);
    const value = ops.subtract(x, ops.divide(ops.multiply(momentum, rate), ops.add(norm, epsilon)));
    return { value, slots: { momentum, norm } };
  }
}
