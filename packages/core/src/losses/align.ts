/** Targets and predictions side by side: only a trailing axis of 1 is added or dropped; losses never broadcast. */
import { formatShape, LayerwiseError } from "../errors.ts";
import { sameShape } from "../graph/types.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Brings two tensors to equal rank where one has a trailing axis of 1 that the other lacks. */
export function alignRanks(a: Tensor, b: Tensor): [Tensor, Tensor] {
  if (a.ndim === b.ndim + 1 && a.shape[b.ndim] === 1)
    return b.ndim === 1 ? [a, ops.expandDims(b, -1)] : [ops.squeeze(a, -1), b];
  if (b.ndim === a.ndim + 1 && b.shape[a.ndim] === 1)
    return a.ndim === 1 ? [ops.expandDims(a, -1), b] : [a, ops.squeeze(b, -1)];
  return [a, b];
}

/** `alignRanks`, and equal shapes afterwards. */
export function alignTargets(yTrue: Tensor, yPred: Tensor, owner: string): [Tensor, Tensor] {
  const [t, p] = alignRanks(yTrue, yPred);
  if (!sameShape(t.shape, p.shape)) throw shapeMismatch(yTrue, yPred, yPred.shape, owner);
  return [t, p];
}

export function shapeMismatch(
  yTrue: Tensor,
  yPred: Tensor,
  expected: readonly number[],
  owner: string,
): LayerwiseError {
  const oneHot = expected.length === yTrue.ndim - 1 && sameShape(yTrue.shape, yPred.shape);
  return new LayerwiseError(`targets do not fit the predictions of ${owner}; losses never broadcast`, {
    code: oneHot ? "L104" : "L105",
    layer: owner,
    received: `targets ${formatShape(yTrue.shape)}, predictions ${formatShape(yPred.shape)}`,
    expected: `targets ${formatShape(expected)}`,
    hint: oneHot ? "these look like one-hot rows: use categoricalCrossentropy" : undefined,
  });
}
