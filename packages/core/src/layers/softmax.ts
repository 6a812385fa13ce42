/** Softmax as a layer, with masks and several axes. */

import * as activations from "../activations/functions.ts";
import { axes, defineSpec, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { isTensor } from "./arguments.ts";
import { type CallContext, Layer, layerFields } from "./layer.ts";
import { onLastAxis } from "./stepping.ts";

const spec = defineSpec("keras.layers", "Softmax", {
  ...layerFields,
  axis: axes().default(-1).doc("axis or axes that sum to 1"),
});

/** Softmax over `axis` of the elements where `mask` is true; the others get 0, and so do all where none is true. */
export function maskedSoftmax(x: Tensor, mask: Tensor, axis: number | readonly number[]): Tensor {
  const scores = ops.where(mask, x, x.dtype === "f16" ? -45_000 : -1e30);
  return ops.softmax(scores, axis).mul(ops.cast(mask, x.dtype));
}

/** exp(x) / Σ exp(x) over `axis`; elements where the mask is false get 0 (if any is true). */
export class Softmax extends Layer<typeof spec> {
  static readonly spec = spec;
  override readonly masking = "pass";
  override get timewise(): boolean {
    return onLastAxis(this.options.axis, this.buildShape);
  }
  constructor(options: OptionsOf<typeof spec> = {}) {
    super(options, spec);
  }
  call(x: Tensor, { mask }: CallContext): Tensor {
    const { axis } = this.options;
    const single = typeof axis === "number" ? axis : axis.length === 1 ? axis[0] : null;
    if (!isTensor(mask)) return single !== null ? activations.softmax(x, single) : ops.softmax(x, axis);
    return maskedSoftmax(x, mask, axis);
  }
}
export const softmax = (
  axis: number | readonly number[] = -1,
  options: Omit<OptionsOf<typeof spec>, "axis"> = {},
): Softmax => new Softmax({ ...options, axis });
