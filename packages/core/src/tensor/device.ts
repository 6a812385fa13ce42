/** The current device, made on first use from the settings. */
import { LayerwiseError, nearestName } from "../errors.ts";
import type { Device } from "../targets/device.ts";
import { createWasmDevice } from "../targets/wasm/device.ts";
import { announce, currentSettings, onConfigure } from "./config.ts";
import type { Program, ProgramSource } from "./engine.ts";

export const deviceNames = ["auto", "wasm", "native", "interpreter", "reference"] as const;

export interface DeviceOptions {
  readonly threads: number | null;
  readonly strict: boolean;
  readonly convolution: "auto" | "direct";
  readonly matrixUnit: boolean;
}

/** A device that another package adds. */
export interface DeviceProvider {
  /** Opens it, or throws a LayerwiseError that says what is missing. */
  readonly open: (options: DeviceOptions) => Device;
}
let native: DeviceProvider | null = null;
/** Set once the native target has failed where nobody asked for it: "auto" means wasm from then on. */
let nativeFailed = false;

/** Adds the native target (package `layerwise`). "auto" chooses it, and wasm where it cannot be opened. */
export function provideNative(provider: DeviceProvider): void {
  native = provider;
  nativeFailed = false;
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
const devices = new Map<string, Device>();
let current: Device | null = null;
onConfigure(() => {
  current = null;
});

type DeviceName = "wasm" | "native" | "interpreter" | "reference";

/** The device that the settings select: "wasm", "native", "interpreter" or "reference" (float64 on the graph, no compiler). */
export function deviceName(): DeviceName {
  const { device } = currentSettings();
  switch (device) {
    case "auto":
      return native && !nativeFailed ? "native" : "wasm";
    case "wasm":
    case "native":
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
  const { threads, strict, matrixUnit, ...settings } = currentSettings();
  const convolution = settings.convolution === "direct" ? "direct" : "auto";
  const options: DeviceOptions = { threads, strict, convolution, matrixUnit };
  const open = (name: DeviceName): Device => {
    const key = `${name}/${threads}/${strict}/${convolution}/${matrixUnit}`;
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
    if (name !== "native") throw cause;
    giveUpNative(cause);
    current = open("wasm");
  }
  return current;
}

/** Where programs run: "native", "wasm", "interpreter" or "reference". Opens the device if need be. */
export function activeDevice(): string {
  return deviceName() === "reference" ? "reference" : currentDevice().name;
}

/**
 * The device to use instead of one whose compiler has failed: wasm, if the native target was chosen by nobody. Programs
 * that were compiled before stay usable. Throws the failure where the device was asked for, or is not at fault.
 */
export function replaceDevice(failed: Device, cause: unknown): Device {
  const compiling = cause instanceof LayerwiseError && /^N10[2356]$/.test(cause.code);
  if (failed.name !== "native" || !compiling) throw cause;
  giveUpNative(cause);
  announce({ device: currentSettings().device });
  return currentDevice();
}

/** Says once that the native target is not used. Throws where it was asked for. */
function giveUpNative(cause: unknown): void {
  const { device, silence } = currentSettings();
  if (device !== "auto") throw cause;
  nativeFailed = true;
  const code = cause instanceof LayerwiseError ? cause.code : "";
  if (silence.includes(code)) return;
  // What the compiler said is worth more lines than what is missing.
  const text = (cause as Error).message;
  console.warn(`layerwise runs on wasm, not as native code: ${code === "N102" ? text : text.split("\n")[0]}`);
}

function make(name: DeviceName, options: DeviceOptions): Device {
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
