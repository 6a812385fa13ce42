/** CSVLogger: one line per epoch to a sink of text (a file, in Node). */
import type { Logs } from "../training/options.ts";
import { Callback } from "./callback.ts";

export interface CSVLoggerOptions {
  readonly separator?: string;
}

export class CSVLogger extends Callback {
  private readonly write: (text: string) => void | Promise<void>;
  private readonly separator: string;
  private keys: string[] | null = null;

  constructor(write: (text: string) => void | Promise<void>, options: CSVLoggerOptions = {}) {
    super();
    this.write = write;
    this.separator = options.separator ?? ",";
  }
  override async onEpochEnd(epoch: number, logs: Logs): Promise<void> {
    let text = "";
    if (this.keys === null) {
      const names = Object.keys(logs).sort();
      // Validation columns stand even before the first validation, as Keras writes them.
      this.keys = names.some((n) => n.startsWith("val_")) ? names : [...names, ...names.map((n) => `val_${n}`)];
      text = this.line(["epoch", ...this.keys]);
    }
    await this.write(
      text + this.line([String(epoch), ...this.keys.map((k) => (k in logs ? pythonFloat(logs[k]) : "NA"))]),
    );
  }
  private line(cells: readonly string[]): string {
    const quote = (c: string) => (c.includes(this.separator) || /["\r\n]/.test(c) ? `"${c.replaceAll('"', '""')}"` : c);
    return `${cells.map(quote).join(this.separator)}\r\n`;
  }
}

/** A float as Python writes it: 1 is `1.0`. */
function pythonFloat(x: number): string {
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
  return Number.isInteger(x) && Math.abs(x) < 1e16 ? `${x}.0` : String(x);
}

/** Writes a CSV line per epoch through `write`. */
export function csvLogger(write: (text: string) => void | Promise<void>, options: CSVLoggerOptions = {}): CSVLogger {
  return new CSVLogger(write, options);
}
