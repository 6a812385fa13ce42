/** Nadam: Adam with Nesterov momentum (Dozat 2016). */
import { defineSpec, number, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { optimizerFields } from "./fields.ts";
import { biasCorrection, movingAverage } from "./moments.ts";
import { Optimizer, type SlotSpec, type Slots, type StepInfo, type Updated } from "./optimizer.ts";

const spec = defineSpec("keras.optimizers", "Nadam", {
  ...optimizerFields(),
  beta1: number({ min: 0, below: 1 }).default(0.9).as("beta_1"),
  beta2: number({ min: 0, below: 1 }).default(0.999).as("beta_2"),
  epsilon: number({ min: 0 }).default(1e-7),
});
export type NadamOptions = OptionsOf<typeof spec>;

/** The momentum coefficient rises to beta1; the product of all so far is shared by all variables. */
export class Nadam extends Optimizer<typeof spec> {
  static readonly spec = spec;
  constructor(options: NadamOptions = {}) {
    super(spec, options);
  }
  protected override slots(): readonly SlotSpec[] {
    return [{ name: "momentum" }, { name: "velocity" }];
  }
  protected override sharedSlots(): readonly SlotSpec[] {
    return [{ name: "u_product", initial: 1 }];
  }
  /** beta1·(1 - 0.96^step / 2) */
  private coefficient(step: Tensor): Tensor {
    const falling = ops.exp(ops.multiply(step, Math.log(0.96)));
    return ops.multiply(ops.subtract(1, ops.multiply(falling, 0.5)), this.options.beta1);
  }
  protected override advance(shared: Slots, { step }: { readonly step: Tensor }): Slots {
    return { u_product: ops.multiply(shared["u_product"], this.coefficient(step)) };
  }
  protected update(gradient: Tensor, x: Tensor, slots: Slots, { learningRate, step, shared }: StepInfo): Updated {
    const { beta1, beta2, epsilon } = this.options;
    const now = this.coefficient(step);
    const next = this.coefficient(ops.add(step, 1));
    const product = shared["u_product"];
    const momentum = movingAverage(slots["momentum"], gradient, beta1);
    const velocity = movingAverage(slots["velocity"], ops.square(gradient), beta2);
    const ofMomentum = ops.divide(next, ops.subtract(1, ops.multiply(product, next)));
    const ofGradient = ops.divide(ops.subtract(1, now), ops.subtract(1, product));
    const mean = ops.add(
      ops.multiply(momentum, ops.cast(ofMomentum, x.dtype)),
      ops.multiply(gradient, ops.cast(ofGradient, x.dtype)),
    );
    const spread = ops.sqrt(ops.divide(velocity, ops.cast(biasCorrection(beta2, step), x.dtype)));
    const value = ops.subtract(
      x,
      ops.divide(ops.multiply(mean, ops.cast(learningRate, x.dtype)), ops.add(spread, epsilon)),
    );
    return { value, slots: { momentum, velocity } };
  }
}
