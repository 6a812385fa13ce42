/** Compiled modules by content: programs whose bytes are equal share code, whatever their tables and addresses. */
import { compileWasm } from "../../platform/platform.ts";
import type { WasmMemory } from "./memory.ts";

/** Code shared by all programs whose bytes are equal. */
export interface Code {
  readonly id: number;
  readonly key: string;
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
  private readonly entries = new Map<string, Code[]>();
  private nextId = 1;

  constructor(memory: WasmMemory, revectorize: boolean) {
    this.memory = memory;
    this.revectorize = revectorize;
  }

  /** The code for these bytes, compiled synchronously if it is new. The caller counts itself among its users. */
  get(bytes: Uint8Array): Code {
    const key = contentKey(bytes);
    const known = this.entries.get(key) ?? [];
    const same = known.find((c) => equalBytes(c.bytes, bytes));
    if (same) return same;
    const module = compileWasm(bytes, this.revectorize);
    const { exports } = new WebAssembly.Instance(module, { env: { memory: this.memory.memory } });
    const code: Code = {
      id: this.nextId++,
      key,
      bytes,
      module,
      step: exports["step"] as Code["step"],
      run: exports["run"] as Code["run"],
      calls: exports["calls"] as Code["calls"],
      users: 0,
    };
    this.entries.set(key, [...known, code]);
    return code;
  }

  drop(code: Code): void {
    const others = this.entries.get(code.key)!.filter((c) => c !== code);
    if (others.length > 0) this.entries.set(code.key, others);
    else this.entries.delete(code.key);
  }
}

/** Length and 64 bits of hash (FNV-1a over words, two seeds); equality of the bytes is checked besides. */
function contentKey(bytes: Uint8Array): string {
  let a = 0x811c9dc5;
  let b = 0x9747b28c;
  for (let i = 0; i < bytes.length; i++) {
    a = Math.imul(a ^ bytes[i]!, 0x01000193);
    b = Math.imul(b ^ bytes[i]!, 0x5bd1e995);
  }
  return `${bytes.length}:${(a >>> 0).toString(16)}:${(b >>> 0).toString(16)}`;
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}
