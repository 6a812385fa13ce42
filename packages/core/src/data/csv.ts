/** Reads tables from text: comma-separated values (RFC 4180) with quotes, other separators, and missing values. */
import { LayerwiseError, nearestName } from "../errors.ts";
import { type Tensor, tensorFrom } from "../tensor/tensor.ts";

export interface CsvOptions {
  /** What messages call the text: a file's name. */
  readonly name?: string;
  /** One character between fields (default ","), or "whitespace" for any number of blanks and tabs. */
  readonly separator?: string;
  /** Whether the first row holds the columns' names (default true); or the names, for a table without that row. */
  readonly header?: boolean | readonly string[];
  /** Fields that stand for a value that is not known (default: "", "NA", "NaN", "nan", "null", "?"). Quoted ones do not. */
  readonly missing?: readonly string[];
  /** Blanks around fields without quotes are dropped (default true). */
  readonly trim?: boolean;
}

/** What to put where a number is missing: an error, a number, the last known one above it, or the column's mean. */
export type MissingNumber = "refuse" | "previous" | "mean" | number;

const defaultMissing = ["", "NA", "NaN", "nan", "null", "?"];

/** Columns of text by name. `null` stands for a missing value. */
export class Table {
  readonly name: string;
  readonly columns: readonly string[];
  readonly length: number;
  private readonly cells: readonly (readonly (string | null)[])[];
  /** Line of the text on which each row begins, from 1. */
  private readonly lines: readonly number[];

  /** `cells` by column, all of one length; `lines` of the rows, for messages. */
  constructor(
    name: string,
    columns: readonly string[],
    cells: readonly (readonly (string | null)[])[],
    lines: readonly number[],
  ) {
    this.name = name;
    this.columns = columns;
    this.cells = cells;
    this.lines = lines;
    this.length = lines.length;
  }

  /** The fields of a column as text. Throws D314 for an unknown name. */
  strings(column: string): readonly (string | null)[] {
    return this.cells[this.indexOf(column)];
  }

  /** A column as numbers. Throws D313 with row and line where there is none. */
  numbers(column: string, missing: MissingNumber = "refuse"): Float64Array {
    const cells = this.strings(column);
    const out = new Float64Array(this.length);
    let [sum, known] = [0, 0];
    for (let i = 0; i < this.length; i++) {
      const cell = cells[i];
      if (cell === null) {
        out[i] = Number.NaN;
        continue;
      }
      const value = cell === "" ? Number.NaN : Number(cell);
      if (!Number.isFinite(value)) {
        throw this.cellError(
          column,
          i,
          "is not a number",
          JSON.stringify(cell),
          "a number",
          "for words: table.categories(column)",
        );
      }
      out[i] = value;
      sum += value;
      known++;
    }
    if (known === this.length) return out;
    for (let i = 0; i < this.length; i++) {
      if (cells[i] !== null) continue;
      const filled =
        typeof missing === "number"
          ? missing
          : missing === "mean" && known > 0
            ? sum / known
            : missing === "previous" && i > 0
              ? out[i - 1]
              : null;
      if (filled === null) {
        const hint =
          missing === "previous"
            ? "nothing stands above it: drop the first rows"
            : 'say missing: 0, "mean" or "previous"';
        throw this.cellError(column, i, "is missing", "no value", "a number", hint);
      }
      out[i] = filled;
    }
    return out;
  }

  /** Columns side by side: f32 [rows, columns]. Default: all of them. */
  tensor(columns: readonly string[] = this.columns, missing: MissingNumber = "refuse"): Tensor {
    const out = new Float32Array(this.length * columns.length);
    columns.forEach((column, c) => {
      const values = this.numbers(column, missing);
      for (let i = 0; i < this.length; i++) out[i * columns.length + c] = values[i];
    });
    return tensorFrom(out, [this.length, columns.length], "f32");
  }

