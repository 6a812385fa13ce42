/** Systems of linear equations and what comes with them: inverse, determinant, Cholesky factors. */

import type { Value } from "../../graph/node.ts";
import * as g from "../../graph/ops/index.ts";
import { Tensor, type TensorLike } from "../tensor.ts";
import { scan } from "./control.ts";
import { abs, equal, greaterEqual, log, multiply, sign, sqrt, where } from "./elementwise.ts";
import { matmul } from "./linalg.ts";
import { argumentError, castTo } from "./promote.ts";
import { argmax, sum } from "./reduce.ts";
import {
  arange,
  broadcastTo,
  concatenate,
  expandDims,
  eye,
  oneHot,
  reshape,
  sliceAxis,
  squeeze,
  swapaxes,
} from "./shape.ts";

const wrap = (v: Value) => new Tensor(v);

function square(name: string, a: TensorLike): { a: Tensor; lead: readonly number[]; n: number } {
  const t = castTo(Tensor.of(a), "f32");
  const n = t.shape[t.ndim - 1];
  if (t.ndim < 2 || t.shape[t.ndim - 2] !== n)
    throw argumentError(name, "the matrices are not square", `[${t.shape}]`, "[…, N, N]");
  return { a: t, lead: t.shape.slice(0, -2), n };
}
const transposed = (a: Tensor) => swapaxes(a, -1, -2);

/** a: [R, N, N], b: [R, N, M] → a⁻¹b, and sign and logarithm of |det a| [R]: Gauss and Jordan with pivots by rows. */
function eliminate(a: Tensor, b: Tensor): { x: Tensor; sign: Tensor; logdet: Tensor } {
  const [rows, n] = a.shape;
  const index = arange(n);
  const zero = sum(a, [1, 2]).mul(0); // [R]
  const start: [Tensor, Tensor, Tensor] = [concatenate([a, b], 2), zero.add(1), zero];
  const [[m, s, logdet]] = scan<[Tensor, Tensor, Tensor], Tensor, null>(
    ([m, s, logdet], k) => {
      const here = castTo(equal(index, k), "f32"); // [N]
      const column = sum(multiply(sliceAxis(m, 2, 0, n), here), 2); // [R, N]
      const candidates = where(greaterEqual(index, k), abs(column), -1);
      const at = argmax(candidates, 1); // [R]
      const pivotRow = oneHot(at, n); // [R, N]
      const rowOf = (w: Tensor) => sum(multiply(m, expandDims(w, -1)), 1); // [R, N + M]
      const pivotal = rowOf(pivotRow);
      const current = rowOf(broadcastTo(here, [rows, n]));
      const pivot = sum(multiply(column, pivotRow), 1); // [R]
      const old = sum(multiply(column, here), 1);
      const row = pivotal.div(expandDims(pivot, 1)); // [R, N + M]
      // The rows change places: what stood in row k goes where the pivot was.
      const moved = where(expandDims(pivotRow, -1).greater(0), expandDims(current, 1), m);
      const factors = where(pivotRow.greater(0), expandDims(old, 1), column);
      const reduced = moved.sub(multiply(expandDims(factors, -1), expandDims(row, 1)));
      const next = where(expandDims(here, -1).greater(0), expandDims(row, 1), reduced);
      const swapped = where(equal(at, k), 1, -1);
      return [[next, s.mul(sign(pivot)).mul(castTo(swapped, "f32")), logdet.add(log(abs(pivot)))], null];
    },
    start,
    index,
  );
  return { x: sliceAxis(m, 2, n, m.shape[2]), sign: s, logdet };
}

/** x with a·x = b, as a function with the gradient of the implicit equation: db = a⁻ᵀ·dx, da = -db·xᵀ. */
function solveBatch(a: Tensor, b: Tensor): Tensor {
  const [x] = g.customGradient([eliminate(a, b).x.value], [a.value, b.value], ([dx]) => {
    const db = solveBatch(transposed(a), wrap(dx));
    return [matmul(db, transposed(wrap(x))).neg().value, db.value];
  });
  return wrap(x);
}

