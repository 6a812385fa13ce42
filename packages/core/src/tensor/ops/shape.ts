/** Shapes and movement: reshape, transpose, concatenate, split, tile, pad, take, scatter and their kin. */
import * as g from "../../graph/ops/index.ts";
import { type DType, normalizeAxes, normalizeAxis, type Shape, sizeOf } from "../../graph/types.ts";
import { Tensor, type TensorLike, tensor } from "../tensor.ts";
import { add, equal, less, lessEqual, logicalAnd, multiply, subtract, where } from "./elementwise.ts";
import { argumentError, castTo, promote, toBool } from "./promote.ts";

const t = (x: TensorLike) => Tensor.of(x);
const wrap = (v: Tensor["value"]) => new Tensor(v);

/** The same elements under another shape; one size may be -1. */
export function reshape(x: TensorLike, shape: Shape): Tensor {
  const y = t(x);
  const unknown = shape.indexOf(-1);
  if (unknown < 0) return wrap(g.reshape(y.value, shape));
  const known = shape.reduce((p, d, i) => (i === unknown ? p : p * d), 1);
  return wrap(
    g.reshape(
      y.value,
      shape.map((d, i) => (i === unknown ? (known === 0 ? 0 : y.size / known) : d)),
    ),
  );
}
export const ravel = (x: TensorLike): Tensor => reshape(x, [-1]);
export const flatten = ravel;
export function transpose(x: TensorLike, axes: readonly number[] | null = null): Tensor {
  const y = t(x);
  const order = axes ? axes.map((a) => normalizeAxis(a, y.ndim, "transpose")) : y.shape.map((_, i) => y.ndim - 1 - i);
  return wrap(g.transpose(y.value, order));
}
export const permuteDims = transpose;
export function swapaxes(x: TensorLike, a: number, b: number): Tensor {
  const y = t(x);
  const order = y.shape.map((_, i) => i);
  const [i, j] = [normalizeAxis(a, y.ndim, "swapaxes"), normalizeAxis(b, y.ndim, "swapaxes")];
  [order[i], order[j]] = [order[j], order[i]];
  return transpose(y, order);
}
export function moveaxis(
  x: TensorLike,
  source: number | readonly number[],
  destination: number | readonly number[],
): Tensor {
  const y = t(x);
  const from = [source].flat().map((a) => normalizeAxis(a as number, y.ndim, "moveaxis"));
  const to = [destination].flat().map((a) => normalizeAxis(a as number, y.ndim, "moveaxis"));
  const rest = y.shape.map((_, i) => i).filter((i) => !from.includes(i));
  const order = new Array<number>(y.ndim);
  to.forEach((d, i) => {
    order[d] = from[i];
  });
  for (let i = 0; i < order.length; i++) if (order[i] === undefined) order[i] = rest.shift()!;
  return transpose(y, order);
}
export function expandDims(x: TensorLike, axis: number | readonly number[]): Tensor {
  const y = t(x);
  const list = [axis].flat() as number[];
  const rank = y.ndim + list.length;
  const at = list.map((a) => normalizeAxis(a, rank, "expandDims"));
  const rest = [...y.shape];
  return reshape(
    y,
    Array.from({ length: rank }, (_, i) => (at.includes(i) ? 1 : rest.shift()!)),
  );
}
export function squeeze(x: TensorLike, axis: number | readonly number[] | null = null): Tensor {
  const y = t(x);
  const axes = axis === null ? y.shape.flatMap((d, i) => (d === 1 ? [i] : [])) : normalizeAxes(axis, y.ndim, "squeeze");
  const wrong = axes.find((a) => y.shape[a] !== 1);
  if (wrong !== undefined)
    throw argumentError("squeeze", `axis ${wrong} is not of size 1`, `shape [${y.shape}]`, "axes of size 1");
  return reshape(
    y,
    y.shape.filter((_, i) => !axes.includes(i)),
  );
}
export const broadcastTo = (x: TensorLike, shape: Shape): Tensor => wrap(g.broadcastTo(t(x).value, shape));

