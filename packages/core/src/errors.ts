/** The one error type of Layerwise: a code, who complains, what came, what was expected, and what to do. */

export interface ErrorDetails {
  /** Stable code, e.g. "E103" (shapes) or "L105" (a mistake from the table in docs/errors.md). */
  code: string;
  /** Layer, op, file or argument that complains. */
  layer?: string | undefined;
  received?: string | undefined;
  expected?: string | undefined;
  hint?: string | undefined;
}

/** First line: `code: message`; then received, expected and hint where known; at most eight lines. */
export class LayerwiseError extends Error {
  readonly code: string;
  readonly layer: string | undefined;
  readonly received: string | undefined;
  readonly expected: string | undefined;
  readonly hint: string | undefined;

  constructor(message: string, details: ErrorDetails, options?: { cause?: unknown }) {
    const lines = [`${details.code}: ${message}`];
    if (details.received !== undefined) lines.push(`  received  ${details.received}`);
    if (details.expected !== undefined) lines.push(`  expected  ${details.expected}`);
    if (details.hint !== undefined) lines.push(`  hint      ${details.hint}`);
    super(lines.slice(0, 8).join("\n"), options);
    this.name = "LayerwiseError";
    this.code = details.code;
    this.layer = details.layer;
    this.received = details.received;
    this.expected = details.expected;
    this.hint = details.hint;
  }
}

/** `[32, 784]`, with `null` for an unknown size. */
export function formatShape(shape: readonly (number | null)[]): string {
  return `[${shape.map((d) => (d === null ? "null" : String(d))).join(", ")}]`;
}

/** The candidate closest to `name` by edit distance, if it is close enough to be a typo; case, `_` and `-` do not count. */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  const fold = (s: string) => s.toLowerCase().replace(/[_-]/g, "");
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const c of candidates) {
    const d = editDistance(fold(name), fold(c));
    if (d < bestDistance) {
      bestDistance = d;
      best = c;
    }
  }
  return best !== undefined && bestDistance <= Math.max(2, Math.floor(name.length / 3)) ? best : undefined;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length];
}
