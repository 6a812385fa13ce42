/** The current device, made on first use from the settings. */
import { LayerwiseError, nearestName } from "../errors.ts";
import type { Device } from "../targets/device.ts";
import { createWasmDevice } from "../targets/wasm/device.ts";
import { currentSettings, onConfigure } from "./config.ts";
import type { Program, ProgramSource } from "./engine.ts";

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
/** The two devices that everything else is checked against; they are not part of a page that only trains. */
export interface Oracles {
  /** LoopIR, statement by statement. */
  readonly interpreter: (options: DeviceOptions) => Device;
  /** The graph in float64. */
  readonly reference: (source: ProgramSource) => Program;
}
let provided: Oracles | null = null;

/** Adds the devices "interpreter" and "reference"; called by `installOracles` of `@layerwise/core/oracles`. */
export function provideOracles(oracles: Oracles): void {
  provided = oracles;
  current = null;
}

/** The oracles, or an error (E203) that says how to get them. */
export function oracles(): Oracles {
  if (provided) return provided;
  throw new LayerwiseError("the checking devices are not loaded", {
    code: "E203",
    received: `"${currentSettings().device}"`,
    expected: '"auto", "wasm" or "native"',
    hint: 'import { installOracles } from "@layerwise/core/oracles" and call it',
  });
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
  if (name === "interpreter") return oracles().interpreter(options);
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
