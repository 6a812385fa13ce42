/** Adafactor (Shazeer and Stern 2018): second moments of matrices kept as row and column means. */
import { bool, defineSpec, number, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { optimizerFields } from "./fields.ts";
import { Optimizer, type SlotSpec, type Slots, type StepInfo, type Updated } from "./optimizer.ts";

const spec = defineSpec("keras.optimizers", "Adafactor", {
  ...optimizerFields(),
  beta2Decay: number().default(-0.8).as("beta_2_decay").doc("exponent of the step in the decay of second moments"),
  epsilon1: number({ min: 0 }).default(1e-30).as("epsilon_1"),
  epsilon2: number({ min: 0 }).default(1e-3).as("epsilon_2").doc("least root mean square of weights for the rate"),
  clipThreshold: number({ above: 0 }).default(1).doc("largest root mean square of a step"),
  relativeStep: bool().default(true).doc("whether the rate falls with the root of the step"),
});
export type AdafactorOptions = OptionsOf<typeof spec>;

const rootMeanSquare = (x: Tensor) => ops.sqrt(ops.mean(ops.square(x)));

/** Steps relative to the size of the weights, with little memory: matrices keep only row and column means. */
export class Adafactor extends Optimizer<typeof spec> {
  static readonly spec = spec;
  protected override readonly elementwise = false;
  constructor(options: AdafactorOptions = {}) {
    super(spec, options);
  }
  protected override slots(variable: Variable | null): readonly SlotSpec[] {
    const shape = variable?.shape ?? [];
    const n = shape.length;
    // Keras keeps scalars for vectors, so that every variable has three slots.
    const rows = n < 2 ? [] : shape.slice(0, -1);
    const columns = n < 2 ? [] : [...shape.slice(0, -2), shape[n - 1]];
    return [{ name: "r", shape: rows }, { name: "c", shape: columns }, { name: "velocity" }];
  }
  protected update(gradient: Tensor, x: Tensor, slots: Slots, { learningRate, step }: StepInfo): Updated {
    const { beta2Decay, epsilon1, epsilon2, clipThreshold } = this.options;
    const slow = ops.rsqrt(step);
    // With or without relativeStep the rate ends up below the inverse root of the step, as in Keras.
    const share = ops.minimum(learningRate, slow);
    const rate = ops.multiply(ops.maximum(rootMeanSquare(x), epsilon2), ops.cast(share, x.dtype));
    const keep = ops.cast(ops.subtract(1, ops.power(step, beta2Decay)), x.dtype);
    const mean = (old: Tensor, now: Tensor) =>
      ops.add(ops.multiply(old, keep), ops.multiply(now, ops.subtract(1, keep)));
    const squares = ops.add(ops.square(gradient), epsilon1);
    const changed: Record<string, Tensor> = {};
    if (x.ndim >= 2) {
      const r = mean(slots["r"], ops.mean(squares, -1));
      const c = mean(slots["c"], ops.mean(squares, -2));
      changed["r"] = r;
      changed["c"] = c;
      const rows = ops.divide(r, ops.mean(r, -1, true));
      changed["velocity"] = ops.multiply(ops.expandDims(rows, -1), ops.expandDims(c, -2));
    } else changed["velocity"] = mean(slots["velocity"], squares);
    const direction = ops.divide(gradient, ops.sqrt(changed["velocity"]));
    const size = ops.maximum(ops.divide(rootMeanSquare(direction), clipThreshold), 1);
    return { value: ops.subtract(x, ops.multiply(ops.divide(direction, size), rate)), slots: changed };
  }
}
