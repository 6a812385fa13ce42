/** What the reference programs have in common. */
import type { Tensor } from "layerwise";

/** Images and labels, as the data sets give them and as `fit` takes them. */
export interface Data {
  readonly x: Tensor;
  readonly y: Tensor;
}

export interface RunOptions {
  readonly epochs?: number;
  readonly seed?: number;
  /** As in `fit`. */
  readonly verbose?: 0 | 1 | 2;
  /** R5 only. */
  readonly learningRate?: number;
}
