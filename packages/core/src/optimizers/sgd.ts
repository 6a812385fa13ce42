/** Stochastic gradient descent, with momentum and Nesterov's variant. */
import { bool, defineSpec, number, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { optimizerFields } from "./fields.ts";
import { settled } from "./moments.ts";
import { Optimizer, type SlotSpec, type Slots, type StepInfo, type Updated } from "./optimizer.ts";

const spec = defineSpec("keras.optimizers", "SGD", {
  ...optimizerFields(0.01),
  momentum: number({ min: 0, max: 1 }).default(0),
  nesterov: bool().default(false),
});
export type SGDOptions = OptionsOf<typeof spec>;

/** x -= rate·g; with momentum: v = momentum·v - rate·g, x += v (Nesterov: x += momentum·v - rate·g). */
export class SGD extends Optimizer<typeof spec> {
  static readonly spec = spec;
  constructor(options: SGDOptions = {}) {
    super(spec, options);
  }
  protected override slots(): readonly SlotSpec[] {
    return this.options.momentum === 0 ? [] : [{ name: "momentum" }];
  }
  protected update(gradient: Tensor, x: Tensor, slots: Slots, { learningRate }: StepInfo): Updated {
    const { momentum, nesterov } = this.options;
    const step = ops.multiply(gradient, ops.cast(learningRate, x.dtype));
    if (momentum === 0) return { value: ops.subtract(x, step), slots: {} };
    const velocity = settled(ops.subtract(ops.multiply(slots["momentum"], momentum), step));
    const move = nesterov ? ops.subtract(ops.multiply(velocity, momentum), step) : velocity;
    return { value: ops.add(x, move), slots: { momentum: velocity } };
  }
}
