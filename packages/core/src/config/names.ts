/** Spelling: camelCase here, snake_case in Keras; strings are matched without regard to case, `_` and `-`. */
import { LayerwiseError, nearestName } from "../errors.ts";

/** `kernelSize` → `kernel_size`, `channelsFirst` → `channels_first`. Digits stay attached (`l2`, `conv2d`). */
export function toSnake(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toLowerCase();
}

/** `kernel_size` → `kernelSize`, `beta_1` → `beta1`. */
export function toCamel(name: string): string {
  return name.replace(/_+([a-zA-Z0-9])/g, (_, c: string) => c.toUpperCase());
}

/** Keras' file and layer naming: `Conv2DTranspose` → `conv2d_transpose`, `LSTM` → `lstm`. */
export function snakeClassName(name: string): string {
  return name
    .replace(/\W+/g, "")
    .replace(/(.)([A-Z][a-z]+)/g, "$1_$2")
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .toLowerCase();
}

/** What two spellings of one name have in common. */
export function foldName(name: string): string {
  return name.toLowerCase().replace(/[_\- ]/g, "");
}

/** The candidate that is spelled like `name`, or an error that offers the nearest one. `what` is e.g. `padding`. */
export function matchName<N extends string>(name: string, candidates: readonly N[], what: string, layer?: string): N {
  const folded = foldName(name);
  const found = candidates.find((c) => foldName(c) === folded);
  if (found !== undefined) return found;
  const near = nearestName(name, candidates);
  throw new LayerwiseError(`unknown ${what} "${name}"`, {
    code: "E203",
    layer,
    received: `"${name}"`,
    expected: candidates.length > 24 ? `one of ${candidates.length} names` : candidates.map((c) => `"${c}"`).join(", "),
    hint: near === undefined ? undefined : `did you mean "${near}"?`,
  });
}
