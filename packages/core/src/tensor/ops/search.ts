/** Finding, counting and grouping: searchsorted, histogram, isin, nonzero, segments and their kin. */
import * as g from "../../graph/ops/index.ts";
import { isFloat, type Shape, sizeOf } from "../../graph/types.ts";
import { Tensor, type TensorLike, tensorFrom } from "../tensor.ts";
import { scan } from "./control.ts";
import {
  abs,
  add,
  cast,
  equal,
  floorDivide,
  less,
  lessEqual,
  logicalAnd,
  mod,
  multiply,
  notEqual,
  power,
  where,
} from "./elementwise.ts";
import { argumentError, castTo, promote, toFloat } from "./promote.ts";
import { any, max, min, sum } from "./reduce.ts";
import { arange, concatenate, expandDims, linspace, ravel, reshape, scatter, sliceAxis } from "./shape.ts";

/**
 * Where each value would go into a sorted sequence [N]: the number of its elements below (side "left") or not above
 * ("right"): i32 of the values' shape.
 */
export function searchsorted(sequence: TensorLike, values: TensorLike, side: "left" | "right" = "left"): Tensor {
  const [s, v] = promote(sequence, values);
  if (s.ndim !== 1) throw argumentError("searchsorted", "the sequence has several axes", `[${s.shape}]`, "rank 1");
  const at = expandDims(v, -1);
  return sum(cast(side === "left" ? less(s, at) : lessEqual(s, at), "i32"), -1);
}

/** Number of the bin of each element, with bins [N] as rising edges: bins[i-1] ≤ x < bins[i] gives i. */
export function digitize(x: TensorLike, bins: TensorLike): Tensor {
  return searchsorted(bins, x, "right");
}

/** How many elements fall into each of `bins` equal parts of the range (the last includes its end), and the edges. */
export function histogram(
  x: TensorLike,
  bins = 10,
  range: readonly [number, number] | readonly number[] | null = null,
): [Tensor, Tensor] {
  const flat = ravel(toFloat(x));
  let low: Tensor;
  let high: Tensor;
  if (range) {
    if (!(range[0] < range[1]))
      throw argumentError("histogram", "the range is empty", `[${range}]`, "[low, high] with low < high");
    [low, high] = [Tensor.of(range[0], flat.dtype), Tensor.of(range[1], flat.dtype)];
  } else {
    low = min(flat);
    high = max(flat);
    const flatRange = equal(low, high);
    [low, high] = [where(flatRange, low.sub(0.5), low), where(flatRange, high.add(0.5), high)];
  }
  const steps = tensorFrom(
    Float32Array.from({ length: bins + 1 }, (_, i) => i / bins),
    [bins + 1],
    "f32",
  );
  const edges = low.add(high.sub(low).mul(steps));
  const inside = logicalAnd(lessEqual(low, flat), lessEqual(flat, high));
  const raw = searchsorted(edges, flat, "right").sub(1);
  const bin = where(equal(flat, high), bins - 1, raw);
  const hot = logicalAnd(equal(expandDims(bin, -1), arange(bins)), expandDims(inside, -1));
  return [cast(sum(cast(hot, "i32"), 0), "f32"), edges];
}

/** Whether each element is among `testElements`. */
export function isin(x: TensorLike, testElements: TensorLike, invert = false): Tensor {
  const [a, b] = promote(x, testElements);
  const found = any(equal(expandDims(a, -1), ravel(b)), -1);
  return invert ? found.logicalNot() : found;
}

/** Indices of the elements that are not 0, one i32 tensor for each axis. Needs values, so it cannot be traced. */
export function nonzero(x: TensorLike): Tensor[] {
  const t = Tensor.of(x);
  const data = t.dataSync();
  const found: number[] = [];
  for (let i = 0; i < data.length; i++) if (data[i] !== 0) found.push(i);
  let inner = t.size;
  return t.shape.map((d) => {
    inner = d === 0 ? 0 : inner / d;
    const step = inner;
    return tensorFrom(
      Int32Array.from(found, (i) => Math.floor(i / step) % d),
      [found.length],
      "i32",
    );
  });
}

/** Flat indices as one index for each axis of `shape`. */
export function unravelIndex(indices: TensorLike, shape: Shape): Tensor[] {
  const i = castTo(Tensor.of(indices), "i32");
  const flat = where(less(i, 0), add(i, sizeOf(shape)), i);
  let inner = sizeOf(shape);
  return shape.map((d) => {
    inner /= d;
    return mod(floorDivide(flat, inner), d);
  });
}

/**
 * How often each non-negative integer occurs, or the sum of its weights. `length` fixes the size; without it the size is
 * the largest integer + 1, at least `minlength`, which needs values and cannot be traced.
 */
export function bincount(
  x: TensorLike,
  weights: TensorLike | null = null,
  length: number | null = null,
  minlength = 0,
): Tensor {
  const t = Tensor.of(x);
  const size = length ?? Math.max(minlength, ...[...t.dataSync()].map((v) => v + 1));
  const hot = equal(expandDims(castTo(t, "i32"), -1), new Tensor(g.iota([size], 0, "i32")));
  const w = weights === null ? castTo(hot, "i32") : multiply(castTo(hot, "f32"), expandDims(weights, -1));
  return sum(w, t.ndim - 1);
}

/** Picks from the list the value whose condition is the first to hold; `otherwise` where none does. */
export function select(
  conditions: readonly TensorLike[],
  choices: readonly TensorLike[],
  otherwise: TensorLike = 0,
): Tensor {
  if (conditions.length !== choices.length || conditions.length === 0)
    throw argumentError(
      "select",
      "every choice needs a condition",
      `${conditions.length} and ${choices.length}`,
      "as many of both",
    );
  return conditions.reduceRight<Tensor>((rest, c, i) => where(c, choices[i], rest), Tensor.of(otherwise));
}

