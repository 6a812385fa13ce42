/** Random numbers for layers: drawn in the graph from the key of the layer's place, step and seed. */

import type { Value } from "../graph/node.ts";
import {
  add,
  bitcast,
  bitwiseOr,
  cast,
  concat,
  cos,
  full,
  less,
  log,
  mul,
  randomBits,
  reshape,
  shiftRight,
  slice,
  sqrt,
  sub,
} from "../graph/ops/index.ts";
import { type DType, type Shape, sizeOf } from "../graph/types.ts";
import { Tensor } from "../tensor/tensor.ts";
import { currentScope, randomKey } from "./scope.ts";

/** 32 random bits per element, u32. */
function bits(shape: Shape, seed: number | null): Value {
  return randomBits(randomKey(currentScope()!, seed), shape, 32);
}

/** true with probability `probability`: bool of `shape`. */
export function bernoulli(shape: Shape, probability: number, seed: number | null): Tensor {
  const limit = Math.min(2 ** 32, Math.round(probability * 2 ** 32));
  if (limit <= 0) return new Tensor(full(shape, 0, "bool"));
  if (limit >= 2 ** 32) return new Tensor(full(shape, 1, "bool"));
  return new Tensor(less(bits(shape, seed), full(shape, limit, "u32")));
}

/** Uniform in [low, high). */
export function uniform(shape: Shape, low: number, high: number, dtype: DType, seed: number | null): Tensor {
  return new Tensor(
    cast(add(mul(unit(bits(shape, seed)), full(shape, high - low, "f32")), full(shape, low, "f32")), dtype),
  );
}

/** 24 bits as a float in [0, 1): the mantissa of a number in [1, 2). */
function unit(random: Value): Value {
  const mantissa = shiftRight(random, full(random.shape, 9, "u32"));
  return sub(bitcast(bitwiseOr(mantissa, full(random.shape, 0x3f800000, "u32")), "f32"), full(random.shape, 1, "f32"));
}

/** Standard normal times `stddev` plus `mean` (Box and Muller). */
export function normal(shape: Shape, mean: number, stddev: number, dtype: DType, seed: number | null): Tensor {
  const n = sizeOf(shape);
  const half = Math.ceil(n / 2);
  const both = bits([2, half], seed);
  const row = (i: number) => reshape(slice(both, [i, 0], [i + 1, half]), [half]);
  const u = sub(full([half], 1, "f32"), unit(row(0))); // (0, 1]
  const angle = mul(unit(row(1)), full([half], 2 * Math.PI, "f32"));
  const radius = sqrt(mul(full([half], -2, "f32"), log(u)));
  const quarter = sub(angle, full([half], Math.PI / 2, "f32"));
  const pair = concat([mul(radius, cos(angle)), mul(radius, cos(quarter))], 0);
  const z = reshape(slice(pair, [0], [n]), shape);
  return new Tensor(cast(add(mul(z, full(shape, stddev, "f32")), full(shape, mean, "f32")), dtype));
}
