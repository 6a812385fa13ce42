/** Arrays scaled and moved along some of their axes, by amounts that may be computed. */
import type { Shape } from "../../../graph/types.ts";
import { Tensor, type TensorLike, tensorFrom } from "../../tensor.ts";
import { abs, maximum, sin, where } from "../elementwise.ts";
import { matmul } from "../linalg.ts";
import { argumentError, castTo } from "../promote.ts";
import { sum } from "../reduce.ts";
import { reshape, slice, transpose } from "../shape.ts";

export type ScaleMethod = "linear" | "bilinear" | "triangle" | "cubic" | "bicubic" | "lanczos3" | "lanczos5";

/** The interpolation kernel at distances d ≥ 0. */
function kernel(d: Tensor, method: ScaleMethod): Tensor {
  switch (method) {
    case "linear":
    case "bilinear":
    case "triangle":
      return maximum(d.neg().add(1), 0);
    case "cubic":
    case "bicubic": {
      const near = d.mul(1.5).sub(2.5).mul(d).mul(d).add(1);
      const far = d.mul(-0.5).add(2.5).mul(d).sub(4).mul(d).add(2);
      return where(d.less(1), near, where(d.less(2), far, 0));
    }
    case "lanczos3":
    case "lanczos5": {
      const reach = method === "lanczos3" ? 3 : 5;
      const at = d.mul(Math.PI);
      const wave = sin(at)
        .mul(sin(at.div(reach)))
        .mul(reach);
      const safe = where(d.greater(1e-3), at.mul(at), 1);
      return where(d.greater(reach), 0, where(d.greater(1e-3), wave.div(safe), 1));
    }
    default:
      throw argumentError(
        "image.scaleAndTranslate",
        "unknown method",
        `"${method satisfies never}"`,
        "linear, cubic, lanczos3, lanczos5",
      );
  }
}

/**
 * An array whose axes `spatialDims` are multiplied by `scale` and then moved by `translation` (one number for each of these
 * axes, in output pixels): output o reads around (o + ½ - translation)/scale - ½. What comes from outside is 0; gradients
 * reach scale and translation. As jax.image.scale_and_translate.
 */
export function scaleAndTranslate(
  images: TensorLike,
  outputShape: Shape,
  scale: TensorLike,
  translation: TensorLike,
  spatialDims: readonly number[],
  method: ScaleMethod,
  antialias = true,
): Tensor {
  let x = castTo(Tensor.of(images), "f32");
  const scales = castTo(Tensor.of(scale), "f32");
  const moves = castTo(Tensor.of(translation), "f32");
  const count = spatialDims.length;
  if (outputShape.length !== x.ndim || scales.size !== count || moves.size !== count)
    throw argumentError(
      "image.scaleAndTranslate",
      "the arguments do not fit each other",
      `output [${outputShape}], ${scales.size} scales, ${moves.size} translations, ${count} axes`,
      `an output of rank ${x.ndim}, one scale and translation for each axis`,
    );
  spatialDims.forEach((given, k) => {
    const axis = given < 0 ? given + x.ndim : given;
    const size = x.shape[axis];
    const out = outputShape[axis];
    const s = reshape(slice(reshape(scales, [count]), [k], [1]), [1, 1]);
    const t = reshape(slice(reshape(moves, [count]), [k], [1]), [1, 1]);
    const steps = (n: number, shape: Shape) =>
      tensorFrom(
        Float32Array.from({ length: n }, (_, i) => i),
        shape,
        "f32",
      );
    const at = steps(out, [out, 1]).add(0.5).sub(t).div(s).sub(0.5); // [out, 1]
    const wide = antialias ? maximum(s.mul(0).add(1).div(s), 1) : Tensor.of(1);
    const weights = kernel(abs(at.sub(steps(size, [1, size]))).div(wide), method); // [out, size]
    const total = sum(weights, 1, true);
    const known = abs(total).greater(1000 * 2 ** -23);
    const inside = at.greaterEqual(-0.5).logicalAnd(at.lessEqual(size - 0.5));
    const rows = where(known.logicalAnd(inside), weights.div(where(known, total, 1)), 0);
    const rest = x.shape.map((_, i) => i).filter((i) => i !== axis);
    const moved = matmul(transpose(x, [...rest, axis]), transpose(rows));
    x = transpose(
      moved,
      x.shape.map((_, i) => (i === axis ? x.ndim - 1 : rest.indexOf(i))),
    );
  });
  if (String(x.shape) !== String(outputShape))
    throw argumentError(
      "image.scaleAndTranslate",
      "only spatialDims change their size",
      `[${outputShape}]`,
      `[${x.shape}]`,
    );
  return x;
}
