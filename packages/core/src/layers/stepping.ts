/** Going on from where a sequence was: what layers say of time, for generation one step after another. */
import type { Tensor } from "../tensor/tensor.ts";
import { isShape, type ShapeTree, type TensorTree } from "./arguments.ts";
import type { Layer } from "./layer.ts";

/**
 * A layer whose output at a time step depends on the steps before: it keeps what it needs of them. `step` takes new steps
 * x [N, T, …] that follow `position` (i32 []) earlier ones.
 */
export interface SteppingLayer {
  /** Whether a call with these options and so many distinct inputs can be made step by step. */
  canStep(options: { readonly [option: string]: unknown }, numInputs: number): boolean;
  /** Whether `step` takes a mask on its input into account. */
  readonly stepsWithMask: boolean;
  /** What is kept before the first step, with room for `maxLength` steps of `batch` sequences. */
  initialCache(batch: number, maxLength: number): TensorTree;
  step(x: Tensor, cache: TensorTree, position: Tensor): readonly [Tensor, TensorTree];
}

export function isStepping(layer: Layer): layer is Layer & SteppingLayer {
  return "step" in layer && "initialCache" in layer;
}

/** Whether an option `axis` names the last axis alone. */
export function onLastAxis(axis: number | readonly number[], buildShape: ShapeTree | null): boolean {
  const axes = typeof axis === "number" ? [axis] : axis;
  const rank = isShape(buildShape) ? buildShape.length : 0;
  return axes.length === 1 && (axes[0] === -1 || axes[0] === rank - 1);
}
