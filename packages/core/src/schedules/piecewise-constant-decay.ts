/** A learning rate that is constant between given steps. */
import { defineSpec, list, number, type OptionsOf, string } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import { Schedule } from "./schedule.ts";

const spec = defineSpec("keras.optimizers.schedules", "PiecewiseConstantDecay", {
  boundaries: list(number()).doc("the last step of each value but the last, rising"),
  values: list(number()),
  name: string().default("PiecewiseConstant"),
});
export type PiecewiseConstantDecayOptions = OptionsOf<typeof spec>;

/** values[0] up to and including step boundaries[0], then values[1] up to boundaries[1], … */
export class PiecewiseConstantDecay extends Schedule<typeof spec> {
  static readonly spec = spec;
  constructor(options: PiecewiseConstantDecayOptions) {
    super(spec, options);
    const { boundaries, values } = this.options;
    if (values.length !== boundaries.length + 1) {
      throw new LayerwiseError("PiecewiseConstantDecay needs one value more than boundaries", {
        code: "E202",
        layer: "PiecewiseConstantDecay",
        received: `${boundaries.length} boundaries, ${values.length} values`,
        expected: `${boundaries.length + 1} values`,
      });
    }
  }
  protected rate(step: Tensor): Tensor {
    const { boundaries, values } = this.options;
    let rate = Tensor.of(values[values.length - 1]);
    // Steps are whole numbers, so a fractional boundary counts as the whole number below it.
    for (let i = boundaries.length - 1; i >= 0; i--) {
      rate = ops.where(ops.lessEqual(step, Math.trunc(boundaries[i])), values[i], rate);
    }
    return rate;
  }
}
