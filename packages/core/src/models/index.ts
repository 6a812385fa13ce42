/** Models. */
export { Functional, type FunctionalOptions, functional } from "./functional.ts";
export { type BatchOptions, Model } from "./model.ts";
export { layerFromConfig, layerRegistry } from "./registry.ts";
export { Sequential, sequential } from "./sequential.ts";
export type { SummaryOptions } from "./summary.ts";
