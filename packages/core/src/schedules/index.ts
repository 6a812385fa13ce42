/** Learning rate schedules. */
import { Registry } from "../config/index.ts";
import { CosineDecay, type CosineDecayOptions } from "./cosine-decay.ts";
import { CosineDecayRestarts, type CosineDecayRestartsOptions } from "./cosine-decay-restarts.ts";
import { ExponentialDecay, type ExponentialDecayOptions } from "./exponential-decay.ts";
import { InverseTimeDecay, type InverseTimeDecayOptions } from "./inverse-time-decay.ts";
import { PiecewiseConstantDecay, type PiecewiseConstantDecayOptions } from "./piecewise-constant-decay.ts";
import { PolynomialDecay, type PolynomialDecayOptions } from "./polynomial-decay.ts";
import { Schedule } from "./schedule.ts";

export {
  CosineDecay,
  CosineDecayRestarts,
  ExponentialDecay,
  InverseTimeDecay,
  PiecewiseConstantDecay,
  PolynomialDecay,
  Schedule,
};

const classes = {
  cosineDecay: CosineDecay,
  cosineDecayRestarts: CosineDecayRestarts,
  exponentialDecay: ExponentialDecay,
  inverseTimeDecay: InverseTimeDecay,
  piecewiseConstantDecay: PiecewiseConstantDecay,
  polynomialDecay: PolynomialDecay,
};
export type ScheduleName = keyof typeof classes;

/** All schedules by name. They need options, so a bare name is refused. */
export const scheduleRegistry: Registry<Schedule, ScheduleName> = new Registry<Schedule, ScheduleName>(
  "schedule",
  classes,
  (x): x is Schedule => x instanceof Schedule,
);

export const cosineDecay = (options: CosineDecayOptions) => new CosineDecay(options);
export const cosineDecayRestarts = (options: CosineDecayRestartsOptions) => new CosineDecayRestarts(options);
export const exponentialDecay = (options: ExponentialDecayOptions) => new ExponentialDecay(options);
export const inverseTimeDecay = (options: InverseTimeDecayOptions) => new InverseTimeDecay(options);
export const piecewiseConstantDecay = (options: PiecewiseConstantDecayOptions) => new PiecewiseConstantDecay(options);
export const polynomialDecay = (options: PolynomialDecayOptions) => new PolynomialDecay(options);
