/** The current device, made on first use from the settings. */
import { LayerwiseError, nearestName } from "../errors.ts";
import type { Device } from "../targets/device.ts";
import { createInterpreterDevice } from "../targets/interpreter/device.ts";
import { createWasmDevice } from "../targets/wasm/device.ts";
import { currentSettings, onConfigure } from "./config.ts";

export const deviceNames = ["auto", "wasm", "native", "interpreter", "reference"] as const;

export interface DeviceOptions {
  readonly threads: number | null;
  readonly strict: boolean;
  readonly convolution: "auto" | "direct";
}

/** A device that another package adds; `available` says cheaply whether it can be opened. */
export interface DeviceProvider {
  /** Whether "auto" may choose it here; asked once, and may look for what it needs. */
  readonly available: () => boolean;
  readonly open: (options: DeviceOptions) => Device;
}
let native: DeviceProvider | null = null;

/** Adds the native target (package `layerwise`). It is chosen automatically where it is available. */
export function provideNative(provider: DeviceProvider): void {
  native = provider;
  current = null;
}
let complained = false;

const devices = new Map<string, Device>();
let current: Device | null = null;
onConfigure(() => {
  current = null;
});

/** The device that the settings select: "wasm", "native", "interpreter" or "reference" (float64 on the graph, no compiler). */
export function deviceName(): "wasm" | "native" | "interpreter" | "reference" {
  const { device } = currentSettings();
  switch (device) {
    case "auto":
      return native?.available() ? "native" : "wasm";
    case "wasm":
    case "native":
      return device;
    case "interpreter":
    case "reference":
      return device;
    default: {
      const near = nearestName(device, deviceNames);
      throw new LayerwiseError(`there is no device "${device}"`, {
        code: "E203",
        received: `"${device}"`,
        expected: deviceNames.join(", "),
        hint: near ? `did you mean "${near}"?` : undefined,
      });
    }
  }
}

/** Devices are kept: variables stay where they are, and switching back finds compiled programs again. */
export function currentDevice(): Device {
  if (current) return current;
  const { threads, strict, convolution, device: asked } = currentSettings();
  const options: DeviceOptions = { threads, strict, convolution: convolution === "direct" ? "direct" : "auto" };
  const open = (name: "wasm" | "native" | "interpreter" | "reference"): Device => {
    const key = `${name}/${threads}/${strict}/${options.convolution}`;
    let device = devices.get(key);
    if (!device) {
      device = make(name, options);
      devices.set(key, device);
    }
    return device;
  };
  const name = deviceName();
  try {
    current = open(name);
  } catch (cause) {
    // Asked for by nobody, a native target that does not work is not worth stopping for.
    if (name !== "native" || asked === "native") throw cause;
    if (!complained)
      console.warn(
        `layerwise: the native target is not used: ${(cause as Error).message.split("\n")[0]}; running on wasm`,
      );
    complained = true;
    native = null;
    current = open("wasm");
  }
  return current;
}

function make(name: "wasm" | "native" | "interpreter" | "reference", options: DeviceOptions): Device {
  const { threads, strict, convolution } = options;
  if (name === "interpreter") return createInterpreterDevice({ strict, convolution });
  if (name === "native") {
    if (!native) {
      throw new LayerwiseError("the native target is not part of this package", {
        code: "E203",
        received: '"native"',
        expected: "the package layerwise, which provides it",
        hint: 'import from "layerwise" instead of "@layerwise/core"',
      });
    }
    return native.open(options);
  }
  return createWasmDevice({ ...(threads === null ? {} : { threads }), strict, convolution });
}
