/** Images moved by the projective map that takes four points to four others. */
import { Tensor, type TensorLike } from "../../tensor.ts";
import { argumentError, castTo } from "../promote.ts";
import { broadcastTo, concatenate, reshape, slice } from "../shape.ts";
import { affineTransform, type TransformOptions } from "./coordinates.ts";

/** A 3×3 matrix of tensors [N, 1], row by row. */
type Matrix = readonly Tensor[];

/** The map from the corners (0, 0), (1, 0), (1, 1), (0, 1) to four points [N, 4, 2] (Heckbert 1989, "Fundamentals of texture mapping"). */
function fromSquare(points: Tensor): Matrix {
  const n = points.shape[0];
  const at = (i: number, axis: number) => reshape(slice(points, [0, i, axis], [n, 1, 1]), [n, 1]);
  const [x0, x1, x2, x3] = [0, 1, 2, 3].map((i) => at(i, 0));
  const [y0, y1, y2, y3] = [0, 1, 2, 3].map((i) => at(i, 1));
  const [dx1, dx2, dx3] = [x1.sub(x2), x3.sub(x2), x0.sub(x1).add(x2).sub(x3)];
  const [dy1, dy2, dy3] = [y1.sub(y2), y3.sub(y2), y0.sub(y1).add(y2).sub(y3)];
  const area = dx1.mul(dy2).sub(dx2.mul(dy1));
  const g = dx3.mul(dy2).sub(dx2.mul(dy3)).div(area);
  const h = dx1.mul(dy3).sub(dx3.mul(dy1)).div(area);
  const one = g.mul(0).add(1);
  return [
    x1.sub(x0).add(g.mul(x1)),
    x3.sub(x0).add(h.mul(x3)),
    x0,
    y1.sub(y0).add(g.mul(y1)),
    y3.sub(y0).add(h.mul(y3)),
    y0,
    g,
    h,
    one,
  ];
}

/** The inverse but for a factor: the transposed matrix of cofactors. */
function adjugate(m: Matrix): Matrix {
  const minor = (i: number, j: number) => {
    const [r0, r1] = [0, 1, 2].filter((r) => r !== i);
    const [c0, c1] = [0, 1, 2].filter((c) => c !== j);
    const d = m[3 * r0 + c0].mul(m[3 * r1 + c1]).sub(m[3 * r0 + c1].mul(m[3 * r1 + c0]));
    return (i + j) % 2 === 0 ? d : d.neg();
  };
  return Array.from({ length: 9 }, (_, k) => minor(k % 3, Math.floor(k / 3)));
}
function product(a: Matrix, b: Matrix): Matrix {
  return Array.from({ length: 9 }, (_, k) => {
    const [i, j] = [Math.floor(k / 3), k % 3];
    return a[3 * i]
      .mul(b[j])
      .add(a[3 * i + 1].mul(b[3 + j]))
      .add(a[3 * i + 2].mul(b[6 + j]));
  });
}

/**
 * Images in which `startPoints` come to lie at `endPoints`: [4, 2] for all images or [N, 4, 2], each point as (x, y). What
 * comes from outside is `fillValue`.
 */
export function perspectiveTransform(
  images: TensorLike,
  startPoints: TensorLike,
  endPoints: TensorLike,
  options: Omit<TransformOptions, "fillMode"> = {},
): Tensor {
  const points = (x: TensorLike): Tensor => {
    const t = castTo(Tensor.of(x), "f32");
    if ((t.ndim !== 2 && t.ndim !== 3) || t.shape.at(-2) !== 4 || t.shape.at(-1) !== 2)
      throw argumentError(
        "image.perspectiveTransform",
        "four points are needed",
        `[${t.shape}]`,
        "[4, 2] or [N, 4, 2]",
      );
    return t.ndim === 2 ? reshape(t, [1, 4, 2]) : t;
  };
  const start = points(startPoints);
  const end = points(endPoints);
  const count = Math.max(start.shape[0], end.shape[0]);
  // From where an output lies (end) to where it comes from (start).
  const m = product(
    fromSquare(broadcastTo(start, [count, 4, 2])),
    adjugate(fromSquare(broadcastTo(end, [count, 4, 2]))),
  );
  const transform = concatenate(
    m.slice(0, 8).map((v) => v.div(m[8])),
    1,
  );
  return affineTransform(images, transform, options);
}
