/** Rescaling: x · scale + offset. */
import { defineSpec, either, list, number, type OptionsOf } from "../config/index.ts";
import { cast } from "../graph/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import { Layer, layerFields } from "./layer.ts";

const spec = defineSpec("keras.layers", "Rescaling", {
  ...layerFields,
  scale: either(number(), list(number())).doc("factor, or one per channel"),
  offset: either(number(), list(number())).default(0).doc("added afterwards"),
});

/** [N, …] of any dtype → the same shape in the compute dtype. */
export class Rescaling extends Layer<typeof spec> {
  static readonly spec = spec;
  override readonly masking = "pass";
  override get timewise(): boolean {
    return true;
  }
  override readonly castsIntegers = true;
  constructor(options: OptionsOf<typeof spec>) {
    super(options, spec);
  }
  call(x: Tensor): Tensor {
    const { scale, offset } = this.options;
    const { compute } = this.dtypePolicy;
    const y = new Tensor(cast(x.value, compute)).mul(Tensor.of(scale, compute));
    return offset === 0 ? y : y.add(Tensor.of(offset, compute));
  }
}

/** Multiplies by `scale`, e.g. `rescaling(1 / 255)` for images. */
export function rescaling(
  scale: number | readonly number[],
  options: Omit<OptionsOf<typeof spec>, "scale"> = {},
): Rescaling {
  return new Rescaling({ ...options, scale });
}
