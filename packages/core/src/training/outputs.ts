/** Pairing losses, metrics and weights with the outputs of a model. */
import { LayerwiseError, nearestName } from "../errors.ts";

/**
 * What was given for each output: one thing for all (only for a single output), a list in order, or a record by name.
 * `isItem` says what counts as one thing (a metric list for a single output, say).
 */
export function perOutput<T>(
  given: unknown,
  names: readonly string[],
  count: number,
  what: string,
  isItem: (x: unknown) => x is T,
): (T | null)[] {
  if (given === null || given === undefined) return new Array(count).fill(null);
  if (isItem(given)) {
    return new Array<T | null>(count).fill(given);
  }
  if (Array.isArray(given)) {
    if (given.length !== count) wrongCount(what, given.length, count);
    return given.map((g) => pick(g, what, isItem));
  }
  if (typeof given === "object") {
    const record = given as { [name: string]: unknown };
    const labels = names.length === count ? names : Array.from({ length: count }, (_, i) => String(i));
    for (const key of Object.keys(record)) {
      if (labels.includes(key)) continue;
      const near = nearestName(key, labels);
      throw new LayerwiseError(`${what} names an output that the model does not have`, {
        code: "E203",
        received: `"${key}"`,
        expected: labels.map((l) => `"${l}"`).join(", "),
        hint: near === undefined ? undefined : `did you mean "${near}"?`,
      });
    }
    return labels.map((l) => pick(record[l] ?? null, what, isItem));
  }
  throw new LayerwiseError(`${what} is not valid`, {
    code: "E202",
    received: String(given),
    expected: "one, a list in the order of outputs, or a record by name",
  });
}

function pick<T>(x: unknown, what: string, isItem: (x: unknown) => x is T): T | null {
  if (x === null || x === undefined) return null;
  if (isItem(x)) return x;
  throw new LayerwiseError(`${what} for one output is not valid`, {
    code: "E202",
    received: JSON.stringify(x) ?? String(x),
    expected: "one item",
  });
}

function wrongCount(what: string, received: number, expected: number): never {
  throw new LayerwiseError(`${what} has another number of entries than the model has outputs`, {
    code: "E202",
    received: String(received),
    expected: String(expected),
  });
}
