/** The area under a curve of rates at many thresholds. */
import { bool, defineSpec, int, list, number, type OptionsOf, oneOf } from "../config/index.ts";
import { formatShape, LayerwiseError } from "../errors.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor, type TensorLike, tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { addCounts, isEven } from "./confusion.ts";
import { Metric, metricFields } from "./metric.ts";

const spec = defineSpec("keras.metrics", "AUC", {
  numThresholds: int({ min: 2 }).default(200),
  curve: oneOf("ROC", "PR", "PRGAIN")
    .default("ROC")
    .doc("false against true positive rate, or recall against precision"),
  summationMethod: oneOf("interpolation", "majoring", "minoring").default("interpolation"),
  thresholds: list(number({ min: 0, max: 1 }))
    .nullable()
    .doc("thresholds of one's own instead of evenly spread ones"),
  multiLabel: bool().default(false).doc("whether each label has a curve of its own; the areas are averaged"),
  numLabels: int({ min: 1 }).nullable(),
  labelWeights: list(number({ min: 0 })).nullable(),
  fromLogits: bool().default(false).doc("whether predictions are scores before a sigmoid"),
  ...metricFields(),
});

interface State {
  readonly truePositives: Variable;
  readonly falsePositives: Variable;
  readonly trueNegatives: Variable;
  readonly falseNegatives: Variable;
}

/** Area under the ROC or precision-recall curve, from counts at `numThresholds` thresholds. */
export class AUC extends Metric<typeof spec> {
  static readonly spec = spec;
  private readonly thresholds: readonly number[];
  private readonly even: boolean;
  private counts: State | null = null;

  constructor(options: OptionsOf<typeof spec> = {}) {
    super(spec, options);
    const { thresholds, numThresholds: n, multiLabel, numLabels } = this.options;
    const inner =
      thresholds === null
        ? Array.from({ length: n - 2 }, (_, i) => (i + 1) / (n - 1))
        : [...thresholds].sort((a, b) => a - b);
    this.even = thresholds === null || isEven([0, ...inner, 1]);
    // The ends lie beyond 0 and 1, so that all scores are above the first and below the last.
    this.thresholds = [-1e-7, ...inner, 1 + 1e-7];
    if (numLabels !== null && !multiLabel) {
      throw new LayerwiseError("numLabels of AUC is for multiLabel only", {
        code: "E202",
        layer: this.name,
        received: `numLabels ${numLabels}`,
        expected: "multiLabel: true",
      });
    }
    if (!multiLabel) this.makeState([this.thresholds.length]);
    else if (numLabels !== null) this.makeState([this.thresholds.length, numLabels]);
  }
  private makeState(shape: readonly number[]): State {
    this.counts = {
      truePositives: this.addState("true_positives", shape),
      falsePositives: this.addState("false_positives", shape),
      trueNegatives: this.addState("true_negatives", shape),
      falseNegatives: this.addState("false_negatives", shape),
    };
    return this.counts;
  }
  updateState(yTrue: TensorLike, yPred: TensorLike, sampleWeight: TensorLike | null = null): void {
    const { multiLabel, labelWeights, fromLogits } = this.options;
    const given = Tensor.of(yPred);
    const p = fromLogits ? ops.sigmoid(given) : given;
    if (multiLabel && p.ndim !== 2) {
      throw new LayerwiseError("AUC with multiLabel needs one score per label", {
        code: "L105",
        layer: this.name,
        received: formatShape(p.shape),
        expected: "[samples, labels]",
      });
    }
    const counts = this.counts ?? this.makeState([this.thresholds.length, p.shape[1]]);
    const options = { thresholds: this.thresholds, multiLabel, labelWeights, even: this.even };
    addCounts({ ...counts }, yTrue, p, sampleWeight, options, this.name);
  }
  result(): Tensor {
    if (!this.counts) return Tensor.of(0);
    const { curve, summationMethod } = this.options;
    const areas = curve === "PR" && summationMethod === "interpolation" ? this.interpolated() : this.rectangles();
    const each = ops.sum(areas, 0);
    const { multiLabel, labelWeights } = this.options;
    if (!multiLabel) return each;
    if (labelWeights === null) return ops.mean(each);
    const weights = tensor([...labelWeights]);
    return ops.divideNoNan(ops.sum(ops.multiply(each, weights)), ops.sum(weights));
  }
  private read() {
    const c = this.counts!;
    return [c.truePositives, c.falsePositives, c.trueNegatives, c.falseNegatives].map((v) => v.read());
  }
  /** Width times height between neighbouring thresholds. */
  private rectangles(): Tensor {
    const [tp, fp, tn, fn] = this.read();
    const recall = ops.divideNoNan(tp, ops.add(tp, fn));
    let x: Tensor;
    let y: Tensor;
    if (this.options.curve === "ROC") [x, y] = [ops.divideNoNan(fp, ops.add(fp, tn)), recall];
    else if (this.options.curve === "PR") [x, y] = [recall, ops.divideNoNan(tp, ops.add(tp, fp))];
    else {
      // Gains (Flach and Kull 2015); without true positives the recall gain is 0 and the precision gain 1.
      const scale = ops.divideNoNan(ops.add(tp, fn), ops.add(tn, fp));
      const gain = (wrong: Tensor) => ops.subtract(1, ops.multiply(scale, ops.divideNoNan(wrong, tp)));
      const none = ops.equal(tp, 0);
      x = ops.maximum(ops.where(none, 0, gain(fn)), 0);
      y = ops.where(none, 1, gain(fp));
    }
    const [y0, y1] = this.neighbours(y);
    const [x0, x1] = this.neighbours(x);
    const { summationMethod } = this.options;
    const heights =
      summationMethod === "interpolation"
        ? ops.multiply(ops.add(y0, y1), 0.5)
        : summationMethod === "minoring"
          ? ops.minimum(y0, y1)
          : ops.maximum(y0, y1);
    return ops.multiply(ops.subtract(x0, x1), heights);
  }
  /** Precision-recall areas by interpolation of the counts, not of the precision (Davis and Goadrich 2006). */
  private interpolated(): Tensor {
    const [tp, fp, , fn] = this.read();
    const [tp0, tp1] = this.neighbours(tp);
    const [p0, p1] = this.neighbours(ops.add(tp, fp));
    const [, fn1] = this.neighbours(fn);
    const dtp = ops.subtract(tp0, tp1);
    const slope = ops.divideNoNan(dtp, ops.maximum(ops.subtract(p0, p1), 0));
    const intercept = ops.subtract(tp1, ops.multiply(slope, p1));
    const both = ops.logicalAnd(ops.greater(p0, 0), ops.greater(p1, 0));
    const ratio = ops.where(both, ops.divideNoNan(p0, ops.maximum(p1, 0)), 1);
    const area = ops.multiply(slope, ops.add(dtp, ops.multiply(intercept, ops.log(ratio))));
    return ops.divideNoNan(area, ops.maximum(ops.add(tp1, fn1), 0));
  }
  private neighbours(x: Tensor): [Tensor, Tensor] {
    const n = x.shape[0];
    return [ops.sliceAxis(x, 0, 0, n - 1), ops.sliceAxis(x, 0, 1, n)];
  }
}
