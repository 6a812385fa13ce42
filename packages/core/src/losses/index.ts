/** Losses. */
import { type OptionsOf, Registry, type Spec } from "../config/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { BinaryCrossentropy } from "./binary-crossentropy.ts";
import { CategoricalCrossentropy } from "./categorical-crossentropy.ts";
import {
  Huber,
  LogCosh,
  MeanAbsoluteError,
  MeanAbsolutePercentageError,
  MeanSquaredError,
  MeanSquaredLogarithmicError,
  Poisson,
} from "./elementwise-errors.ts";
import { FunctionLoss, Loss } from "./loss.ts";
import type { Reduction } from "./reduction.ts";
import { SparseCategoricalCrossentropy } from "./sparse-categorical-crossentropy.ts";

export type { MaskedValues } from "./loss.ts";
export type { Reduction };
export {
  BinaryCrossentropy,
  CategoricalCrossentropy,
  FunctionLoss,
  Huber,
  LogCosh,
  Loss,
  MeanAbsoluteError,
  MeanAbsolutePercentageError,
  MeanSquaredError,
  MeanSquaredLogarithmicError,
  Poisson,
  SparseCategoricalCrossentropy,
};

const classes = {
  binaryCrossentropy: BinaryCrossentropy,
  categoricalCrossentropy: CategoricalCrossentropy,
  huber: Huber,
  logCosh: LogCosh,
  meanAbsoluteError: MeanAbsoluteError,
  meanAbsolutePercentageError: MeanAbsolutePercentageError,
  meanSquaredError: MeanSquaredError,
  meanSquaredLogarithmicError: MeanSquaredLogarithmicError,
  poisson: Poisson,
  sparseCategoricalCrossentropy: SparseCategoricalCrossentropy,
};
const aliases = {
  bce: BinaryCrossentropy,
  mae: MeanAbsoluteError,
  mape: MeanAbsolutePercentageError,
  mse: MeanSquaredError,
  msle: MeanSquaredLogarithmicError,
};
export type LossName = keyof typeof classes | keyof typeof aliases;

/** All losses by name. */
export const lossRegistry: Registry<Loss, keyof typeof classes> = new Registry<Loss, keyof typeof classes>(
  "loss",
  classes,
  (x): x is Loss => x instanceof Loss,
  aliases,
);

/** A loss from a function (yTrue, yPred) → values per sample. */
export const lossFromFunction = (
  fn: (yTrue: Tensor, yPred: Tensor) => Tensor,
  options: { name?: string; reduction?: Reduction | null } = {},
) => new FunctionLoss(fn, options);

type Options<C extends { readonly spec: Spec }> = OptionsOf<C["spec"]>;

export const binaryCrossentropy = (options: Options<typeof BinaryCrossentropy> = {}) => new BinaryCrossentropy(options);
export const categoricalCrossentropy = (options: Options<typeof CategoricalCrossentropy> = {}) =>
  new CategoricalCrossentropy(options);
export const huber = (options: Options<typeof Huber> = {}) => new Huber(options);
export const logCosh = (options: Options<typeof LogCosh> = {}) => new LogCosh(options);
export const meanAbsoluteError = (options: Options<typeof MeanAbsoluteError> = {}) => new MeanAbsoluteError(options);
export const meanAbsolutePercentageError = (options: Options<typeof MeanAbsolutePercentageError> = {}) =>
  new MeanAbsolutePercentageError(options);
export const meanSquaredError = (options: Options<typeof MeanSquaredError> = {}) => new MeanSquaredError(options);
export const meanSquaredLogarithmicError = (options: Options<typeof MeanSquaredLogarithmicError> = {}) =>
  new MeanSquaredLogarithmicError(options);
export const poisson = (options: Options<typeof Poisson> = {}) => new Poisson(options);
export const sparseCategoricalCrossentropy = (options: Options<typeof SparseCategoricalCrossentropy> = {}) =>
  new SparseCategoricalCrossentropy(options);
