/** Fields: one option of a class, with its type, default, validation and Keras spelling. */
import { LayerwiseError } from "../errors.ts";
import { matchName, toSnake } from "./names.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Who is asking, for error messages. */
export interface Where {
  /** The class, e.g. `Dense`. */
  readonly owner: string;
  /** The option, e.g. `kernelSize`. */
  readonly option: string;
}

interface FieldParts<Out> {
  /** What is accepted, in words: `an integer ≥ 1`. */
  readonly expected: string;
  /** Validates and normalises; returns undefined when the value is not acceptable (or throws a better error). */
  readonly read: (x: unknown, where: Where) => Out | undefined;
  readonly write: (x: Out) => Json;
  readonly fallback?: unknown;
  readonly docs?: string;
  readonly kerasKey?: string;
  readonly inConfig?: boolean;
}

/**
 * One option. `In` is what users may write, `Out` what the class sees; `Optional` says that there is a default.
 * Fields are immutable: `default`, `nullable`, `doc` … return changed copies.
 */
export class Field<In, Out = In, Optional extends boolean = boolean> {
  readonly parts: FieldParts<Out>;
  /** Only for type inference. */
  declare readonly in: In;
  declare readonly optional: Optional;

  constructor(parts: FieldParts<Out>) {
    this.parts = parts;
  }
  /** The value when the option is absent; read like a user's, afresh for each object. */
  default(value: In): Field<In, Out, true> {
    return new Field<In, Out, true>({ ...this.parts, fallback: value });
  }
  /** Accepts null too, which is then also the default. */
  nullable(): Field<In | null, Out | null, true> {
    const { read, write, expected } = this.parts;
    return new Field<In | null, Out | null, true>({
      ...this.parts,
      expected: `${expected}, or null`,
      fallback: this.parts.fallback === undefined ? null : this.parts.fallback,
      read: (x, where) => (x === null ? null : read(x, where)),
      write: (x) => (x === null ? null : write(x)),
    });
  }
  /** A sentence for the documentation. */
  doc(text: string): Field<In, Out, Optional> {
    return new Field<In, Out, Optional>({ ...this.parts, docs: text });
  }
  /** The key in Keras' config, where it is not the mechanical snake_case of the option's name. */
  as(kerasKey: string): Field<In, Out, Optional> {
    return new Field<In, Out, Optional>({ ...this.parts, kerasKey });
  }
  /** Leaves the option out of the saved config. */
  transient(): Field<In, Out, Optional> {
    return new Field<In, Out, Optional>({ ...this.parts, inConfig: false });
  }
  /** Adds a condition; `expected` says it in words. */
  check(ok: (x: Out) => boolean, expected: string): Field<In, Out, Optional> {
    const { read } = this.parts;
    return new Field<In, Out, Optional>({
      ...this.parts,
      expected,
      read: (x, where) => {
        const y = read(x, where);
        return y !== undefined && ok(y) ? y : undefined;
      },
    });
  }
  get isOptional(): boolean {
    return this.parts.fallback !== undefined;
  }
  /** The normalised value of what the user gave (undefined: the default). */
  resolve(x: unknown, where: Where): Out {
    const given = x === undefined ? this.parts.fallback : x;
    if (given === undefined) {
      throw new LayerwiseError(`${where.owner} needs the option "${where.option}"`, {
        code: "E202",
        layer: where.owner,
        received: "nothing",
        expected: this.parts.expected,
      });
    }
    const value = this.parts.read(given, where);
    if (value === undefined) {
      throw new LayerwiseError(`${where.owner}: the option "${where.option}" is not valid`, {
        code: "E202",
        layer: where.owner,
        received: show(given),
        expected: this.parts.expected,
      });
    }
    return value;
  }
}

/** A value in an error message, short. */
export function show(x: unknown): string {
  if (typeof x === "function") return `function ${x.name || "(anonymous)"}`;
  if (typeof x === "object" && x !== null && !Array.isArray(x) && Object.getPrototypeOf(x) !== Object.prototype) {
    return `a ${x.constructor?.name ?? "object"}`;
  }
  const text = typeof x === "number" ? String(x) : (JSON.stringify(x) ?? String(x));
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

interface Range {
  readonly min?: number;
  readonly max?: number;
  /** Exclusive bounds. */
  readonly above?: number;
  readonly below?: number;
}

function inRange(x: number, r: Range): boolean {
  return (
    !(r.min !== undefined && x < r.min) &&
    !(r.max !== undefined && x > r.max) &&
    !(r.above !== undefined && x <= r.above) &&
    !(r.below !== undefined && x >= r.below)
  );
}
function rangeWords(r: Range): string {
  const words = [];
  if (r.min !== undefined) words.push(`≥ ${r.min}`);
  if (r.above !== undefined) words.push(`> ${r.above}`);
  if (r.max !== undefined) words.push(`≤ ${r.max}`);
  if (r.below !== undefined) words.push(`< ${r.below}`);
  return words.length > 0 ? ` ${words.join(" and ")}` : "";
}
const special: Record<string, number> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
};

