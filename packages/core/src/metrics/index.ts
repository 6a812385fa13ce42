/** Metrics. */
import { type OptionsOf, Registry, type Spec } from "../config/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { AUC } from "./auc.ts";
import { FalseNegatives, FalsePositives, TrueNegatives, TruePositives } from "./confusion.ts";
import { ConcordanceCorrelation, PearsonCorrelation } from "./correlation.ts";
import { F1Score, FBetaScore } from "./f-score.ts";
import { BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU } from "./iou.ts";
import {
  BinaryCrossentropy,
  CategoricalCrossentropy,
  CategoricalHinge,
  CosineSimilarity,
  Hinge,
  KLDivergence,
  LogCoshError,
  MeanAbsoluteError,
  MeanAbsolutePercentageError,
  MeanSquaredError,
  MeanSquaredLogarithmicError,
  Poisson,
  RootMeanSquaredError,
  SparseCategoricalCrossentropy,
  SquaredHinge,
} from "./loss-metrics.ts";
import {
  Accuracy,
  BinaryAccuracy,
  CategoricalAccuracy,
  SparseCategoricalAccuracy,
  SparseTopKCategoricalAccuracy,
  TopKCategoricalAccuracy,
} from "./matching.ts";
import { Metric } from "./metric.ts";
import {
  PrecisionAtRecall,
  RecallAtPrecision,
  SensitivityAtSpecificity,
  SpecificityAtSensitivity,
} from "./operating-point.ts";
import { Precision, Recall } from "./precision-recall.ts";
import { R2Score } from "./r2-score.ts";
import { FunctionMetric, Mean, MeanMetric, Sum } from "./reductions.ts";

export {
  Accuracy,
  AUC,
  BinaryAccuracy,
  BinaryCrossentropy,
  BinaryIoU,
  CategoricalAccuracy,
  CategoricalCrossentropy,
  CategoricalHinge,
  ConcordanceCorrelation,
  CosineSimilarity,
  F1Score,
  FalseNegatives,
  FalsePositives,
  FBetaScore,
  FunctionMetric,
  Hinge,
  IoU,
  KLDivergence,
  LogCoshError,
  Mean,
  MeanAbsoluteError,
  MeanAbsolutePercentageError,
  MeanIoU,
  MeanMetric,
  MeanSquaredError,
  MeanSquaredLogarithmicError,
  Metric,
  OneHotIoU,
  OneHotMeanIoU,
  PearsonCorrelation,
  Poisson,
  Precision,
  PrecisionAtRecall,
  R2Score,
  Recall,
  RecallAtPrecision,
  RootMeanSquaredError,
  SensitivityAtSpecificity,
  SparseCategoricalAccuracy,
  SparseCategoricalCrossentropy,
  SparseTopKCategoricalAccuracy,
  SpecificityAtSensitivity,
  SquaredHinge,
  Sum,
  TopKCategoricalAccuracy,
  TrueNegatives,
  TruePositives,
};

const classes = {
  auc: AUC,
  accuracy: Accuracy,
  binaryAccuracy: BinaryAccuracy,
  binaryCrossentropy: BinaryCrossentropy,
  binaryIou: BinaryIoU,
  categoricalAccuracy: CategoricalAccuracy,
  categoricalCrossentropy: CategoricalCrossentropy,
  categoricalHinge: CategoricalHinge,
  concordanceCorrelation: ConcordanceCorrelation,
  cosineSimilarity: CosineSimilarity,
  f1Score: F1Score,
  fBetaScore: FBetaScore,
  falseNegatives: FalseNegatives,
  falsePositives: FalsePositives,
  hinge: Hinge,
  iou: IoU,
  klDivergence: KLDivergence,
  logCoshError: LogCoshError,
  mean: Mean,
  meanAbsoluteError: MeanAbsoluteError,
  meanAbsolutePercentageError: MeanAbsolutePercentageError,
  meanIou: MeanIoU,
  meanSquaredError: MeanSquaredError,
  meanSquaredLogarithmicError: MeanSquaredLogarithmicError,
  oneHotIou: OneHotIoU,
  oneHotMeanIou: OneHotMeanIoU,
  pearsonCorrelation: PearsonCorrelation,
  poisson: Poisson,
  precision: Precision,
  precisionAtRecall: PrecisionAtRecall,
  r2Score: R2Score,
  recall: Recall,
  recallAtPrecision: RecallAtPrecision,
  rootMeanSquaredError: RootMeanSquaredError,
  sensitivityAtSpecificity: SensitivityAtSpecificity,
  sparseCategoricalAccuracy: SparseCategoricalAccuracy,
  sparseCategoricalCrossentropy: SparseCategoricalCrossentropy,
  sparseTopKCategoricalAccuracy: SparseTopKCategoricalAccuracy,
  specificityAtSensitivity: SpecificityAtSensitivity,
  squaredHinge: SquaredHinge,
  sum: Sum,
  topKCategoricalAccuracy: TopKCategoricalAccuracy,
  trueNegatives: TrueNegatives,
  truePositives: TruePositives,
};
const aliases = {
  acc: Accuracy,
  bce: BinaryCrossentropy,
  kld: KLDivergence,
  mae: MeanAbsoluteError,
  mape: MeanAbsolutePercentageError,
  mse: MeanSquaredError,
  msle: MeanSquaredLogarithmicError,
  rmse: RootMeanSquaredError,
};
/** In `compile`, "accuracy" and "crossentropy" choose their class by the shapes. */
export type MetricName = keyof typeof classes | keyof typeof aliases | "crossentropy" | "ce";

