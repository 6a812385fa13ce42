/** Adagrad (Duchi et al. 2011). */
import { defineSpec, number, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { optimizerFields } from "./fields.ts";
import { Optimizer, type SlotSpec, type Slots, type StepInfo, type Updated } from "./optimizer.ts";

const spec = defineSpec("keras.optimizers", "Adagrad", {
  ...optimizerFields(),
  initialAccumulatorValue: number({ min: 0 }).default(0.1),
  epsilon: number({ min: 0 }).default(1e-7),
});
export type AdagradOptions = OptionsOf<typeof spec>;

/** a += g², x -= rate·g / √(a + epsilon): elements that were often changed change less. */
export class Adagrad extends Optimizer<typeof spec> {
  static readonly spec = spec;
  constructor(options: AdagradOptions = {}) {
    super(spec, options);
  }
  protected override slots(): readonly SlotSpec[] {
    return [{ name: "accumulator", initial: this.options.initialAccumulatorValue }];
  }
  protected update(gradient: Tensor, x: Tensor, slots: Slots, { learningRate }: StepInfo): Updated {
    const accumulator = ops.add(slots["accumulator"], ops.square(gradient));
    const step = ops.multiply(gradient, ops.cast(learningRate, x.dtype));
    const scale = ops.sqrt(ops.add(accumulator, this.options.epsilon));
    return { value: ops.subtract(x, ops.divide(step, scale)), slots: { accumulator } };
  }
}
