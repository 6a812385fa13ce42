/** Reading arrays and images at any coordinates, and images moved by affine and projective maps. */
import { Tensor, type TensorLike, tensorFrom } from "../../tensor.ts";
import type { DataFormat } from "../conv.ts";
import { abs, add, clip, floor, floorDivide, logicalAnd, mod, multiply, where } from "../elementwise.ts";
import { argumentError, castTo } from "../promote.ts";
import { broadcastTo, reshape, sliceAxis, take } from "../shape.ts";
import { onImages } from "./layout.ts";

/**
 * What lies beyond the edge of `a b c d`: `constant` k k|a b c d|k k, `nearest` a a|a b c d|d d, `wrap` c d|a b c d|a b,
 * `mirror` c b|a b c d|c b, `reflect` b a|a b c d|d c.
 */
export type FillMode = "constant" | "nearest" | "wrap" | "mirror" | "reflect";
export const fillModes = ["constant", "nearest", "wrap", "mirror", "reflect"] as const;

/** An i32 index brought into 0 … size-1 by the mode ("constant": clamped, and masked by the caller). */
function inside(index: Tensor, size: number, mode: FillMode): Tensor {
  switch (mode) {
    case "constant":
    case "nearest":
      return clip(index, 0, size - 1);
    case "wrap":
      return mod(index, size);
    case "mirror":
      return mirrored(index, size);
    case "reflect":
      return floorDivide(mirrored(add(multiply(index, 2), 1), 2 * size + 1), 2);
    default:
      return mode satisfies never;
  }
}
function mirrored(index: Tensor, size: number): Tensor {
  if (size === 1) return index.mul(0);
  const s = size - 1;
  return abs(add(mod(add(index, s), 2 * s), -s));
}

/** The grid positions around coordinates along one axis, with weights: one for order 0, two for order 1. */
function neighbours(at: Tensor, size: number, order: 0 | 1, mode: FillMode) {
  const node = (position: Tensor, weight: Tensor | null) => {
    const index = castTo(position, "i32");
    const valid = mode === "constant" ? logicalAnd(index.greaterEqual(0), index.lessEqual(size - 1)) : null;
    return { index: inside(index, size, mode), valid, weight };
  };
  if (order === 0) {
    // Halves away from zero, as C rounds.
    const rounded = where(at.greaterEqual(0), floor(at.add(0.5)), floor(at.neg().add(0.5)).neg());
    return [node(rounded, null)];
  }
  const low = floor(at);
  const share = at.sub(low);
  return [node(low, share.neg().add(1)), node(low.add(1), share)];
}

/** Sum over all combinations of neighbours: `read` takes the flat index into `sizes`. */
function interpolate(
  coordinates: readonly Tensor[],
  sizes: readonly number[],
  order: 0 | 1,
  mode: FillMode,
  read: (flat: Tensor) => Tensor,
  spread: (x: Tensor) => Tensor,
  fillValue: number,
): Tensor {
  let combinations: { flat: Tensor; valid: Tensor | null; weight: Tensor | null }[] = [
    { flat: castTo(Tensor.of(0), "i32"), valid: null, weight: null },
  ];
  coordinates.forEach((at, axis) => {
    const nodes = neighbours(at, sizes[axis], order, mode);
    combinations = combinations.flatMap((c) =>
      nodes.map((n) => ({
        flat: add(multiply(c.flat, sizes[axis]), n.index),
        valid: c.valid === null ? n.valid : n.valid === null ? c.valid : logicalAnd(c.valid, n.valid),
        weight: c.weight === null ? n.weight : n.weight === null ? c.weight : multiply(c.weight, n.weight),
      })),
    );
  });
  const terms = combinations.map(({ flat, valid, weight }) => {
    const value = read(flat);
    const shown = valid === null ? value : where(spread(valid), value, Tensor.of(fillValue, value.dtype));
    return weight === null ? shown : multiply(shown, spread(weight));
  });
  return terms.reduce((a, b) => add(a, b));
}

/**
 * Elements of `inputs` (any rank R) at `coordinates` [R, …] → […]: the nearest one (order 0) or linear interpolation (order
 * 1), as scipy.ndimage.map_coordinates.
 */
