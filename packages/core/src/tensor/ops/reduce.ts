/** Reductions with Keras' arguments (x, axis, keepdims) and dtypes: sums of bool are i32, means are floats. */
import type { Value } from "../../graph/node.ts";
import * as g from "../../graph/ops/index.ts";
import { isFloat, normalizeAxes, normalizeAxis } from "../../graph/types.ts";
import { Tensor, type TensorLike } from "../tensor.ts";
import {
  abs,
  add,
  divide,
  exp,
  greater,
  isfinite,
  isnan,
  log,
  logicalNot,
  maximum,
  multiply,
  power,
  sqrt,
  square,
  subtract,
  where,
} from "./elementwise.ts";
import { sort } from "./order.ts";
import { argumentError, castTo, inComputeDtype, toBool, toFloat, toNumber } from "./promote.ts";
import { reshape, take, transpose } from "./shape.ts";
import { svd } from "./svd.ts";

export type Axis = number | readonly number[] | null;

const fold =
  /* @__NO_SIDE_EFFECTS__ */
    (name: string, f: (x: Value, axes?: readonly number[], keepdims?: boolean) => Value) =>
    (x: TensorLike, axis: Axis = null, keepdims = false): Tensor => {
      const y = toNumber(x);
      const axes = normalizeAxes(axis, y.ndim, name);
      return inComputeDtype([y], (v) => f(v, axes, keepdims));
    };

export const sum = (x: TensorLike, axis: Axis = null, keepdims = false): Tensor => {
  // Small integers are summed in i32.
  const y = toNumber(x);
  return sumOf(isFloat(y.dtype) || y.dtype === "u32" ? y : castTo(y, y.dtype === "u8" ? "u32" : "i32"), axis, keepdims);
};
const sumOf = fold("sum", g.reduceSum);
export const prod = (x: TensorLike, axis: Axis = null, keepdims = false): Tensor => {
  const y = toNumber(x);
  return prodOf(
    isFloat(y.dtype) || y.dtype === "u32" ? y : castTo(y, y.dtype === "u8" ? "u32" : "i32"),
    axis,
    keepdims,
  );
};
const prodOf = fold("prod", g.reduceProd);
const extreme = /* @__NO_SIDE_EFFECTS__ */ (
  name: string,
  f: (x: Value, axes?: readonly number[], keepdims?: boolean) => Value,
) => {
  const inner = fold(name, f);
  return (x: TensorLike, axis: Axis = null, keepdims = false, initial: number | null = null): Tensor => {
    const y = Tensor.of(x);
    const axes = normalizeAxes(axis, y.ndim, name);
    if (initial === null && axes.some((a) => y.shape[a] === 0)) {
      throw argumentError(
        name,
        "an empty axis has no such element",
        `shape [${y.shape}]`,
        "at least one element, or an initial value",
      );
    }
    let r = inner(y, axis, keepdims);
    if (initial !== null)
      r = name === "max" ? maximum(r, initial) : new Tensor(g.minimum(r.value, g.scalar(initial, r.dtype)));
    return y.dtype === "bool" ? castTo(r, "bool") : r;
  };
};
export const max = extreme("max", g.reduceMax);
export const min = extreme("min", g.reduceMin);
export const amax = (x: TensorLike, axis: Axis = null, keepdims = false): Tensor => max(x, axis, keepdims);
export const amin = (x: TensorLike, axis: Axis = null, keepdims = false): Tensor => min(x, axis, keepdims);

