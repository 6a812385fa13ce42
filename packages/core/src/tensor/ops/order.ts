/** Sorting, ranking and running sums. */
import * as g from "../../graph/ops/index.ts";
import { normalizeAxis } from "../../graph/types.ts";
import { Tensor, type TensorLike } from "../tensor.ts";
import { castTo, toNumber } from "./promote.ts";
import { ravel, sliceAxis } from "./shape.ts";

const prepared = (x: TensorLike, axis: number | null, name: string): { x: Tensor; axis: number } => {
  const y = axis === null ? ravel(x) : Tensor.of(x);
  return { x: y, axis: normalizeAxis(axis ?? 0, y.ndim, name) };
};
/** Ascending along an axis (null: of all elements); stable, NaN last. */
export function sort(x: TensorLike, axis: number | null = -1): Tensor {
  const p = prepared(x, axis, "sort");
  return new Tensor(g.sort(p.x.value, p.axis)[0]);
}
export function argsort(x: TensorLike, axis: number | null = -1): Tensor {
  const p = prepared(x, axis, "argsort");
  return new Tensor(g.sort(p.x.value, p.axis)[1]);
}
/** The k largest elements of the last axis and their indices, largest first. */
export function topK(x: TensorLike, k: number, _sorted = true): [Tensor, Tensor] {
  const [values, indices] = g.topK(Tensor.of(x).value, k);
  return [new Tensor(values), new Tensor(indices)];
}
export function cumsum(x: TensorLike, axis: number | null = null): Tensor {
  const p = prepared(toNumber(x), axis, "cumsum");
  return new Tensor(g.cumSum(p.x.value, p.axis));
}
export function cumprod(x: TensorLike, axis: number | null = null): Tensor {
  const p = prepared(toNumber(x), axis, "cumprod");
  return new Tensor(g.cumProd(p.x.value, p.axis));
}
/** n-th difference of neighbours. */
export function diff(x: TensorLike, n = 1, axis = -1): Tensor {
  let y = toNumber(x);
  const a = normalizeAxis(axis, y.ndim, "diff");
  for (let i = 0; i < n; i++) {
    const last = y.shape[a];
    y = new Tensor(g.sub(sliceAxis(y, a, 1, last).value, sliceAxis(y, a, 0, last - 1).value));
  }
  return y;
}
/** Whether the target is among the k best predictions of its row. */
export function inTopK(targets: TensorLike, predictions: TensorLike, k: number): Tensor {
  const p = Tensor.of(predictions);
  const i = castTo(Tensor.of(targets), "i32");
  const [n, c] = p.shape;
  const hot = g.equal(g.broadcastTo(g.reshape(i.value, [n, 1]), [n, c]), g.iota([n, c], 1, "i32"));
  const own = g.reduceSum(g.select(hot, p.value, g.scalar(0, p.dtype)), [1], true);
  const better = g.reduceSum(g.cast(g.greater(p.value, g.broadcastTo(own, [n, c])), "i32"), [1]);
  const valid = g.reduceSum(g.cast(hot, "i32"), [1]);
  const finite = g.isFinite(g.reshape(own, [n]));
  return new Tensor(
    g.logicalAnd(g.logicalAnd(g.less(better, g.scalar(k, "i32")), finite), g.greater(valid, g.scalar(0, "i32"))),
  );
}
