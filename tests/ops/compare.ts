/** Compares results of a device with the float64 reference. */
import type { DType } from "../../packages/core/src/graph/types.ts";
import { isFloat } from "../../packages/core/src/graph/types.ts";

/** The distance of neighbouring f32 numbers around x; that of the smallest normal number below it. */
export function ulp(x: number): number {
  const a = Math.abs(x);
  if (!Number.isFinite(a)) return Number.NaN;
  return 2 ** (Math.max(-126, Math.floor(Math.log2(a))) - 23);
}

/** Allowed distance from the expected number. */
export type Allowed = (expected: number, index: number) => number;

export const withinUlps =
  (count: number): Allowed =>
  (expected) =>
    count * ulp(expected) + ulp(expected) / 2;

/** The first element that is not as expected, as text; null when all are. NaN equals NaN, infinities must be equal. */
export function mismatch(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  dtype: DType,
  allowed: Allowed,
): string | null {
  if (actual.length !== expected.length) return `${actual.length} elements instead of ${expected.length}`;
  for (let i = 0; i < expected.length; i++) {
    const a = actual[i];
    const exact = expected[i];
    // What f32 makes of the exact result: it may overflow.
    const e = isFloat(dtype) ? Math.fround(exact) : exact;
    const special = Number.isNaN(e) || !Number.isFinite(e) || !isFloat(dtype);
    const good = special
      ? Object.is(a + 0, e + 0)
      : Math.abs(a - exact) <= allowed(exact, i) || overflowEdge(a, exact, allowed(exact, i));
    if (!good) return `element ${i}: ${a}, expected ${exact} (allowed ${special ? 0 : allowed(exact, i)})`;
  }
  return null;
}

/** The first of several f32 results that differs by more than a ten-thousandth of its largest element (or of 1), as text; else null. */
export function firstMismatch(
  actual: readonly ArrayLike<number>[],
  expected: readonly { readonly data: ArrayLike<number> }[],
): string | null {
  for (const [i, { data }] of expected.entries()) {
    let largest = 1;
    for (let k = 0; k < data.length; k++) largest = Math.max(largest, Math.abs(data[k]));
    const found = mismatch(actual[i], data, "f32", () => 1e-4 * largest);
    if (found) return `result ${i}: ${found}`;
  }
  return null;
}

/** Near the largest f32 an error within the allowance may already be infinite. */
function overflowEdge(actual: number, exact: number, allowance: number): boolean {
  return (
    Math.abs(actual) === Number.POSITIVE_INFINITY &&
    Math.sign(actual) === Math.sign(exact) &&
    !Number.isFinite(Math.fround(Math.abs(exact) + allowance))
  );
}
