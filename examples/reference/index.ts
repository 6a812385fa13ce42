/** The reference programs by name. */
import * as R1 from "./r1.ts";
import * as R2 from "./r2.ts";
import * as R5 from "./r5.ts";
import * as R6 from "./r6.ts";
import * as R7 from "./r7.ts";

export const programs = { R1, R2, R5, R6, R7 };

export type ProgramName = keyof typeof programs;

export function isProgramName(name: string): name is ProgramName {
  return Object.hasOwn(programs, name);
}

/** Shapes and types of what a program is fed in a step; for benchmarks on made-up data. */
export const inputs: Record<ProgramName, { readonly image: readonly number[]; readonly batchSize: number }> = {
  R1: { image: [28, 28], batchSize: 32 },
  R2: { image: [28, 28], batchSize: 32 },
  R5: { image: [28, 28], batchSize: 128 },
  R6: { image: [28, 28], batchSize: 128 },
  R7: { image: [32, 32, 3], batchSize: 32 },
};