export function mapCoordinates(
  inputs: TensorLike,
  coordinates: TensorLike,
  order: 0 | 1,
  options: { readonly fillMode?: FillMode; readonly fillValue?: number } = {},
): Tensor {
  const x = Tensor.of(inputs);
  const at = castTo(Tensor.of(coordinates), "f32");
  const { fillMode = "constant", fillValue = 0 } = options;
  if (at.ndim < 2 || at.shape[0] !== x.ndim)
    throw argumentError(
      "image.mapCoordinates",
      "one coordinate for each axis is needed",
      `coordinates [${at.shape}] for rank ${x.ndim}`,
      `[${x.ndim}, …]`,
    );
  if (order !== 0 && order !== 1)
    throw argumentError("image.mapCoordinates", "unknown order", String(order), "0 (nearest) or 1 (linear)");
  const shape = at.shape.slice(1);
  const axes = x.shape.map((_, i) => reshape(sliceAxis(at, 0, i, i + 1), [-1]));
  const flat = reshape(order === 1 ? castTo(x, "f32") : x, [x.size]);
  const read = (index: Tensor) => take(flat, index, 0);
  return reshape(
    interpolate(axes, x.shape, order, fillMode, read, (w) => w, fillValue),
    shape,
  );
}

export interface TransformOptions {
  readonly interpolation?: "nearest" | "bilinear";
  readonly fillMode?: FillMode;
  readonly fillValue?: number;
  readonly dataFormat?: DataFormat;
}

/** Images [N, H, W, C] read at y, x: [N, P] (P points for each) → [N, P, C]. */
function sample(images: Tensor, y: Tensor, x: Tensor, options: TransformOptions): Tensor {
  const [n, h, w, c] = images.shape;
  const { interpolation = "bilinear", fillMode = "constant", fillValue = 0 } = options;
  const points = y.shape[1];
  const order = interpolation === "nearest" ? 0 : 1;
  const flat = reshape(order === 1 ? castTo(images, "f32") : images, [n * h * w, c]);
  const first = reshape(
    tensorFrom(
      Int32Array.from({ length: n }, (_, i) => i * h * w),
      [n],
      "i32",
    ),
    [n, 1],
  );
  const read = (index: Tensor) => reshape(take(flat, reshape(add(index, first), [n * points]), 0), [n, points, c]);
  const spread = (v: Tensor) => reshape(v, [n, points, 1]);
  const out = interpolate([y, x], [h, w], order, fillMode, read, spread, fillValue);
  return castTo(out, images.dtype);
}

/**
 * Images moved by a projective map: the output at (x, y) is the input at ((a0·x + a1·y + a2)/k, (b0·x + b1·y + b2)/k) with
 * k = c0·x + c1·y + 1. `transform` [a0, a1, a2, b0, b1, b2, c0, c1] for all images, or [N, 8].
 */
export function affineTransform(images: TensorLike, transform: TensorLike, options: TransformOptions = {}): Tensor {
  return onImages("affineTransform", images, options.dataFormat, (all) => {
    const [n, h, w, c] = all.shape;
    let t = castTo(Tensor.of(transform), "f32");
    if (t.ndim === 1) t = reshape(t, [1, t.shape[0]]);
    if (t.ndim !== 2 || t.shape[1] !== 8 || (t.shape[0] !== n && t.shape[0] !== 1))
      throw argumentError(
        "image.affineTransform",
        "the transforms do not fit",
        `[${t.shape}] for ${n} images`,
        `[8] or [${n}, 8]`,
      );
    t = broadcastTo(t, [n, 8]);
    const [a0, a1, a2, b0, b1, b2, c0, c1] = Array.from({ length: 8 }, (_, i) => sliceAxis(t, 1, i, i + 1)); // [N, 1]
    const points = h * w;
    const grid = (at: (i: number) => number) =>
      tensorFrom(
        Float32Array.from({ length: points }, (_, i) => at(i)),
        [1, points],
        "f32",
      );
    const x = grid((i) => i % w);
    const y = grid((i) => Math.floor(i / w));
    const k = c0.mul(x).add(c1.mul(y)).add(1);
    const px = a0.mul(x).add(a1.mul(y)).add(a2).div(k);
    const py = b0.mul(x).add(b1.mul(y)).add(b2).div(k);
    return reshape(sample(all, py, px, options), [n, h, w, c]);
  });
}
