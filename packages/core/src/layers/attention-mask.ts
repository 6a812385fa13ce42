/** Masks of attention: which keys (S) each query (T) may look at, as bool tensors that broadcast to [N, T, S]. */
import * as g from "../graph/ops/index.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";

/** Both conditions; null is no condition. */
export function both(a: Tensor | null, b: Tensor | null): Tensor | null {
  if (a === null || b === null) return a ?? b;
  return ops.logicalAnd(a, b);
}

/** Query i sees keys up to `offset` + i: bool [T, S]. */
export function causalMaskFrom(t: number, s: number, offset: Tensor): Tensor {
  const row = new Tensor(g.iota([t, s], 0, "i32"));
  const column = new Tensor(g.iota([t, s], 1, "i32"));
  return ops.greaterEqual(row.add(offset), column);
}

/** Query i sees the keys less than `window` away, on both sides: bool [T, S]. */
export function windowMask(t: number, s: number, window: number, offset: Tensor | null = null): Tensor {
  const row = new Tensor(g.iota([t, s], 0, "i32"));
  const column = new Tensor(g.iota([t, s], 1, "i32"));
  return ops.less(ops.abs((offset === null ? row : row.add(offset)).sub(column)), window);
}

/** A mask of queries [N, T] → [N, T, 1]. */
export const ofQueries = (mask: Tensor): Tensor => ops.expandDims(asBool(mask), -1);
/** A mask of keys [N, S] → [N, 1, S]. */
export const ofKeys = (mask: Tensor): Tensor => ops.expandDims(asBool(mask), -2);
export const asBool = (mask: Tensor): Tensor => (mask.dtype === "bool" ? mask : ops.notEqual(mask, 0));
