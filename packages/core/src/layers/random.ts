/** Random numbers for layers: drawn in the graph from the key of the layer's place, step and seed. */

import type { Value } from "../graph/node.ts";
import { add, cast, full, mul, random } from "../graph/ops/index.ts";
import type { DType, Shape } from "../graph/types.ts";
import { Tensor } from "../tensor/tensor.ts";
import { currentScope, randomKey } from "./scope.ts";

function key(seed: number | null): Value {
  return randomKey(currentScope()!, seed);
}

/** true with probability `probability`: bool of `shape`. */
export function bernoulli(shape: Shape, probability: number, seed: number | null): Tensor {
  return new Tensor(random.bernoulli(key(seed), probability, shape));
}

/** Even in [0, 1): f32 of `shape`. */
export function uniform(shape: Shape, seed: number | null): Tensor {
  return new Tensor(random.uniform(key(seed), shape));
}

/** Normal with `mean` and `stddev`. */
export function normal(shape: Shape, mean: number, stddev: number, dtype: DType, seed: number | null): Tensor {
  const z = random.normal(key(seed), shape);
  return new Tensor(cast(add(mul(z, full(shape, stddev, "f32")), full(shape, mean, "f32")), dtype));
}
