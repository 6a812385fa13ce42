/** A whole program as WebAssembly bytes: one function per kernel, dispatch tables, and the exports `step` and `run`. */
import type { LoopProgram } from "../../compiler/loopir.ts";
import { Code } from "./code.ts";
import { CONTROL, makeSchedule } from "./control.ts";
import { emitKernel, kernelParameters } from "./emit.ts";
import { ModuleBuilder } from "./encoder.ts";
import { emitCalls, emitChunk, emitRun, emitStep } from "./step.ts";

export interface ProgramOptions {
  /** Import shared memory and export `step`; without it `run` alone. */
  readonly shared: boolean;
  /** Fused multiply-add by relaxed SIMD, where the engine has it. */
  readonly relaxedFma: boolean;
  readonly strict: boolean;
  /** For an engine that fuses pairs of 128-bit operations. */
  readonly revectorize?: boolean;
}

/** Calls per dispatch function: large functions compile slowly, and on one core. */
const CALLS_PER_GROUP = 64;

/**
 * The module imports `env.memory` only and holds no address: the same bytes serve any placement. Exports are
 * `step(thread, control, generation, sync) → status`, `run(control)` and `calls`, see `step.ts`.
 */
export function emitProgram(program: LoopProgram, options: ProgramOptions): Uint8Array {
  const module = new ModuleBuilder(options);
  const kernels = program.kernels.map((kernel) =>
    module.addFunction(kernel.name, kernelParameters(kernel), 0, emitKernel(kernel, options)),
  );
  const add = (name: string, parameters: number, results: number, body: (c: Code) => void) => {
    const code = new Code(parameters);
    body(code);
    return module.addFunction(name, parameters, results, Uint8Array.from(code.finish()));
  };

  const { calls } = makeSchedule(program);
  const groups: number[] = [];
  for (let first = 0; first < calls.length; first += CALLS_PER_GROUP) {
    const group = calls.slice(first, first + CALLS_PER_GROUP).map((c) => c.call);
    groups.push(
      add(`dispatch${groups.length}`, 5, 0, (c) => {
        emitSwitch(c, group.length, first, 1, (i) => {
          const call = group[i]!;
          c.get(3).get(4).get(2);
          for (const { slot, offset } of call.bindings) {
            c.get(1).load(CONTROL.addresses + 4 * slot);
            if (offset !== 0) c.i32(offset).op("i32.add");
          }
          c.call(kernels[call.kernel]!);
        });
      }),
    );
  }
  const dispatch =
    groups.length === 1
      ? groups[0]!
      : add("dispatch", 5, 0, (c) => {
          emitSwitch(c, groups.length, 0, CALLS_PER_GROUP, (i) => {
            for (const parameter of [0, 1, 2, 3, 4]) c.get(parameter);
            c.call(groups[i]!);
          });
        });
  const callsFunction = add("calls", 6, 0, (c) => emitCalls(c, dispatch));
  module.exportFunction("calls", callsFunction);
  module.exportFunction(
    "run",
    add("run", 1, 0, (c) => emitRun(c, callsFunction)),
  );
  if (options.shared) {
    const chunk = add("chunk", 6, 0, (c) => emitChunk(c, dispatch, callsFunction));
    module.exportFunction(
      "step",
      add("step", 4, 1, (c) => emitStep(c, chunk)),
    );
  }
  return module.finish();
}

/** Runs one of `cases` bodies, chosen by (parameter 0 - first) / divisor; `divisor` is a power of two. */
function emitSwitch(c: Code, cases: number, first: number, divisor: number, body: (index: number) => void): void {
  if (cases === 0) return;
  for (let i = 0; i < cases; i++) c.block();
  c.get(0);
  if (first !== 0) c.i32(first).op("i32.sub");
  if (divisor !== 1) c.i32(Math.log2(divisor)).op("i32.shr_u");
  c.brTable(Array.from({ length: cases }, (_, i) => i));
  for (let i = 0; i < cases; i++) {
    c.end();
    body(i);
    c.return();
  }
}
