/** Constraints: projections of weights after each update. */
import { object, Registry } from "../config/index.ts";
import { Constraint } from "./constraint.ts";
import { MaxNorm, MinMaxNorm, NonNeg, UnitNorm } from "./norms.ts";

export { Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm };

const classes = { maxNorm: MaxNorm, nonNeg: NonNeg, unitNorm: UnitNorm, minMaxNorm: MinMaxNorm };
export type ConstraintName = keyof typeof classes;

/** All constraints by name. */
export const constraintRegistry: Registry<Constraint, ConstraintName> = new Registry<Constraint, ConstraintName>(
  "constraint",
  classes,
  (x): x is Constraint => x instanceof Constraint,
);

/** An option that takes a constraint or null. */
export const constraintField = () => object(() => constraintRegistry).nullable();

type Axis = number | readonly number[];
export const maxNorm = (maxValue = 2, axis: Axis = 0) => new MaxNorm({ maxValue, axis });
export const nonNeg = () => new NonNeg();
export const unitNorm = (axis: Axis = 0) => new UnitNorm({ axis });
export const minMaxNorm = (options: { minValue?: number; maxValue?: number; rate?: number; axis?: Axis } = {}) =>
  new MinMaxNorm(options);
