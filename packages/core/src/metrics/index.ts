/** Metrics. */
import { type OptionsOf, Registry, type Spec } from "../config/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import {
  Accuracy,
  BinaryAccuracy,
  CategoricalAccuracy,
  SparseCategoricalAccuracy,
  SparseTopKCategoricalAccuracy,
  TopKCategoricalAccuracy,
} from "./matching.ts";
import { Metric } from "./metric.ts";
import { FunctionMetric, Mean, Sum } from "./reductions.ts";

export {
  Accuracy,
  BinaryAccuracy,
  CategoricalAccuracy,
  FunctionMetric,
  Mean,
  Metric,
  SparseCategoricalAccuracy,
  SparseTopKCategoricalAccuracy,
  Sum,
  TopKCategoricalAccuracy,
};

const classes = {
  accuracy: Accuracy,
  binaryAccuracy: BinaryAccuracy,
  categoricalAccuracy: CategoricalAccuracy,
  mean: Mean,
  sparseCategoricalAccuracy: SparseCategoricalAccuracy,
  sparseTopKCategoricalAccuracy: SparseTopKCategoricalAccuracy,
  sum: Sum,
  topKCategoricalAccuracy: TopKCategoricalAccuracy,
};
const aliases = { acc: Accuracy };
/** In `compile`, "accuracy" and "crossentropy" choose their class by the shapes. */
export type MetricName = keyof typeof classes | keyof typeof aliases | "crossentropy" | "ce";

/** All metrics by name. */
export const metricRegistry: Registry<Metric, keyof typeof classes> = new Registry<Metric, keyof typeof classes>(
  "metric",
  classes,
  (x): x is Metric => x instanceof Metric,
  aliases,
);

/** The mean of a function (yTrue, yPred) → values per sample. */
export const metricFromFunction = (fn: (yTrue: Tensor, yPred: Tensor) => Tensor, name?: string) =>
  new FunctionMetric(fn, name);

type Options<C extends { readonly spec: Spec }> = OptionsOf<C["spec"]>;

export const accuracy = (options: Options<typeof Accuracy> = {}) => new Accuracy(options);
export const binaryAccuracy = (options: Options<typeof BinaryAccuracy> = {}) => new BinaryAccuracy(options);
export const categoricalAccuracy = (options: Options<typeof CategoricalAccuracy> = {}) =>
  new CategoricalAccuracy(options);
export const mean = (options: Options<typeof Mean> = {}) => new Mean(options);
export const sparseCategoricalAccuracy = (options: Options<typeof SparseCategoricalAccuracy> = {}) =>
  new SparseCategoricalAccuracy(options);
export const sparseTopKCategoricalAccuracy = (options: Options<typeof SparseTopKCategoricalAccuracy> = {}) =>
  new SparseTopKCategoricalAccuracy(options);
export const sum = (options: Options<typeof Sum> = {}) => new Sum(options);
export const topKCategoricalAccuracy = (options: Options<typeof TopKCategoricalAccuracy> = {}) =>
  new TopKCategoricalAccuracy(options);
