/** Activation: a function of each element, as a layer. */
import { type ActivationLike, activationField } from "../activations/index.ts";
import { defineSpec, type OptionsOf } from "../config/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { activityFields } from "./fields.ts";
import { Layer, layerFields } from "./layer.ts";

const spec = defineSpec("keras.layers", "Activation", {
  ...layerFields,
  activation: activationField("linear"),
  ...activityFields,
});

/** [N, …] → the same shape. */
export class Activation extends Layer<typeof spec> {
  static readonly spec = spec;
  override readonly masking = "pass";
  override get timewise(): boolean {
    return true;
  }

  constructor(options: OptionsOf<typeof spec>) {
    super(options, spec);
  }
  call(x: Tensor): Tensor {
    return this.options.activation.call(x);
  }
}

/** A layer that applies an activation by name or as a function. */
export function activation(f: ActivationLike, options: Omit<OptionsOf<typeof spec>, "activation"> = {}): Activation {
  return new Activation({ ...options, activation: f });
}
