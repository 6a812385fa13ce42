/** The reference programs by name. */
import * as R1 from "./r1.ts";
import * as R2 from "./r2.ts";
import * as R3 from "./r3.ts";
import * as R4 from "./r4.ts";
import * as R5 from "./r5.ts";
import * as R6 from "./r6.ts";
import * as R7 from "./r7.ts";

export const programs = { R1, R2, R3, R4, R5, R6, R7 };

export type ProgramName = keyof typeof programs;

export function isProgramName(name: string): name is ProgramName {
  return Object.hasOwn(programs, name);
}

/** Shapes and types of what a program is fed in a step; for benchmarks on made-up data. */
export interface ProgramInput {
  readonly image: readonly number[];
  readonly batchSize: number;
  /** Numbers are below this (default 256), and class numbers below that (default 10). */
  readonly values?: number;
  readonly classes?: number;
}
export const inputs: Record<ProgramName, ProgramInput> = {
  R1: { image: [28, 28], batchSize: 32 },
  R2: { image: [28, 28], batchSize: 32 },
  R3: { image: [28, 28], batchSize: 32 },
  R4: { image: [80], batchSize: 32, values: 20_000, classes: 2 },
  R5: { image: [28, 28], batchSize: 128 },
  R6: { image: [28, 28], batchSize: 128 },
  R7: { image: [32, 32, 3], batchSize: 32 },
};
