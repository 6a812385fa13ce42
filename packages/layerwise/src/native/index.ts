/** The native target as a device of the framework: chosen automatically where koffi and a C compiler are there. */
import { provideNative } from "@layerwise/core";
import { createNativeDevice } from "./device.ts";

/** Makes `device: "native"` (and "auto", where it works) mean compiled C. */
export function installNative(): void {
  provideNative({
    open: ({ threads, ...options }) => createNativeDevice({ ...(threads === null ? {} : { threads }), ...options }),
  });
}
