/** Adam (Kingma and Ba 2014) and AdamW (Loshchilov and Hutter 2017). */
import { bool, defineSpec, number, type OptionsOf, type Spec } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { optimizerFields } from "./fields.ts";
import { biasCorrection, movingAverage } from "./moments.ts";
import { Optimizer, type SlotSpec, type Slots, type StepInfo, type Updated } from "./optimizer.ts";

const adamFields = {
  beta1: number({ min: 0, below: 1 }).default(0.9).as("beta_1").doc("decay of the mean of gradients"),
  beta2: number({ min: 0, below: 1 }).default(0.999).as("beta_2").doc("decay of the mean of their squares"),
  epsilon: number({ min: 0 }).default(1e-7),
  amsgrad: bool().default(false).doc("whether the largest mean square so far is used (Reddi et al. 2018)"),
};
interface AdamValues {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly amsgrad: boolean;
}

abstract class AdamRule<S extends Spec> extends Optimizer<S> {
  protected override slots(): readonly SlotSpec[] {
    const { amsgrad } = this.options as unknown as AdamValues;
    return [{ name: "momentum" }, { name: "velocity" }, ...(amsgrad ? [{ name: "velocity_hat", list: 1 }] : [])];
  }
  protected update(gradient: Tensor, x: Tensor, slots: Slots, { learningRate, step }: StepInfo): Updated {
    const { beta1, beta2, epsilon, amsgrad } = this.options as unknown as AdamValues;
    const rate = ops.divide(
      ops.multiply(learningRate, ops.sqrt(biasCorrection(beta2, step))),
      biasCorrection(beta1, step),
    );
    const momentum = movingAverage(slots["momentum"], gradient, beta1);
    const velocity = movingAverage(slots["velocity"], ops.square(gradient), beta2);
    const largest = amsgrad ? { velocity_hat: ops.maximum(slots["velocity_hat"], velocity) } : null;
    const scale = ops.add(ops.sqrt(largest?.velocity_hat ?? velocity), epsilon);
    const value = ops.subtract(x, ops.divide(ops.multiply(momentum, ops.cast(rate, x.dtype)), scale));
    return { value, slots: { momentum, velocity, ...largest } };
  }
}

const adamSpec = defineSpec("keras.optimizers", "Adam", { ...optimizerFields(), ...adamFields });
export type AdamOptions = OptionsOf<typeof adamSpec>;

/** Steps along the mean of gradients, divided by the root of the mean of their squares; both corrected for their start. */
export class Adam extends AdamRule<typeof adamSpec> {
  static readonly spec = adamSpec;
  constructor(options: AdamOptions = {}) {
    super(adamSpec, options);
  }
}

const adamWSpec = defineSpec("keras.optimizers", "AdamW", { ...optimizerFields(0.001, 0.004), ...adamFields });
export type AdamWOptions = OptionsOf<typeof adamWSpec>;

/** Adam with weight decay that does not pass through the moments. */
export class AdamW extends AdamRule<typeof adamWSpec> {
  static readonly spec = adamWSpec;
  constructor(options: AdamWOptions = {}) {
    super(adamWSpec, options);
  }
}
