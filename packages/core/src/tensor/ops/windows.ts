/** Window functions of spectral analysis, as numbers. */
import { argumentError } from "./promote.ts";

/** Coefficients of sums of cosines Σ (-1)^k a_k cos(2πkn/N), as in Harris (1978), "On the use of windows". */
const cosineSums = {
  hann: [0.5, 0.5],
  hamming: [0.54, 0.46],
  blackman: [0.42, 0.5, 0.08],
  boxcar: [1],
} as const;

export type WindowName = keyof typeof cosineSums;
export const windowNames = Object.keys(cosineSums) as readonly WindowName[];

/** A window by name, its values, or null for none. */
export type Window = WindowName | readonly number[] | null;

/**
 * `length` values of a window. A periodic one (the default) is one period of the infinite window, which analysis wants; a
 * symmetric one ends where it began. Throws E202 when given values have another length.
 */
export function windowValues(window: Window, length: number, periodic = true): Float64Array {
  if (window === null) return new Float64Array(length).fill(1);
  if (typeof window !== "string") {
    if (window.length !== length)
      throw argumentError("window", "the window has another length", `${window.length} values`, `${length}`);
    return Float64Array.from(window);
  }
  if (length === 1) return Float64Array.of(1);
  const turn = (2 * Math.PI) / (periodic ? length : length - 1);
  const coefficients: readonly number[] = cosineSums[window];
  return Float64Array.from({ length }, (_, n) =>
    coefficients.reduce((sum, a, k) => sum + (k % 2 === 0 ? a : -a) * Math.cos(turn * k * n), 0),
  );
}
