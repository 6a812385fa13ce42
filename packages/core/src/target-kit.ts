/** What a package that adds a target needs: the program form, scheduling, and the C emitter. Not for users. */
export { matrixUnit } from "./compiler/contract/matrix.ts";
export { widePacking } from "./compiler/contract/packed-once.ts";
export type { LoopProgram, TargetProfile } from "./compiler/loopir.ts";
export { type COptions, emitKernel } from "./targets/c/emit.ts";
export { prelude } from "./targets/c/prelude.ts";
export type { Block, CallTime, Device, Executable, ProgramShelf } from "./targets/device.ts";
export { ThreadChoice } from "./targets/thread-choice.ts";
export { makeSchedule } from "./targets/wasm/control.ts";
