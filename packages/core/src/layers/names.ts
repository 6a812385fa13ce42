/** Automatic names of layers and models, as Keras numbers them: dense, dense_1, dense_2. */
import { snakeClassName } from "../config/index.ts";
import { onConfigure } from "../tensor/config.ts";

const used = new Map<string, number>();

onConfigure((_, changed) => {
  if (changed.seed !== undefined) used.clear();
});

/** The next free name of a class. */
export function autoName(className: string): string {
  const base = snakeClassName(className);
  const n = used.get(base) ?? 0;
  used.set(base, n + 1);
  return n === 0 ? base : `${base}_${n}`;
}

/** Starts numbering afresh (Keras' `clear_session`). */
export function resetNames(): void {
  used.clear();
}
