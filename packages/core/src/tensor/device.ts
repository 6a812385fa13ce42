/** The current device, made on first use from the settings. */
import { LayerwiseError, nearestName } from "../errors.ts";
import type { Device } from "../targets/device.ts";
import { createInterpreterDevice } from "../targets/interpreter/device.ts";
import { createWasmDevice } from "../targets/wasm/device.ts";
import { currentSettings, onConfigure } from "./config.ts";

export const deviceNames = ["auto", "wasm", "interpreter", "reference"] as const;

const devices = new Map<string, Device>();
let current: Device | null = null;
onConfigure(() => {
  current = null;
});

/** The device that the settings select: "wasm", "interpreter" or "reference" (float64 on the graph, no compiler). */
export function deviceName(): "wasm" | "interpreter" | "reference" {
  const { device } = currentSettings();
  switch (device) {
    case "auto":
    case "wasm":
      return "wasm";
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
  const name = deviceName();
  const { threads, strict, convolution } = currentSettings();
  const key = `${name}/${threads}/${strict}/${convolution}`;
  let device = devices.get(key);
  if (!device) {
    device =
      name === "interpreter"
        ? createInterpreterDevice({ strict })
        : createWasmDevice({ ...(threads === null ? {} : { threads }), strict });
    devices.set(key, device);
  }
  current = device;
  return device;
}