/** Elements `start … stop-1` of one axis. */
export function sliceAxis(x: TensorLike, axis: number, start: number, stop: number, step = 1): Tensor {
  const y = t(x);
  const low = y.shape.map((_, i) => (i === axis ? start : 0));
  const high = y.shape.map((d, i) => (i === axis ? stop : d));
  return wrap(
    g.slice(
      y.value,
      low,
      high,
      y.shape.map((_, i) => (i === axis ? step : 1)),
    ),
  );
}
/** A block of `sizes` from `start` (numbers, or i32 tensors computed in the program and clamped). */
export function slice(x: TensorLike, start: readonly number[] | Tensor, sizes: readonly number[]): Tensor {
  const y = t(x);
  const shape = sizes.map((s, i) => (s === -1 && Array.isArray(start) ? y.shape[i] - (start as number[])[i] : s));
  if (!(start instanceof Tensor))
    return wrap(
      g.slice(
        y.value,
        start,
        start.map((s, i) => s + shape[i]),
      ),
    );
  return wrap(g.dynamicSlice(y.value, scalars(start, y.ndim), shape));
}
/** The scalars of a small index vector. */
function scalars(v: Tensor, n: number): Tensor["value"][] {
  const i = castTo(v, "i32");
  return Array.from({ length: n }, (_, k) => g.reshape(g.slice(i.value, [k], [k + 1]), []));
}
export function sliceUpdate(x: TensorLike, start: readonly number[] | Tensor, update: TensorLike): Tensor {
  const [y, u] = promote(x, update);
  const at = start instanceof Tensor ? scalars(start, y.ndim) : start.map((s) => g.scalar(s, "i32"));
  return wrap(g.dynamicUpdateSlice(y.value, u.value, at));
}

export function concatenate(xs: readonly TensorLike[], axis = 0): Tensor {
  const list = promote(...xs);
  return wrap(
    g.concat(
      list.map((x) => x.value),
      normalizeAxis(axis, list[0].ndim, "concatenate"),
    ),
  );
}
export const append = (a: TensorLike, b: TensorLike, axis: number | null = null): Tensor =>
  axis === null ? concatenate([ravel(a), ravel(b)]) : concatenate([a, b], axis);
export function stack(xs: readonly TensorLike[], axis = 0): Tensor {
  const list = promote(...xs);
  const a = normalizeAxis(axis, list[0].ndim + 1, "stack");
  return concatenate(
    list.map((x) => expandDims(x, a)),
    a,
  );
}
const atLeast = (x: TensorLike, rank: number): Tensor => {
  const y = t(x);
  return y.ndim >= rank ? y : reshape(y, rank === 1 ? [1] : y.ndim === 0 ? [1, 1] : [1, y.shape[0]]);
};
export const hstack = (xs: readonly TensorLike[]): Tensor => {
  const list = xs.map((x) => atLeast(x, 1));
  return concatenate(list, list[0].ndim === 1 ? 0 : 1);
};
export const vstack = (xs: readonly TensorLike[]): Tensor =>
  concatenate(
    xs.map((x) => atLeast(x, 2)),
    0,
  );
