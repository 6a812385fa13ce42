/** Identity, ActivityRegularization and Masking: layers that leave the data as it is. */
import { defineSpec, number, type OptionsOf } from "../config/index.ts";
import { L1L2 } from "../regularizers/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { isTensor, type TensorTree } from "./arguments.ts";
import { type CallContext, Layer, type LayerSpec, layerFields, type MaskTree } from "./layer.ts";

const identitySpec: LayerSpec = defineSpec("keras.layers", "Identity", layerFields);
/** The input (a tree too), unchanged. */
export class Identity extends Layer<LayerSpec> {
  static readonly spec = identitySpec;
  override readonly masking = "pass";
  override get timewise(): boolean {
    return true;
  }
  constructor(options: OptionsOf<LayerSpec> = {}) {
    super(options, identitySpec);
  }
  call(inputs: TensorTree): TensorTree {
    return inputs;
  }
}
export const identity = (options: OptionsOf<LayerSpec> = {}): Identity => new Identity(options);

const activitySpec = defineSpec("keras.layers", "ActivityRegularization", {
  ...layerFields,
  l1: number({ min: 0 }).default(0),
  l2: number({ min: 0 }).default(0),
});
/** The input, with an L1 and L2 penalty on it added to the loss. */
export class ActivityRegularization extends Layer<typeof activitySpec> {
  static readonly spec = activitySpec;
  override readonly masking = "pass";
  override get timewise(): boolean {
    return true;
  }
  private readonly penalty: L1L2;
  constructor(options: OptionsOf<typeof activitySpec> = {}) {
    super(options, activitySpec);
    this.penalty = new L1L2({ l1: this.options.l1, l2: this.options.l2 });
  }
  call(x: Tensor): Tensor {
    this.addLoss(this.perSample(this.penalty.call(x), x));
    return x;
  }
}
export const activityRegularization = (options: OptionsOf<typeof activitySpec> = {}): ActivityRegularization =>
  new ActivityRegularization(options);

const maskingSpec = defineSpec("keras.layers", "Masking", {
  ...layerFields,
  maskValue: number().default(0).doc("steps whose features all have this value do not count"),
});
/** [N, T, D]: marks steps whose features all equal `maskValue` as padding, and sets them to 0. */
export class Masking extends Layer<typeof maskingSpec> {
  static readonly spec = maskingSpec;
  override readonly masking = "consume";
  override get timewise(): boolean {
    return true;
  }
  constructor(options: OptionsOf<typeof maskingSpec> = {}) {
    super(options, maskingSpec);
  }
  call(x: Tensor, _context: CallContext): Tensor {
    const kept = ops.any(ops.notEqual(x, this.options.maskValue), -1, true);
    return x.mul(ops.cast(kept, x.dtype));
  }
  override computeMask(inputs: TensorTree): MaskTree {
    return isTensor(inputs) ? ops.any(ops.notEqual(inputs, this.options.maskValue), -1) : null;
  }
}
export const masking = (options: OptionsOf<typeof maskingSpec> = {}): Masking => new Masking(options);
