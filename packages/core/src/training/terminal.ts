/** Where the training line goes: the process's output where there is one, else the console, line by line. */
import { ProgressLine } from "./progress.ts";

interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** A training line on this process's output. */
export function progressLine(verbose: 0 | 1 | 2): ProgressLine {
  const out = (globalThis as { process?: { stdout?: Output } }).process?.stdout;
  if (out && typeof out.write === "function") {
    return new ProgressLine({
      write: (text) => void out.write(text),
      isTty: out.isTTY === true,
      verbose,
      columns: () => out.columns,
    });
  }
  let line = "";
  const write = (text: string) => {
    line += text;
    const parts = line.split("\n");
    line = parts.pop()!;
    for (const p of parts) console.log(p);
  };
  return new ProgressLine({ write, isTty: false, verbose });
}
