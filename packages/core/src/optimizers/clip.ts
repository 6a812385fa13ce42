/** Clipping of gradients: by value, by the norm of each variable's gradient, or by the norm of all. */
import type { Value } from "../graph/node.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { CommonOptions } from "./fields.ts";
import { type Group, partOf, spread } from "./groups.ts";

const squares = (x: Value): Tensor => ops.sum(ops.square(ops.cast(new Tensor(x), "f32")));

/** Gradients of groups (of their roots' shapes), clipped as the options say. */
export function clipGradients(
  groups: readonly Group[],
  gradients: readonly Tensor[],
  { clipnorm, globalClipnorm, clipvalue }: CommonOptions,
): Tensor[] {
  if (clipnorm !== null) {
    return gradients.map((gradient, i) => {
      const factors = spread(groups[i], (member) => {
        const norm = ops.sqrt(squares(partOf(groups[i], gradient.value, member)));
        return ops.cast(ops.divide(clipnorm, ops.maximum(norm, clipnorm)), gradient.dtype).value;
      });
      return ops.multiply(gradient, new Tensor(factors));
    });
  }
  if (globalClipnorm !== null) {
    const norm = ops.sqrt(gradients.map((x) => squares(x.value)).reduce((a, b) => ops.add(a, b)));
    // norm - norm is 0, or NaN where a gradient is not finite: then all become NaN, as in Keras.
    const factor = ops.add(ops.divide(globalClipnorm, ops.maximum(norm, globalClipnorm)), ops.subtract(norm, norm));
    return gradients.map((x) => ops.multiply(x, ops.cast(factor, x.dtype)));
  }
  if (clipvalue !== null) return gradients.map((x) => ops.clip(x, -clipvalue, clipvalue));
  return [...gradients];
}
