/** Optimizers. */
import { Registry } from "../config/index.ts";
import { Adam, type AdamOptions, AdamW, type AdamWOptions } from "./adam.ts";
import { Optimizer } from "./optimizer.ts";
import { SGD, type SGDOptions } from "./sgd.ts";

export type { SlotSpec, Slots, StepInfo, Updated } from "./optimizer.ts";
export { Adam, AdamW, Optimizer, SGD };

const classes = { adam: Adam, adamW: AdamW, sgd: SGD };
export type OptimizerName = keyof typeof classes;

/** All optimizers by name. */
export const optimizerRegistry: Registry<Optimizer, OptimizerName> = new Registry<Optimizer, OptimizerName>(
  "optimizer",
  classes,
  (x): x is Optimizer => x instanceof Optimizer,
);

export const adam = (options: AdamOptions = {}) => new Adam(options);
export const adamW = (options: AdamWOptions = {}) => new AdamW(options);
export const sgd = (options: SGDOptions = {}) => new SGD(options);
