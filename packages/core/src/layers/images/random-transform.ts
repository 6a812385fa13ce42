/** RandomRotation, RandomZoom and RandomTranslation: images moved by a random map in training. */
import { defineSpec, number, type OptionsOf, oneOf, type Spec } from "../../config/index.ts";
import * as ops from "../../tensor/ops/index.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { type CallContext, Layer, layerFields } from "../layer.ts";
import { uniform } from "../random.ts";
import { between, ends, factorField, imageFormat, onBatch, seedField } from "./options.ts";

const transformFields = {
  ...layerFields,
  fillMode: oneOf("reflect", "wrap", "constant", "nearest").default("reflect").doc("what lies beyond the edge"),
  interpolation: oneOf("bilinear", "nearest").default("bilinear").doc("how pixels between pixels are read"),
  seed: seedField,
  fillValue: number().default(0).doc('value beyond the edge, for fillMode "constant"'),
  dataFormat: imageFormat,
};
type TransformSpec = Spec<typeof transformFields>;

/** The map of one image: rows [a0, a1, a2] and [b0, b1, b2] as tensors [N, 1] or numbers. */
type Maps = readonly (Tensor | number)[];

/** In training reads each image of [N, H, W, C] through a map of its own; the shape stays. */
abstract class RandomTransform<S extends Spec> extends Layer<S> {
  override readonly castsIntegers = true;
  constructor(options: OptionsOf<S>, spec: S) {
    super(options, spec);
    this.inputSpec = { minNdim: 3 };
  }
  /** Where output (x, y) is read, given `count` random numbers in [0, 1) per image. */
  protected abstract map(u: readonly Tensor[], height: number, width: number): Maps;

  call(x: Tensor, { training }: CallContext): Tensor {
    const options = this.options as unknown as Layer<TransformSpec>["options"];
    if (!training) return x;
    return onBatch(x, options.dataFormat, (images) => {
      const [n, h, w] = images.shape;
      const draws = uniform([n, 2], options.seed);
      const rows = this.map(
        [0, 1].map((i) => ops.sliceAxis(draws, 1, i, i + 1)),
        h,
        w,
      );
      const zero = ops.sliceAxis(draws, 1, 0, 1).mul(0); // [N, 1]
      const transform = ops.concatenate(
        [...rows, 0, 0].map((v) => (typeof v === "number" ? zero.add(v) : v)),
        1,
      );
      const { interpolation, fillMode, fillValue } = options;
      return ops.image.affineTransform(images, transform, { interpolation, fillMode, fillValue });
    });
  }
}

const rotationSpec = defineSpec("keras.layers", "RandomRotation", {
  factor: factorField(-1, 1).doc("range of the angle in full turns; positive is counter-clockwise"),
  ...transformFields,
});
export type RandomRotationOptions = OptionsOf<typeof rotationSpec>;

/** Turns each image around its middle. */
export class RandomRotation extends RandomTransform<typeof rotationSpec> {
  static readonly spec = rotationSpec;
  constructor(options: RandomRotationOptions) {
    super(options, rotationSpec);
  }
  protected map([u]: readonly Tensor[], height: number, width: number): Maps {
    const [low, high] = ends(this.options.factor);
    const angle = between(u, 2 * Math.PI * low, 2 * Math.PI * high);
    const [c, s] = [ops.cos(angle), ops.sin(angle)];
    const [x, y] = [(width - 1) / 2, (height - 1) / 2];
    // Rows count downwards, so a counter-clockwise turn of what is seen reads at the clockwise point.
    return [c, s.neg(), c.mul(-x).add(s.mul(y)).add(x), s, c, s.mul(-x).sub(c.mul(y)).add(y)];
  }
}
export const randomRotation = (
  factor: RandomRotationOptions["factor"],
  options: Omit<RandomRotationOptions, "factor"> = {},
): RandomRotation => new RandomRotation({ ...options, factor });

const zoomSpec = defineSpec("keras.layers", "RandomZoom", {
  heightFactor: factorField(-0.999999, 1).doc("range of the zoom: 0.2 shows 20 % more of the height, -0.2 less"),
  widthFactor: factorField(-0.999999, 1).nullable().doc("the same for the width; null: as the height"),
  ...transformFields,
});
export type RandomZoomOptions = OptionsOf<typeof zoomSpec>;

/** Shrinks (positive) or enlarges (negative) each image around its middle. */
export class RandomZoom extends RandomTransform<typeof zoomSpec> {
  static readonly spec = zoomSpec;
  constructor(options: RandomZoomOptions) {
    super(options, zoomSpec);
  }
  protected map([u, v]: readonly Tensor[], height: number, width: number): Maps {
    const { heightFactor, widthFactor } = this.options;
    const tall = between(u, ...ends(heightFactor)).add(1);
    const wide = widthFactor === null ? tall : between(v, ...ends(widthFactor)).add(1);
    const centre = (zoom: Tensor, size: number) =>
      zoom
        .neg()
        .add(1)
        .mul((size - 1) / 2);
    return [wide, 0, centre(wide, width), 0, tall, centre(tall, height)];
  }
}
export const randomZoom = (
  heightFactor: RandomZoomOptions["heightFactor"],
  widthFactor: RandomZoomOptions["widthFactor"] = null,
  options: Omit<RandomZoomOptions, "heightFactor" | "widthFactor"> = {},
): RandomZoom => new RandomZoom({ ...options, heightFactor, widthFactor });

const translationSpec = defineSpec("keras.layers", "RandomTranslation", {
  heightFactor: factorField(-1, 1).doc("range of the shift downwards, as a share of the height"),
  widthFactor: factorField(-1, 1).doc("range of the shift to the right, as a share of the width"),
  ...transformFields,
});
export type RandomTranslationOptions = OptionsOf<typeof translationSpec>;

/** Shifts each image. */
export class RandomTranslation extends RandomTransform<typeof translationSpec> {
  static readonly spec = translationSpec;
  constructor(options: RandomTranslationOptions) {
    super(options, translationSpec);
  }
  protected map([u, v]: readonly Tensor[], height: number, width: number): Maps {
    const { heightFactor, widthFactor } = this.options;
    return [1, 0, between(v, ...ends(widthFactor)).mul(-width), 0, 1, between(u, ...ends(heightFactor)).mul(-height)];
  }
}
export const randomTranslation = (
  heightFactor: RandomTranslationOptions["heightFactor"],
  widthFactor: RandomTranslationOptions["widthFactor"],
  options: Omit<RandomTranslationOptions, "heightFactor" | "widthFactor"> = {},
): RandomTranslation => new RandomTranslation({ ...options, heightFactor, widthFactor });
