/** Constraints on norms and signs of weights. */
import { axes, defineSpec, number, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Constraint } from "./constraint.ts";

const epsilon = 1e-7;
const axis = axes().default(0).doc("axes over which the norm is taken");

function norms(x: Tensor, over: number | readonly number[]): Tensor {
  return ops.sqrt(ops.sum(ops.square(x), over, true));
}

const maxNormSpec = defineSpec("keras.constraints", "MaxNorm", { maxValue: number().default(2), axis });
/** Scales down what has a norm above `maxValue`. */
export class MaxNorm extends Constraint<typeof maxNormSpec> {
  static readonly spec = maxNormSpec;
  constructor(options: OptionsOf<typeof maxNormSpec> = {}) {
    super(maxNormSpec, options);
  }
  call(x: Tensor): Tensor {
    const n = norms(x, this.options.axis);
    return x.mul(ops.clip(n, 0, this.options.maxValue).div(n.add(epsilon)));
  }
}

const nonNegSpec = defineSpec("keras.constraints", "NonNeg", {});
/** Replaces negative weights by zero. */
export class NonNeg extends Constraint<typeof nonNegSpec> {
  static readonly spec = nonNegSpec;
  constructor(options: OptionsOf<typeof nonNegSpec> = {}) {
    super(nonNegSpec, options);
  }
  call(x: Tensor): Tensor {
    return ops.relu(x);
  }
}

const unitNormSpec = defineSpec("keras.constraints", "UnitNorm", { axis });
/** Scales to norm 1. */
export class UnitNorm extends Constraint<typeof unitNormSpec> {
  static readonly spec = unitNormSpec;
  constructor(options: OptionsOf<typeof unitNormSpec> = {}) {
    super(unitNormSpec, options);
  }
  call(x: Tensor): Tensor {
    return x.div(norms(x, this.options.axis).add(epsilon));
  }
}

const minMaxNormSpec = defineSpec("keras.constraints", "MinMaxNorm", {
  minValue: number().default(0),
  maxValue: number().default(1),
  rate: number().default(1).doc("how far towards the bound one update goes"),
  axis,
});
/** Brings norms between `minValue` and `maxValue`. */
export class MinMaxNorm extends Constraint<typeof minMaxNormSpec> {
  static readonly spec = minMaxNormSpec;
  constructor(options: OptionsOf<typeof minMaxNormSpec> = {}) {
    super(minMaxNormSpec, options);
  }
  call(x: Tensor): Tensor {
    const { minValue, maxValue, rate } = this.options;
    const n = norms(x, this.options.axis);
    const desired = ops
      .clip(n, minValue, maxValue)
      .mul(rate)
      .add(n.mul(1 - rate));
    return x.mul(desired.div(n.add(epsilon)));
  }
}