export function unstack(x: TensorLike, _num: number | null = null, axis = 0): Tensor[] {
  const y = t(x);
  const a = normalizeAxis(axis, y.ndim, "unstack");
  return Array.from({ length: y.shape[a] }, (_, i) => squeeze(sliceAxis(y, a, i, i + 1), a));
}
/** Equal parts, or parts that begin at the given indices. */
export function split(x: TensorLike, parts: number | readonly number[], axis = 0): Tensor[] {
  const y = t(x);
  const a = normalizeAxis(axis, y.ndim, "split");
  const n = y.shape[a];
  let cuts: readonly number[];
  if (typeof parts === "number") {
    if (n % parts !== 0)
      throw argumentError("split", "the axis does not divide into equal parts", `size ${n}`, `a multiple of ${parts}`);
    cuts = Array.from({ length: parts - 1 }, (_, i) => ((i + 1) * n) / parts);
  } else cuts = parts;
  const bounds = [0, ...cuts.map((c) => Math.min(n, c < 0 ? c + n : c)), n];
  return bounds.slice(1).map((stop, i) => sliceAxis(y, a, Math.min(bounds[i], stop), stop));
}
export function arraySplit(x: TensorLike, parts: number, axis = 0): Tensor[] {
  const n = t(x).shape[normalizeAxis(axis, t(x).ndim, "arraySplit")];
  const large = n % parts;
  const cuts: number[] = [];
  for (let i = 0, at = 0; i < parts - 1; i++) cuts.push((at += Math.floor(n / parts) + (i < large ? 1 : 0)));
  return split(x, cuts, axis);
}
export function tile(x: TensorLike, repeats: number | readonly number[]): Tensor {
  let y = t(x);
  const reps = [repeats].flat() as number[];
  const rank = Math.max(y.ndim, reps.length);
  const shape = [...new Array(rank - y.ndim).fill(1), ...y.shape];
  const times = [...new Array(rank - reps.length).fill(1), ...reps];
  y = reshape(
    y,
    shape.flatMap((d) => [1, d]),
  );
  return reshape(
    broadcastTo(
      y,
      shape.flatMap((d, i) => [times[i], d]),
    ),
    shape.map((d, i) => d * times[i]),
  );
}
export function repeat(x: TensorLike, repeats: number | readonly number[], axis: number | null = null): Tensor {
  let y = t(x);
  if (axis === null) y = ravel(y);
  const a = normalizeAxis(axis ?? 0, y.ndim, "repeat");
  const n = y.shape[a];
  if (typeof repeats !== "number" && repeats.length > 1) {
    const index = repeats.flatMap((r, i) => new Array<number>(r).fill(i));
    return take(y, tensor(index, [index.length], "i32"), a);
  }
  const r = typeof repeats === "number" ? repeats : repeats[0];
  const spread = broadcastTo(expandDims(y, a + 1), [...y.shape.slice(0, a + 1), r, ...y.shape.slice(a + 1)]);
  return reshape(
    spread,
    y.shape.map((d, i) => (i === a ? n * r : d)),
  );
}
export function flip(x: TensorLike, axis: number | readonly number[] | null = null): Tensor {
  const y = t(x);
  return reverse(y, normalizeAxes(axis, y.ndim, "flip"));
}
export const reverse = (x: TensorLike, axes: readonly number[]): Tensor => wrap(g.reverse(t(x).value, axes));
export function roll(
  x: TensorLike,
  shift: number | readonly number[],
  axis: number | readonly number[] | null = null,
): Tensor {
  let y = t(x);
  const { shape } = y;
  if (axis === null) y = ravel(y);
  const axes = axis === null ? [0] : ([axis].flat() as number[]).map((a) => normalizeAxis(a, y.ndim, "roll"));
  const shifts = [shift].flat() as number[];
  axes.forEach((a, i) => {
    const n = y.shape[a];
    if (n === 0) return;
    const s = (((shifts[i] ?? shifts[0]) % n) + n) % n;
    if (s !== 0) y = concatenate([sliceAxis(y, a, n - s, n), sliceAxis(y, a, 0, n - s)], a);
  });
  return reshape(y, shape);
}
export function rot90(x: TensorLike, k = 1, axes: readonly [number, number] = [0, 1]): Tensor {
  const y = t(x);
  const [a, b] = axes.map((i) => normalizeAxis(i, y.ndim, "rot90"));
  switch (((k % 4) + 4) % 4) {
    case 1:
      return swapaxes(reverse(y, [b]), a, b);
    case 2:
      return reverse(y, [a, b]);
    case 3:
      return reverse(swapaxes(y, a, b), [b]);
    default:
      return y;
  }
}
/** `padWidth` per axis as [before, after]; modes as in numpy. */
export function pad(
  x: TensorLike,
  padWidth: number | readonly (number | readonly number[])[],
  mode: "constant" | "reflect" | "symmetric" | "edge" = "constant",
  constantValues: number | null = null,
): Tensor {
  let y = t(x);
  const pair = (w: number | readonly number[]): [number, number] =>
    typeof w === "number" ? [w, w] : w.length === 1 ? [w[0], w[0]] : [w[0], w[1]];
  let widths: [number, number][];
  if (typeof padWidth === "number") widths = y.shape.map(() => [padWidth, padWidth]);
  else if (padWidth.length === 2 && typeof padWidth[0] === "number")
    widths = y.shape.map(() => [padWidth[0] as number, padWidth[1] as number]);
  else if (padWidth.length === 1) widths = y.shape.map(() => pair(padWidth[0]));
  else widths = padWidth.map(pair);
  if (mode === "constant")
    return wrap(
      g.pad(
        y.value,
        widths.map((w) => w[0]),
        widths.map((w) => w[1]),
        constantValues ?? 0,
      ),
    );
  widths.forEach(([low, high], a) => {
    const n = y.shape[a];
    const side = (start: number, stop: number) => reverse(sliceAxis(y, a, start, stop), [a]);
    const skip = mode === "reflect" ? 1 : 0;
    const edge = (i: number, times: number) =>
      broadcastTo(
        sliceAxis(y, a, i, i + 1),
        y.shape.map((d, k) => (k === a ? times : d)),
      );
    const before = low === 0 ? [] : [mode === "edge" ? edge(0, low) : side(skip, skip + low)];
    const after = high === 0 ? [] : [mode === "edge" ? edge(n - 1, high) : side(n - skip - high, n - skip)];
    if (before.length + after.length > 0) y = concatenate([...before, y, ...after], a);
  });
  return y;
}