/** Number of elements folded into one result. */
function countOf(x: Tensor, axis: Axis): number {
  return normalizeAxes(axis, x.ndim, "mean").reduce((n, a) => n * x.shape[a], 1);
}
export function mean(x: TensorLike, axis: Axis = null, keepdims = false): Tensor {
  const y = toFloat(x);
  return multiply(sum(y, axis, keepdims), 1 / countOf(y, axis));
}
/** Mean of squared distances from the mean. */
export function variance(x: TensorLike, axis: Axis = null, keepdims = false): Tensor {
  const y = toFloat(x);
  return mean(square(subtract(y, mean(y, axis, true))), axis, keepdims);
}
export { variance as var };
export const std = (x: TensorLike, axis: Axis = null, keepdims = false): Tensor => sqrt(variance(x, axis, keepdims));
/** Mean and variance; `synchronized` is for many processes and makes no difference in one. */
export function moments(x: TensorLike, axes: Axis, keepdims = false): [Tensor, Tensor] {
  return [mean(x, axes, keepdims), variance(x, axes, keepdims)];
}
export function average(x: TensorLike, axis: Axis = null, weights: TensorLike | null = null): Tensor {
  if (weights === null) return mean(x, axis);
  const y = toFloat(x);
  let w = toFloat(weights);
  if (w.ndim !== y.ndim && typeof axis === "number") {
    const a = normalizeAxis(axis, y.ndim, "average");
    w = reshape(
      w,
      y.shape.map((d, i) => (i === a ? d : 1)),
    );
  }
  const spread = new Tensor(g.broadcastTo(w.value, y.shape));
  return divide(sum(multiply(y, spread), axis), sum(spread, axis));
}
export function any(x: TensorLike, axis: Axis = null, keepdims = false): Tensor {
  return greater(fold("any", g.reduceSum)(castTo(toBool(x), "i32"), axis, keepdims), 0);
}
export function all(x: TensorLike, axis: Axis = null, keepdims = false): Tensor {
  return logicalNot(any(logicalNot(x), axis, keepdims));
}
export const countNonzero = (x: TensorLike, axis: Axis = null): Tensor => sum(castTo(toBool(x), "i32"), axis);

// @__NO_SIDE_EFFECTS__
function index(name: string, f: (x: Value, axis: number) => Value) {
  return (x: TensorLike, axis: number | null = null, keepdims = false): Tensor => {
    let y = toNumber(x);
    const flat = axis === null;
    const rank = y.ndim;
    if (flat) y = reshape(y, [y.size]);
    const a = normalizeAxis(axis ?? 0, y.ndim, name);
    const r = new Tensor(f(y.value, a));
    if (!keepdims) return r;
    return reshape(r, flat ? new Array(rank).fill(1) : y.shape.map((d, i) => (i === a ? 1 : d)));
  };
}
export const argmax = index("argmax", g.argMax);
export const argmin = index("argmin", g.argMin);

/** log Σ e^x, with the maximum taken out. */
export function logsumexp(x: TensorLike, axis: Axis = null, keepdims = false): Tensor {
  const y = toFloat(x);
  const high = max(y, axis, true);
  const safe = new Tensor(g.stopGradient(where(isfinite(high), high, 0).value));
  const r = add(log(sum(exp(subtract(y, safe)), axis, true)), safe);
  return keepdims
    ? r
    : reshape(
        r,
        r.shape.filter((_, i) => !normalizeAxes(axis, y.ndim, "logsumexp").includes(i)),
      );
}
export const ptp = (x: TensorLike, axis: Axis = null, keepdims = false): Tensor =>
  subtract(max(x, axis, keepdims), min(x, axis, keepdims));

const hasNan = (x: TensorLike) => isFloat(Tensor.of(x).dtype);
export const nansum = (x: TensorLike, axis: Axis = null, keepdims = false): Tensor =>
  sum(hasNan(x) ? where(isnan(x), 0, x) : x, axis, keepdims);
export const nanprod = (x: TensorLike, axis: Axis = null, keepdims = false): Tensor =>
  prod(hasNan(x) ? where(isnan(x), 1, x) : x, axis, keepdims);
export function nanmean(x: TensorLike, axis: Axis = null, keepdims = false): Tensor {
  const y = toFloat(x);
  return divide(nansum(y, axis, keepdims), sum(castTo(logicalNot(isnan(y)), "f32"), axis, keepdims));
}
// @__NO_SIDE_EFFECTS__
function nanExtreme(f: typeof max, bound: number) {
  return (x: TensorLike, axis: Axis = null, keepdims = false): Tensor => {
    if (!hasNan(x)) return f(x, axis, keepdims);
    const y = toFloat(x);
    const r = f(where(isnan(y), bound, y), axis, keepdims);
    return where(all(isnan(y), axis, keepdims), Number.NaN, r);
  };
}
export const nanmax = nanExtreme(max, -Infinity);
export const nanmin = nanExtreme(min, Infinity);

