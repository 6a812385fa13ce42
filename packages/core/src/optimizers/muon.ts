/** Muon (Jordan et al. 2024): momentum of matrices, made orthogonal; everything else by AdamW. */
import { bool, defineSpec, int, list, number, type OptionsOf, string } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { optimizerFields } from "./fields.ts";
import { biasCorrection, movingAverage } from "./moments.ts";
import { Optimizer, type SlotSpec, type Slots, type StepInfo, type Updated } from "./optimizer.ts";

const spec = defineSpec("keras.optimizers", "Muon", {
  ...optimizerFields(0.001, 0.004),
  adamBeta1: number({ min: 0, below: 1 }).default(0.9).as("adam_beta_1"),
  adamBeta2: number({ min: 0, below: 1 }).default(0.999).as("adam_beta_2"),
  adamWeightDecay: number({ min: 0 }).nullable().default(0.004).doc("weight decay of what is not a matrix"),
  epsilon: number({ min: 0 }).default(1e-7),
  excludeLayers: list(string()).nullable().doc("patterns of weight names that Adam updates"),
  excludeEmbeddings: bool().default(true),
  muonA: number().default(3.4445).as("muon_a").doc("coefficients of the Newton-Schulz iteration"),
  muonB: number().default(-4.775).as("muon_b"),
  muonC: number().default(2.0315).as("muon_c"),
  adamLrRatio: number({ min: 0 }).default(1).doc("rate of Adam's part relative to that of the matrices"),
  momentum: number({ min: 0, max: 1 }).default(0.95),
  nsSteps: int({ min: 1 }).default(5).doc("Newton-Schulz iterations"),
  nesterov: bool().default(true),
  rmsRate: number().nullable().default(0.2).doc("root mean square of a step relative to the rate; null: not scaled"),
});
export type MuonOptions = OptionsOf<typeof spec>;

export class Muon extends Optimizer<typeof spec> {
  static readonly spec = spec;
  protected override readonly elementwise = false;
  constructor(options: MuonOptions = {}) {
    super(spec, options);
  }
  private byAdam(variable: Variable): boolean {
    const { excludeEmbeddings, excludeLayers } = this.options;
    if (variable.shape.length !== 2) return true;
    if (excludeEmbeddings && variable.name.toLowerCase().includes("embedding")) return true;
    return (excludeLayers ?? []).some((pattern) => new RegExp(pattern).test(variable.name));
  }
  protected override slots(variable: Variable | null): readonly SlotSpec[] {
    return variable && !this.byAdam(variable) ? [{ name: "momentum" }] : [{ name: "momentum" }, { name: "velocity" }];
  }
  protected override weightDecayOf(variable: Variable): number | null {
    return this.byAdam(variable) ? this.options.adamWeightDecay : this.options.weightDecay;
  }
  protected update(gradient: Tensor, x: Tensor, slots: Slots, step: StepInfo): Updated {
    return step.variable && !this.byAdam(step.variable)
      ? this.muon(gradient, x, slots, step)
      : this.adam(gradient, x, slots, step);
  }
  private muon(gradient: Tensor, x: Tensor, slots: Slots, { learningRate }: StepInfo): Updated {
    const { momentum: beta, nesterov, rmsRate } = this.options;
    const momentum = ops.add(ops.multiply(slots["momentum"], beta), gradient);
    const direction = nesterov ? ops.add(gradient, ops.multiply(momentum, beta)) : momentum;
    const scale = rmsRate === null ? 1 : Math.sqrt(Math.max(x.shape[0], x.shape[1])) * rmsRate;
    const rate = ops.cast(ops.multiply(learningRate, scale), x.dtype);
    return { value: ops.subtract(x, ops.multiply(this.orthogonal(direction), rate)), slots: { momentum } };
  }
  /** The nearest matrix with singular values near 1, by Newton-Schulz iterations. */
  private orthogonal(matrix: Tensor): Tensor {
    const { muonA, muonB, muonC, nsSteps } = this.options;
    const tall = matrix.shape[0] > matrix.shape[1];
    let x = tall ? ops.transpose(matrix) : matrix;
    x = ops.divide(x, ops.add(ops.sqrt(ops.sum(ops.square(x))), 1e-7));
    for (let i = 0; i < nsSteps; i++) {
      const a = ops.matmul(x, ops.transpose(x));
      const b = ops.add(ops.multiply(a, muonB), ops.matmul(ops.multiply(a, muonC), a));
      x = ops.add(ops.multiply(x, muonA), ops.matmul(b, x));
    }
    return tall ? ops.transpose(x) : x;
  }
  private adam(gradient: Tensor, x: Tensor, slots: Slots, { learningRate, step }: StepInfo): Updated {
    const { adamBeta1, adamBeta2, adamLrRatio, epsilon } = this.options;
    const rate = ops.divide(
      ops.multiply(ops.multiply(learningRate, adamLrRatio), ops.sqrt(biasCorrection(adamBeta2, step))),
      biasCorrection(adamBeta1, step),
    );
    const momentum = movingAverage(slots["momentum"], gradient, adamBeta1);
    const velocity = movingAverage(slots["velocity"], ops.square(gradient), adamBeta2);
    const move = ops.divide(ops.multiply(momentum, ops.cast(rate, x.dtype)), ops.add(ops.sqrt(velocity), epsilon));
    return { value: ops.subtract(x, move), slots: { momentum, velocity } };
  }
}
