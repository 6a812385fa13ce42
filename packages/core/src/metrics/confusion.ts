/** Counts of right and wrong yes-or-no answers at several thresholds: what most classification metrics are made of. */
import { defineSpec, either, int, list, number, type OptionsOf, type Spec } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import * as g from "../graph/ops/index.ts";
import { alignTargets } from "../losses/align.ts";
import { alignWeights } from "../losses/reduction.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor, type TensorLike, tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { Metric, metricFields } from "./metric.ts";

export type Count = "truePositives" | "falsePositives" | "trueNegatives" | "falseNegatives";
/** Variables of shape [thresholds], or [thresholds, labels] with `multiLabel`. */
export type Counts = Partial<Record<Count, Variable>>;

export interface CountOptions {
  readonly thresholds: readonly number[];
  /** Only the k highest scores of a row can be answers of yes. */
  readonly topK?: number | null;
  /** Only this class counts. */
  readonly classId?: number | null;
  readonly multiLabel?: boolean;
  /** Weight of each label (last axis). */
  readonly labelWeights?: readonly number[] | null;
  /** Whether thresholds are known to be even; default: found out. */
  readonly even?: boolean;
}

/** Lower than any score. */
export const lowest = -1e10;

/** Thresholds as a list; `fallback` where none are given. */
export function thresholdList(
  given: number | readonly number[] | null,
  fallback: number,
  owner: string,
): readonly number[] {
  if (given === null) return [fallback];
  const all = typeof given === "number" ? [given] : given;
  const bad = all.find((t) => !(t >= 0 && t <= 1));
  if (bad !== undefined || all.length === 0) {
    throw new LayerwiseError("thresholds are not valid", {
      code: "E202",
      layer: owner,
      received: all.length === 0 ? "none" : String(bad),
      expected: "numbers from 0 to 1",
    });
  }
  return all;
}

/** Whether thresholds are 0, 1/(n - 1), …, 1. */
export function isEven(thresholds: readonly number[]): boolean {
  const n = thresholds.length;
  return n >= 3 && thresholds.every((t, i) => Math.abs(t - i / (n - 1)) <= 1e-7 + 1e-5 * (i / (n - 1)));
}

/** Adds a batch to the counts. */
export function addCounts(
  counts: Counts,
  yTrue: TensorLike,
  yPred: TensorLike,
  sampleWeight: TensorLike | null,
  options: CountOptions,
  owner: string,
): void {
  const { thresholds, topK = null, classId = null, multiLabel = false, labelWeights = null } = options;
  let [t, p] = alignTargets(ops.cast(Tensor.of(yTrue), "f32"), ops.cast(Tensor.of(yPred), "f32"), owner);
  if (topK !== null) p = ops.where(amongHighest(p, topK), p, lowest);
  if (classId !== null) {
    const last = p.ndim - 1;
    if (p.ndim < 2 || classId >= p.shape[last]) {
      throw new LayerwiseError("there is no such class in the predictions", {
        code: "E202",
        layer: owner,
        received: `classId ${classId} for predictions of ${p.ndim} axes`,
        expected: "an index into the last axis of [samples, classes]",
      });
    }
    [t, p] = [t, p].map((x) => ops.sliceAxis(x, last, classId, classId + 1));
  }
  let weight: Tensor | null =
    sampleWeight === null
      ? null
      : ops.broadcastTo(alignWeights(p, ops.cast(Tensor.of(sampleWeight), "f32"), owner), p.shape);
  if (labelWeights !== null && !multiLabel) {
    const labels = ops.broadcastTo(tensor([...labelWeights]), p.shape);
    weight = weight === null ? labels : ops.multiply(weight, labels);
  }
  // [1, elements], or [1, samples, labels].
  const shape = multiLabel ? [1, p.shape[0], p.size / p.shape[0]] : [1, p.size];
  const isTrue = ops.reshape(ops.notEqual(t, 0), shape);
  const said = answers(ops.reshape(p, shape), options.even ?? isEven(thresholds), thresholds);
  const amount = weight === null ? null : ops.reshape(weight, shape);
  const add = (name: Count, which: () => Tensor) => {
    const variable = counts[name];
    if (!variable) return;
    const cells = amount === null ? ops.cast(which(), "f32") : ops.where(which(), amount, 0);
    variable.assign(ops.add(variable.read(), ops.sum(cells, 1)));
  };
  add("truePositives", () => ops.logicalAnd(isTrue, said));
  add("falsePositives", () => ops.logicalAnd(ops.logicalNot(isTrue), said));
  add("trueNegatives", () => ops.logicalNot(ops.logicalOr(isTrue, said)));
  add("falseNegatives", () => ops.logicalAnd(isTrue, ops.logicalNot(said)));
}

