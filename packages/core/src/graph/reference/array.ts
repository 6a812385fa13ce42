/** Arrays of the reference evaluator: float64 numbers for every dtype, row-major. */
import type { Value } from "../node.ts";
import type { Shape, TensorType } from "../types.ts";
import { sizeOf } from "../types.ts";

/** Values of any dtype as float64 (bool as 0 or 1, u32 as 0 … 2^32-1). */
export interface RefArray {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/** Reference semantics of one op: what its outputs are, in exact or double arithmetic, rounding integers as the dtype does. */
export type Reference<A> = (
  inputs: readonly RefArray[],
  attrs: A,
  outputs: readonly TensorType[],
  inputTypes: readonly TensorType[],
  /** For ops with regions. */
  evaluate: (roots: readonly Value[], feed: ReadonlyMap<Value, RefArray>) => RefArray[],
) => readonly RefArray[];

export function refArray(shape: Shape, fill?: (linear: number, coordinates: readonly number[]) => number): RefArray {
  const data = new Float64Array(sizeOf(shape));
  if (fill) {
    const c = new Array<number>(shape.length).fill(0);
    for (let i = 0; i < data.length; i++) {
      data[i] = fill(i, c);
      for (let j = shape.length - 1; j >= 0; j--) {
        if (++c[j] < shape[j]) break;
        c[j] = 0;
      }
    }
  }
  return { shape, data };
}
