/** Losses. */
import { type OptionsOf, Registry, type Spec } from "../config/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { BinaryCrossentropy } from "./binary-crossentropy.ts";
import { CategoricalCrossentropy } from "./categorical-crossentropy.ts";
import { CategoricalGeneralizedCrossEntropy, Circle } from "./class-embedding.ts";
import { CTC } from "./ctc.ts";
import { CosineSimilarity, KLDivergence } from "./distributions.ts";
import {
  Huber,
  LogCosh,
  MeanAbsoluteError,
  MeanAbsolutePercentageError,
  MeanSquaredError,
  MeanSquaredLogarithmicError,
  Poisson,
} from "./elementwise-errors.ts";
import { BinaryFocalCrossentropy, CategoricalFocalCrossentropy } from "./focal-crossentropy.ts";
import { CategoricalHinge, Hinge, SquaredHinge } from "./hinge.ts";
import { FunctionLoss, Loss } from "./loss.ts";
import { Dice, Tversky } from "./overlap.ts";
import type { Reduction } from "./reduction.ts";
import { SparseCategoricalCrossentropy } from "./sparse-categorical-crossentropy.ts";

export type { MaskedValues } from "./loss.ts";
export type { Reduction };
export {
  BinaryCrossentropy,
  BinaryFocalCrossentropy,
  CategoricalCrossentropy,
  CategoricalFocalCrossentropy,
  CategoricalGeneralizedCrossEntropy,
  CategoricalHinge,
  Circle,
  CosineSimilarity,
  CTC,
  Dice,
  FunctionLoss,
  Hinge,
  Huber,
  KLDivergence,
  LogCosh,
  Loss,
  MeanAbsoluteError,
  MeanAbsolutePercentageError,
  MeanSquaredError,
  MeanSquaredLogarithmicError,
  Poisson,
  SparseCategoricalCrossentropy,
  SquaredHinge,
  Tversky,
};

const classes = {
  binaryCrossentropy: BinaryCrossentropy,
  binaryFocalCrossentropy: BinaryFocalCrossentropy,
  categoricalCrossentropy: CategoricalCrossentropy,
  categoricalFocalCrossentropy: CategoricalFocalCrossentropy,
  categoricalGeneralizedCrossEntropy: CategoricalGeneralizedCrossEntropy,
  categoricalHinge: CategoricalHinge,
  circle: Circle,
  cosineSimilarity: CosineSimilarity,
  dice: Dice,
  hinge: Hinge,
  huber: Huber,
  klDivergence: KLDivergence,
  logCosh: LogCosh,
  meanAbsoluteError: MeanAbsoluteError,
  meanAbsolutePercentageError: MeanAbsolutePercentageError,
  meanSquaredError: MeanSquaredError,
  meanSquaredLogarithmicError: MeanSquaredLogarithmicError,
  poisson: Poisson,
  sparseCategoricalCrossentropy: SparseCategoricalCrossentropy,
  squaredHinge: SquaredHinge,
  tversky: Tversky,
};
const aliases = {
  bce: BinaryCrossentropy,
  kld: KLDivergence,
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
  { ...aliases, kullbackLeiblerDivergence: KLDivergence, logcosh: LogCosh },
);

/** A loss from a function (yTrue, yPred) → values per sample. */
export const lossFromFunction = (
  fn: (yTrue: Tensor, yPred: Tensor) => Tensor,
  options: { name?: string; reduction?: Reduction | null } = {},
) => new FunctionLoss(fn, options);

type Options<C extends { readonly spec: Spec }> = OptionsOf<C["spec"]>;

export const binaryCrossentropy = (options: Options<typeof BinaryCrossentropy> = {}) => new BinaryCrossentropy(options);
export const binaryFocalCrossentropy = (options: Options<typeof BinaryFocalCrossentropy> = {}) =>
  new BinaryFocalCrossentropy(options);
export const categoricalCrossentropy = (options: Options<typeof CategoricalCrossentropy> = {}) =>
  new CategoricalCrossentropy(options);
export const categoricalFocalCrossentropy = (options: Options<typeof CategoricalFocalCrossentropy> = {}) =>
  new CategoricalFocalCrossentropy(options);
export const categoricalGeneralizedCrossEntropy = (options: Options<typeof CategoricalGeneralizedCrossEntropy> = {}) =>
  new CategoricalGeneralizedCrossEntropy(options);
export const categoricalHinge = (options: Options<typeof CategoricalHinge> = {}) => new CategoricalHinge(options);
export const circle = (options: Options<typeof Circle> = {}) => new Circle(options);
export const cosineSimilarity = (options: Options<typeof CosineSimilarity> = {}) => new CosineSimilarity(options);
/**
 * Known by its name in the package `layerwise` and where saved models are read; a page takes `losses.ctc()`, so that pages
 * without it do not carry loops and their gradients.
 */
export const ctc = (options: Options<typeof CTC> = {}) => new CTC(options);
export const dice = (options: Options<typeof Dice> = {}) => new Dice(options);
export const hinge = (options: Options<typeof Hinge> = {}) => new Hinge(options);
export const huber = (options: Options<typeof Huber> = {}) => new Huber(options);
export const klDivergence = (options: Options<typeof KLDivergence> = {}) => new KLDivergence(options);
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
export const squaredHinge = (options: Options<typeof SquaredHinge> = {}) => new SquaredHinge(options);
export const tversky = (options: Options<typeof Tversky> = {}) => new Tversky(options);
