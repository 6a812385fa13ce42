/** Child processes that answer one line of JSON to each line they are sent. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";

/** A child that has said it is ready and can be asked. */
export class Child {
  private readonly process: ChildProcess;
  private readonly lines: AsyncIterator<string>;
  private readonly reader: Interface;
  private readonly name: string;

  constructor(name: string, command: string, args: readonly string[]) {
    this.name = name;
    this.process = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
    // A command that does not exist closes the pipes as well; the missing answer is the error.
    this.process.on("error", () => {});
    this.process.stdin!.on("error", () => {});
    this.reader = createInterface({ input: this.process.stdout! });
    this.lines = this.reader[Symbol.asyncIterator]();
  }

  /** Sends a line and waits for the answer; lines that are not JSON are the program's own output and skipped. */
  async ask<T>(line: string): Promise<T> {
    this.process.stdin!.write(`${line}\n`);
    for (;;) {
      const { value, done } = await this.lines.next();
      if (done) throw new Error(`${this.name} ended without an answer to "${line}"; its messages are above`);
      if (value.startsWith("{")) return JSON.parse(value) as T;
    }
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
