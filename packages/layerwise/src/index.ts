/** Layerwise for Node: all of `@layerwise/core`, data sets, and reports for the terminal. */
export * from "@layerwise/core";
export * as datasets from "./datasets/index.ts";
export * as report from "./report/index.ts";