/** All metrics by name. */
export const metricRegistry: Registry<Metric, keyof typeof classes> = new Registry<Metric, keyof typeof classes>(
  "metric",
  classes,
  (x): x is Metric => x instanceof Metric,
  { ...aliases, logCosh: LogCoshError, logcosh: LogCoshError, kullbackLeiblerDivergence: KLDivergence },
);

/** The mean of a function (yTrue, yPred) → values per sample. */
export const metricFromFunction = (fn: (yTrue: Tensor, yPred: Tensor) => Tensor, name?: string) =>
  new FunctionMetric(fn, name);

type Options<C extends { readonly spec: Spec }> = OptionsOf<C["spec"]>;

export const auc = (options: Options<typeof AUC> = {}) => new AUC(options);
export const accuracy = (options: Options<typeof Accuracy> = {}) => new Accuracy(options);
export const binaryAccuracy = (options: Options<typeof BinaryAccuracy> = {}) => new BinaryAccuracy(options);
export const binaryCrossentropy = (options: Options<typeof BinaryCrossentropy> = {}) => new BinaryCrossentropy(options);
export const binaryIou = (options: Options<typeof BinaryIoU> = {}) => new BinaryIoU(options);
export const categoricalAccuracy = (options: Options<typeof CategoricalAccuracy> = {}) =>
  new CategoricalAccuracy(options);
export const categoricalCrossentropy = (options: Options<typeof CategoricalCrossentropy> = {}) =>
  new CategoricalCrossentropy(options);
export const categoricalHinge = (options: Options<typeof CategoricalHinge> = {}) => new CategoricalHinge(options);
export const concordanceCorrelation = (options: Options<typeof ConcordanceCorrelation> = {}) =>
  new ConcordanceCorrelation(options);
export const cosineSimilarity = (options: Options<typeof CosineSimilarity> = {}) => new CosineSimilarity(options);
export const f1Score = (options: Options<typeof F1Score> = {}) => new F1Score(options);
export const fBetaScore = (options: Options<typeof FBetaScore> = {}) => new FBetaScore(options);
export const falseNegatives = (options: Options<typeof FalseNegatives> = {}) => new FalseNegatives(options);
export const falsePositives = (options: Options<typeof FalsePositives> = {}) => new FalsePositives(options);
export const hinge = (options: Options<typeof Hinge> = {}) => new Hinge(options);
export const iou = (options: Options<typeof IoU>) => new IoU(options);
export const klDivergence = (options: Options<typeof KLDivergence> = {}) => new KLDivergence(options);
export const logCoshError = (options: Options<typeof LogCoshError> = {}) => new LogCoshError(options);
export const mean = (options: Options<typeof Mean> = {}) => new Mean(options);
export const meanAbsoluteError = (options: Options<typeof MeanAbsoluteError> = {}) => new MeanAbsoluteError(options);
export const meanAbsolutePercentageError = (options: Options<typeof MeanAbsolutePercentageError> = {}) =>
  new MeanAbsolutePercentageError(options);
export const meanIou = (options: Options<typeof MeanIoU>) => new MeanIoU(options);
export const meanSquaredError = (options: Options<typeof MeanSquaredError> = {}) => new MeanSquaredError(options);
export const meanSquaredLogarithmicError = (options: Options<typeof MeanSquaredLogarithmicError> = {}) =>
  new MeanSquaredLogarithmicError(options);
export const oneHotIou = (options: Options<typeof OneHotIoU>) => new OneHotIoU(options);
export const oneHotMeanIou = (options: Options<typeof OneHotMeanIoU>) => new OneHotMeanIoU(options);
export const pearsonCorrelation = (options: Options<typeof PearsonCorrelation> = {}) => new PearsonCorrelation(options);
export const poisson = (options: Options<typeof Poisson> = {}) => new Poisson(options);
export const precision = (options: Options<typeof Precision> = {}) => new Precision(options);
export const precisionAtRecall = (options: Options<typeof PrecisionAtRecall>) => new PrecisionAtRecall(options);
export const r2Score = (options: Options<typeof R2Score> = {}) => new R2Score(options);
export const recall = (options: Options<typeof Recall> = {}) => new Recall(options);
export const recallAtPrecision = (options: Options<typeof RecallAtPrecision>) => new RecallAtPrecision(options);
export const rootMeanSquaredError = (options: Options<typeof RootMeanSquaredError> = {}) =>
  new RootMeanSquaredError(options);
export const sensitivityAtSpecificity = (options: Options<typeof SensitivityAtSpecificity>) =>
  new SensitivityAtSpecificity(options);
export const sparseCategoricalAccuracy = (options: Options<typeof SparseCategoricalAccuracy> = {}) =>
  new SparseCategoricalAccuracy(options);
export const sparseCategoricalCrossentropy = (options: Options<typeof SparseCategoricalCrossentropy> = {}) =>
  new SparseCategoricalCrossentropy(options);
export const sparseTopKCategoricalAccuracy = (options: Options<typeof SparseTopKCategoricalAccuracy> = {}) =>
  new SparseTopKCategoricalAccuracy(options);
export const specificityAtSensitivity = (options: Options<typeof SpecificityAtSensitivity>) =>
  new SpecificityAtSensitivity(options);
export const squaredHinge = (options: Options<typeof SquaredHinge> = {}) => new SquaredHinge(options);
export const sum = (options: Options<typeof Sum> = {}) => new Sum(options);
export const topKCategoricalAccuracy = (options: Options<typeof TopKCategoricalAccuracy> = {}) =>
  new TopKCategoricalAccuracy(options);
export const trueNegatives = (options: Options<typeof TrueNegatives> = {}) => new TrueNegatives(options);
export const truePositives = (options: Options<typeof TruePositives> = {}) => new TruePositives(options);
