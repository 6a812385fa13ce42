/** Singular values and what rests on them: pseudo-inverse, least squares, rank, nuclear norm. */
import type { Value } from "../../graph/node.ts";
import * as g from "../../graph/ops/index.ts";
import { Tensor, type TensorLike, tensorFrom } from "../tensor.ts";
import { scan } from "./control.ts";
import { abs, divide, greater, multiply, sqrt, where } from "./elementwise.ts";
import { matmul } from "./linalg.ts";
import { argsort } from "./order.ts";
import { argumentError, castTo } from "./promote.ts";
import { max, sum } from "./reduce.ts";
import {
  broadcastTo,
  concatenate,
  expandDims,
  eye,
  pad,
  reshape,
  sliceAxis,
  squeeze,
  swapaxes,
  take,
  takeAlongAxis,
} from "./shape.ts";

const wrap = (v: Value) => new Tensor(v);
const transposed = (a: Tensor) => swapaxes(a, -1, -2);

/** Passes over all pairs of columns. Convergence is quadratic: six are usual in single precision. */
const sweeps = 10;

/**
 * a: [R, M, N] with M ≥ N → U [R, M, N], S [R, N] falling, V [R, N, N] with a = U·S·Vᵀ, by the one-sided method of Jacobi
 * (Hestenes 1958): pairs of columns are turned until all are orthogonal. All pairs of a round are turned at once, and a
 * tournament brings every two together once in a pass.
 */
function jacobi(a: Tensor): { u: Tensor; s: Tensor; v: Tensor } {
  const [rows, , n] = a.shape;
  const even = n + (n % 2);
  const half = even / 2;
  const wide =
    even === n
      ? a
      : pad(a, [
          [0, 0],
          [0, 0],
          [0, 1],
        ]);
  // The first player stays, the others move on by one place: [0, h, 1, 2, … | h+1, …, last, h-1].
  const top = Array.from({ length: half }, (_, i) => i);
  const bottom = Array.from({ length: half }, (_, i) => half + i);
  const nextTop = half === 1 ? top : [0, bottom[0], ...top.slice(1, -1)];
  const nextBottom = half === 1 ? bottom : [...bottom.slice(1), top[half - 1]];
  const order = tensorFrom(Int32Array.from([...nextTop, ...nextBottom]), [even], "i32");
  const start: [Tensor, Tensor] = [wide, broadcastTo(eye(even), [rows, even, even])];
  const rounds = Math.max(1, (even - 1) * sweeps);
  const [[u, v]] = scan<[Tensor, Tensor], null, null>(
    ([u, v]) => {
      const [l, r] = [sliceAxis(u, 2, 0, half), sliceAxis(u, 2, half, even)];
      const [alpha, beta, gamma] = [sum(l.mul(l), 1), sum(r.mul(r), 1), sum(l.mul(r), 1)]; // [R, half]
      const turn = greater(abs(gamma), 1e-30);
      const zeta = beta.sub(alpha).div(where(turn, gamma.mul(2), 1));
      const direction = where(zeta.less(0), -1, 1);
      const t = where(turn, direction.div(abs(zeta).add(sqrt(zeta.mul(zeta).add(1)))), 0);
      const c = expandDims(divide(1, sqrt(t.mul(t).add(1))), 1); // [R, 1, half]
      const s = c.mul(expandDims(t, 1));
      const turned = (x: Tensor) => {
        const [p, q] = [sliceAxis(x, 2, 0, half), sliceAxis(x, 2, half, even)];
        const both = concatenate([c.mul(p).sub(s.mul(q)), s.mul(p).add(c.mul(q))], 2);
        return take(both, order, 2);
      };
      return [[turned(u), turned(v)], null];
    },
    start,
    null,
    { length: rounds },
  );
  const norms = sqrt(sum(u.mul(u), 1)); // [R, even]
  const rank = argsort(norms.neg(), -1);
  const pick = (x: Tensor) => takeAlongAxis(x, broadcastTo(expandDims(rank, 1), [rows, x.shape[1], even]), 2);
  const s = sliceAxis(takeAlongAxis(norms, rank, 1), 1, 0, n);
  const columns = sliceAxis(pick(u), 2, 0, n);
  const unit = expandDims(where(greater(s, 0), s, 1), 1);
  return {
    u: columns.div(unit),
    s,
    v: sliceAxis(sliceAxis(pick(v), 2, 0, n), 1, 0, n),
  };
}

