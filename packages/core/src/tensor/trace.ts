/** The trace: what a function being compiled has read and written so far. */
import type { Value } from "../graph/node.ts";
import type { Variable } from "./variable.ts";

/** While a trace is active, variables read and write symbolically, and numbers become constants of the program. */
export class Trace {
  /** Value of every root variable at the start of the program, in order of first use. */
  readonly initial = new Map<Variable, Value>();
  /** Value of every root variable now; differs from `initial` after an assignment. */
  readonly current = new Map<Variable, Value>();
  /** One Value per member variable and version of its parent, so that gradients have one target. */
  readonly members = new Map<Variable, { parent: Value; value: Value }>();
  readonly training: boolean;

  constructor(options: { training?: boolean } = {}) {
    this.training = options.training ?? false;
  }

  /** The variables whose value changed, with the value to store. */
  writes(): { variable: Variable; value: Value }[] {
    const out: { variable: Variable; value: Value }[] = [];
    for (const [variable, value] of this.current) {
      if (this.initial.get(variable) !== value) out.push({ variable, value });
    }
    return out;
  }
}

let active: Trace | null = null;

export function currentTrace(): Trace | null {
  return active;
}

/** Runs `body` with `trace` active. Traces do not nest: an inner one suspends the outer. */
export function withTrace<T>(trace: Trace | null, body: () => T): T {
  const saved = active;
  active = trace;
  try {
    return body();
  } finally {
    active = saved;
  }
}
