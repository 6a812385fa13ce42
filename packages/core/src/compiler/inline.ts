/** Puts kernels inside another kernel: their tasks become loops, their buffers places in the memory of the whole. */
import { affine } from "./builder.ts";
import {
  type Affine,
  type Buffer,
  type Kernel,
  type Local,
  type LoopVar,
  type Operand,
  type Stmt,
  type StorageType,
  storageBytes,
} from "./loopir.ts";

/** Where a buffer of an inlined kernel lies: elements from the start of a buffer of the whole, growing with its loops. */
export interface Spot {
  readonly buffer: Buffer;
  readonly at: Affine;
}

/** The kernel being put together. Blocks nest: `loop`, `branch` and `repeat` collect what is appended while they run. */
export class InlineBuilder {
  readonly name: string;
  readonly buffers: Buffer[] = [];
  readonly grid: LoopVar[] = [];
  private readonly body: Stmt[] = [];
  private block = this.body;
  private nextLocal = 0;
  private nextVariable = 0;
  /** How often the current block runs, and what all inlined kernels cost together. */
  private times = 1;
  private flops = 0;
  private bytes = 0;
  private readonly scratch = new Map<StorageType, Buffer>();

  constructor(name: string) {
    this.name = name;
  }

  buffer(name: string, type: StorageType, size: number, access: Buffer["access"]): Buffer {
    const b: Buffer = { id: this.buffers.length, name, type, size, access };
    this.buffers.push(b);
    return b;
  }
  task(name: string, extent: number): LoopVar {
    const v = this.variable(name, extent);
    this.grid.push(v);
    this.times *= extent;
    return v;
  }
  variable(name: string, extent: number): LoopVar {
    return { id: this.nextVariable++, name, extent };
  }
  local(type: Local["type"], lanes: number): Local {
    return { kind: "local", id: this.nextLocal++, type, lanes };
  }
  push(stmt: Stmt): void {
    this.block.push(stmt);
  }

  /** Runs `body` for every value of a new variable. */
  loop(variable: LoopVar, body: () => void): void {
    if (variable.extent === 0) return;
    if (variable.extent === 1) {
      body();
      return;
    }
    this.times *= variable.extent;
    const stmts = this.within(body);
    this.times /= variable.extent;
    this.block.push({ kind: "loop", variable, body: stmts });
  }
  branch(condition: Operand, then: () => void, otherwise?: () => void): void {
    const first = this.within(then);
    const second = otherwise && this.within(otherwise);
    this.block.push(
      second ? { kind: "if", condition, then: first, otherwise: second } : { kind: "if", condition, then: first },
    );
  }
  /** `test` appends statements and returns the condition. */
  repeat(test: () => Operand, body: () => void): void {
    let condition: Operand | null = null;
    const first = this.within(() => {
      condition = test();
    });
    const stmts = this.within(body);
    this.block.push({ kind: "while", test: first, condition: condition!, body: stmts });
  }
  within(body: () => void): Stmt[] {
    const saved = this.block;
    const inner: Stmt[] = [];
    this.block = inner;
    body();
    this.block = saved;
    return inner;
  }

  /** Appends a whole kernel. `spots` in the order of its buffers that are not scratch. */
  inline(kernel: Kernel, spots: readonly Spot[]): void {
    const map = new Map<Buffer, Spot>();
    let bound = 0;
    const used = new Map<StorageType, number>();
    for (const b of kernel.buffers) {
      if (b.access !== "scratch") {
        map.set(b, spots[bound++]);
        continue;
      }
      const from = used.get(b.type) ?? 0;
      const line = 64 / storageBytes[b.type];
      used.set(b.type, from + Math.ceil(b.size / line) * line + line);
      map.set(b, { buffer: this.scratchOf(b.type, from + b.size), at: affine(from) });
    }
    const variables = new Map<LoopVar, LoopVar>();
    for (const v of kernel.grid) variables.set(v, this.variable(v.name, v.extent));
    this.flops += kernel.flops * this.times;
    this.bytes += kernel.bytes * this.times;
    const copy = new Copier(this, map, variables);
    const nest = (i: number): void => {
      if (i === kernel.grid.length) for (const s of copy.all(kernel.body)) this.block.push(s);
      else this.loop(variables.get(kernel.grid[i])!, () => nest(i + 1));
    };
    nest(0);
  }

  finish(): Kernel {
    const { name, grid, flops, bytes } = this;
    const now = (b: Buffer): Buffer => this.sized.get(b) ?? b;
    // Scratch grew while kernels were appended: statements name the buffer as it is now.
    return {
      name,
      grid,
      flops,
      bytes,
      buffers: this.buffers.map(now),
      body: this.sized.size === 0 ? this.body : renamed(this.body, now),
    };
  }

