/** Options that many layers share. */
import { type Field, oneOf } from "../config/index.ts";
import { type Constraint, constraintField } from "../constraints/index.ts";
import { type Initializer, type InitializerName, initializerField } from "../initializers/index.ts";
import { type Regularizer, regularizerField } from "../regularizers/index.ts";

type InitializerInput = ReturnType<typeof initializerField>["in"];
type RegularizerInput = ReturnType<typeof regularizerField>["in"];
type ConstraintInput = ReturnType<typeof constraintField>["in"];

/** The options of a weight: `kernelInitializer`, `kernelRegularizer`, `kernelConstraint`. */
export type WeightFields<N extends string> = {
  readonly [K in `${N}Initializer`]: Field<InitializerInput, Initializer, true>;
} & {
  readonly [K in `${N}Regularizer`]: Field<RegularizerInput, Regularizer | null, true>;
} & {
  readonly [K in `${N}Constraint`]: Field<ConstraintInput, Constraint | null, true>;
};

export function weightFields<const N extends string>(name: N, initializer: InitializerName): WeightFields<N> {
  return {
    [`${name}Initializer`]: initializerField().default(initializer).doc(`how the ${name} starts`),
    [`${name}Regularizer`]: regularizerField().doc(`penalty on the ${name}`),
    [`${name}Constraint`]: constraintField().doc(`projection of the ${name} after each update`),
  } as unknown as WeightFields<N>;
}

export const activityFields = {
  activityRegularizer: regularizerField().doc("penalty on the output"),
};

/** Where the channels are: last, or right after the batch. */
export const dataFormatField = oneOf("channelsLast", "channelsFirst")
  .default("channelsLast")
  .doc("whether channels are the last axis or the one after the batch");
export type DataFormat = "channelsLast" | "channelsFirst";
