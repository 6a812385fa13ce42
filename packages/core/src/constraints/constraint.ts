/** The base of constraints: projections applied to a weight after each update. */
import { Configured, type Spec } from "../config/index.ts";
import type { Tensor } from "../tensor/tensor.ts";

export abstract class Constraint<S extends Spec = Spec> extends Configured<S> {
  /** The weight of any shape → the projected weight. */
  abstract call(x: Tensor): Tensor;
}