  private readonly sized = new Map<Buffer, Buffer>();
  private scratchOf(type: StorageType, size: number): Buffer {
    let b = this.scratch.get(type);
    if (!b) {
      b = this.buffer(`scratch_${type}`, type, size, "scratch");
      this.scratch.set(type, b);
    }
    const current = this.sized.get(b) ?? b;
    if (size > current.size) this.sized.set(b, { ...b, size });
    return b;
  }
}

function renamed(stmts: readonly Stmt[], now: (b: Buffer) => Buffer): Stmt[] {
  return stmts.map((s): Stmt => {
    if (s.kind === "loop") return { ...s, body: renamed(s.body, now) };
    if (s.kind === "while") return { ...s, test: renamed(s.test, now), body: renamed(s.body, now) };
    if (s.kind === "if") {
      const then = renamed(s.then, now);
      return s.otherwise ? { ...s, then, otherwise: renamed(s.otherwise, now) } : { ...s, then };
    }
    return "buffer" in s ? { ...s, buffer: now(s.buffer) } : s;
  });
}

/** Statements with locals, variables and buffers replaced. */
class Copier {
  private readonly b: InlineBuilder;
  private readonly spots: ReadonlyMap<Buffer, Spot>;
  private readonly variables: Map<LoopVar, LoopVar>;
  private readonly locals = new Map<Local, Local>();

  constructor(b: InlineBuilder, spots: ReadonlyMap<Buffer, Spot>, variables: Map<LoopVar, LoopVar>) {
    this.b = b;
    this.spots = spots;
    this.variables = variables;
  }

  all(stmts: readonly Stmt[]): Stmt[] {
    return stmts.map((s) => this.one(s));
  }

  private local(x: Local): Local {
    let to = this.locals.get(x);
    if (!to) {
      to = this.b.local(x.type, x.lanes);
      this.locals.set(x, to);
    }
    return to;
  }
  private operand(x: Operand): Operand {
    return x.kind === "const" ? x : this.local(x);
  }
  private variable(v: LoopVar): LoopVar {
    let to = this.variables.get(v);
    if (!to) {
      to = this.b.variable(v.name, v.extent);
      this.variables.set(v, to);
    }
    return to;
  }
  private affine(at: Affine): Affine {
    const terms = at.terms.map((t) => ({ variable: this.variable(t.variable), stride: t.stride }));
    return at.dynamic
      ? { constant: at.constant, terms, dynamic: this.operand(at.dynamic) }
      : { constant: at.constant, terms };
  }
  private access(buffer: Buffer, at: Affine): { buffer: Buffer; at: Affine } {
    const spot = this.spots.get(buffer)!;
    return { buffer: spot.buffer, at: affine(this.affine(at), spot.at) };
  }

  private one(s: Stmt): Stmt {
    switch (s.kind) {
      case "unary":
      case "convert":
      case "bitcast":
      case "splat":
      case "any":
      case "extract":
      case "broadcastLane":
      case "half":
        return { ...s, dst: this.local(s.dst), a: this.operand(s.a) };
      case "binary":
      case "compare":
      case "zip":
        return { ...s, dst: this.local(s.dst), a: this.operand(s.a), b: this.operand(s.b) };
      case "fma":
        return { ...s, dst: this.local(s.dst), a: this.operand(s.a), b: this.operand(s.b), c: this.operand(s.c) };
      case "select":
        return { ...s, dst: this.local(s.dst), mask: this.operand(s.mask), a: this.operand(s.a), b: this.operand(s.b) };
      case "iota":
        return { ...s, dst: this.local(s.dst) };
      case "index":
        return { ...s, dst: this.local(s.dst), at: this.affine(s.at) };
      case "load":
        return { ...s, dst: this.local(s.dst), ...this.access(s.buffer, s.at) };
      case "gather":
        return { ...s, dst: this.local(s.dst), ...this.access(s.buffer, s.at), indices: this.operand(s.indices) };
      case "store":
        return { ...s, ...this.access(s.buffer, s.at), value: this.operand(s.value) };
      case "prefetch":
      case "tileLoad":
      case "tileStore":
        return { ...s, ...this.access(s.buffer, s.at) };
      case "tileZero":
      case "tileDot":
        return s;
      case "var":
        return { ...s, dst: this.local(s.dst), init: this.operand(s.init) };
      case "assign":
        return { ...s, dst: this.local(s.dst), value: this.operand(s.value) };
      case "loop":
        return { ...s, variable: this.variable(s.variable), body: this.all(s.body) };
      case "while": {
        const test = this.all(s.test);
        return { ...s, test, condition: this.operand(s.condition), body: this.all(s.body) };
      }
      case "if": {
        const then = this.all(s.then);
        const condition = this.operand(s.condition);
        return s.otherwise ? { ...s, condition, then, otherwise: this.all(s.otherwise) } : { ...s, condition, then };
      }
      default:
        return s satisfies never;
    }
  }
}
