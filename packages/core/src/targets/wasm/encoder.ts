/** Assembles a WebAssembly module from function bodies: one imported memory, functions, exports, and names for profilers. */
import { unsignedLeb } from "./code.ts";

/** Pages that the module declares as the memory's maximum: any memory has less. */
const MAXIMUM_PAGES = 65536;
const I32 = 0x7f;

interface FunctionEntry {
  readonly name: string;
  readonly type: number;
  readonly body: Uint8Array;
}

/** Functions take and return i32 only: addresses, counts and status. */
export class ModuleBuilder {
  private readonly shared: boolean;
  private readonly types: { readonly parameters: number; readonly results: number }[] = [];
  private readonly functions: FunctionEntry[] = [];
  private readonly exports: { readonly name: string; readonly index: number }[] = [];

  /** The module imports `env.memory`, shared or not. */
  constructor(options: { shared: boolean }) {
    this.shared = options.shared;
  }

  /** Adds a function; `body` holds local declarations, instructions and the final `end`. Returns its index. */
  addFunction(name: string, parameters: number, results: number, body: Uint8Array): number {
    let type = this.types.findIndex((t) => t.parameters === parameters && t.results === results);
    if (type < 0) type = this.types.push({ parameters, results }) - 1;
    return this.functions.push({ name, type, body }) - 1;
  }

  exportFunction(name: string, index: number): void {
    this.exports.push({ name, index });
  }

  finish(): Uint8Array {
    const types = this.types.flatMap(({ parameters, results }) => [
      0x60,
      ...unsignedLeb(parameters),
      ...new Array<number>(parameters).fill(I32),
      ...unsignedLeb(results),
      ...new Array<number>(results).fill(I32),
    ]);
    const limits = [this.shared ? 3 : 1, ...unsignedLeb(1), ...unsignedLeb(MAXIMUM_PAGES)];
    const exported = this.exports.flatMap(({ name, index }) => [...text(name), 0, ...unsignedLeb(index)]);
    const bodies = this.functions.flatMap(({ body }) => [Uint8Array.from(unsignedLeb(body.length)), body]);
    const names = this.functions.flatMap(({ name }, i) => [...unsignedLeb(i), ...text(name)]);
    const count = unsignedLeb(this.functions.length);
    const functionNames = [...count, ...names];
    return concat([
      Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0),
      ...section(1, [[...unsignedLeb(this.types.length), ...types]]),
      ...section(2, [[1, ...text("env"), ...text("memory"), 2, ...limits]]),
      ...section(3, [[...count, ...this.functions.flatMap(({ type }) => unsignedLeb(type))]]),
      ...section(7, [[...unsignedLeb(this.exports.length), ...exported]]),
      ...section(10, [count, ...bodies]),
      ...section(0, [[...text("name"), 1, ...unsignedLeb(functionNames.length), ...functionNames]]),
    ]);
  }
}

function text(value: string): number[] {
  const bytes = [...new TextEncoder().encode(value)];
  return [...unsignedLeb(bytes.length), ...bytes];
}

function section(id: number, parts: readonly ArrayLike<number>[]): Uint8Array[] {
  const length = parts.reduce((sum, p) => sum + p.length, 0);
  return [Uint8Array.from([id, ...unsignedLeb(length)]), ...parts.map((p) => Uint8Array.from(p))];
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}
