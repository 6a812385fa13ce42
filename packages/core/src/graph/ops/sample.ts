/** Inputs for the op suite: what a sample is, and generators of typical, degenerate and extreme values. */
import type { Value } from "../node.ts";
import { type DType, type Shape, sizeOf } from "../types.ts";

export interface SampleInput {
  readonly shape: Shape;
  readonly dtype: DType;
  /** Row-major; exact in the dtype, so that every target and the reference start from the same numbers. */
  readonly data: readonly number[];
}

/** One use of an op on given inputs. The suite runs it on every target and against the reference. */
export interface Sample {
  /** What is special about it, e.g. "broadcasts", "size 0", "extremes". */
  readonly name: string;
  readonly inputs: readonly SampleInput[];
  readonly build: (...inputs: Value[]) => Value | readonly Value[];
  /** The inputs lie where the op is smooth, so its gradients are checked by finite differences. */
  readonly gradient?: boolean;
  /** Second derivatives are checked too (keep such samples to a few elements). */
  readonly second?: boolean;
  /** Allowed error in units in the last place where not a sum; default 5. */
  readonly ulps?: number;
  /** For sums of `terms` terms: allowed error 1e-6·√terms·max(1, magnitude), where `magnitude` builds Σ|term|. */
  readonly sum?: { readonly terms: number; readonly magnitude: (...inputs: Value[]) => Value };
}

/** Samples of each op by its record's name; functions, so that importing them costs nothing. */
export type Samples = Record<string, () => readonly Sample[]>;

/** Deterministic numbers in [low, high), rounded to f32. */
export function uniform(count: number, low: number, high: number, seed = 1): number[] {
  let x = (seed * 2654435761) >>> 0 || 1;
  return Array.from({ length: count }, () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    x >>>= 0;
    return Math.fround(low + ((high - low) * x) / 4294967296);
  });
}

export function floats(shape: Shape, low = -2, high = 2, seed = 1, dtype: DType = "f32"): SampleInput {
  return { shape, dtype, data: uniform(sizeOf(shape), low, high, seed) };
}

/** Integers in [low, high). */
export function integers(shape: Shape, low: number, high: number, seed = 1, dtype: DType = "i32"): SampleInput {
  return { shape, dtype, data: uniform(sizeOf(shape), low, high, seed).map((v) => Math.min(Math.floor(v), high - 1)) };
}

export function booleans(shape: Shape, seed = 1): SampleInput {
  return { shape, dtype: "bool", data: uniform(sizeOf(shape), 0, 1, seed).map((v) => (v < 0.5 ? 0 : 1)) };
}

/** All different, in a shuffled order and at least `step` apart: for max, min and sort, which have kinks at ties. */
export function distinct(shape: Shape, step = 0.25, seed = 1): SampleInput {
  const n = sizeOf(shape);
  const keys = uniform(n, 0, 1, seed);
  const order = Array.from({ length: n }, (_, i) => i).sort((a, b) => keys[a] - keys[b]);
  const data = new Array<number>(n);
  order.forEach((at, rank) => {
    data[at] = Math.fround((rank - n / 2) * step);
  });
  return { shape, dtype: "f32", data };
}

export function literal(data: readonly number[], dtype: DType = "f32", shape: Shape = [data.length]): SampleInput {
  return { shape, dtype, data: dtype === "f32" ? data.map(Math.fround) : data };
}

/** NaN, infinities, signed zeros, tiny, ordinary and huge magnitudes. */
export const extremes: readonly number[] = /* @__PURE__ */ [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  0,
  -0,
  1e-30,
  -1e-30,
  1,
  -1,
  0.5,
  -0.5,
  1.5,
  -2.5,
  20,
  -20,
  88,
  -88,
  104,
  -104,
  1e4,
  -1e4,
  1e30,
  -1e30,
].map(Math.fround);

/** Every ordered pair of a list, as two inputs of equal shape. */
export function pairs(list: readonly number[], dtype: DType = "f32"): [SampleInput, SampleInput] {
  return [
    literal(
      list.flatMap((a) => list.map(() => a)),
      dtype,
    ),
    literal(
      list.flatMap(() => list),
      dtype,
    ),
  ];
}

/** The usual samples of an elementwise op of one float argument that is smooth on (low, high). */
export function unarySamples(
  f: (x: Value) => Value,
  low: number,
  high: number,
  options: { extremes?: readonly number[]; ulps?: number; gradient?: boolean } = {},
): readonly Sample[] {
  const gradient = options.gradient ?? true;
  const ulps = options.ulps === undefined ? {} : { ulps: options.ulps };
  return [
    { name: "typical", inputs: [floats([3, 7], low, high, 2)], build: f, gradient, second: gradient, ...ulps },
    { name: "long", inputs: [floats([131], low, high, 3)], build: f, ...ulps },
    { name: "rank 0", inputs: [floats([], low, high, 4)], build: f, gradient, ...ulps },
    { name: "size 1", inputs: [floats([1, 1], low, high, 5)], build: f, ...ulps },
    { name: "size 0", inputs: [floats([0, 3])], build: f, gradient },
    { name: "extremes", inputs: [literal(options.extremes ?? extremes)], build: f, ...ulps },
  ];
}

/** The usual samples of an elementwise op of two float arguments, smooth for a in (low, high), b in (lowB, highB). */
export function binarySamples(
  f: (a: Value, b: Value) => Value,
  a: readonly [number, number],
  b: readonly [number, number] = a,
  options: { extremes?: readonly number[]; ulps?: number; gradient?: boolean } = {},
): readonly Sample[] {
  const gradient = options.gradient ?? true;
  const ulps = options.ulps === undefined ? {} : { ulps: options.ulps };
  const of = (name: string, sa: Shape, sb: Shape, seed: number, extra: Partial<Sample> = {}): Sample => ({
    name,
    inputs: [floats(sa, a[0], a[1], seed), floats(sb, b[0], b[1], seed + 50)],
    build: f,
    gradient,
    ...ulps,
    ...extra,
  });
  return [
    of("typical", [3, 4], [3, 4], 11, { second: gradient }),
    of("long", [37, 5], [37, 5], 12, { gradient: false }),
    of("broadcasts a row", [3, 4], [4], 13),
    of("broadcasts both ways", [3, 1], [1, 5], 14),
    of("broadcasts a scalar", [2, 3], [], 15),
    of("rank 0", [], [], 16),
    of("size 0", [0, 3], [1, 3], 17),
    { name: "extremes", inputs: pairs(options.extremes ?? extremes), build: f, ...ulps },
  ];
}
