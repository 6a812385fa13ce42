/** The base of learning rate schedules: the rate as a function of the number of steps taken. */
import { Configured, type Spec } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";

export abstract class Schedule<S extends Spec = Spec> extends Configured<S> {
  /** step [] (steps taken so far, f32) → learning rate [] (f32). Called while a step is traced. */
  protected abstract rate(step: Tensor): Tensor;

  /** step [] (any number type) → learning rate [] (f32). */
  call(step: Tensor): Tensor {
    return this.rate(ops.cast(step, "f32"));
  }
  /** The learning rate after `step` steps. */
  at(step: number): number {
    return this.call(Tensor.of(step, "f32")).item();
  }
}
