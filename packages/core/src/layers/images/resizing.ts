/** Resizing and CenterCrop: images of one size. */
import { bool, defineSpec, int, number, type OptionsOf, oneOf } from "../../config/index.ts";
import { isFloat } from "../../graph/types.ts";
import * as ops from "../../tensor/ops/index.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Layer, layerFields } from "../layer.ts";
import { imageFormat, onBatch } from "./options.ts";

const sizeFields = {
  height: int({ min: 1 }).doc("height of the output"),
  width: int({ min: 1 }).doc("width of the output"),
};

const spec = defineSpec("keras.layers", "Resizing", {
  ...layerFields,
  ...sizeFields,
  interpolation: oneOf("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")
    .default("bilinear")
    .doc("how new pixels are made"),
  cropToAspectRatio: bool().default(false).doc("cut the middle of the wanted shape out instead of distorting"),
  padToAspectRatio: bool().default(false).doc("fill up to the wanted shape instead of distorting"),
  fillMode: oneOf("constant").default("constant").doc("what padding consists of"),
  fillValue: number().default(0).doc("value of padding"),
  antialias: bool().default(false).doc("whether shrinking averages over all pixels that become one"),
  dataFormat: imageFormat,
});
export type ResizingOptions = OptionsOf<typeof spec>;

/** [N, H, W, C] → [N, height, width, C], in training and out of it. Integers are rounded and keep their dtype. */
export class Resizing extends Layer<typeof spec> {
  static readonly spec = spec;
  constructor(options: ResizingOptions) {
    super(options, spec);
    this.inputSpec = { minNdim: 3 };
  }
  call(x: Tensor): Tensor {
    const { height, width, ...options } = this.options;
    const y = ops.image.resize(x, [height, width], options);
    if (isFloat(x.dtype) || y.dtype === x.dtype) return y;
    const [low, high] = ranges[x.dtype] ?? [-(2 ** 31), 2 ** 31 - 1];
    return ops.cast(ops.clip(ops.round(y), low, high), x.dtype);
  }
}
const ranges: Partial<Record<string, readonly [number, number]>> = {
  u8: [0, 255],
  i8: [-128, 127],
  i16: [-32768, 32767],
  bool: [0, 1],
  u32: [0, 2 ** 32 - 1],
};

export const resizing = (
  height: number,
  width: number,
  options: Omit<ResizingOptions, "height" | "width"> = {},
): Resizing => new Resizing({ ...options, height, width });

const cropSpec = defineSpec("keras.layers", "CenterCrop", { ...layerFields, ...sizeFields, dataFormat: imageFormat });
export type CenterCropOptions = OptionsOf<typeof cropSpec>;

/** The middle `height`×`width` of [N, H, W, C]; images that are smaller are cut to that shape and enlarged. */
export class CenterCrop extends Layer<typeof cropSpec> {
  static readonly spec = cropSpec;
  override readonly castsIntegers = true;
  constructor(options: CenterCropOptions) {
    super(options, cropSpec);
    this.inputSpec = { minNdim: 3 };
  }
  call(x: Tensor): Tensor {
    const { height, width, dataFormat } = this.options;
    return onBatch(x, dataFormat, (images) => middleOf(images, height, width));
  }
}
export const centerCrop = (
  height: number,
  width: number,
  options: Omit<CenterCropOptions, "height" | "width"> = {},
): CenterCrop => new CenterCrop({ ...options, height, width });

/** The middle of [N, H, W, C]. */
export function middleOf(images: Tensor, height: number, width: number): Tensor {
  const [n, h, w, c] = images.shape;
  if (h < height || w < width) return ops.image.resize(images, [height, width], { cropToAspectRatio: true });
  return ops.slice(images, [0, (h - height) >> 1, (w - width) >> 1, 0], [n, height, width, c]);
}
