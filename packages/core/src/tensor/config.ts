/** Global settings: device, threads, seed and the other switches of `configure`. */
import { LayerwiseError, nearestName } from "../errors.ts";

export interface Settings {
  /** Where programs run: "wasm", or "reference" (float64, for checking). */
  readonly device: string;
  /** Threads of a CPU device; null lets the device choose. */
  readonly threads: number | null;
  /** Seed of weights, shuffling and random layers. */
  readonly seed: number;
  /** Same bits on every target: no fused multiply-add, no Winograd, no matrix unit. */
  readonly strict: boolean;
  /** Algorithm of 3×3 convolutions: "auto" chooses by shape. */
  readonly convolution: "auto" | "direct" | "winograd";
  /** Whether large products may use a CPU's matrix unit (AMX), with other bits than multiply-adds; native only. */
  readonly matrixUnit: boolean;
  /** Codes of findings (L101 …) that are not to be reported. */
  readonly silence: readonly string[];
}

let settings: Settings = {
  device: "auto",
  threads: null,
  seed: randomSeed(),
  strict: false,
  convolution: "auto",
  matrixUnit: true,
  silence: [],
};

const listeners = new Set<(now: Settings, changed: Partial<Settings>) => void>();

function randomSeed(): number {
  return Math.floor(Math.random() * 2 ** 31);
}

/** The settings now. Without a `seed` of one's own each process draws one, which is found here. */
export function currentSettings(): Settings {
  return settings;
}

/** Calls `listener` after every `configure`. */
export function onConfigure(listener: (now: Settings, changed: Partial<Settings>) => void): void {
  listeners.add(listener);
}

const checks: { readonly [K in keyof Settings]: [(x: unknown) => boolean, string] } = {
  device: [(x) => typeof x === "string", "the name of a device"],
  threads: [(x) => x === null || (Number.isInteger(x) && (x as number) >= 1), "an integer ≥ 1, or null"],
  seed: [
    (x) => Number.isInteger(x) && (x as number) >= 0 && (x as number) < 2 ** 32,
    "an integer from 0 to 4294967295",
  ],
  strict: [(x) => typeof x === "boolean", "true or false"],
  convolution: [(x) => x === "auto" || x === "direct" || x === "winograd", '"auto", "direct", "winograd"'],
  matrixUnit: [(x) => typeof x === "boolean", "true or false"],
  silence: [(x) => Array.isArray(x) && x.every((c) => typeof c === "string"), "a list of codes"],
};

/**
 * Changes settings for everything that follows. Setting `seed` (even to the same number) restarts the streams of weight
 * initialisation, so that the same program after it makes the same model.
 */
export function configure(changes: Partial<Settings>): void {
  for (const [key, value] of Object.entries(changes)) {
    const check = checks[key as keyof Settings];
    if (check === undefined) {
      const near = nearestName(key, Object.keys(checks));
      throw new LayerwiseError(`configure has no setting "${key}"`, {
        code: "E201",
        received: `"${key}"`,
        expected: Object.keys(checks).join(", "),
        hint: near === undefined ? undefined : `did you mean "${near}"?`,
      });
    }
    if (!check[0](value)) {
      throw new LayerwiseError(`configure: "${key}" is not valid`, {
        code: "E202",
        received: JSON.stringify(value) ?? "undefined",
        expected: check[1],
      });
    }
  }
  settings = { ...settings, ...changes };
  announce(changes);
}

/** Tells the listeners of `onConfigure` about settings that are set, or that mean something else from now on. */
export function announce(changes: Partial<Settings>): void {
  for (const listener of listeners) listener(settings, changes);
}
