/** Colours of images in other terms; the channels are the last axis (or the third from the end with channelsFirst). */
import type { Tensor, TensorLike } from "../../tensor.ts";
import type { DataFormat } from "../conv.ts";
import { abs, clip, maximum, minimum, where } from "../elementwise.ts";
import { argumentError, toFloat } from "../promote.ts";
import { concatenate, sliceAxis } from "../shape.ts";
import { onImages } from "./layout.ts";

function channels(name: string, x: Tensor): [Tensor, Tensor, Tensor] {
  if (x.shape[3] !== 3)
    throw argumentError(`image.${name}`, "the images have no three channels", `shape [${x.shape}]`, "[…, H, W, 3]");
  const y = toFloat(x);
  return [sliceAxis(y, 3, 0, 1), sliceAxis(y, 3, 1, 2), sliceAxis(y, 3, 2, 3)];
}

/** Luminance 0.2989·r + 0.587·g + 0.114·b (ITU-R BT.601): […, H, W, 3] → […, H, W, 1]. */
export function rgbToGrayscale(images: TensorLike, dataFormat: DataFormat = null): Tensor {
  return onImages("rgbToGrayscale", images, dataFormat, (x) => {
    const [r, g, b] = channels("rgbToGrayscale", x);
    return r.mul(0.2989).add(g.mul(0.587)).add(b.mul(0.114));
  });
}

/** Red, green, blue in [0, 1] → hue (as a share of the circle), saturation, value. */
export function rgbToHsv(images: TensorLike, dataFormat: DataFormat = null): Tensor {
  return onImages("rgbToHsv", images, dataFormat, (x) => {
    const [r, g, b] = channels("rgbToHsv", x);
    const value = maximum(maximum(r, g), b);
    const range = value.sub(minimum(minimum(r, g), b));
    const colourful = range.greater(0);
    const sixth = where(colourful, range.mul(6), 1);
    const hue = where(
      value.equal(r),
      g.sub(b).div(sixth),
      where(
        value.equal(g),
        b
          .sub(r)
          .div(sixth)
          .add(1 / 3),
        r
          .sub(g)
          .div(sixth)
          .add(2 / 3),
      ),
    );
    const turned = where(colourful, where(hue.less(0), hue.add(1), hue), 0);
    const saturation = where(value.greater(0), range.div(where(value.greater(0), value, 1)), 0);
    return concatenate([turned, saturation, value], 3);
  });
}

/** Hue, saturation and value → red, green, blue. */
export function hsvToRgb(images: TensorLike, dataFormat: DataFormat = null): Tensor {
  return onImages("hsvToRgb", images, dataFormat, (x) => {
    const [h, s, v] = channels("hsvToRgb", x);
    const at = h.mul(6);
    const part = (share: Tensor) => clip(share, 0, 1).mul(s).add(s.neg().add(1)).mul(v);
    const red = part(abs(at.sub(3)).sub(1));
    const green = part(abs(at.sub(2)).neg().add(2));
    const blue = part(abs(at.sub(4)).neg().add(2));
    return concatenate([red, green, blue], 3);
  });
}
