/** The native target as a device of the framework: chosen automatically where koffi and a C compiler are there. */
import { createRequire } from "node:module";
import { provideNative } from "@layerwise/core";
import { createNativeDevice } from "./device.ts";
import { findToolchain } from "./toolchain.ts";

function available(): boolean {
  try {
    createRequire(import.meta.url).resolve("koffi");
  } catch {
    return false;
  }
  return findToolchain() !== null;
}

/** Makes `device: "native"` (and "auto", where it works) mean compiled C. */
export function installNative(): void {
  provideNative({
    available,
    open: ({ threads, strict, convolution }) =>
      createNativeDevice({ ...(threads === null ? {} : { threads }), strict, convolution }),
  });
}