/** Elements of an axis by index; negative indices count from the end. */
export function take(x: TensorLike, indices: TensorLike, axis: number | null = null): Tensor {
  let y = t(x);
  if (axis === null) y = ravel(y);
  const a = normalizeAxis(axis ?? 0, y.ndim, "take");
  return wrap(g.gather(y.value, wrapped(indices, y.shape[a]).value, a));
}
export function takeAlongAxis(x: TensorLike, indices: TensorLike, axis: number | null = null): Tensor {
  let y = t(x);
  let i = t(indices);
  if (axis === null) {
    y = ravel(y);
    i = ravel(i);
  }
  const a = normalizeAxis(axis ?? 0, y.ndim, "takeAlongAxis");
  const target = y.shape.map((d, k) => (k === a ? i.shape[k] : Math.max(d, i.shape[k])));
  i = broadcastTo(i, target);
  y = broadcastTo(
    y,
    target.map((d, k) => (k === a ? y.shape[k] : d)),
  );
  return wrap(g.takeAlongAxis(y.value, wrapped(i, y.shape[a]).value, a));
}
function wrapped(indices: TensorLike, n: number): Tensor {
  const i = castTo(Tensor.of(indices, "i32"), "i32");
  return where(less(i, 0), add(i, n), i);
}
/** Flat positions of index tuples [..., k] in the first k axes of `shape`. */
function flatIndex(indices: Tensor, shape: Shape): { index: Tensor; count: number; inner: number[] } {
  const k = indices.shape[indices.ndim - 1];
  const rows = reshape(castTo(indices, "i32"), [-1, k]);
  let index: Tensor = Tensor.of(0, "i32");
  for (let j = 0; j < k; j++) index = add(multiply(index, shape[j]), squeeze(sliceAxis(rows, 1, j, j + 1), 1));
  return { index, count: sizeOf(shape.slice(0, k)), inner: shape.slice(k) as number[] };
}
/** Zeros of `shape` with `values` added at the index tuples `indices`. */
export function scatter(indices: TensorLike, values: TensorLike, shape: Shape): Tensor {
  const v = t(values);
  const { index, count, inner } = flatIndex(t(indices), shape);
  const base = zeros([count, sizeOf(inner)], v.dtype);
  return reshape(wrap(g.scatterAdd(base.value, index.value, reshape(v, [index.size, sizeOf(inner)]).value, 0)), shape);
}
/** `x` with the elements at the index tuples replaced. */
export function scatterUpdate(x: TensorLike, indices: TensorLike, updates: TensorLike): Tensor {
  const [y, u] = promote(x, updates);
  const i = t(indices);
  const rows = flatIndex(i, y.shape);
  const marks = scatter(
    i,
    new Tensor(g.full(u.shape.slice(0, i.ndim - 1), 1, "f32")),
    y.shape.slice(0, i.shape[i.ndim - 1]),
  );
  const hit = broadcastTo(reshape(toBool(marks), [...marks.shape, ...rows.inner.map(() => 1)]), y.shape);
  return where(hit, scatter(i, u, y.shape), y);
}
/** 1 at the index along a new axis, 0 elsewhere; indices outside give a row of zeros. */
export function oneHot(x: TensorLike, numClasses: number, axis = -1, dtype: DType = "f32"): Tensor {
  const i = castTo(t(x), "i32");
  const a = normalizeAxis(axis, i.ndim + 1, "oneHot");
  const wide = expandDims(i, a);
  const shape = wide.shape.map((d, k) => (k === a ? numClasses : d));
  return castTo(equal(broadcastTo(wide, shape), wrap(g.iota(shape, a, "i32"))), dtype);
}
/** Which classes occur along the last axis. */
export function multiHot(x: TensorLike, numClasses: number, axis = -1, dtype: DType = "f32"): Tensor {
  const i = castTo(t(x), "i32");
  const rank = i.ndim;
  const hot = oneHot(i, numClasses, axis, "i32");
  const over = rank === 1 ? 0 : normalizeAxis(axis, rank + 1, "multiHot") === rank ? rank - 1 : rank - 1;
  return castTo(wrap(g.reduceMax(hot.value, [over])), dtype);
}

