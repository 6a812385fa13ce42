/** Images of another size, by interpolation along each axis. */
import { isFloat } from "../../../graph/types.ts";
import { type Tensor, type TensorLike, tensorFrom } from "../../tensor.ts";
import type { DataFormat } from "../conv.ts";
import { add } from "../elementwise.ts";
import { matmul } from "../linalg.ts";
import { argumentError, castTo } from "../promote.ts";
import { pad, reshape, sliceAxis, take, transpose } from "../shape.ts";
import { onImages } from "./layout.ts";

/** Interpolation kernels as functions of the distance in input pixels, with their reach. */
const kernels = {
  bilinear: { reach: 1, weight: (d: number) => 1 - d },
  // Keys (1981) with a = -1/2.
  bicubic: {
    reach: 2,
    weight: (d: number) => (d < 1 ? (1.5 * d - 2.5) * d * d + 1 : ((-0.5 * d + 2.5) * d - 4) * d + 2),
  },
  lanczos3: { reach: 3, weight: (d: number) => sinc(d) * sinc(d / 3) },
  lanczos5: { reach: 5, weight: (d: number) => sinc(d) * sinc(d / 5) },
} as const;

export type Interpolation = "nearest" | keyof typeof kernels;
export const interpolations = ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"] as const;

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

export interface ResizeOptions {
  readonly interpolation?: Interpolation;
  /** Whether shrinking averages over all pixels that become one. */
  readonly antialias?: boolean;
  /** Cut the middle of the wanted shape out first, instead of distorting. */
  readonly cropToAspectRatio?: boolean;
  /** Fill up to the wanted shape first, instead of distorting. */
  readonly padToAspectRatio?: boolean;
  readonly fillMode?: "constant";
  readonly fillValue?: number;
  readonly dataFormat?: DataFormat;
}

/** For each output position the input positions it is made of and their weights (which add up to 1). */
function taps(size: number, out: number, method: Exclude<Interpolation, "nearest">, antialias: boolean) {
  const { reach, weight } = kernels[method];
  const scale = size / out;
  const wide = antialias ? Math.max(1, scale) : 1;
  return Array.from({ length: out }, (_, o) => {
    // Pixels are squares: output o has its centre at input position (o + ½)·scale - ½.
    const at = (o + 0.5) * scale - 0.5;
    const found: { index: number; weight: number }[] = [];
    const from = Math.max(0, Math.ceil(at - reach * wide));
    const to = Math.min(size - 1, Math.floor(at + reach * wide));
    for (let i = from; i <= to; i++) {
      const distance = Math.abs(at - i) / wide;
      if (distance < reach) found.push({ index: i, weight: weight(distance) });
    }
    const total = found.reduce((s, t) => s + t.weight, 0);
    return found.map((t) => ({ index: t.index, weight: t.weight / total }));
  });
}

/** One axis of x resized. */
function resizeAxis(x: Tensor, axis: number, out: number, method: Interpolation, antialias: boolean): Tensor {
  const size = x.shape[axis];
  if (size === out) return x;
  if (method === "nearest") {
    const index = Int32Array.from({ length: out }, (_, o) => Math.min(size - 1, Math.floor(((o + 0.5) * size) / out)));
    return take(x, tensorFrom(index, [out], "i32"), axis);
  }
  const rows = taps(size, out, method, antialias);
  const most = Math.max(...rows.map((r) => r.length));
  if (size <= 64 || most * 4 > size) {
    // Small or dense: a product with the matrix of weights.
    const weights = new Float32Array(size * out);
    rows.forEach((row, o) => {
      for (const t of row) weights[t.index * out + o] = t.weight;
    });
    const rest = x.shape.map((_, i) => i).filter((i) => i !== axis);
    const moved = matmul(transpose(x, [...rest, axis]), tensorFrom(weights, [size, out], "f32"));
    return transpose(
      moved,
      x.shape.map((_, i) => (i === axis ? x.ndim - 1 : rest.indexOf(i))),
    );
  }
  // Else a sum over the few taps: rows picked by index, each times its weight.
  const spread = x.shape.map((_, i) => (i === axis ? out : 1));
  const parts = Array.from({ length: most }, (_, k) => {
    const index = Int32Array.from(rows, (row) => row[Math.min(k, row.length - 1)].index);
    const weight = Float32Array.from(rows, (row) => row[k]?.weight ?? 0);
    return take(x, tensorFrom(index, [out], "i32"), axis).mul(reshape(tensorFrom(weight, [out], "f32"), spread));
  });
  return parts.reduce((a, b) => add(a, b));
}

/** The middle of an image in the shape of `height`×`width`. */
function cropToShape(x: Tensor, height: number, width: number): Tensor {
  const [, h, w] = x.shape;
  const cropHeight = Math.max(1, Math.min(h, Math.floor((w * height) / width)));
  const cropWidth = Math.max(1, Math.min(w, Math.floor((h * width) / height)));
  const top = Math.floor((h - cropHeight) / 2);
  const left = Math.floor((w - cropWidth) / 2);
  return sliceAxis(sliceAxis(x, 1, top, top + cropHeight), 2, left, left + cropWidth);
}

/** The image in the middle of one with the shape of `height`×`width`. */
function padToShape(x: Tensor, height: number, width: number, fillValue: number): Tensor {
  const [, h, w] = x.shape;
  const top = Math.floor((Math.max(h, Math.floor((w * height) / width)) - h) / 2);
  const left = Math.floor((Math.max(w, Math.floor((h * width) / height)) - w) / 2);
  const sides = [
    [0, 0],
    [top, top],
    [left, left],
    [0, 0],
  ];
  return pad(x, sides, "constant", fillValue);
}

/** Images [N, H, W, C] → [N, height, width, C] (or one image without N); floats keep their dtype, integers become f32. */
export function resize(
  images: TensorLike,
  size: readonly [number, number] | readonly number[],
  options: ResizeOptions = {},
): Tensor {
  const [height, width] = size;
  if (size.length !== 2 || size.some((d) => !Number.isInteger(d) || d < 1))
    throw argumentError("image.resize", "the size is not usable", `[${size}]`, "[height, width], integers ≥ 1");
  const { interpolation = "bilinear", antialias = false, fillValue = 0 } = options;
  if (!interpolations.includes(interpolation))
    throw argumentError("image.resize", "unknown interpolation", `"${interpolation}"`, interpolations.join(", "));
  if (options.cropToAspectRatio && options.padToAspectRatio)
    throw argumentError("image.resize", "images are either cropped or padded", "both", "one of them");
  return onImages("resize", images, options.dataFormat, (given) => {
    let x = given;
    if (options.cropToAspectRatio) x = cropToShape(x, height, width);
    if (options.padToAspectRatio) x = padToShape(x, height, width, fillValue);
    const wide = interpolation === "nearest" ? x : castTo(x, "f32");
    const rows = resizeAxis(wide, 1, height, interpolation, antialias);
    const y = resizeAxis(rows, 2, width, interpolation, antialias);
    return isFloat(x.dtype) ? castTo(y, x.dtype) : y;
  });
}