/** x with a·x = b: a […, N, N], b […, N] or […, N, M]. A singular matrix gives infinities or NaN. */
export function solve(a: TensorLike, b: TensorLike): Tensor {
  const { a: left, lead, n } = square("solve", a);
  let right = castTo(Tensor.of(b), "f32");
  const vector = right.ndim === lead.length + 1;
  if (vector) right = expandDims(right, -1);
  if (
    right.ndim !== lead.length + 2 ||
    right.shape[right.ndim - 2] !== n ||
    String(right.shape.slice(0, -2)) !== String(lead)
  )
    throw argumentError(
      "solve",
      "the sides do not fit",
      `[${left.shape}] and [${right.shape}]`,
      `[…, ${n}] or […, ${n}, M]`,
    );
  const m = right.shape[right.ndim - 1];
  const count = lead.reduce((p, d) => p * d, 1);
  const x = reshape(solveBatch(reshape(left, [count, n, n]), reshape(right, [count, n, m])), [...lead, n, m]);
  return vector ? squeeze(x, -1) : x;
}

/** The inverse of each matrix. */
export function inv(a: TensorLike): Tensor {
  const { a: t, n } = square("inv", a);
  return solve(t, broadcastTo(eye(n), t.shape));
}

/** Sign of the determinant and the logarithm of its size: [real] […, N, N] → two of […]. */
export function slogdet(a: TensorLike): [Tensor, Tensor] {
  const { a: t, lead, n } = square("slogdet", a);
  const count = lead.reduce((p, d) => p * d, 1);
  const flat = reshape(t, [count, n, n]);
  const { sign: s, logdet, x } = eliminate(flat, broadcastTo(eye(n), [count, n, n]));
  const [signs, logs] = g.customGradient([s.value, logdet.value], [flat.value], ([, dl]) => [
    multiply(transposed(x), reshape(wrap(dl), [count, 1, 1])).value,
  ]);
  return [reshape(wrap(signs), lead), reshape(wrap(logs), lead)];
}
/** The logarithm of the determinant's size. */
export const logdet = (a: TensorLike): Tensor => slogdet(a)[1];
/** The determinant of each matrix. */
export function det(a: TensorLike): Tensor {
  const [s, l] = slogdet(a);
  return s.mul(l.exp());
}

/** x with a·x = b for triangular a, whose other half is not read. */
export function solveTriangular(a: TensorLike, b: TensorLike, lower = false): Tensor {
  const { a: t, n } = square("solveTriangular", a);
  return solve(where(triangle(n, lower), t, 0), b);
}
/** bool [N, N]: the lower (or upper) half with the diagonal. */
function triangle(n: number, lower: boolean): Tensor {
  const i = arange(n);
  const [row, column] = [expandDims(i, 1), expandDims(i, 0)];
  return lower ? greaterEqual(row, column) : greaterEqual(column, row);
}

/** L with L·Lᵀ = a, lower triangular: a […, N, N] symmetric and positive. The gradient is that of Murray (2016, arXiv 1602.07527). */
export function cholesky(a: TensorLike, upper = false): Tensor {
  const { a: t, lead, n } = square("cholesky", a);
  const count = lead.reduce((p, d) => p * d, 1);
  const factor = choleskyBatch(reshape(t, [count, n, n]));
  return reshape(upper ? transposed(factor) : factor, t.shape);
}
function choleskyBatch(a: Tensor): Tensor {
  const n = a.shape[1];
  const index = arange(n);
  const [l] = scan<Tensor, Tensor, null>(
    (l, k) => {
      const here = castTo(equal(index, k), "f32"); // [N]
      const column = sum(multiply(a, here), 2); // [R, N]
      const row = sum(multiply(l, expandDims(here, -1)), 1); // [R, N], what is known of row k
      const rest = column.sub(sum(multiply(l, expandDims(row, 1)), 2));
      const diagonal = sqrt(sum(multiply(rest, here), 1, true)); // [R, 1]
      const next = where(greaterEqual(index, k), rest.div(diagonal), 0);
      return [l.add(multiply(expandDims(next, -1), here)), null];
    },
    a.mul(0),
    index,
  );
  const [factor] = g.customGradient([l.value], [a.value], ([dl]) => {
    const up = transposed(wrap(factor));
    const half = where(triangle(n, true), matmul(up, wrap(dl)), 0).mul(eye(n).mul(-0.5).add(1));
    // L⁻ᵀ · Φ · L⁻¹, made symmetric.
    const left = solveBatch(up, half);
    const both = transposed(solveBatch(up, transposed(left)));
    return [both.add(transposed(both)).mul(0.5).value];
  });
  return wrap(factor);
}
