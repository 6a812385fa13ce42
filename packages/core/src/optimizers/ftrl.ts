/** FTRL-Proximal (McMahan et al. 2013), for large sparse linear models. */
import { defineSpec, number, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { optimizerFields } from "./fields.ts";
import { Optimizer, type SlotSpec, type Slots, type StepInfo, type Updated } from "./optimizer.ts";

const spec = defineSpec("keras.optimizers", "Ftrl", {
  ...optimizerFields(),
  learningRatePower: number({ max: 0 }).default(-0.5),
  initialAccumulatorValue: number({ min: 0 }).default(0.1),
  l1RegularizationStrength: number({ min: 0 }).default(0).as("l1_regularization_strength"),
  l2RegularizationStrength: number({ min: 0 }).default(0).as("l2_regularization_strength"),
  l2ShrinkageRegularizationStrength: number({ min: 0 }).default(0).as("l2_shrinkage_regularization_strength"),
  beta: number().default(0),
});
export type FtrlOptions = OptionsOf<typeof spec>;

/** Follows the regularised leader; L1 sets weights to exactly zero. */
export class Ftrl extends Optimizer<typeof spec> {
  static readonly spec = spec;
  constructor(options: FtrlOptions = {}) {
    super(spec, options);
  }
  protected override slots(): readonly SlotSpec[] {
    return [{ name: "accumulator", initial: this.options.initialAccumulatorValue }, { name: "linear" }];
  }
  protected update(gradient: Tensor, x: Tensor, slots: Slots, { learningRate }: StepInfo): Updated {
    const o = this.options;
    const rate = ops.cast(learningRate, x.dtype);
    const power = (a: Tensor) => (o.learningRatePower === -0.5 ? ops.sqrt(a) : ops.power(a, -o.learningRatePower));
    const accumulator = ops.add(slots["accumulator"], ops.square(gradient));
    const shrunk = ops.add(gradient, ops.multiply(x, 2 * o.l2ShrinkageRegularizationStrength));
    const grown = ops.divide(ops.subtract(power(accumulator), power(slots["accumulator"])), rate);
    const linear = ops.add(slots["linear"], ops.subtract(shrunk, ops.multiply(grown, x)));
    const l2 = ops.add(ops.divide(o.beta, rate), 2 * o.l2RegularizationStrength);
    const quadratic = ops.add(ops.divide(power(accumulator), rate), l2);
    const l1 = o.l1RegularizationStrength;
    return {
      value: ops.divide(ops.subtract(ops.clip(linear, -l1, l1), linear), quadratic),
      slots: { accumulator, linear },
    };
  }
}
