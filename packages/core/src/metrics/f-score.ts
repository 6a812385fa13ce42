/** F-scores: precision and recall in one number. */
import { defineSpec, number, type OptionsOf, oneOf, type Spec } from "../config/index.ts";
import { formatShape, LayerwiseError } from "../errors.ts";
import { alignWeights } from "../losses/reduction.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor, type TensorLike } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { Metric, metricFields } from "./metric.ts";

const epsilon = 1e-7;

interface ScoreOptions {
  readonly average: "micro" | "macro" | "weighted" | null;
  readonly threshold: number | null;
}
const scoreFields = (name: string) => ({
  average: oneOf("micro", "macro", "weighted").nullable().doc("over the classes; null: one score per class"),
  threshold: number({ above: 0, max: 1 }).nullable().doc("answers of yes; null: the highest score of a sample"),
  ...metricFields(name),
});

interface State {
  readonly truePositives: Variable;
  readonly falsePositives: Variable;
  readonly falseNegatives: Variable;
  readonly weights: Variable;
}

abstract class Score<S extends Spec> extends Metric<S> {
  private counts: State | null = null;
  protected abstract readonly beta: number;

  private get score(): ScoreOptions {
    return this.options as unknown as ScoreOptions;
  }
  updateState(yTrue: TensorLike, yPred: TensorLike, sampleWeight: TensorLike | null = null): void {
    const t = ops.cast(Tensor.of(yTrue), "f32");
    const p = ops.cast(Tensor.of(yPred), "f32");
    if (t.ndim !== 2 || p.ndim !== 2 || t.shape[1] !== p.shape[1]) {
      throw new LayerwiseError(`${this.spec.className} needs one-hot targets and one score per class`, {
        code: "L105",
        layer: this.name,
        received: `targets ${formatShape(t.shape)}, predictions ${formatShape(p.shape)}`,
        expected: "[samples, classes] both",
      });
    }
    const { average, threshold } = this.score;
    const counts = this.counts ?? this.makeState(average === "micro" ? [] : [p.shape[1]]);
    const said =
      threshold === null
        ? // A row of zeros gives no answer.
          ops.logicalAnd(ops.greaterEqual(p, ops.max(p, -1, true)), ops.greater(ops.abs(p), 1e-9))
        : ops.greater(p, threshold);
    const yes = ops.cast(said, "f32");
    const weight = sampleWeight === null ? null : alignWeights(p, ops.cast(Tensor.of(sampleWeight), "f32"), this.name);
    const add = (variable: Variable, cells: Tensor) => {
      const amounts = weight === null ? cells : ops.multiply(cells, weight);
      variable.assign(ops.add(variable.read(), ops.sum(amounts, average === "micro" ? null : 0)));
    };
    add(counts.truePositives, ops.multiply(yes, t));
    add(counts.falsePositives, ops.multiply(yes, ops.subtract(1, t)));
    add(counts.falseNegatives, ops.multiply(ops.subtract(1, yes), t));
    add(counts.weights, t);
  }
  private makeState(shape: readonly number[]): State {
    this.counts = {
      truePositives: this.addState("true_positives", shape),
      falsePositives: this.addState("false_positives", shape),
      falseNegatives: this.addState("false_negatives", shape),
      weights: this.addState("intermediate_weights", shape),
    };
    return this.counts;
  }
  result(): Tensor {
    if (!this.counts) return Tensor.of(0);
    const [tp, fp, fn, weights] = [
      this.counts.truePositives,
      this.counts.falsePositives,
      this.counts.falseNegatives,
      this.counts.weights,
    ].map((v) => v.read());
    const precision = ops.divide(tp, ops.add(ops.add(tp, fp), epsilon));
    const recall = ops.divide(tp, ops.add(ops.add(tp, fn), epsilon));
    const square = this.beta ** 2;
    const sum = ops.add(ops.add(ops.multiply(precision, square), recall), epsilon);
    const score = ops.multiply(ops.divide(ops.multiply(precision, recall), sum), 1 + square);
    const { average } = this.score;
    if (average === null) return score;
    if (average !== "weighted") return ops.mean(score);
    return ops.sum(ops.multiply(score, ops.divide(weights, ops.add(ops.sum(weights), epsilon))));
  }
}

const fbetaSpec = defineSpec("keras.metrics", "FBetaScore", {
  beta: number({ above: 0 }).default(1).doc("weight of recall against precision"),
  ...scoreFields("fbeta_score"),
});
/** (1 + beta²)·precision·recall / (beta²·precision + recall) */
export class FBetaScore extends Score<typeof fbetaSpec> {
  static readonly spec = fbetaSpec;
  protected readonly beta: number;
  constructor(options: OptionsOf<typeof fbetaSpec> = {}) {
    super(fbetaSpec, options);
    this.beta = this.options.beta;
  }
}

const f1Spec = defineSpec("keras.metrics", "F1Score", scoreFields("f1_score"));
/** The harmonic mean of precision and recall. */
export class F1Score extends Score<typeof f1Spec> {
  static readonly spec = f1Spec;
  protected readonly beta = 1;
  constructor(options: OptionsOf<typeof f1Spec> = {}) {
    super(f1Spec, options);
  }
}
