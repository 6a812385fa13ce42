/** Weights of a layer: how they are declared, and what regularizers and constraints belong to them. */
import type { Constraint } from "../constraints/constraint.ts";
import type { DType, Shape } from "../graph/types.ts";
import type { Initializer, InitializerName } from "../initializers/index.ts";
import type { Regularizer } from "../regularizers/regularizer.ts";
import type { Variable } from "../tensor/variable.ts";

export interface WeightOptions {
  readonly name: string;
  readonly shape: Shape;
  /** Default: glorotUniform for floats, zeros otherwise. */
  readonly initializer?: Initializer | InitializerName | undefined;
  readonly dtype?: DType | undefined;
  readonly trainable?: boolean | undefined;
  readonly regularizer?: Regularizer | null | undefined;
  readonly constraint?: Constraint | null | undefined;
}

interface WeightRules {
  readonly regularizer: Regularizer | null;
  readonly constraint: Constraint | null;
}

const rules = new WeakMap<Variable, WeightRules>();

export function setWeightRules(variable: Variable, r: WeightRules): void {
  rules.set(variable, r);
}
export function regularizerOf(variable: Variable): Regularizer | null {
  return rules.get(variable)?.regularizer ?? null;
}
export function constraintOf(variable: Variable): Constraint | null {
  return rules.get(variable)?.constraint ?? null;
}
