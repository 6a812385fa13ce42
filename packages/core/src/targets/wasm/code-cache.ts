/** Compiled modules by content: programs whose bytes are equal share code, whatever their tables and addresses. */
import { compileWasm } from "../../platform/platform.ts";
import type { WasmMemory } from "./memory.ts";

/** Code shared by all programs whose bytes are equal. */
export interface Code {
  readonly id: number;
  readonly bytes: Uint8Array;
  readonly module: WebAssembly.Module;
  readonly step: ((thread: number, control: number, generation: number, sync: number) => number) | undefined;
  readonly run: (control: number) => void;
  readonly calls: (
    control: number,
    scratch: number,
    record: number,
    callTable: number,
    first: number,
    last: number,
  ) => void;
  /** Executables that use it. */
  users: number;
}

export class CodeCache {
  private readonly memory: WasmMemory;
  private readonly revectorize: boolean;
  /** By the length of their bytes: two modules of one length are rare, and differ soon. */
  private readonly entries = new Map<number, Code[]>();
  private nextId = 1;

  constructor(memory: WasmMemory, revectorize: boolean) {
    this.memory = memory;
    this.revectorize = revectorize;
  }

  /** The code for these bytes, compiled synchronously if it is new. The caller counts itself among its users. */
  get(bytes: Uint8Array): Code {
    const known = this.entries.get(bytes.length) ?? [];
    const same = known.find((c) => equalBytes(c.bytes, bytes));
    if (same) return same;
    const module = compileWasm(bytes, this.revectorize);
    const { exports } = new WebAssembly.Instance(module, { env: { memory: this.memory.memory } });
    const code: Code = {
      id: this.nextId++,
      bytes,
      module,
      step: exports["step"] as Code["step"],
      run: exports["run"] as Code["run"],
      calls: exports["calls"] as Code["calls"],
      users: 0,
    };
    this.entries.set(bytes.length, [...known, code]);
    return code;
  }

  drop(code: Code): void {
    const { length } = code.bytes;
    const others = this.entries.get(length)!.filter((c) => c !== code);
    if (others.length > 0) this.entries.set(length, others);
    else this.entries.delete(length);
  }
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return a.length === b.length;
}
