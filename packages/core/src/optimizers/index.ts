/** Optimizers. */
import { Registry } from "../config/index.ts";
import { Adadelta, type AdadeltaOptions } from "./adadelta.ts";
import { Adafactor, type AdafactorOptions } from "./adafactor.ts";
import { Adagrad, type AdagradOptions } from "./adagrad.ts";
import { Adam, type AdamOptions, AdamW, type AdamWOptions } from "./adam.ts";
import { Adamax, type AdamaxOptions } from "./adamax.ts";
import { Ftrl, type FtrlOptions } from "./ftrl.ts";
import { Lamb, type LambOptions } from "./lamb.ts";
import { Lion, type LionOptions } from "./lion.ts";
import { Muon, type MuonOptions } from "./muon.ts";
import { Nadam, type NadamOptions } from "./nadam.ts";
import { Optimizer } from "./optimizer.ts";
import { RMSprop, type RMSpropOptions } from "./rmsprop.ts";
import { ScheduleFreeAdamW, type ScheduleFreeAdamWOptions } from "./schedule-free-adam-w.ts";
import { SGD, type SGDOptions } from "./sgd.ts";

export type { SlotSpec, Slots, StepInfo, Updated } from "./optimizer.ts";
export {
  Adadelta,
  Adafactor,
  Adagrad,
  Adam,
  Adamax,
  AdamW,
  Ftrl,
  Lamb,
  Lion,
  Muon,
  Nadam,
  Optimizer,
  RMSprop,
  ScheduleFreeAdamW,
  SGD,
};

const classes = {
  adadelta: Adadelta,
  adafactor: Adafactor,
  adagrad: Adagrad,
  adam: Adam,
  adamW: AdamW,
  adamax: Adamax,
  ftrl: Ftrl,
  lamb: Lamb,
  lion: Lion,
  muon: Muon,
  nadam: Nadam,
  rmsprop: RMSprop,
  sgd: SGD,
  scheduleFreeAdamW: ScheduleFreeAdamW,
};
export type OptimizerName = keyof typeof classes;

/** All optimizers by name. */
export const optimizerRegistry: Registry<Optimizer, OptimizerName> = new Registry<Optimizer, OptimizerName>(
  "optimizer",
  classes,
  (x): x is Optimizer => x instanceof Optimizer,
);

export const adadelta = (options: AdadeltaOptions = {}) => new Adadelta(options);
export const adafactor = (options: AdafactorOptions = {}) => new Adafactor(options);
export const adagrad = (options: AdagradOptions = {}) => new Adagrad(options);
export const adam = (options: AdamOptions = {}) => new Adam(options);
export const adamW = (options: AdamWOptions = {}) => new AdamW(options);
export const adamax = (options: AdamaxOptions = {}) => new Adamax(options);
export const ftrl = (options: FtrlOptions = {}) => new Ftrl(options);
export const lamb = (options: LambOptions = {}) => new Lamb(options);
export const lion = (options: LionOptions = {}) => new Lion(options);
export const muon = (options: MuonOptions = {}) => new Muon(options);
export const nadam = (options: NadamOptions = {}) => new Nadam(options);
export const rmsprop = (options: RMSpropOptions = {}) => new RMSprop(options);
export const sgd = (options: SGDOptions = {}) => new SGD(options);
export const scheduleFreeAdamW = (options: ScheduleFreeAdamWOptions = {}) => new ScheduleFreeAdamW(options);
