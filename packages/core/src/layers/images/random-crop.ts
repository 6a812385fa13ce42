/** RandomCrop: a piece of each image, at a random place in training. */
import { defineSpec, int, type OptionsOf } from "../../config/index.ts";
import * as ops from "../../tensor/ops/index.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { type CallContext, Layer, layerFields } from "../layer.ts";
import { uniform } from "../random.ts";
import { imageFormat, onBatch, seedField } from "./options.ts";
import { middleOf } from "./resizing.ts";

const spec = defineSpec("keras.layers", "RandomCrop", {
  ...layerFields,
  height: int({ min: 1 }).doc("height of the output"),
  width: int({ min: 1 }).doc("width of the output"),
  seed: seedField,
  dataFormat: imageFormat,
});
export type RandomCropOptions = OptionsOf<typeof spec>;

/**
 * In training [N, H, W, C] → [N, height, width, C] from a random place, the same for the whole batch; smaller images are cut to
 * the shape and enlarged. Outside of training images go on whole, as in Keras 3: use it where later layers take any size, or
 * crop the data for validation with `centerCrop`.
 */
export class RandomCrop extends Layer<typeof spec> {
  static readonly spec = spec;
  override readonly castsIntegers = true;
  constructor(options: RandomCropOptions) {
    super(options, spec);
    this.inputSpec = { minNdim: 3 };
  }
  call(x: Tensor, { training }: CallContext): Tensor {
    const { height, width, seed, dataFormat } = this.options;
    if (!training) return x;
    return onBatch(x, dataFormat, (images) => {
      const [n, h, w, c] = images.shape;
      if (h < height || w < width) return middleOf(images, height, width);
      const room = ops.stack([1, h - height + 1, w - width + 1, 1].map((r) => ops.cast(r, "f32")));
      const start = ops.cast(ops.floor(uniform([4], seed).mul(room)), "i32");
      return ops.slice(images, start, [n, height, width, c]);
    });
  }
}
export const randomCrop = (
  height: number,
  width: number,
  options: Omit<RandomCropOptions, "height" | "width"> = {},
): RandomCrop => new RandomCrop({ ...options, height, width });
