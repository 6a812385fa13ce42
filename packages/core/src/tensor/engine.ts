/** The engine: turns graphs into programs of the current device and runs them. */
import { LayerwiseError } from "../errors.ts";
import { Node, topological, type Value } from "../graph/node.ts";
import { constantValue, inputValue } from "../graph/ops/source.ts";
import { structureOf } from "../graph/structure.ts";
import type { TypedArray } from "../graph/types.ts";
import { onConfigure } from "./config.ts";
import { currentDevice, deviceName, oracles } from "./device.ts";
import { deviceProgram } from "./device-program.ts";
import type { Tensor } from "./tensor.ts";
import type { Trace } from "./trace.ts";

/** A graph ready to run: variables are read and written by the program itself. */
export interface Program {
  /**
   * Arrays to write the inputs of the next run into, in host form, in the order they were declared: the program's own
   * memory where that is possible. Good until a program is run or compiled.
   */
  inputs(): TypedArray[];
  /** Runs once on what `inputs()` holds. The results, in host form, written to `into` if given. */
  execute(into?: readonly TypedArray[]): TypedArray[];
  release(): void;
}

/** Runs a program once on these inputs. */
export function runProgram(program: Program, inputs: readonly TypedArray[]): TypedArray[] {
  program.inputs().forEach((input, i) => {
    input.set(inputs[i] as never);
  });
  return program.execute();
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
  return deviceName() === "reference" ? oracles().reference(source) : deviceProgram(source, currentDevice());
}

/** Programs of lazily evaluated tensors, by structure; the least recently used ones go first. */
const eagerPrograms = new Map<string, Program>();
const maxEagerPrograms = 256;
onConfigure((_, changed) => {
  if (!("device" in changed || "threads" in changed || "strict" in changed || "convolution" in changed)) return;
  for (const p of eagerPrograms.values()) p.release();
  eagerPrograms.clear();
});

/** Computes tensors that are not computed yet, all in one program, and remembers their values. */
export function evaluateSync(tensors: readonly Tensor[]): void {
  const pending = tensors.filter((t) => t.value.node.op.name !== "constant");
  if (pending.length === 0) return;
  const roots = pending.map((t) => t.value);
  // Numbers met in lazy code are inputs of the program, so a loop that multiplies by its counter compiles once.
  const { text: key, inputs: symbols, constants, variables } = structureOf(roots, { scopes: false });
  if (symbols.length + variables.length > 0) throw symbolic(symbols.length > 0 ? "input" : "variable");
  let program = key === null ? undefined : eagerPrograms.get(key);
  if (program && key !== null) {
    eagerPrograms.delete(key);
    eagerPrograms.set(key, program);
  } else {
    const { inputs, outputs } = liftConstants(roots, constants);
    program = compileProgram({ name: "eager", inputs, outputs, trace: null });
    if (key !== null) {
      eagerPrograms.set(key, program);
      if (eagerPrograms.size > maxEagerPrograms) {
        const [oldest, victim] = eagerPrograms.entries().next().value!;
        eagerPrograms.delete(oldest);
        victim.release();
      }
    }
  }
  const results = runProgram(program, constants.map(hostData));
  if (key === null) program.release();
  pending.forEach((t, i) => {
    t.value = constantValue(results[i], roots[i].type);
  });
}

function symbolic(what: string): LayerwiseError {
  return new LayerwiseError("a symbolic tensor has no data yet", {
    code: "E106",
    received: `${what} inside a function that is being traced`,
    expected: "a tensor outside jit, fit or call",
    hint: "return it from the traced function and look at the result",
  });
}

/** The same graph with its constants as inputs. */
function liftConstants(roots: readonly Value[], constants: readonly Value[]): { inputs: Value[]; outputs: Value[] } {
  const replaced = new Map<Value, Value>();
  const inputs = constants.map((c, i) => {
    const input = inputValue(`constant${i}`, c.type);
    replaced.set(c, input);
    return input;
  });
  for (const node of topological(roots)) {
    if (!node.inputs.some((v) => replaced.has(v))) continue;
    const copy = new Node(
      node.op,
      node.attrs,
      node.inputs.map((v) => replaced.get(v) ?? v),
      node.types,
      node.scope,
    );
    node.outputs.forEach((o, i) => {
      replaced.set(o, copy.outputs[i]);
    });
  }
  return { inputs, outputs: roots.map((r) => replaced.get(r) ?? r) };
}

/** Host contents of a computed value. */
export function hostData(value: Value): TypedArray {
  return (value.node.attrs as { data: TypedArray }).data;
}
