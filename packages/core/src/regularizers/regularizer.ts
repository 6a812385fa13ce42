/** The base of regularizers: a penalty on a weight or an output, added to the loss. */
import { Configured, type Spec } from "../config/index.ts";
import type { Tensor } from "../tensor/tensor.ts";

export abstract class Regularizer<S extends Spec = Spec> extends Configured<S> {
  /** x of any shape → penalty []. */
  abstract call(x: Tensor): Tensor;
}
