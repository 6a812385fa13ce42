/** Child processes that answer one line of JSON to each line they are sent. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";

/** A child that can be asked. */
export class Child {
  private readonly process: ChildProcess;
  private readonly lines: AsyncIterator<string>;
  private readonly reader: Interface;
  private readonly name: string;
  private messages = "";

  /** A `quiet` child's messages are kept for the error that tells of its end instead of being shown. */
  constructor(
    name: string,
    command: string,
    args: readonly string[],
    messages: "shown" | "quiet" = "shown",
    environment: Readonly<Record<string, string>> = {},
  ) {
    this.name = name;
    this.process = spawn(command, args, {
      stdio: ["pipe", "pipe", messages === "quiet" ? "pipe" : "inherit"],
      env: { ...process.env, ...environment },
    });
    // A command that does not exist closes the pipes as well; the missing answer is the error.
    this.process.on("error", (error) => {
      this.messages += `${error.message}\n`;
    });
    this.process.stdin!.on("error", () => {});
    this.process.stderr?.on("data", (text: Buffer) => {
      this.messages = (this.messages + text.toString()).slice(-20000);
    });
    this.reader = createInterface({ input: this.process.stdout! });
    this.lines = this.reader[Symbol.asyncIterator]();
  }

  /** Sends a line and waits for the answer; lines that are not JSON are the program's own output and skipped. */
  async ask<T>(line: string): Promise<T> {
    this.process.stdin!.write(`${line}\n`);
    for (;;) {
      const { value, done } = await this.lines.next();
      if (done) throw new Error(`${this.name} ended without an answer to "${line}"${await this.lastMessage()}`);
      if (value.startsWith("{")) return JSON.parse(value) as T;
    }
  }

  /** The line that names the error: in Python's tracebacks the last one, in Node's the one that begins with it. */
  private async lastMessage(): Promise<string> {
    // The end of the output may come before the last messages.
    await new Promise((resolve) => setTimeout(resolve, 100));
    const lines = this.messages.split("\n").filter((l) => l.trim() !== "");
    const line = lines.findLast((l) => /^\w*(Error|Exception)\b/.test(l)) ?? lines.at(-1);
    return line ? `: ${line.slice(0, 200)}` : "; its messages are above";
  }

  close(): void {
    this.process.stdin!.end();
    this.reader.close();
    this.process.kill();
  }
}

/** Answers `handle` to each line of stdin until it closes. */
export async function answerLines(handle: (line: string) => Promise<unknown>): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() !== "") console.log(JSON.stringify(await handle(line.trim())));
  }
}
