/** L1 and L2 penalties. */
import { defineSpec, number, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Regularizer } from "./regularizer.ts";

const l1Spec = defineSpec("keras.regularizers", "L1", { l1: number({ min: 0 }).default(0.01) });
/** l1 · Σ|x| */
export class L1 extends Regularizer<typeof l1Spec> {
  static readonly spec = l1Spec;
  constructor(options: OptionsOf<typeof l1Spec> = {}) {
    super(l1Spec, options);
  }
  call(x: Tensor): Tensor {
    return ops.sum(ops.abs(x)).mul(this.options.l1);
  }
}

const l2Spec = defineSpec("keras.regularizers", "L2", { l2: number({ min: 0 }).default(0.01) });
/** l2 · Σx² */
export class L2 extends Regularizer<typeof l2Spec> {
  static readonly spec = l2Spec;
  constructor(options: OptionsOf<typeof l2Spec> = {}) {
    super(l2Spec, options);
  }
  call(x: Tensor): Tensor {
    return ops.sum(ops.square(x)).mul(this.options.l2);
  }
}

const l1l2Spec = defineSpec("keras.regularizers", "L1L2", {
  l1: number({ min: 0 }).default(0),
  l2: number({ min: 0 }).default(0),
});
/** l1 · Σ|x| + l2 · Σx² */
export class L1L2 extends Regularizer<typeof l1l2Spec> {
  static readonly spec = l1l2Spec;
  constructor(options: OptionsOf<typeof l1l2Spec> = {}) {
    super(l1l2Spec, options);
  }
  call(x: Tensor): Tensor {
    return ops
      .sum(ops.abs(x))
      .mul(this.options.l1)
      .add(ops.sum(ops.square(x)).mul(this.options.l2));
  }
}
