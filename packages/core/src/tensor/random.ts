/**
 * Random numbers from keys. A key stands for one stream: the same key gives the same numbers, on every device and for any
 * number of threads, so each use takes a key of its own, made with `split` or `foldIn`.
 */
import { LayerwiseError } from "../errors.ts";
import * as g from "../graph/ops/index.ts";
import { normalizeAxis, type Shape, sizeOf } from "../graph/types.ts";
import * as ops from "./ops/index.ts";
import { Tensor, type TensorLike, tensorFrom } from "./tensor.ts";

/** The key of a seed, u32 [2]. */
export function key(seed: number): Tensor {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new LayerwiseError("random.key needs a seed", {
      code: "E202",
      received: String(seed),
      expected: "an integer ≥ 0",
    });
  }
  return tensorFrom(Uint32Array.of(Math.floor(seed / 2 ** 32), seed % 2 ** 32), [2], "u32");
}
/** `count` new keys; the old one should not be used again. */
export function split(from: Tensor, count = 2): Tensor[] {
  const all = new Tensor(g.random.split(from.value, count));
  return Array.from({ length: count }, (_, i) => ops.reshape(ops.slice(all, [i, 0], [1, 2]), [2]));
}
/** A key that depends on another one and a number (a step, an index); the number may be computed in the program. */
export function foldIn(from: Tensor, data: TensorLike): Tensor {
  return new Tensor(g.random.foldIn(from.value, ops.cast(Tensor.of(data, "u32"), "u32").value));
}

/** 32 random bits per element: u32 of `shape`. */
export function bits(from: Tensor, shape: Shape): Tensor {
  return new Tensor(g.random.randomBits(from.value, shape, 32));
}
/** Uniform in [min, max): f32 of `shape`. */
export function uniform(from: Tensor, shape: Shape, options: { min?: number; max?: number } = {}): Tensor {
  const { min = 0, max = 1 } = options;
  const u = new Tensor(g.random.uniform(from.value, shape));
  return min === 0 && max === 1 ? u : u.mul(max - min).add(min);
}
/** Normal: f32 of `shape`. */
export function normal(from: Tensor, shape: Shape, options: { mean?: number; stddev?: number } = {}): Tensor {
  return scaled(new Tensor(g.random.normal(from.value, shape)), options);
}
/** Normal, drawn anew where it is more than two standard deviations from the mean. */
export function truncatedNormal(from: Tensor, shape: Shape, options: { mean?: number; stddev?: number } = {}): Tensor {
  // By inversion: erf(2 / √2) is the share within two standard deviations.
  const within = 0.9544997361036416;
  const u = new Tensor(g.random.uniform(from.value, shape)).add(2 ** -25); // in (0, 1), symmetric
  return scaled(ops.erfinv(u.mul(2 * within).sub(within)).mul(Math.SQRT2), options);
}
function scaled(z: Tensor, { mean = 0, stddev = 1 }: { mean?: number; stddev?: number }): Tensor {
  const spread = stddev === 1 ? z : z.mul(stddev);
  return mean === 0 ? spread : spread.add(mean);
}
/** true with probability p: bool of `shape`. */
export function bernoulli(from: Tensor, p: number, shape: Shape): Tensor {
  return new Tensor(g.random.bernoulli(from.value, p, shape));
}
/** Integers in [low, high): i32 of `shape`. */
export function randint(from: Tensor, shape: Shape, low: number, high: number): Tensor {
  const count = high - low;
  if (!Number.isInteger(low) || !Number.isInteger(count) || count < 1 || count > 2 ** 31 - 1) {
    throw new LayerwiseError("random.randint: the range is not valid", {
      code: "E202",
      received: `[${low}, ${high})`,
      expected: "integers with low < high",
    });
  }
  // Of 2^32 values at most `count` - 1 are one more likely than the others.
  const rest = g.rem(g.random.randomBits(from.value, shape, 32), g.broadcastTo(g.scalar(count, "u32"), shape));
  return new Tensor(g.cast(rest, "i32")).add(low);
}
/** Standard exponential: f32 of `shape`. */
export function exponential(from: Tensor, shape: Shape): Tensor {
  return ops.negative(ops.log1p(ops.negative(uniform(from, shape))));
}
/** Standard Gumbel: f32 of `shape`. */
export function gumbel(from: Tensor, shape: Shape): Tensor {
  const u = uniform(from, shape).add(2 ** -25);
  return ops.negative(ops.log(ops.negative(ops.log(u))));
}
/** Class numbers drawn with the probabilities softmax(logits): [N, C] → i32 [N, count]. */
export function categorical(from: Tensor, logits: TensorLike, count = 1): Tensor {
  const x = Tensor.of(logits);
  const [n, c] = x.shape;
  const noise = gumbel(from, [n, count, c]);
  return ops.argmax(ops.expandDims(x, 1).add(noise), 2);
}
/** The numbers 0 … n-1 in random order: i32 [n]. */
export function permutation(from: Tensor, n: number): Tensor {
  return ops.argsort(uniform(from, [n]));
}
/** `x` with the positions of one axis in random order, the same for all others. */
export function shuffle(from: Tensor, x: TensorLike, axis = 0): Tensor {
  const t = Tensor.of(x);
  const a = normalizeAxis(axis, t.ndim, "shuffle");
  return ops.take(t, permutation(from, t.shape[a]), a);
}
/** Zeros with probability `rate`, the rest scaled up so that the mean stays. `noiseShape` may have sizes of 1. */
export function dropout(from: Tensor, x: TensorLike, rate: number, noiseShape: Shape | null = null): Tensor {
  const t = Tensor.of(x);
  if (rate === 0 || sizeOf(t.shape) === 0) return t;
  const keep = bernoulli(from, 1 - rate, noiseShape ?? t.shape);
  return ops.where(keep, t.mul(rate < 1 ? 1 / (1 - rate) : 0), 0);
}
