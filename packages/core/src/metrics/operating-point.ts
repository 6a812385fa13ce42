/** The best of one rate where another is at least a given value: metrics of a point on a curve. */
import { defineSpec, int, number, type OptionsOf, type Spec } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor, TensorLike } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { addCounts } from "./confusion.ts";
import { Metric, metricFields } from "./metric.ts";

const pointFields = () => ({
  numThresholds: int({ min: 1 }).default(200).doc("thresholds between 0 and 1 that are tried"),
  classId: int({ min: 0 }).nullable().doc("only this class counts"),
  ...metricFields(),
});
const share = () => number({ min: 0, max: 1 });

/** All four counts at evenly spread thresholds. */
abstract class OperatingPoint<S extends Spec> extends Metric<S> {
  private readonly thresholds: readonly number[];
  private readonly counts: Record<"truePositives" | "falsePositives" | "trueNegatives" | "falseNegatives", Variable>;

  constructor(spec: S, options: OptionsOf<S>) {
    super(spec, options);
    const { numThresholds: n } = this.options as unknown as { numThresholds: number };
    this.thresholds = n === 1 ? [0.5] : Array.from({ length: n }, (_, i) => i / (n - 1));
    this.counts = {
      truePositives: this.addState("true_positives", [n]),
      falsePositives: this.addState("false_positives", [n]),
      trueNegatives: this.addState("true_negatives", [n]),
      falseNegatives: this.addState("false_negatives", [n]),
    };
  }
  /** The rate that must reach a value, that value, and the rate of which the best is wanted. */
  protected abstract rates(): { bound: Tensor; least: number; wanted: Tensor };

  updateState(yTrue: TensorLike, yPred: TensorLike, sampleWeight: TensorLike | null = null): void {
    const { classId } = this.options as unknown as { classId: number | null };
    const options = { thresholds: this.thresholds, classId, even: this.thresholds.length > 1 };
    addCounts(this.counts, yTrue, yPred, sampleWeight, options, this.name);
  }
  result(): Tensor {
    const { bound, least, wanted } = this.rates();
    return ops.maximum(ops.max(ops.where(ops.greaterEqual(bound, least), wanted, 0)), 0);
  }
  private rate(part: Variable, rest: Variable): Tensor {
    return ops.divideNoNan(part.read(), ops.add(part.read(), rest.read()));
  }
  /** Share of what is true that was found (recall). */
  protected sensitivity(): Tensor {
    return this.rate(this.counts.truePositives, this.counts.falseNegatives);
  }
  protected specificity(): Tensor {
    return this.rate(this.counts.trueNegatives, this.counts.falsePositives);
  }
  protected precision(): Tensor {
    return this.rate(this.counts.truePositives, this.counts.falsePositives);
  }
}

const sensitivitySpec = defineSpec("keras.metrics", "SensitivityAtSpecificity", {
  specificity: share(),
  ...pointFields(),
});
export class SensitivityAtSpecificity extends OperatingPoint<typeof sensitivitySpec> {
  static readonly spec = sensitivitySpec;
  constructor(options: OptionsOf<typeof sensitivitySpec>) {
    super(sensitivitySpec, options);
  }
  protected rates() {
    return { bound: this.specificity(), least: this.options.specificity, wanted: this.sensitivity() };
  }
}

const specificitySpec = defineSpec("keras.metrics", "SpecificityAtSensitivity", {
  sensitivity: share(),
  ...pointFields(),
});
export class SpecificityAtSensitivity extends OperatingPoint<typeof specificitySpec> {
  static readonly spec = specificitySpec;
  constructor(options: OptionsOf<typeof specificitySpec>) {
    super(specificitySpec, options);
  }
  protected rates() {
    return { bound: this.sensitivity(), least: this.options.sensitivity, wanted: this.specificity() };
  }
}

const precisionSpec = defineSpec("keras.metrics", "PrecisionAtRecall", { recall: share(), ...pointFields() });
export class PrecisionAtRecall extends OperatingPoint<typeof precisionSpec> {
  static readonly spec = precisionSpec;
  constructor(options: OptionsOf<typeof precisionSpec>) {
    super(precisionSpec, options);
  }
  protected rates() {
    return { bound: this.sensitivity(), least: this.options.recall, wanted: this.precision() };
  }
}

const recallSpec = defineSpec("keras.metrics", "RecallAtPrecision", { precision: share(), ...pointFields() });
export class RecallAtPrecision extends OperatingPoint<typeof recallSpec> {
  static readonly spec = recallSpec;
  constructor(options: OptionsOf<typeof recallSpec>) {
    super(recallSpec, options);
  }
  protected rates() {
    return { bound: this.precision(), least: this.options.precision, wanted: this.sensitivity() };
  }
}
