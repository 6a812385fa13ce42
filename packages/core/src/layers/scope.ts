/** The call scope: what layers share while one model call is traced or computed (mode, added losses, random streams). */

import type { Value } from "../graph/node.ts";
import { constantValue, random } from "../graph/ops/index.ts";
import { hashParts } from "../initializers/generator.ts";
import type { Tensor } from "../tensor/tensor.ts";

export interface CallScope {
  training: boolean;
  /** Whether only shapes are asked for, with stand-ins for unknown sizes: limits on them do not hold then. */
  readonly probing?: boolean;
  /** Losses that layers added, in order. */
  readonly losses: Tensor[];
  /** Position in the tree of calls: "/0/3" is the fourth call inside the first. Not names, so renaming changes no bits. */
  path: string;
  /** Number of calls made so far from the present position. */
  calls: number;
  readonly seed: number;
  /** Only shapes are asked for, with stand-in sizes: nothing may be kept. */
  readonly probe?: boolean;
  /** The number of the training step, u32 []: symbolic in a step program, a constant in eager use. */
  readonly step: () => Value;
}

let active: CallScope | null = null;

export function currentScope(): CallScope | null {
  return active;
}

/** Runs `body` in `scope`. */
export function inScope<T>(scope: CallScope | null, body: () => T): T {
  const saved = active;
  active = scope;
  try {
    return body();
  } finally {
    active = saved;
  }
}

/** Runs one layer call inside the present scope, one position deeper. */
export function enterCall<T>(scope: CallScope, training: boolean, body: () => T): T {
  const { path, calls, training: outerTraining } = scope;
  scope.training = training;
  scope.path = `${path}/${calls}`;
  scope.calls = 0;
  try {
    return body();
  } finally {
    scope.training = outerTraining;
    scope.path = path;
    scope.calls = calls + 1;
  }
}

/**
 * The key (u32 [2]) of the next random draw: from the seed and the position in the tree of calls, and the step. `seed`
 * overrides the scope's (a layer's own `seed` option). Every draw counts as a call, so two draws of one layer differ.
 */
export function randomKey(scope: CallScope, seed: number | null): Value {
  const place =
    seed === null ? ["layer", scope.seed, `${scope.path}/${scope.calls++}`] : ["layer seed", seed, scope.calls++];
  const words = Uint32Array.of(hashParts([...place, "high"]), hashParts([...place, "low"]));
  return random.foldIn(constantValue(words, { shape: [2], dtype: "u32" }), scope.step());
}
