/** Hinge losses: margins between right and wrong. */
import { defineSpec, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Loss, lossFields } from "./loss.ts";

/** Labels 0 and 1 as -1 and 1; labels of which any is something else are left as they are. */
function signs(target: Tensor): Tensor {
  const binary = ops.all(ops.logicalOr(ops.equal(target, 0), ops.equal(target, 1)));
  return ops.where(binary, ops.subtract(ops.multiply(target, 2), 1), target);
}
const margins = (t: Tensor, p: Tensor) => ops.maximum(ops.subtract(1, ops.multiply(signs(t), p)), 0);

const hingeSpec = defineSpec("keras.losses", "Hinge", lossFields("hinge"));
/** mean(max(1 - t·p, 0)), t being -1 or 1 (0 counts as -1) */
export class Hinge extends Loss<typeof hingeSpec> {
  static readonly spec = hingeSpec;
  constructor(options: OptionsOf<typeof hingeSpec> = {}) {
    super(hingeSpec, options);
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor {
    const [t, p] = this.pair(yTrue, yPred);
    return ops.mean(margins(t, p), -1);
  }
}

const squaredSpec = defineSpec("keras.losses", "SquaredHinge", lossFields("squared_hinge"));
/** mean(max(1 - t·p, 0)²) */
export class SquaredHinge extends Loss<typeof squaredSpec> {
  static readonly spec = squaredSpec;
  constructor(options: OptionsOf<typeof squaredSpec> = {}) {
    super(squaredSpec, options);
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor {
    const [t, p] = this.pair(yTrue, yPred);
    return ops.mean(ops.square(margins(t, p)), -1);
  }
}

const categoricalSpec = defineSpec("keras.losses", "CategoricalHinge", lossFields("categorical_hinge"));
/** max(highest wrong score - right score + 1, 0) */
export class CategoricalHinge extends Loss<typeof categoricalSpec> {
  static readonly spec = categoricalSpec;
  constructor(options: OptionsOf<typeof categoricalSpec> = {}) {
    super(categoricalSpec, options);
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor {
    const [t, p] = this.pair(yTrue, yPred);
    const right = ops.sum(ops.multiply(t, p), -1);
    const wrong = ops.max(ops.multiply(ops.subtract(1, t), p), -1);
    return ops.maximum(ops.add(ops.subtract(wrong, right), 1), 0);
  }
}