/** p-norm over one axis (vectors), a norm of matrices over two axes, or the Frobenius norm over all. */
export function norm(x: TensorLike, ord: number | string | null = null, axis: Axis = null, keepdims = false): Tensor {
  const y = toFloat(x);
  const axes = normalizeAxes(axis, y.ndim, "norm");
  if (ord === null || ord === "fro" || (ord === 2 && axes.length === 1)) return sqrt(sum(square(y), axes, keepdims));
  if (
    axes.length === 2 &&
    typeof ord === "number" &&
    (Math.abs(ord) === 1 || Math.abs(ord) === Number.POSITIVE_INFINITY)
  ) {
    const inner = Math.abs(ord) === 1 ? axes[0] : axes[1];
    const outer = Math.abs(ord) === 1 ? axes[1] : axes[0];
    const s = sum(abs(y), inner, true);
    const r = ord > 0 ? max(s, outer, true) : min(s, outer, true);
    return keepdims
      ? r
      : reshape(
          r,
          r.shape.filter((_, i) => !axes.includes(i)),
        );
  }
  if (axes.length === 2 && (ord === "nuc" || Math.abs(ord as number) === 2)) {
    const rest = y.shape.map((_, i) => i).filter((i) => !axes.includes(i));
    const s = svd(transpose(y, [...rest, ...axes]), false, false);
    const r = ord === "nuc" ? sum(s, -1) : (ord as number) > 0 ? max(s, -1) : min(s, -1);
    return keepdims
      ? reshape(
          r,
          y.shape.map((d, i) => (axes.includes(i) ? 1 : d)),
        )
      : r;
  }
  if (axes.length !== 1 || typeof ord !== "number")
    throw argumentError(
      "norm",
      `order ${ord} is not known for ${axes.length} axes`,
      String(ord),
      "null, 'fro', a number for vectors; 'nuc', ±1, ±2 or ±Infinity for matrices",
    );
  if (ord === Number.POSITIVE_INFINITY) return max(abs(y), axes, keepdims);
  if (ord === Number.NEGATIVE_INFINITY) return min(abs(y), axes, keepdims);
  if (ord === 0) return sum(castTo(toBool(y), "f32"), axes, keepdims);
  if (ord === 1) return sum(abs(y), axes, keepdims);
  return power(sum(power(abs(y), ord), axes, keepdims), 1 / ord);
}
/** x divided by its p-norm along `axis`. */
export function normalize(x: TensorLike, axis: Axis = -1, order: number | null = 2, epsilon = 1e-12): Tensor {
  const y = toFloat(x);
  const axes = normalizeAxes(axis, y.ndim, "normalize");
  if (order === 2)
    return multiply(y, new Tensor(g.rsqrt(maximum(sum(square(y), axes, true), epsilon * epsilon).value)));
  const n =
    order === Number.POSITIVE_INFINITY
      ? max(abs(y), axes, true)
      : power(sum(power(abs(y), order ?? 2), axes, true), 1 / (order ?? 2));
  return divide(y, maximum(n, epsilon));
}

/** Quantile by linear (default) or other interpolation between sorted elements. `q` may be a number or a list. */
export function quantile(
  x: TensorLike,
  q: number | readonly number[],
  axis: Axis = null,
  method: "linear" | "lower" | "higher" | "nearest" | "midpoint" = "linear",
  keepdims = false,
): Tensor {
  let y = toFloat(x);
  const axes = normalizeAxes(axis, y.ndim, "quantile");
  const kept = y.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const outShape = keepdims ? y.shape.map((d, i) => (axes.includes(i) ? 1 : d)) : kept.map((i) => y.shape[i]);
  const n = axes.reduce((p, a) => p * y.shape[a], 1);
  y = reshape(new Tensor(g.transpose(y.value, [...kept, ...axes])), [...kept.map((i) => y.shape[i]), n]);
  const sorted = sort(y, -1);
  const one = (p: number): Tensor => {
    const at = p * (n - 1);
    const low = Math.floor(at);
    const high = Math.ceil(at);
    const element = (i: number) => take(sorted, Tensor.of(i, "i32"), sorted.ndim - 1);
    switch (method) {
      case "lower":
        return element(low);
      case "higher":
        return element(high);
      case "nearest":
        return element(at - low === 0.5 ? (low % 2 === 0 ? low : high) : Math.round(at));
      case "midpoint":
        return multiply(add(element(low), element(high)), 0.5);
      default:
        return add(element(low), multiply(subtract(element(high), element(low)), at - low));
    }
  };
  const list = typeof q === "number" ? [q] : q;
  const results = list.map((p) => reshape(one(p), [1, ...outShape]));
  const stacked =
    results.length === 1
      ? results[0]
      : new Tensor(
          g.concat(
            results.map((r) => r.value),
            0,
          ),
        );
  return typeof q === "number" ? reshape(stacked, outShape) : stacked;
}
export const median = (x: TensorLike, axis: Axis = null, keepdims = false): Tensor =>
  quantile(x, 0.5, axis, "linear", keepdims);