// ---- creation

export const zeros = (shape: Shape, dtype: DType = "f32"): Tensor => wrap(g.full(shape, 0, dtype));
export const ones = (shape: Shape, dtype: DType = "f32"): Tensor => wrap(g.full(shape, 1, dtype));
export const full = (shape: Shape, value: TensorLike, dtype?: DType): Tensor => {
  const v = Tensor.of(value, dtype);
  return broadcastTo(dtype ? castTo(v, dtype) : v, shape);
};
export const zerosLike = (x: TensorLike, dtype?: DType): Tensor => zeros(t(x).shape, dtype ?? t(x).dtype);
export const onesLike = (x: TensorLike, dtype?: DType): Tensor => ones(t(x).shape, dtype ?? t(x).dtype);
export const fullLike = (x: TensorLike, value: TensorLike, dtype?: DType): Tensor =>
  full(t(x).shape, value, dtype ?? t(x).dtype);
export function arange(start: number, stop: number | null = null, step = 1, dtype?: DType): Tensor {
  const [from, to] = stop === null ? [0, start] : [start, stop];
  const n = Math.max(0, Math.ceil((to - from) / step));
  const type = dtype ?? (Number.isInteger(from) && Number.isInteger(step) && Number.isInteger(to) ? "i32" : "f32");
  return castTo(add(multiply(wrap(g.iota([n], 0, type === "i32" ? "i32" : "f32")), step), from), type);
}
export function linspace(
  start: TensorLike,
  stop: TensorLike,
  num = 50,
  endpoint = true,
  retstep = false,
  dtype: DType = "f32",
  axis = 0,
): Tensor | [Tensor, Tensor] {
  const [a, b] = promote(start, stop).map((v) => castTo(v, dtype === "i32" ? "f32" : dtype));
  const steps = endpoint ? num - 1 : num;
  const step = multiply(subtract(b, a), steps > 0 ? 1 / steps : Number.NaN);
  const rank = Math.max(a.ndim, b.ndim);
  const at = normalizeAxis(axis, rank + 1, "linspace");
  const i = reshape(
    wrap(g.iota([num], 0, "f32")),
    Array.from({ length: rank + 1 }, (_, k) => (k === at ? num : 1)),
  );
  const fraction = steps > 0 ? multiply(i, 1 / steps) : i;
  const values = add(expandDims(a, at), multiply(expandDims(subtract(b, a), at), fraction));
  const out = castTo(values, dtype);
  return retstep ? [out, step] : out;
}
export function eye(n: number, m: number | null = null, k: number | DType = 0, dtype: DType = "f32"): Tensor {
  const shape = [n, m ?? n];
  const [offset, type] = typeof k === "number" ? [k, dtype] : [0, k];
  return castTo(equal(add(wrap(g.iota(shape, 0, "i32")), offset), wrap(g.iota(shape, 1, "i32"))), type);
}
export const identity = (n: number, dtype: DType = "f32"): Tensor => eye(n, n, 0, dtype);
export function tri(n: number, m: number | null = null, k = 0, dtype: DType = "f32"): Tensor {
  const shape = [n, m ?? n];
  return castTo(lessEqual(wrap(g.iota(shape, 1, "i32")), add(wrap(g.iota(shape, 0, "i32")), k)), dtype);
}
const triangle = (x: TensorLike, k: number, lower: boolean): Tensor => {
  const y = t(x);
  const row = wrap(g.iota(y.shape, y.ndim - 2, "i32"));
  const column = wrap(g.iota(y.shape, y.ndim - 1, "i32"));
  return where(lower ? lessEqual(column, add(row, k)) : lessEqual(add(row, k), column), y, 0);
};
export const tril = (x: TensorLike, k = 0): Tensor => triangle(x, k, true);
export const triu = (x: TensorLike, k = 0): Tensor => triangle(x, k, false);
/** The k-th diagonal of the planes of two axes, as the last axis. */
export function diagonal(x: TensorLike, offset = 0, axis1 = 0, axis2 = 1): Tensor {
  const y = moveaxis(x, [axis1, axis2], [-2, -1]);
  const [n, m] = [y.shape[y.ndim - 2], y.shape[y.ndim - 1]];
  const length = Math.max(0, Math.min(offset < 0 ? n + offset : n, offset > 0 ? m - offset : m));
  const flat = reshape(y, [...y.shape.slice(0, -2), n * m]);
  const first = offset >= 0 ? offset : -offset * m;
  return length === 0
    ? zeros([...y.shape.slice(0, -2), 0], y.dtype)
    : sliceAxis(flat, flat.ndim - 1, first, Math.min(n * m, first + (length - 1) * (m + 1) + 1), m + 1);
}
export function trace(x: TensorLike, offset = 0, axis1 = 0, axis2 = 1): Tensor {
  const d = diagonal(x, offset, axis1, axis2);
  return wrap(g.reduceSum((d.dtype === "bool" ? castTo(d, "i32") : d).value, [d.ndim - 1]));
}
/** A matrix with `x` on its k-th diagonal, or the k-th diagonal of a matrix. */
export function diag(x: TensorLike, k = 0): Tensor {
  const y = t(x);
  if (y.ndim === 2) return diagonal(y, k);
  const n = y.shape[0] + Math.abs(k);
  const row = wrap(g.iota([n, n], 0, "i32"));
  const on = equal(add(row, k), wrap(g.iota([n, n], 1, "i32")));
  const spread = pad(y, [[Math.max(-k, 0), Math.max(k, 0)]]);
  return where(on, broadcastTo(expandDims(spread, 1), [n, n]), castTo(Tensor.of(0), y.dtype));
}
export const diagflat = (x: TensorLike, k = 0): Tensor => diag(ravel(x), k);
export function meshgrid(xs: readonly TensorLike[], indexing: "xy" | "ij" = "xy"): Tensor[] {
  const list = xs.map(ravel);
  const shape = list.map((x) => x.size);
  const grids = list.map((x, i) =>
    broadcastTo(
      reshape(
        x,
        shape.map((_, k) => (k === i ? x.size : 1)),
      ),
      shape,
    ),
  );
  return indexing === "xy" && list.length > 1 ? grids.map((x) => swapaxes(x, 0, 1)) : grids;
}
export const shape = (x: TensorLike): Shape => t(x).shape;
export const size = (x: TensorLike): number => t(x).size;
export const ndim = (x: TensorLike): number => t(x).ndim;
export const isBetween = (x: TensorLike, low: number, high: number): Tensor =>
  logicalAnd(lessEqual(low, x), less(x, high));