/** The thin decomposition of a batch [R, M, N], with its gradient (Townsend 2016, "Differentiating the singular value decomposition"). */
function thin(a: Tensor): { u: Tensor; s: Tensor; v: Tensor } {
  if (a.shape[1] < a.shape[2]) {
    const { u, s, v } = thin(transposed(a));
    return { u: v, s, v: u };
  }
  const raw = jacobi(a);
  const n = raw.s.shape[1];
  const [u, s, v] = g.customGradient([raw.u.value, raw.s.value, raw.v.value], [a.value], (grads) => {
    const [dU, dS, dV] = grads.map(wrap);
    const [U, S, V] = [u, s, v].map(wrap);
    const rows = expandDims(S, 2); // [R, N, 1]
    const columns = expandDims(S, 1); // [R, 1, N]
    const gap = columns.mul(columns).sub(rows.mul(rows));
    const apart = greater(abs(gap), 0);
    const f = where(apart, divide(1, where(apart, gap, 1)), 0);
    const skew = (x: Tensor, dx: Tensor) => {
      const p = matmul(transposed(x), dx);
      return f.mul(p.sub(transposed(p)));
    };
    const inner = skew(U, dU)
      .mul(columns)
      .add(rows.mul(skew(V, dV)))
      .add(eye(n).mul(expandDims(dS, 1)));
    let total = matmul(matmul(U, inner), transposed(V));
    const positive = greater(columns, 0);
    const inverse = where(positive, divide(1, where(positive, columns, 1)), 0);
    const outside = dU.sub(matmul(U, matmul(transposed(U), dU)));
    total = total.add(matmul(outside.mul(inverse), transposed(V)));
    return [total.value];
  });
  return { u: wrap(u), s: wrap(s), v: wrap(v) };
}

function batched(name: string, x: TensorLike) {
  const a = castTo(Tensor.of(x), "f32");
  if (a.ndim < 2 || a.size === 0)
    throw argumentError(name, "these are no matrices", `[${a.shape}]`, "rank 2 or more, sizes ≥ 1");
  const [m, n] = a.shape.slice(-2);
  const lead = a.shape.slice(0, -2);
  return { flat: reshape(a, [lead.reduce((p, d) => p * d, 1), m, n]), lead, m, n };
}

/**
 * Singular value decomposition x = U·diag(S)·Vᵀ with S falling: [U […, M, K], S […, K], Vᵀ […, K, N]], K = min(M, N); with
 * `computeUv` false, S alone. Only the thin form is made: `fullMatrices` asks for more where M ≠ N and is refused there.
 */
export function svd(x: TensorLike, fullMatrices?: boolean, computeUv?: true): [Tensor, Tensor, Tensor];
export function svd(x: TensorLike, fullMatrices: boolean, computeUv: false): Tensor;
export function svd(x: TensorLike, fullMatrices = false, computeUv = true): Tensor | [Tensor, Tensor, Tensor] {
  const { flat, lead, m, n } = batched("svd", x);
  if (fullMatrices && computeUv && m !== n)
    throw argumentError(
      "svd",
      "only the thin form of matrices that are not square is made",
      "fullMatrices: true",
      "fullMatrices: false",
    );
  const { u, s, v } = thin(flat);
  const values = reshape(s, [...lead, Math.min(m, n)]);
  if (!computeUv) return values;
  return [reshape(u, [...lead, m, u.shape[2]]), values, reshape(transposed(v), [...lead, v.shape[2], n])];
}

/** 1/s where s counts as more than 0. */
function inverseValues(s: Tensor, rcond: number): Tensor {
  const least = max(s, -1, true).mul(rcond);
  const counts = greater(s, least);
  return where(counts, divide(1, where(counts, s, 1)), 0);
}
const epsilon = 2 ** -23;

/** The pseudo-inverse (Moore, Penrose) of […, M, N]: […, N, M]. Singular values up to `rcond` times the largest count as 0. */
export function pinv(x: TensorLike, rcond: number | null = null): Tensor {
  const { flat, lead, m, n } = batched("pinv", x);
  const { u, s, v } = thin(flat);
  const inverse = inverseValues(s, rcond ?? 10 * Math.max(m, n) * epsilon);
  return reshape(matmul(multiply(v, expandDims(inverse, 1)), transposed(u)), [...lead, n, m]);
}

/** The shortest x for which a·x is nearest to b: a [M, N], b [M] or [M, K]. */
export function lstsq(a: TensorLike, b: TensorLike, rcond: number | null = null): Tensor {
  const { m, n, lead } = batched("lstsq", a);
  const right = castTo(Tensor.of(b), "f32");
  const vector = right.ndim === lead.length + 1;
  const inverse = pinv(a, rcond ?? epsilon * Math.max(m, n));
  const x = matmul(inverse, vector ? expandDims(right, -1) : right);
  return vector ? squeeze(x, -1) : x;
}

/** The number of singular values above `tol` (by default the largest times max(M, N) times 2^-23): i32. */
export function matrixRank(x: TensorLike, tol: number | null = null): Tensor {
  const { m, n } = batched("matrixRank", x);
  const s = svd(x, false, false);
  const least = tol === null ? max(s, -1, true).mul(Math.max(m, n) * epsilon) : Tensor.of(tol, "f32");
  return sum(castTo(greater(s, least), "i32"), -1);
}
