/** The engine: turns graphs into programs of the current device and runs them. */
import type { Value } from "../graph/node.ts";
import { constant } from "../graph/ops/source.ts";
import type { TypedArray } from "../graph/types.ts";
import { referenceProgram } from "./reference-program.ts";
import type { Tensor } from "./tensor.ts";
import type { Trace } from "./trace.ts";

/** A graph ready to run: variables are read and written by the program itself. */
export interface Program {
  /** Runs once. Inputs and results are in host form, in the order they were declared. */
  run(inputs: readonly TypedArray[]): TypedArray[];
  release(): void;
}

/** What to compile: results and variable writes as functions of `inputs` and the variables read in the trace. */
export interface ProgramSource {
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly trace: Trace | null;
}

/** Compiles for the current device. */
export function compileProgram(source: ProgramSource): Program {
  return referenceProgram(source);
}

/** Computes tensors that are not computed yet, all in one program, and remembers their values. */
export function evaluateSync(tensors: readonly Tensor[]): void {
  const pending = tensors.filter((t) => t.value.node.op !== constant);
  if (pending.length === 0) return;
  const program = compileProgram({ name: "eager", inputs: [], outputs: pending.map((t) => t.value), trace: null });
  const results = program.run([]);
  program.release();
  pending.forEach((t, i) => {
    t.value = constantLike(t.value, results[i]);
  });
}

function constantLike(value: Value, data: TypedArray): Value {
  return constantNode(data, value.type);
}

/** Host contents of a computed value. */
export function hostData(value: Value): TypedArray {
  return (value.node.attrs as { data: TypedArray }).data;
}

import { constantValue as constantNode } from "../graph/ops/source.ts";