function segments(name: string, data: TensorLike, ids: TensorLike, numSegments: number | null) {
  const x = Tensor.of(data);
  const s = castTo(Tensor.of(ids), "i32");
  if (s.ndim !== 1 || s.shape[0] !== x.shape[0])
    throw argumentError(
      name,
      "each row needs the number of its segment",
      `[${x.shape}] and [${s.shape}]`,
      `[${x.shape[0]}]`,
    );
  const count = numSegments ?? Math.max(0, ...[...s.dataSync()].map((v) => v + 1));
  return { x, s, count };
}

/** Sums of the rows of each segment: data [N, …], ids [N] → [numSegments, …]. Rows of other segments do not count. */
export function segmentSum(
  data: TensorLike,
  ids: TensorLike,
  numSegments: number | null = null,
  _sorted = false,
): Tensor {
  const { x, s, count } = segments("segmentSum", data, ids, numSegments);
  const inside = logicalAnd(lessEqual(0, s), less(s, count));
  const rows = where(reshape(inside, [s.size, ...x.shape.slice(1).map(() => 1)]), x, 0);
  return scatter(expandDims(where(inside, s, 0), -1), rows, [count, ...x.shape.slice(1)]);
}

/** The largest element of each segment; -∞ (or the lowest integer) for one without rows. */
export function segmentMax(
  data: TensorLike,
  ids: TensorLike,
  numSegments: number | null = null,
  _sorted = false,
): Tensor {
  const { x, s, count } = segments("segmentMax", data, ids, numSegments);
  const lowest = isFloat(x.dtype) ? Number.NEGATIVE_INFINITY : -(2 ** 31);
  const mine = equal(reshape(arange(count), [count, 1]), s); // [S, N]
  const shown = where(reshape(mine, [count, s.size, ...x.shape.slice(1).map(() => 1)]), x, Tensor.of(lowest, x.dtype));
  return max(shown, 1);
}

/** The greatest common divisor, by Euclid's algorithm: 46 steps suffice for 32 bits. */
export function gcd(a: TensorLike, b: TensorLike): Tensor {
  const [x, y] = promote(a, b);
  if (isFloat(x.dtype)) throw argumentError("gcd", "only integers have divisors", x.dtype, "integers");
  const both = add(castTo(x, "i32"), castTo(y, "i32")).mul(0);
  const start: [Tensor, Tensor] = [abs(add(castTo(x, "i32"), both)), abs(add(castTo(y, "i32"), both))];
  const [[d]] = scan<[Tensor, Tensor], null, null>(
    ([m, n]) => {
      const more = notEqual(n, 0);
      return [[where(more, n, m), where(more, mod(m, where(more, n, 1)), 0)], null];
    },
    start,
    null,
    { length: 47 },
  );
  return castTo(d, x.dtype);
}
/** The least common multiple. */
export function lcm(a: TensorLike, b: TensorLike): Tensor {
  const [x, y] = promote(a, b);
  const d = gcd(x, y);
  return multiply(floorDivide(abs(x), where(equal(d, 0), 1, d)), abs(y));
}

/** `base` to the power of `num` numbers from start to stop. */
export function logspace(start: number, stop: number, num = 50, endpoint = true, base = 10): Tensor {
  return power(Tensor.of(base, "f32"), linspace(start, stop, num, endpoint) as Tensor);
}

/** Powers of x [N] as columns: [N, n], falling unless `increasing`. */
export function vander(x: TensorLike, n: number | null = null, increasing = false): Tensor {
  const t = Tensor.of(x);
  const count = n ?? t.shape[0];
  const columns: Tensor[] = [new Tensor(g.onesLike(t.value))];
  for (let k = 1; k < count; k++) columns.push(multiply(columns[k - 1], t));
  const list = columns.slice(0, count).map((c) => expandDims(c, 1));
  return concatenate(increasing ? list : list.reverse(), 1);
}

/**
 * Patches of [N, C, H, W] as columns, in PyTorch's order: [N, C·k·k, L] with L the number of places.
 */
export function unfold(
  x: TensorLike,
  kernelSize: number | readonly number[],
  dilation: number | readonly number[] = 1,
  padding: number | readonly number[] = 0,
  stride: number | readonly number[] = 1,
): Tensor {
  const two = (v: number | readonly number[]): readonly number[] => (typeof v === "number" ? [v, v] : v);
  const [k, d, p, s] = [kernelSize, dilation, padding, stride].map(two);
  const t = Tensor.of(x);
  const sides = [0, 0, p[0], p[1]];
  const padded = new Tensor(g.pad(t.value, sides, sides, 0));
  const [n, c] = t.shape;
  const places = [0, 1].map((a) => Math.floor((padded.shape[a + 2] - (d[a] * (k[a] - 1) + 1)) / s[a]) + 1);
  if (places.some((v) => v < 1))
    throw argumentError("unfold", "the images are smaller than a patch", `[${t.shape}]`, `[${k}]`);
  const parts: Tensor[] = [];
  for (let i = 0; i < k[0]; i++) {
    for (let j = 0; j < k[1]; j++) {
      const rows = sliceAxis(padded, 2, i * d[0], i * d[0] + (places[0] - 1) * s[0] + 1, s[0]);
      const piece = sliceAxis(rows, 3, j * d[1], j * d[1] + (places[1] - 1) * s[1] + 1, s[1]);
      parts.push(reshape(piece, [n, c, 1, places[0] * places[1]]));
    }
  }
  return reshape(concatenate(parts, 2), [n, c * k[0] * k[1], places[0] * places[1]]);
}