  /**
   * A column of words as class numbers: i32 [rows], and the words in the order of their numbers (sorted, or as given).
   * Throws D313 for a missing value or, with given names, for another word.
   */
  categories(column: string, names?: readonly string[]): { indices: Tensor; names: readonly string[] } {
    const cells = this.strings(column);
    const list = names ?? [...new Set(cells.filter((c): c is string => c !== null))].sort();
    const index = new Map(list.map((n, i) => [n, i]));
    const out = Int32Array.from(cells, (cell, i) => {
      const at = cell === null ? undefined : index.get(cell);
      if (at !== undefined) return at;
      throw this.cellError(
        column,
        i,
        cell === null ? "is missing" : "is none of the categories",
        cell === null ? "no value" : JSON.stringify(cell),
        list.slice(0, 8).join(", "),
      );
    });
    return { indices: tensorFrom(out, [this.length], "i32"), names: list };
  }

  /** The rows for which `keep` is true, by their number. */
  filter(keep: (row: number) => boolean): Table {
    const rows = this.lines.map((_, i) => i).filter(keep);
    return new Table(
      this.name,
      this.columns,
      this.cells.map((column) => rows.map((i) => column[i])),
      rows.map((i) => this.lines[i]),
    );
  }

  private indexOf(column: string): number {
    const at = this.columns.indexOf(column);
    if (at >= 0) return at;
    const near = nearestName(column, this.columns);
    throw new LayerwiseError(`${this.name} has no column "${column}"`, {
      code: "D314",
      layer: this.name,
      received: `"${column}"`,
      expected: this.columns.slice(0, 20).join(", "),
      hint: near === undefined ? undefined : `did you mean "${near}"?`,
    });
  }
  private cellError(
    column: string,
    row: number,
    what: string,
    received: string,
    expected: string,
    hint?: string,
  ): LayerwiseError {
    const message = `${this.name}: row ${row}, column "${column}" ${what} (line ${this.lines[row]})`;
    return new LayerwiseError(message, { code: "D313", layer: this.name, received, expected, hint });
  }
}

/**
 * Reads a table. Empty lines are skipped; rows count from 0 without the header, lines from 1. Throws E401 (not UTF-8), D311
 * (quotes that do not close or close early), D312 (a row with another number of fields, or a repeated column name).
 */
export function parseCsv(text: string | Uint8Array, options: CsvOptions = {}): Table {
  const name = options.name ?? "the table";
  const { header = true, trim = true } = options;
  const missing = new Set(options.missing ?? defaultMissing);
  const rows = readRows(typeof text === "string" ? text : decode(text, name), options.separator ?? ",", trim, name);
  const first = Array.isArray(header) ? null : header === true ? rows.shift() : null;
  const width = first?.fields.length ?? (Array.isArray(header) ? header.length : (rows[0]?.fields.length ?? 0));
  const columns = Array.isArray(header)
    ? (header as readonly string[])
    : (first?.fields ?? Array.from({ length: width }, (_, i) => String(i)));
  const twice = columns.find((c, i) => columns.indexOf(c) !== i);
  if (twice !== undefined) {
    throw new LayerwiseError(`${name} has two columns of one name`, {
      code: "D312",
      layer: name,
      received: `"${twice}"`,
      expected: "a name of its own for each column",
      hint: "pass header: [names…] and leave the first row out",
    });
  }
  for (const [i, row] of rows.entries()) {
    if (row.fields.length !== width) {
      throw new LayerwiseError(`${name}: row ${i} has another number of fields (line ${row.line})`, {
        code: "D312",
        layer: name,
        received: `${row.fields.length} fields`,
        expected: `${width}, as in ${first ? "the header" : "the first row"}`,
        hint: "a field that holds the separator needs quotes",
      });
    }
  }
  const cells = columns.map((_, c) =>
    rows.map(({ fields, quoted }) => (missing.has(fields[c]) && !quoted.has(c) ? null : fields[c])),
  );
  return new Table(
    name,
    columns,
    cells,
    rows.map((r) => r.line),
  );
}

