/** Options of compile, fit, evaluate and predict. */
import type { Callback } from "../callbacks/callback.ts";
import type { KerasObject } from "../config/index.ts";
import type { Loss, LossName } from "../losses/index.ts";
import type { Metric, MetricName } from "../metrics/index.ts";
import type { Optimizer, OptimizerName } from "../optimizers/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { DataTree } from "./data.ts";

/** Values by name, as callbacks and `evaluate` see them. */
export type Logs = Record<string, number>;

/** A function of (yTrue, yPred) that gives one value per sample. */
export type TensorFunction = (yTrue: Tensor, yPred: Tensor) => Tensor;
export type LossLike = LossName | Loss | TensorFunction | KerasObject;
export type MetricLike = MetricName | Metric | TensorFunction | KerasObject;
/** One for a single output; a list in order or a record by name for several. */
export type PerOutput<T> = T | readonly PerOutput<T>[] | { readonly [output: string]: PerOutput<T> };

export interface CompileOptions {
  /** Default "rmsprop", as in Keras. */
  readonly optimizer?: OptimizerName | Optimizer | KerasObject | undefined;
  readonly loss?: PerOutput<LossLike | null> | null | undefined;
  /** Factors of the losses of several outputs. */
  readonly lossWeights?: readonly number[] | { readonly [output: string]: number } | number | null | undefined;
  readonly metrics?: PerOutput<MetricLike | null> | null | undefined;
  /** Metrics that take sample and class weights into account. */
  readonly weightedMetrics?: PerOutput<MetricLike | null> | null | undefined;
}

export interface StepOptions {
  /** Default 32. */
  readonly batchSize?: number | undefined;
  /** 0: silent; 1: a live line on a terminal; 2: one line per epoch. */
  readonly verbose?: 0 | 1 | 2 | "auto" | undefined;
  readonly callbacks?: readonly Callback[] | undefined;
}

/** Factors of the loss by class index. */
export type ClassWeight = { readonly [label: string]: number };

export interface FitOptions extends StepOptions {
  readonly epochs?: number | undefined;
  /** First epoch's number, for going on with earlier training. */
  readonly initialEpoch?: number | undefined;
  /** Whether rows are shuffled before each epoch (default true). */
  readonly shuffle?: boolean | undefined;
  /** [x, y] or [x, y, sampleWeight]. */
  readonly validationData?: readonly [DataTree, DataTree] | readonly [DataTree, DataTree, DataTree] | undefined;
  /** Share of the rows at the end that is kept for validation. */
  readonly validationSplit?: number | undefined;
  readonly validationBatchSize?: number | undefined;
  /** Validate every so many epochs, or after the listed ones (counted from 1). */
  readonly validationFreq?: number | readonly number[] | undefined;
  readonly validationSteps?: number | undefined;
  readonly stepsPerEpoch?: number | undefined;
  readonly classWeight?: ClassWeight | null | undefined;
  readonly sampleWeight?: DataTree | null | undefined;
  /**
   * Prints how long each kernel takes, with layer names, GFLOP/s, GB/s and share of the peak; a string names a file for a
   * Chrome trace besides. Some steps then run on one thread. Default: the environment variable LAYERWISE_PROFILE.
   */
  readonly profile?: boolean | string | undefined;
}

export interface EvaluateOptions extends StepOptions {
  readonly sampleWeight?: DataTree | null | undefined;
  readonly steps?: number | undefined;
}

export interface PredictOptions extends StepOptions {
  readonly steps?: number | undefined;
}
