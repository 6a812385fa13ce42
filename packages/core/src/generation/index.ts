/** Generation. */
export { type GenerateOptions, Generation, generate } from "./generate.ts";
export type { SamplingOptions } from "./sampling.ts";
