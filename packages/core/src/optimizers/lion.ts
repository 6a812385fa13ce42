/** Lion (Chen et al. 2023): steps of equal size in the direction of the sign. */
import { defineSpec, number, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { optimizerFields } from "./fields.ts";
import { Optimizer, type SlotSpec, type Slots, type StepInfo, type Updated } from "./optimizer.ts";

const spec = defineSpec("keras.optimizers", "Lion", {
  ...optimizerFields(),
  beta1: number({ above: 0, max: 1 }).default(0.9).as("beta_1").doc("share of the momentum in a step"),
  beta2: number({ min: 0, max: 1 }).default(0.99).as("beta_2").doc("decay of the momentum"),
});
export type LionOptions = OptionsOf<typeof spec>;

/** x -= rate·sign(beta1·m + (1 - beta1)·g), m = beta2·m + (1 - beta2)·g */
export class Lion extends Optimizer<typeof spec> {
  static readonly spec = spec;
  constructor(options: LionOptions = {}) {
    super(spec, options);
  }
  protected override slots(): readonly SlotSpec[] {
    return [{ name: "momentum" }];
  }
  protected update(gradient: Tensor, x: Tensor, slots: Slots, { learningRate }: StepInfo): Updated {
    const mix = (beta: number) => ops.add(ops.multiply(slots["momentum"], beta), ops.multiply(gradient, 1 - beta));
    const step = ops.multiply(ops.sign(mix(this.options.beta1)), ops.cast(learningRate, x.dtype));
    return { value: ops.subtract(x, step), slots: { momentum: mix(this.options.beta2) } };
  }
}
