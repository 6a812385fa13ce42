/**
 * Where a probability came from: softmax and sigmoid note what they were applied to, so that cross-entropies can be
 * computed from it, which is exact where the probability has rounded to 0 or 1.
 */
import type { Value } from "../graph/node.ts";
import { Tensor } from "./tensor.ts";

export type ProbabilityKind = "softmax" | "sigmoid";

const sources = new WeakMap<Value, { kind: ProbabilityKind; logits: Value }>();

/** Notes that `output` is the softmax (over the last axis) or sigmoid of `logits`; returns `output`. */
export function notePreActivation(output: Tensor, kind: ProbabilityKind, logits: Tensor): Tensor {
  sources.set(output.value, { kind, logits: logits.value });
  return output;
}

/** What `output` is the softmax or sigmoid of, if it is known. */
export function preActivationOf(output: Tensor): { kind: ProbabilityKind; logits: Tensor } | null {
  const found = sources.get(output.value);
  return found ? { kind: found.kind, logits: new Tensor(found.logits) } : null;
}
