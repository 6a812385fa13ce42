/** R²: the share of the targets' variance that predictions explain. */
import { defineSpec, int, type OptionsOf, oneOf } from "../config/index.ts";
import { formatShape, LayerwiseError } from "../errors.ts";
import { alignTargets } from "../losses/align.ts";
import { alignWeights } from "../losses/reduction.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor, type TensorLike } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { Metric, metricFields } from "./metric.ts";

const spec = defineSpec("keras.metrics", "R2Score", {
  classAggregation: oneOf("uniformAverage", "varianceWeightedAverage")
    .nullable()
    .default("uniformAverage")
    .doc("over the outputs; null: one score per output"),
  numRegressors: int({ min: 0 }).default(0).doc("independent variables, for the adjusted R²; 0: not adjusted"),
  ...metricFields("r2_score"),
});

interface State {
  readonly squaredSum: Variable;
  readonly sum: Variable;
  readonly residual: Variable;
  readonly count: Variable;
}

/** 1 - Σ (t - p)² / Σ (t - mean t)² */
export class R2Score extends Metric<typeof spec> {
  static readonly spec = spec;
  private readonly samples: Variable;
  private sums: State | null = null;

  constructor(options: OptionsOf<typeof spec> = {}) {
    super(spec, options);
    this.samples = this.addState("num_samples");
  }
  updateState(yTrue: TensorLike, yPred: TensorLike, sampleWeight: TensorLike | null = null): void {
    const float = (x: TensorLike) => ops.cast(Tensor.of(x), "f32");
    const [t, p] = alignTargets(float(yTrue), float(yPred), this.name);
    if (t.ndim !== 2) {
      throw new LayerwiseError("R2Score needs one row per sample", {
        code: "L105",
        layer: this.name,
        received: formatShape(t.shape),
        expected: "[samples, outputs]",
      });
    }
    const sums = this.sums ?? this.makeState([t.shape[1]]);
    const one = sampleWeight === null ? Tensor.of(1) : alignWeights(t, float(sampleWeight), this.name);
    const weight = ops.broadcastTo(one, t.shape);
    const weighted = ops.multiply(t, weight);
    const add = (variable: Variable, cells: Tensor) => {
      variable.assign(ops.add(variable.read(), ops.sum(cells, 0)));
    };
    add(sums.sum, weighted);
    add(sums.squaredSum, ops.multiply(t, weighted));
    add(sums.residual, ops.multiply(ops.square(ops.subtract(t, p)), weight));
    add(sums.count, weight);
    this.samples.assign(ops.add(this.samples.read(), t.size));
  }
  private makeState(shape: readonly number[]): State {
    this.sums = {
      squaredSum: this.addState("squared_sum", shape),
      sum: this.addState("sum", shape),
      residual: this.addState("residual", shape),
      count: this.addState("count", shape),
    };
    return this.sums;
  }
  result(): Tensor {
    if (!this.sums) return Tensor.of(0);
    const { squaredSum, sum, residual, count } = this.sums;
    const total = ops.subtract(squaredSum.read(), ops.divide(ops.square(sum.read()), count.read()));
    const raw = ops.subtract(1, ops.divide(residual.read(), total));
    const each = ops.where(ops.isinf(raw), 0, raw);
    const { classAggregation, numRegressors } = this.options;
    const score =
      classAggregation === null
        ? each
        : classAggregation === "uniformAverage"
          ? ops.mean(each)
          : ops.divide(ops.sum(ops.multiply(total, each)), ops.sum(total));
    if (numRegressors === 0) return score;
    // With too few samples for the adjustment the score stays as it is.
    const n = this.samples.read();
    const left = ops.subtract(n, numRegressors + 1);
    const enough = ops.greater(left, 0);
    const factor = ops.divide(ops.subtract(n, 1), ops.where(enough, left, 1));
    return ops.where(enough, ops.subtract(1, ops.multiply(ops.subtract(1, score), factor)), score);
  }
}
