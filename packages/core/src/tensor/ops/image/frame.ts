/** Edges and pieces of images: padding, cropping, patches, blur. */
import type { Tensor, TensorLike } from "../../tensor.ts";
import { tensorFrom } from "../../tensor.ts";
import { type DataFormat, depthwiseConv, paddingSizes } from "../conv.ts";
import { argumentError, toFloat } from "../promote.ts";
import { concatenate, pad, slice, sliceAxis } from "../shape.ts";
import { onImages } from "./layout.ts";

type Amount = number | null;

/** Two of (before, after, target) determine the third. */
function sides(name: string, axis: string, size: number, before: Amount, after: Amount, target: Amount, sign: 1 | -1) {
  const known = [before, after, target].filter((v) => v !== null).length;
  if (known < 2)
    throw argumentError(
      `image.${name}`,
      `the ${axis} is not determined`,
      `${known} of three`,
      "two of: before, after, target",
    );
  // target = size ± (before + after)
  const total = target === null ? before! + after! : sign * (target - size);
  const low = before ?? total - after!;
  const high = after ?? total - low;
  if (low < 0 || high < 0 || (sign < 0 && low + high >= size))
    throw argumentError(
      `image.${name}`,
      `the ${axis} does not fit`,
      `${low} and ${high} of ${size}`,
      "amounts ≥ 0 that leave something",
    );
  return [low, high] as const;
}

export interface EdgeOptions {
  readonly bottom?: Amount;
  readonly right?: Amount;
  readonly targetHeight?: Amount;
  readonly targetWidth?: Amount;
  readonly dataFormat?: DataFormat;
}

/** Zeros around images. Give two of top, bottom and targetHeight, and two of left, right and targetWidth. */
export function padImages(images: TensorLike, top: Amount, left: Amount, options: EdgeOptions = {}): Tensor {
  const { bottom = null, right = null, targetHeight = null, targetWidth = null } = options;
  return onImages("padImages", images, options.dataFormat, (x) => {
    const rows = sides("padImages", "height", x.shape[1], top, bottom, targetHeight, 1);
    const columns = sides("padImages", "width", x.shape[2], left, right, targetWidth, 1);
    return pad(x, [[0, 0], rows, columns, [0, 0]]);
  });
}

/** Edges cut off images. Give two of top, bottom and targetHeight, and two of left, right and targetWidth. */
export function cropImages(images: TensorLike, top: Amount, left: Amount, options: EdgeOptions = {}): Tensor {
  const { bottom = null, right = null, targetHeight = null, targetWidth = null } = options;
  return onImages("cropImages", images, options.dataFormat, (x) => {
    const [n, h, w, c] = x.shape;
    const rows = sides("cropImages", "height", h, top, bottom, targetHeight, -1);
    const columns = sides("cropImages", "width", w, left, right, targetWidth, -1);
    return slice(x, [0, rows[0], columns[0], 0], [n, h - rows[0] - rows[1], w - columns[0] - columns[1], c]);
  });
}

const two = (x: number | readonly number[]): readonly number[] => (typeof x === "number" ? [x, x] : x);

/**
 * Patches of `size` as rows of numbers: [N, H, W, C] → [N, H', W', size·size·C], every patch row by row with its channels
 * last. `strides` is the size by default, so that patches do not overlap.
 */
export function extractPatches(
  images: TensorLike,
  size: number | readonly number[],
  options: {
    readonly strides?: number | readonly number[] | null;
    readonly dilationRate?: number | readonly number[];
    readonly padding?: "valid" | "same";
    readonly dataFormat?: DataFormat;
  } = {},
): Tensor {
  const kernel = two(size);
  const strides = two(options.strides ?? size);
  const dilation = two(options.dilationRate ?? 1);
  return onImages("extractPatches", images, options.dataFormat, (x) => {
    const spatial = x.shape.slice(1, 3);
    const { padLow, padHigh } = paddingSizes(options.padding ?? "valid", spatial, kernel, strides, dilation);
    const whole = pad(x, [[0, 0], ...padLow.map((low, i) => [low, padHigh[i]]), [0, 0]]);
    const count = [1, 2].map((a) => {
      const room = whole.shape[a] - ((kernel[a - 1] - 1) * dilation[a - 1] + 1);
      if (room < 0)
        throw argumentError(
          "image.extractPatches",
          "the images are smaller than a patch",
          `[${spatial}]`,
          `[${kernel}]`,
        );
      return Math.floor(room / strides[a - 1]) + 1;
    });
    const parts: Tensor[] = [];
    for (let i = 0; i < kernel[0]; i++) {
      for (let j = 0; j < kernel[1]; j++) {
        const at = [i * dilation[0], j * dilation[1]];
        const rows = sliceAxis(whole, 1, at[0], at[0] + (count[0] - 1) * strides[0] + 1, strides[0]);
        parts.push(sliceAxis(rows, 2, at[1], at[1] + (count[1] - 1) * strides[1] + 1, strides[1]));
      }
    }
    return concatenate(parts, 3);
  });
}

/** Every channel blurred by a Gaussian of `kernelSize` [width, height] and `sigma`; zeros beyond the edge. */
export function gaussianBlur(
  images: TensorLike,
  kernelSize: readonly number[] = [3, 3],
  sigma: readonly number[] = [1, 1],
  dataFormat: DataFormat = null,
): Tensor {
  const line = (n: number, s: number) => {
    const w = Array.from({ length: n }, (_, i) => Math.exp(-0.5 * ((i - (n - 1) / 2) / s) ** 2));
    const total = w.reduce((a, b) => a + b, 0);
    return w.map((v) => v / total);
  };
  const across = line(kernelSize[0], sigma[0]);
  const down = line(kernelSize[1], sigma[1]);
  return onImages("gaussianBlur", images, dataFormat, (x) => {
    const c = x.shape[3];
    const kernel = Float32Array.from(
      { length: down.length * across.length * c },
      (_, i) => down[Math.floor(i / (across.length * c))] * across[Math.floor(i / c) % across.length],
    );
    const weights = tensorFrom(kernel, [down.length, across.length, c, 1], "f32");
    return depthwiseConv(toFloat(x), weights, 1, "same");
  });
}
