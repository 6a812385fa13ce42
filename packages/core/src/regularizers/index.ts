/** Regularizers: penalties on weights and outputs. */
import { object, Registry } from "../config/index.ts";
import { L1, L1L2, L2 } from "./l1l2.ts";
import { OrthogonalRegularizer } from "./orthogonal.ts";
import { Regularizer } from "./regularizer.ts";

export { L1, L1L2, L2, OrthogonalRegularizer, Regularizer };

const classes = { l1: L1, l2: L2, l1l2: L1L2, orthogonalRegularizer: OrthogonalRegularizer };
export type RegularizerName = keyof typeof classes;

/** All regularizers by name. */
export const regularizerRegistry: Registry<Regularizer, RegularizerName> = new Registry<Regularizer, RegularizerName>(
  "regularizer",
  classes,
  (x): x is Regularizer => x instanceof Regularizer,
  { orthogonal: OrthogonalRegularizer },
);

/** An option that takes a regularizer or null. */
export const regularizerField = () => object(() => regularizerRegistry).nullable();

export const l1 = (factor = 0.01) => new L1({ l1: factor });
export const l2 = (factor = 0.01) => new L2({ l2: factor });
export const l1l2 = (options: { l1?: number; l2?: number } = {}) => new L1L2(options);
export const orthogonalRegularizer = (options: { factor?: number; mode?: "rows" | "columns" } = {}) =>
  new OrthogonalRegularizer(options);
