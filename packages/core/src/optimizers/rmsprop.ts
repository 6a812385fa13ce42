/** RMSprop (Hinton 2012), plain, with momentum, or centred. */
import { bool, defineSpec, number, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { optimizerFields } from "./fields.ts";
import { settled } from "./moments.ts";
import { Optimizer, type SlotSpec, type Slots, type StepInfo, type Updated } from "./optimizer.ts";

const spec = defineSpec("keras.optimizers", "RMSprop", {
  ...optimizerFields(),
  rho: number({ min: 0, max: 1 }).default(0.9).doc("decay of the mean of squared gradients"),
  momentum: number({ min: 0 }).default(0),
  epsilon: number({ min: 0 }).default(1e-7),
  centered: bool().default(false).doc("whether the variance of gradients is used for their mean square"),
});
export type RMSpropOptions = OptionsOf<typeof spec>;

/** x -= rate·g / √(mean of g² + epsilon) */
export class RMSprop extends Optimizer<typeof spec> {
  static readonly spec = spec;
  constructor(options: RMSpropOptions = {}) {
    super(spec, options);
  }
  protected override slots(): readonly SlotSpec[] {
    const { momentum, centered } = this.options;
    return [
      { name: "velocity" },
      ...(momentum > 0 ? [{ name: "momentum", list: 1 }] : []),
      ...(centered ? [{ name: "average_gradient", list: 2 }] : []),
    ];
  }
  protected update(gradient: Tensor, x: Tensor, slots: Slots, { learningRate }: StepInfo): Updated {
    const { rho, momentum, epsilon, centered } = this.options;
    const mean = (old: Tensor, now: Tensor) => settled(ops.add(ops.multiply(old, rho), ops.multiply(now, 1 - rho)));
    const velocity = mean(slots["velocity"], ops.square(gradient));
    const changed: Record<string, Tensor> = { velocity };
    let spread = velocity;
    if (centered) {
      const average = mean(slots["average_gradient"], gradient);
      changed["average_gradient"] = average;
      spread = ops.subtract(velocity, ops.square(average));
    }
    let step = ops.divide(ops.multiply(gradient, ops.cast(learningRate, x.dtype)), ops.sqrt(ops.add(spread, epsilon)));
    if (momentum > 0) {
      step = settled(ops.add(ops.multiply(slots["momentum"], momentum), step));
      changed["momentum"] = step;
    }
    return { value: ops.subtract(x, step), slots: changed };
  }
}
