/** What a package that adds a target needs: the program form, scheduling, and the C emitter. Not for users. */
export type { LoopProgram, TargetProfile } from "./compiler/loopir.ts";
export { emitShard, emitTable } from "./targets/c/emit.ts";
export type { Block, Device, Executable } from "./targets/device.ts";
export { makeSchedule } from "./targets/wasm/control.ts";