/** A finite or infinite number; integral floats of Keras configs are fine. */
export function number(range: Range = {}): Field<number, number, false> {
  return new Field<number, number, false>({
    expected: `a number${rangeWords(range)}`,
    read: (x) => {
      const n = typeof x === "string" && x in special ? special[x] : x;
      return typeof n === "number" && inRange(n, range) && !(Number.isNaN(n) && x !== "NaN") ? n : undefined;
    },
    write: (x) => (Number.isFinite(x) ? x : String(x)),
  });
}

/** An integer. */
export function int(range: Range = {}): Field<number, number, false> {
  return new Field<number, number, false>({
    expected: `an integer${rangeWords(range)}`,
    read: (x) => (typeof x === "number" && Number.isInteger(x) && inRange(x, range) ? x : undefined),
    write: (x) => x,
  });
}

export function bool(): Field<boolean, boolean, false> {
  return new Field<boolean, boolean, false>({
    expected: "true or false",
    read: (x) => (typeof x === "boolean" ? x : x === 0 || x === 1 ? x === 1 : undefined),
    write: (x) => x,
  });
}

export function string(): Field<string, string, false> {
  return new Field<string, string, false>({
    expected: "a string",
    read: (x) => (typeof x === "string" ? x : undefined),
    write: (x) => x,
  });
}

/** One of several names; every spelling of a name is accepted, the camelCase one is what the class sees. */
export function oneOf<const N extends string>(...names: readonly N[]): Field<N, N, false> {
  return new Field<N, N, false>({
    expected: names.map((n) => `"${n}"`).join(", "),
    read: (x, where) =>
      typeof x === "string" ? matchName(x, names, `${where.option} of ${where.owner}`, where.owner) : undefined,
    write: (x) => toSnake(x),
  });
}

/** A list; elements are read by `element`. */
export function list<In, Out>(element: Field<In, Out>, length?: number): Field<readonly In[], readonly Out[], false> {
  const what = length === undefined ? "a list" : `a list of ${length}`;
  return new Field<readonly In[], readonly Out[], false>({
    expected: `${what}: ${element.parts.expected} each`,
    read: (x, where) => {
      if (!Array.isArray(x) || (length !== undefined && x.length !== length)) return undefined;
      const out = x.map((y) => element.parts.read(y, where));
      return out.some((y) => y === undefined) ? undefined : (out as Out[]);
    },
    write: (x) => x.map((y) => element.parts.write(y)),
  });
}

/** `n` numbers, or one number for all of them, as Keras takes `kernel_size`. */
export function tuple(
  n: number,
  element: Field<number, number> = int({ min: 1 }),
): Field<number | readonly number[], readonly number[], false> {
  return new Field<number | readonly number[], readonly number[], false>({
    expected: `${element.parts.expected}, or ${n} of them`,
    read: (x, where) => {
      const all = Array.isArray(x) ? x : new Array(n).fill(x);
      if (all.length !== n) return undefined;
      const out = all.map((y) => element.parts.read(y, where));
      return out.some((y) => y === undefined) ? undefined : (out as number[]);
    },
    write: (x) => [...x],
  });
}

/** One integer or a list of any length (an `axis`); a list stays a list. */
export function axes(): Field<number | readonly number[], number | readonly number[], false> {
  return new Field<number | readonly number[], number | readonly number[], false>({
    expected: "an integer or a list of integers",
    read: (x) => {
      if (typeof x === "number") return Number.isInteger(x) ? x : undefined;
      return Array.isArray(x) && x.every((y) => Number.isInteger(y)) ? (x as number[]) : undefined;
    },
    write: (x) => (typeof x === "number" ? x : [...x]),
  });
}

/** A shape; null stands for a size that is not known. */
export function shape(): Field<readonly (number | null)[], readonly (number | null)[], false> {
  return new Field<readonly (number | null)[], readonly (number | null)[], false>({
    expected: "a list of sizes (integers ≥ 0, or null where the size may vary)",
    read: (x) => {
      const ok = Array.isArray(x) && x.every((d) => d === null || (Number.isInteger(d) && d >= 0));
      return ok ? (x as (number | null)[]) : undefined;
    },
    write: (x) => [...x],
  });
}

/** Any JSON value, kept as it is. */
export function json(): Field<Json, Json, false> {
  return new Field<Json, Json, false>({ expected: "a JSON value", read: (x) => x as Json, write: (x) => x });
}

/** The first field that accepts the value. */
export function either<A, B, C, D>(a: Field<A, B>, b: Field<C, D>): Field<A | C, B | D, false> {
  const takes = (f: Field<unknown, unknown>, x: unknown, where: Where) => {
    try {
      return f.parts.read(x, where);
    } catch {
      return undefined;
    }
  };
  return new Field<A | C, B | D, false>({
    expected: `${a.parts.expected}, or ${b.parts.expected}`,
    read: (x, where) => {
      const first = takes(a as never, x, where);
      return (first === undefined ? b.parts.read(x, where) : first) as B | D | undefined;
    },
    write: (x) => {
      const isA = takes(a as never, x, { owner: "", option: "" }) !== undefined;
      return isA ? a.parts.write(x as B) : b.parts.write(x as D);
    },
  });
}
