/** Schedule-free AdamW (Defazio et al. 2024): averaging of iterates in place of a learning rate schedule. */
import { defineSpec, int, number, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { optimizerFields } from "./fields.ts";
import type { Group } from "./groups.ts";
import { biasCorrection, movingAverage } from "./moments.ts";
import { Optimizer, type SlotSpec, type Slots, type StepInfo, type Updated } from "./optimizer.ts";

const spec = defineSpec("keras.optimizers", "ScheduleFreeAdamW", {
  ...optimizerFields(0.0025),
  beta1: number({ above: 0, below: 1 }).default(0.9).as("beta_1").doc("how far weights are towards their average"),
  beta2: number({ min: 0, below: 1 }).default(0.999).as("beta_2"),
  epsilon: number({ min: 0 }).default(1e-8),
  warmupSteps: int({ min: 0 }).default(0),
});
export type ScheduleFreeAdamWOptions = OptionsOf<typeof spec>;

/** Gradients are taken between the iterate z ("momentum") and the average x of all iterates; both follow from the weights y. */
export class ScheduleFreeAdamW extends Optimizer<typeof spec> {
  static readonly spec = spec;
  constructor(options: ScheduleFreeAdamWOptions = {}) {
    super(spec, options);
  }
  protected override slots(): readonly SlotSpec[] {
    return [{ name: "momentum" }, { name: "velocity" }];
  }
  protected override startSlots(groups: readonly Group[]): void {
    for (const group of groups) group.slots.get("momentum")!.overwrite(group.root.snapshot());
  }
  protected update(gradient: Tensor, y: Tensor, slots: Slots, { learningRate, step }: StepInfo): Updated {
    const { beta1, beta2, epsilon, warmupSteps } = this.options;
    const warm = warmupSteps > 0 ? ops.minimum(ops.divide(step, warmupSteps), 1) : 1;
    const rate = ops.cast(ops.multiply(learningRate, warm), y.dtype);
    const velocity = movingAverage(slots["velocity"], ops.square(gradient), beta2);
    const spread = ops.sqrt(ops.divide(velocity, ops.cast(biasCorrection(beta2, step), y.dtype)));
    const z = ops.subtract(slots["momentum"], ops.divide(ops.multiply(gradient, rate), ops.add(spread, epsilon)));
    const weight = ops.cast(ops.divide(1, step), y.dtype);
    const average = ops.divide(ops.subtract(y, ops.multiply(slots["momentum"], 1 - beta1)), beta1);
    const x = ops.add(ops.multiply(average, ops.subtract(1, weight)), ops.multiply(z, weight));
    return {
      value: ops.add(ops.multiply(z, 1 - beta1), ops.multiply(x, beta1)),
      slots: { momentum: z, velocity },
    };
  }
}
