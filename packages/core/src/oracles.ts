/**
 * The oracles as devices: "reference" evaluates graphs in float64, "interpreter" runs LoopIR in the program's exact order.
 * An entry point of its own, so that pages which only train do not carry them.
 */
import { createInterpreterDevice } from "./targets/interpreter/device.ts";
import { provideOracles } from "./tensor/device.ts";
import { referenceProgram } from "./tensor/reference-program.ts";

/** Makes `configure({ device: "reference" })` and `"interpreter"` possible. */
export function installOracles(): void {
  provideOracles({
    interpreter: ({ strict, convolution }) => createInterpreterDevice({ strict, convolution }),
    reference: referenceProgram,
  });
}
