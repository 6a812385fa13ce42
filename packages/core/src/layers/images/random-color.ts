/** RandomContrast and RandomBrightness: the light of images changed at random in training. */
import { defineSpec, type OptionsOf } from "../../config/index.ts";
import * as ops from "../../tensor/ops/index.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { type CallContext, Layer, layerFields } from "../layer.ts";
import { uniform } from "../random.ts";
import { between, ends, factorField, imageFormat, onBatch, seedField, valueRangeField } from "./options.ts";

const contrastSpec = defineSpec("keras.layers", "RandomContrast", {
  ...layerFields,
  factor: factorField(0, 1).doc("[l, u]: contrast is multiplied by a number from 1 - l to 1 + u; f stands for [f, f]"),
  valueRange: valueRangeField,
  seed: seedField,
  dataFormat: imageFormat,
});
export type RandomContrastOptions = OptionsOf<typeof contrastSpec>;

/** In training (x - mean)·f + mean for each image of [N, H, W, C] with its own f, the mean for each channel; clipped to the range. */
export class RandomContrast extends Layer<typeof contrastSpec> {
  static readonly spec = contrastSpec;
  override readonly castsIntegers = true;
  constructor(options: RandomContrastOptions) {
    super(options, contrastSpec);
    this.inputSpec = { minNdim: 3 };
  }
  call(x: Tensor, { training }: CallContext): Tensor {
    const { factor, valueRange, seed, dataFormat } = this.options;
    if (!training) return x;
    const [lower, upper] = typeof factor === "number" ? [factor, factor] : factor;
    return onBatch(x, dataFormat, (images) => {
      const f = between(uniform([images.shape[0], 1, 1, 1], seed), 1 - lower, 1 + upper);
      const mean = ops.mean(images, [1, 2], true);
      const y = images.sub(mean).mul(this.toCompute(f)).add(mean);
      return ops.clip(y, valueRange[0], valueRange[1]);
    });
  }
}
export const randomContrast = (
  factor: RandomContrastOptions["factor"],
  options: Omit<RandomContrastOptions, "factor"> = {},
): RandomContrast => new RandomContrast({ ...options, factor });

const brightnessSpec = defineSpec("keras.layers", "RandomBrightness", {
  ...layerFields,
  factor: factorField(-1, 1).doc("range of what is added, as a share of the range of values"),
  valueRange: valueRangeField,
  seed: seedField,
  dataFormat: imageFormat,
});
export type RandomBrightnessOptions = OptionsOf<typeof brightnessSpec>;

/** In training adds a number of its own to each image of [N, H, W, C]; clipped to the range. */
export class RandomBrightness extends Layer<typeof brightnessSpec> {
  static readonly spec = brightnessSpec;
  override readonly castsIntegers = true;
  constructor(options: RandomBrightnessOptions) {
    super(options, brightnessSpec);
    this.inputSpec = { minNdim: 3 };
  }
  call(x: Tensor, { training }: CallContext): Tensor {
    const { factor, valueRange, seed, dataFormat } = this.options;
    if (!training) return x;
    const [low, high] = ends(valueRange);
    return onBatch(x, dataFormat, (images) => {
      const share = between(uniform([images.shape[0], 1, 1, 1], seed), ...ends(factor));
      return ops.clip(images.add(this.toCompute(share.mul(high - low))), low, high);
    });
  }
}
export const randomBrightness = (
  factor: RandomBrightnessOptions["factor"],
  options: Omit<RandomBrightnessOptions, "factor"> = {},
): RandomBrightness => new RandomBrightness({ ...options, factor });
