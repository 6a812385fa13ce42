/** Layerwise for Node: all of `@layerwise/core`, the native target, data sets, and reports for the terminal. */
import { configure, losses } from "@layerwise/core";
import { installOracles } from "@layerwise/core/oracles";
import { installNative } from "./native/index.ts";

export * from "@layerwise/core";
export * as datasets from "./datasets/index.ts";
export * as report from "./report/index.ts";

losses.lossRegistry.add("ctc", losses.CTC);
installNative();
installOracles();
const device = process.env["LAYERWISE_DEVICE"];
if (device) configure({ device });