interface Row {
  readonly line: number;
  readonly fields: string[];
  /** Fields that stood in quotes. */
  readonly quoted: ReadonlySet<number>;
}

const noQuotes: ReadonlySet<number> = new Set();

function readRows(text: string, separator: string, trim: boolean, name: string): Row[] {
  const rows: Row[] = [];
  const blank = separator === "whitespace";
  if (!blank && (separator.length !== 1 || separator === '"' || separator === "\n")) {
    throw new LayerwiseError("the separator of a table is one character", {
      code: "E202",
      layer: name,
      received: JSON.stringify(separator),
      expected: 'one character that is neither a quote nor a line end, or "whitespace"',
    });
  }
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  let line = 1;
  while (at < text.length) {
    let end = text.indexOf("\n", at);
    if (end < 0) end = text.length;
    const plain = text.slice(at, text[end - 1] === "\r" && end > at ? end - 1 : end);
    if (blank || !plain.includes('"')) {
      // The common case: no quotes, so a line is a row.
      if (plain.trim() !== "") {
        const fields = blank ? plain.trim().split(/\s+/) : plain.split(separator);
        rows.push({ line, fields: trim ? fields.map((f) => f.trim()) : fields, quoted: noQuotes });
      }
      line++;
      at = end + 1;
      continue;
    }
    const row = quotedRow(text, at, line, separator, trim, name);
    rows.push(row.row);
    line = row.nextLine;
    at = row.next;
  }
  return rows;
}

/** A row with quotes, which may go on over several lines. */
function quotedRow(
  text: string,
  start: number,
  firstLine: number,
  separator: string,
  trim: boolean,
  name: string,
): { row: Row; next: number; nextLine: number } {
  const fields: string[] = [];
  const quoted = new Set<number>();
  let at = start;
  let line = firstLine;
  const fail = (message: string, received: string): never => {
    throw new LayerwiseError(`${name}: ${message} (line ${line}, field ${fields.length + 1})`, {
      code: "D311",
      layer: name,
      received: JSON.stringify(received.slice(0, 40)),
      expected: 'fields as "…", with "" for a quote inside',
    });
  };
  const lineEnd = (i: number) => text[i] === "\n" || (text[i] === "\r" && text[i + 1] === "\n");
  for (;;) {
    let open = at;
    if (trim) while (text[open] === " " || (text[open] === "\t" && separator !== "\t")) open++;
    if (text[open] === '"') {
      let value = "";
      let from = open + 1;
      for (;;) {
        const close = text.indexOf('"', from);
        if (close < 0) return fail("a quote is never closed", text.slice(open));
        value += text.slice(from, close);
        from = close + 1;
        if (text[from] !== '"') break;
        value += '"';
        from++;
      }
      let after = from;
      while (text[after] === " ") after++;
      if (after < text.length && text[after] !== separator && !lineEnd(after))
        fail("something follows a closing quote", text.slice(open, after + 10));
      quoted.add(fields.length);
      fields.push(value);
      line += value.split("\n").length - 1;
      at = after;
    } else {
      let end = at;
      while (end < text.length && text[end] !== separator && !lineEnd(end)) end++;
      const value = text.slice(at, end);
      fields.push(trim ? value.trim() : value);
      at = end;
    }
    if (text[at] === separator) {
      at++;
      continue;
    }
    while (at < text.length && text[at] !== "\n") at++;
    return { row: { line: firstLine, fields, quoted }, next: at + 1, nextLine: line + 1 };
  }
}

function decode(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new LayerwiseError(
      `${name} is not UTF-8`,
      {
        code: "E401",
        layer: name,
        received: `${bytes.length} bytes in another encoding`,
        expected: "UTF-8",
        hint: 'decode it first, for example new TextDecoder("latin1").decode(bytes)',
      },
      { cause },
    );
  }
}
