/** Connectionist temporal classification (Graves et al. 2006): sequences of labels from sequences of class scores. */
import { Tensor, type TensorLike } from "../tensor.ts";
import { logSoftmax } from "./activations.ts";
import { scan } from "./control.ts";
import { add, equal, less, logicalAnd, logicalNot, logicalOr, maximum, notEqual, where } from "./elementwise.ts";
import { cumsum } from "./order.ts";
import { argumentError, castTo } from "./promote.ts";
import { argmax, logsumexp, max, sum } from "./reduce.ts";
import {
  arange,
  broadcastTo,
  concatenate,
  expandDims,
  full,
  oneHot,
  reshape,
  scatter,
  sliceAxis,
  stack,
  swapaxes,
} from "./shape.ts";

/** Stands for log 0 where sums of logarithms must stay finite. */
const never = -1e30;

/**
 * The negative logarithm of the probability of each labelling, over all ways to spread it over time: target i32 [N, L] (the
 * first `targetLength` labels count), output [N, T, C] unnormalised scores, of which the first `outputLength` steps count;
 * class `maskIndex` is the blank between labels. → [N].
 */
export function ctcLoss(
  target: TensorLike,
  output: TensorLike,
  targetLength: TensorLike,
  outputLength: TensorLike,
  maskIndex = 0,
): Tensor {
  const labels = castTo(Tensor.of(target), "i32");
  const scores = castTo(Tensor.of(output), "f32");
  if (labels.ndim !== 2 || scores.ndim !== 3 || labels.shape[0] !== scores.shape[0])
    throw argumentError(
      "ctcLoss",
      "targets and outputs do not fit",
      `[${labels.shape}] and [${scores.shape}]`,
      "[N, L] and [N, T, C]",
    );
  const [n, length] = labels.shape;
  const classes = scores.shape[2];
  const states = 2 * length + 1;
  const logits = logSoftmax(scores, -1);
  // Blank, label, blank, label, …, blank.
  const blank = labels.mul(0).add(maskIndex);
  const pairs = reshape(stack([blank, labels], 2), [n, 2 * length]);
  const path = concatenate([pairs, sliceAxis(concatenate([blank, blank], 1), 1, 0, 1)], 1); // [N, S]
  const emit = swapaxes(
    sum(expandDims(logits, 2).mul(expandDims(oneHot(path, classes), 1)), -1), // [N, T, S]
    0,
    1,
  );
  // A label may follow the one before it without a blank between them, unless they are equal.
  const shifted = (x: Tensor, by: number, fill: number) =>
    concatenate([full([n, by], fill, x.dtype), sliceAxis(x, 1, 0, states - by)], 1);
  const skips = logicalAnd(notEqual(path, maskIndex), notEqual(path, shifted(path, 2, -1)));
  const position = arange(states);
  const begin = where(less(position, 2), 0, never);
  const first = broadcastTo(begin, [n, states]).add(sliceAxis(emit, 0, 0, 1).reshape([n, states]));
  const steps = emit.shape[0];
  const active = less(reshape(arange(1, steps), [steps - 1, 1]), castTo(Tensor.of(outputLength), "i32")); // [T-1, N]
  const [last] = scan<Tensor, readonly [Tensor, Tensor], null>(
    (alpha, [scores_, on]) => {
      const ways = stack([alpha, shifted(alpha, 1, never), where(skips, shifted(alpha, 2, never), never)], 0);
      const next = maximum(logsumexp(ways, 0), never).add(scores_);
      return [where(expandDims(on, 1), next, alpha), null];
    },
    first,
    [sliceAxis(emit, 0, 1, steps), active],
  );
  const end = expandDims(castTo(Tensor.of(targetLength), "i32").mul(2), 1); // [N, 1], the last blank
  const ends = logicalOr(equal(position, end), equal(position, add(end, -1)));
  return logsumexp(where(ends, last, never), 1).neg();
}

/**
 * The most probable class of each step, with repetitions and blanks left out: inputs [N, T, C] scores → labels i32
 * [1, N, T] filled up with -1, and the sum of the chosen steps' negated scores [N, 1].
 */
export function ctcDecode(
  inputs: TensorLike,
  sequenceLengths: TensorLike,
  options: { readonly strategy?: "greedy"; readonly mergeRepeated?: boolean; readonly maskIndex?: number } = {},
): [Tensor, Tensor] {
  const { strategy = "greedy", mergeRepeated = true, maskIndex = 0 } = options;
  if (strategy !== "greedy") throw argumentError("ctcDecode", "this strategy is not made", `"${strategy}"`, '"greedy"');
  const scores = castTo(Tensor.of(inputs), "f32");
  const [n, steps] = scores.shape;
  const on = less(arange(steps), expandDims(castTo(Tensor.of(sequenceLengths), "i32"), 1)); // [N, T]
  const best = castTo(argmax(scores, -1), "i32");
  let keep = logicalAnd(on, notEqual(best, maskIndex));
  if (mergeRepeated) {
    const before = concatenate([full([n, 1], -1, "i32"), sliceAxis(best, 1, 0, steps - 1)], 1);
    keep = logicalAnd(keep, notEqual(best, before));
  }
  // Kept labels move to the front, each row with one place more for what is dropped.
  const place = where(keep, cumsum(castTo(keep, "i32"), 1).add(-1), steps);
  const flat = place.add(expandDims(arange(n).mul(steps + 1), 1));
  const values = where(keep, best.add(1), 0);
  const moved = scatter(reshape(flat, [n * steps, 1]), reshape(values, [n * steps]), [n * (steps + 1)]);
  const labels = sliceAxis(reshape(moved, [n, steps + 1]), 1, 0, steps).add(-1);
  const chosen = where(logicalNot(on), 0, max(scores, -1));
  return [expandDims(castTo(labels, "i32"), 0), sum(chosen, 1, true).neg()];
}
