/** Adadelta (Zeiler 2012). */
import { defineSpec, number, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { optimizerFields } from "./fields.ts";
import { settled } from "./moments.ts";
import { Optimizer, type SlotSpec, type Slots, type StepInfo, type Updated } from "./optimizer.ts";

const spec = defineSpec("keras.optimizers", "Adadelta", {
  ...optimizerFields(),
  rho: number({ min: 0, max: 1 }).default(0.95).doc("decay of both means of squares"),
  epsilon: number({ min: 0 }).default(1e-7),
});
export type AdadeltaOptions = OptionsOf<typeof spec>;

/** x -= rate·g·rms(steps so far) / rms(gradients so far) */
export class Adadelta extends Optimizer<typeof spec> {
  static readonly spec = spec;
  constructor(options: AdadeltaOptions = {}) {
    super(spec, options);
  }
  protected override slots(): readonly SlotSpec[] {
    return [{ name: "accumulated_grad" }, { name: "accumulated_delta_var" }];
  }
  protected update(gradient: Tensor, x: Tensor, slots: Slots, { learningRate }: StepInfo): Updated {
    const { rho, epsilon } = this.options;
    const mean = (old: Tensor, now: Tensor) =>
      settled(ops.add(ops.multiply(old, rho), ops.multiply(ops.square(now), 1 - rho)));
    const squares = mean(slots["accumulated_grad"], gradient);
    const steps = ops.sqrt(ops.add(slots["accumulated_delta_var"], epsilon));
    const step = ops.divide(ops.multiply(steps, gradient), ops.sqrt(ops.add(squares, epsilon)));
    return {
      value: ops.subtract(x, ops.multiply(step, ops.cast(learningRate, x.dtype))),
      slots: { accumulated_grad: squares, accumulated_delta_var: mean(slots["accumulated_delta_var"], step) },
    };
  }
}