/** Whether each score is above each threshold: one more axis, of thresholds, in front. */
function answers(p: Tensor, even: boolean, thresholds: readonly number[]): Tensor {
  const n = thresholds.length;
  const column = [n, ...new Array(p.ndim - 1).fill(1)];
  if (!even) return ops.greater(p, ops.reshape(tensor([...thresholds]), column));
  // Even thresholds are counted by intervals, as in Keras: rounding at an interval's end is then the same.
  const scaled = ops.subtract(ops.ceil(ops.multiply(ops.clip(p, 0, 1), n - 1)), 1);
  const beyond = thresholds[0] < 0 || thresholds[n - 1] > 1;
  const interval = beyond ? ops.maximum(scaled, 0) : scaled;
  return ops.greaterEqual(interval, new Tensor(g.iota(column, 0, "f32")));
}

/** Whether a score is among the k highest of its row; of equal ones the first are. */
function amongHighest(p: Tensor, k: number): Tensor {
  const last = p.ndim - 1;
  const classes = p.shape[last];
  const [, indices] = ops.topK(p, Math.min(k, classes));
  const chosen = ops.expandDims(ops.cast(indices, "i32"), -1);
  return ops.any(ops.equal(chosen, new Tensor(g.iota([classes], 0))), -2);
}

const thresholdField = () =>
  either(number({ min: 0, max: 1 }), list(number({ min: 0, max: 1 })))
    .nullable()
    .doc("answers of yes have a score above; several give one result each");

/** Options of counts. */
export const countFields = (name: string | null = null) => ({
  thresholds: thresholdField(),
  ...metricFields(name),
});
/** Options of precision and recall. */
export const answerFields = () => ({
  thresholds: thresholdField(),
  topK: int({ min: 1 }).nullable().doc("only the k highest scores of a sample can be answers of yes"),
  classId: int({ min: 0 }).nullable().doc("only this class counts"),
  ...metricFields(),
});

/** Base of the four counts. */
abstract class CountMetric<S extends Spec> extends Metric<S> {
  private readonly thresholds: readonly number[];
  private readonly counts: Variable;
  private readonly which: Count;

  constructor(spec: S, options: OptionsOf<S>, which: Count) {
    super(spec, options);
    const { thresholds } = this.options as unknown as { thresholds: number | readonly number[] | null };
    this.thresholds = thresholdList(thresholds, 0.5, this.name);
    this.counts = this.addState("accumulator", [this.thresholds.length]);
    this.which = which;
  }
  updateState(yTrue: TensorLike, yPred: TensorLike, sampleWeight: TensorLike | null = null): void {
    addCounts({ [this.which]: this.counts }, yTrue, yPred, sampleWeight, { thresholds: this.thresholds }, this.name);
  }
  result(): Tensor {
    return oneOrAll(this.counts.read());
  }
}

/** A scalar for one threshold, else the vector. */
export function oneOrAll(x: Tensor): Tensor {
  return x.shape[0] === 1 && x.ndim === 1 ? ops.reshape(x, []) : x;
}

const tpSpec = defineSpec("keras.metrics", "TruePositives", countFields());
export class TruePositives extends CountMetric<typeof tpSpec> {
  static readonly spec = tpSpec;
  constructor(options: OptionsOf<typeof tpSpec> = {}) {
    super(tpSpec, options, "truePositives");
  }
}
const fpSpec = defineSpec("keras.metrics", "FalsePositives", countFields());
export class FalsePositives extends CountMetric<typeof fpSpec> {
  static readonly spec = fpSpec;
  constructor(options: OptionsOf<typeof fpSpec> = {}) {
    super(fpSpec, options, "falsePositives");
  }
}
const tnSpec = defineSpec("keras.metrics", "TrueNegatives", countFields());
export class TrueNegatives extends CountMetric<typeof tnSpec> {
  static readonly spec = tnSpec;
  constructor(options: OptionsOf<typeof tnSpec> = {}) {
    super(tnSpec, options, "trueNegatives");
  }
}
const fnSpec = defineSpec("keras.metrics", "FalseNegatives", countFields());
export class FalseNegatives extends CountMetric<typeof fnSpec> {
  static readonly spec = fnSpec;
  constructor(options: OptionsOf<typeof fnSpec> = {}) {
    super(fnSpec, options, "falseNegatives");
  }
}
