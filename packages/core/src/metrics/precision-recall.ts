/** Precision and recall. */
import { defineSpec, type OptionsOf, type Spec } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor, TensorLike } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { addCounts, answerFields, lowest, oneOrAll, thresholdList } from "./confusion.ts";
import { Metric } from "./metric.ts";

interface AnswerOptions {
  readonly thresholds: number | readonly number[] | null;
  readonly topK: number | null;
  readonly classId: number | null;
}

/** Base: true positives as a share of themselves and something else. */
abstract class ShareOfTrue<S extends Spec> extends Metric<S> {
  private readonly thresholds: readonly number[];
  private readonly truePositives: Variable;
  private readonly others: Variable;
  private readonly other: "falsePositives" | "falseNegatives";

  constructor(spec: S, options: OptionsOf<S>, other: "falsePositives" | "falseNegatives") {
    super(spec, options);
    const { thresholds, topK } = this.answerOptions;
    this.thresholds = thresholdList(thresholds, topK === null ? 0.5 : lowest, this.name);
    const shape = [this.thresholds.length];
    this.truePositives = this.addState("true_positives", shape);
    this.others = this.addState(other === "falsePositives" ? "false_positives" : "false_negatives", shape);
    this.other = other;
  }
  private get answerOptions(): AnswerOptions {
    return this.options as unknown as AnswerOptions;
  }
  updateState(yTrue: TensorLike, yPred: TensorLike, sampleWeight: TensorLike | null = null): void {
    const { topK, classId } = this.answerOptions;
    const counts = { truePositives: this.truePositives, [this.other]: this.others };
    const options = { thresholds: this.thresholds, topK, classId };
    addCounts(counts, yTrue, yPred, sampleWeight, options, this.name);
  }
  result(): Tensor {
    const found = this.truePositives.read();
    return oneOrAll(ops.divideNoNan(found, ops.add(found, this.others.read())));
  }
}

const precisionSpec = defineSpec("keras.metrics", "Precision", answerFields());
/** Share of the answers of yes that are right. */
export class Precision extends ShareOfTrue<typeof precisionSpec> {
  static readonly spec = precisionSpec;
  constructor(options: OptionsOf<typeof precisionSpec> = {}) {
    super(precisionSpec, options, "falsePositives");
  }
}

const recallSpec = defineSpec("keras.metrics", "Recall", answerFields());
/** Share of what is true that was answered with yes. */
export class Recall extends ShareOfTrue<typeof recallSpec> {
  static readonly spec = recallSpec;
  constructor(options: OptionsOf<typeof recallSpec> = {}) {
    super(recallSpec, options, "falseNegatives");
  }
}
