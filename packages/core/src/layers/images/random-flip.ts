/** RandomFlip: images mirrored at random in training. */
import { defineSpec, type OptionsOf, oneOf } from "../../config/index.ts";
import * as ops from "../../tensor/ops/index.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { type CallContext, Layer, layerFields } from "../layer.ts";
import { bernoulli } from "../random.ts";
import { imageFormat, onBatch, seedField } from "./options.ts";

const spec = defineSpec("keras.layers", "RandomFlip", {
  ...layerFields,
  mode: oneOf("horizontalAndVertical", "horizontal", "vertical")
    .default("horizontalAndVertical")
    .doc("which mirrors are used"),
  seed: seedField,
  dataFormat: imageFormat,
});
export type RandomFlipOptions = OptionsOf<typeof spec>;

/** In training mirrors each image of [N, H, W, C] with probability ½, left to right and (independently) top to bottom. */
export class RandomFlip extends Layer<typeof spec> {
  static readonly spec = spec;
  override readonly castsIntegers = true;
  constructor(options: RandomFlipOptions = {}) {
    super(options, spec);
    this.inputSpec = { minNdim: 3 };
  }
  call(x: Tensor, { training }: CallContext): Tensor {
    const { mode, seed, dataFormat } = this.options;
    if (!training) return x;
    return onBatch(x, dataFormat, (images) => {
      const n = images.shape[0];
      const draws = bernoulli([n, 2], 0.5, seed);
      const flip = (y: Tensor, axis: 1 | 2) =>
        ops.where(ops.reshape(ops.sliceAxis(draws, 1, axis - 1, axis), [n, 1, 1, 1]), ops.flip(y, axis), y);
      let y = images;
      if (mode !== "vertical") y = flip(y, 2);
      if (mode !== "horizontal") y = flip(y, 1);
      return y;
    });
  }
}
export const randomFlip = (
  mode: RandomFlipOptions["mode"] = "horizontalAndVertical",
  options: Omit<RandomFlipOptions, "mode"> = {},
): RandomFlip => new RandomFlip({ ...options, mode });
