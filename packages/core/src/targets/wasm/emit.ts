/** Kernels as WebAssembly functions: SIMD values in v128 registers, addresses as pointers that loops advance. */
import type { Affine, Buffer, Const, Kernel, Local, LoopVar, Operand, Stmt, ValueType } from "../../compiler/loopir.ts";
import { storageBytes } from "../../compiler/loopir.ts";
import { scratchLayout } from "../../compiler/scratch.ts";
import { emitMemory } from "./emit-memory.ts";
import { emitOperation } from "./emit-operation.ts";
import { scalar as op } from "./opcodes.ts";
import { accessOf, constantKey, loopConstants, visit, withoutDead } from "./uses.ts";
import { type WasmType, Writer } from "./writer.ts";

export interface EmitOptions {
  /** The engine has `f32x4.relaxed_madd` and it rounds once. */
  readonly relaxedFma: boolean;
  readonly strict: boolean;
}

/** Vector constants kept in locals for the whole function. */
const maxHoisted = 12;

/**
 * Body of the function `(taskBegin, taskEnd, scratch, ...bufferPointers)`, all i32: runs tasks taskBegin … taskEnd-1.
 * Buffer pointers in the order of the kernel's non-scratch buffers.
 */
export function emitKernel(kernel: Kernel, options: EmitOptions): Uint8Array {
  return new KernelEmitter(kernel, options).emit();
}

/** Number of i32 parameters of a kernel's function. */
export function kernelParameters(kernel: Kernel): number {
  return 3 + kernel.buffers.filter((b) => b.access !== "scratch").length;
}

export class KernelEmitter {
  readonly w: Writer;
  readonly options: EmitOptions;
  private readonly kernel: Kernel;
  /** wasm locals of each LoopIR local, one per 4 lanes. */
  private readonly registers = new Map<number, readonly number[]>();
  private readonly mutable = new Set<number>();
  /** Registers that belong to the current block, released at its end. */
  private blockLocals: number[] = [];
  private readonly bases = new Map<Buffer, number>();
  private readonly pointers = new Map<string, number>();
  /** Variables in scope, outermost first, with the local of their value where somebody asks for it. */
  private readonly scope: LoopVar[] = [];
  private readonly variableLocals = new Map<LoopVar, number>();
  /** Iteration of an unrolled body: constant part of a variable's value. */
  private readonly unrolled = new Map<LoopVar, number>();
  private readonly hoisted = new Map<string, number>();
  /** Scalars that were spread over all lanes, by the vector's id. */
  private readonly splats = new Map<number, Operand>();
  /** Smallest constant of the accesses that share a pointer, where offsets alone cannot express them. */
  private readonly folds = new WeakMap<Affine, number>();

  constructor(kernel: Kernel, options: EmitOptions) {
    this.kernel = kernel;
    this.options = options;
    this.w = new Writer(kernelParameters(kernel));
  }

  emit(): Uint8Array {
    const { w, kernel } = this;
    const body = withoutDead(kernel.body);
    const layout = scratchLayout(kernel);
    let parameter = 3;
    for (const b of kernel.buffers) {
      if (b.access !== "scratch") {
        this.bases.set(b, parameter++);
        continue;
      }
      const local = w.local("i32");
      w.get(2).i32(layout.offsets.get(b)!).op(op.i32Add).set(local);
      this.bases.set(b, local);
    }
    visit(body, (s) => {
      if (s.kind === "var") this.mutable.add(s.dst.id);
    });
    for (const c of loopConstants(
      kernel.grid.length > 0 ? [{ kind: "loop", variable: { id: -1, name: "", extent: 1 }, body }] : body,
    ).slice(0, maxHoisted)) {
      const local = w.local("v128");
      this.constantBits(c);
      w.set(local);
      this.hoisted.set(constantKey(c), local);
    }
    this.planFolds(body);
    w.get(0).get(1).op(op.i32GeU).if().op(0x0f).end();
    this.decodeTask();
    const task = w.local("i32");
    w.get(0).set(task);
    w.loop();
    const setUp = this.taskPointers(body);
    this.block(body);
    for (const local of setUp) w.release(local);
    this.nextTask();
    w.get(task).i32(1).op(op.i32Add).tee(task).get(1).op(op.i32LtU).brIf(0);
    w.end();
    return w.finish();
  }

  /** Values of the task variables at taskBegin. */
  private decodeTask(): void {
    const { w } = this;
    let divisor = 1;
    for (let i = this.kernel.grid.length - 1; i >= 0; i--) {
      const v = this.kernel.grid[i];
      const local = w.local("i32");
      this.variableLocals.set(v, local);
      w.get(0);
      if (divisor > 1) w.i32(divisor).op(op.i32DivU);
      if (i > 0) w.i32(v.extent).op(op.i32RemU);
      w.set(local);
      divisor *= v.extent;
    }
    this.scope.push(...this.kernel.grid);
  }
  /** Advances the task variables like an odometer. */
  private nextTask(): void {
    const { w } = this;
    const { grid } = this.kernel;
    for (let i = grid.length - 1; i >= 0; i--) {
      const local = this.variableLocals.get(grid[i])!;
      w.get(local).i32(1).op(op.i32Add);
      if (i === 0) w.set(local);
      else w.tee(local).i32(grid[i].extent).op(op.i32Eq).if().i32(0).set(local);
    }
    for (let i = 1; i < grid.length; i++) w.end();
  }

  // ---- addresses

  /**
   * Offsets of memory operands are unsigned, and an address must not pass below zero on the way. Accesses that begin
   * below their buffer or walk downwards therefore get a pointer that contains the smallest constant among those that
   * share it. They share it only under the same conditions: the smallest one may be guarded because it is outside.
   */
  private planFolds(stmts: readonly Stmt[], groups = new Map<string, Affine[]>()): void {
    for (const s of stmts) {
      if (s.kind === "loop") this.planFolds(s.body, groups);
      else if (s.kind === "if") {
        this.planFolds(s.then);
        if (s.otherwise) this.planFolds(s.otherwise);
      }
      const a = accessOf(s);
      if (!a) continue;
      const terms = a.at.terms.map((t) => `${t.variable.id}*${t.stride}`).sort();
      const key = `${a.buffer.id} ${terms.join(" ")}`;
      const group = groups.get(key);
      if (group) group.push(a.at);
      else groups.set(key, [a.at]);
    }
    for (const group of groups.values()) {
      const smallest = Math.min(...group.map((at) => at.constant));
      if (smallest < 0 || group[0].terms.some((t) => t.stride < 0))
        for (const at of group) this.folds.set(at, smallest);
    }
  }

  /** Terms in order of nesting, and whether the constant must be part of the pointer (it could not be an offset). */
  private plan(
    buffer: Buffer,
    at: Affine,
  ): { root: string; folded: number; terms: { variable: LoopVar; bytes: number }[]; constant: number } {
    const size = storageBytes[buffer.type];
    const terms = at.terms
      .map((t) => ({ variable: t.variable, bytes: t.stride * size }))
      .sort((a, b) => this.nesting(a.variable) - this.nesting(b.variable));
    const folded = (this.folds.get(at) ?? 0) * size;
    return {
      root: folded !== 0 ? `${buffer.id}#${folded}` : `${buffer.id}`,
      folded,
      terms,
      constant: at.constant * size - folded,
    };
  }
  /** Depth of a variable; those of loops not entered yet come last. */
  private nesting(v: LoopVar): number {
    const i = this.scope.indexOf(v);
    return i < 0 ? Number.MAX_SAFE_INTEGER : i;
  }
  private static keyOf(root: string, terms: readonly { variable: LoopVar; bytes: number }[]): string {
    return root + terms.map((t) => `>${t.variable.id}*${t.bytes}`).join("");
  }

  /** All accesses in a block, each with the scope order that holds there. */
  private accesses(stmts: readonly Stmt[], each: (buffer: Buffer, at: Affine) => void): void {
    visit(stmts, (s) => {
      const a = accessOf(s);
      if (a) each(a.buffer, a.at);
    });
  }

  /** Pointers that depend on task variables (and folded constants) only. */
  private taskPointers(body: readonly Stmt[]): number[] {
    const { w } = this;
    const made: number[] = [];
    this.pointers.clear();
    const depth = this.scope.length;
    this.accesses(body, (buffer, at) => {
      const p = this.plan(buffer, at);
      const terms = p.terms.filter((t) => this.nesting(t.variable) < depth);
      const key = KernelEmitter.keyOf(p.root, terms);
      if (this.pointers.has(key)) return;
      const base = this.bases.get(buffer)!;
      if (terms.length === 0 && p.folded === 0) {
        this.pointers.set(key, base);
        return;
      }
      const local = w.local("i32");
      w.get(base);
      if (p.folded !== 0) w.i32(p.folded).op(op.i32Add);
      for (const t of terms) w.get(this.variableLocals.get(t.variable)!).i32(t.bytes).op(op.i32Mul).op(op.i32Add);
      w.set(local);
      this.pointers.set(key, local);
      made.push(local);
    });
    return made;
  }

  /** Puts the base of the address `extra` elements after `at` on the stack; returns the offset for the memory operand. */
  address(buffer: Buffer, at: Affine, extra = 0): number {
    const { w } = this;
    const p = this.plan(buffer, at);
    const pointer = this.pointers.get(KernelEmitter.keyOf(p.root, p.terms));
    if (pointer === undefined) throw new Error(`wasm: no pointer for ${buffer.name} in ${this.kernel.name}`);
    const size = storageBytes[buffer.type];
    let constant = p.constant + extra * size;
    for (const t of p.terms) constant += (this.unrolled.get(t.variable) ?? 0) * t.bytes;
    w.get(pointer);
    if (!at.dynamic && constant >= 0) return constant;
    if (at.dynamic) {
      this.push(at.dynamic, 0);
      if (size > 1) w.i32(Math.log2(size)).op(op.i32Shl);
      w.op(op.i32Add);
    }
    if (constant !== 0) w.i32(constant).op(op.i32Add);
    return 0;
  }

  // ---- values

  registerCount(lanes: number): number {
    return lanes === 1 ? 1 : Math.ceil(lanes / 4);
  }
  private wasmType(type: ValueType, lanes: number): WasmType {
    return lanes > 1 ? "v128" : type === "f32" ? "f32" : "i32";
  }
  /** Puts register r of an operand on the stack. */
  push(x: Operand, r: number): void {
    const { w } = this;
    if (x.kind === "local") {
      const registers = this.registers.get(x.id);
      if (!registers) throw new Error(`wasm: a value is used before it is defined in ${this.kernel.name}`);
      w.get(registers[r]);
    } else if (x.lanes > 1) {
      const local = this.hoisted.get(constantKey(x));
      if (local === undefined) this.constantBits(x);
      else w.get(local);
    } else if (x.type === "f32") w.f32(x.value);
    else w.i32(x.type === "mask" ? (x.value ? 1 : 0) : x.value);
  }
  private constantBits(c: Const): void {
    const word = c.type === "mask" ? (c.value ? 0xffffffff : 0) : c.value;
    this.w.v128([word, word, word, word], c.type === "f32");
  }
  /** Defines a value: `code` leaves register r on the stack. */
  define(dst: Local, code: (r: number) => void): void {
    const type = this.wasmType(dst.type, dst.lanes);
    const locals: number[] = [];
    for (let r = 0; r < this.registerCount(dst.lanes); r++) {
      code(r);
      const local = this.w.local(type);
      this.blockLocals.push(local);
      this.w.set(local);
      locals.push(local);
    }
    this.registers.set(dst.id, locals);
  }
  /** Defines a value whose registers are all equal. */
  defineSame(dst: Local, code: () => void): void {
    const local = this.w.local(this.wasmType(dst.type, dst.lanes));
    this.blockLocals.push(local);
    code();
    this.w.set(local);
    this.registers.set(dst.id, new Array(this.registerCount(dst.lanes)).fill(local));
  }
  noteSplat(dst: Local, a: Operand): void {
    if (a.kind === "const" || !this.mutable.has(a.id)) this.splats.set(dst.id, a);
  }
  /** The scalar that every lane of x holds, if x was made by spreading one. */
  splatSource(x: Operand): Operand | undefined {
    return x.kind === "local" && !this.mutable.has(x.id) ? this.splats.get(x.id) : undefined;
  }
  /** Gives a value another name; a copy when the source may change later. */
  alias(dst: Local, a: Operand): void {
    if (a.kind === "local" && !this.mutable.has(a.id)) this.registers.set(dst.id, this.registers.get(a.id)!);
    else this.define(dst, (r) => this.push(a, r));
  }

  // ---- statements

  private block(stmts: readonly Stmt[]): void {
    const outer = this.blockLocals;
    this.blockLocals = [];
    for (const s of stmts) this.stmt(s);
    for (const local of this.blockLocals) this.w.release(local);
    this.blockLocals = outer;
  }

  private stmt(s: Stmt): void {
    const { w } = this;
    switch (s.kind) {
      case "var":
        this.define(s.dst, (r) => this.push(s.init, r));
        return;
      case "assign": {
        const registers = this.registers.get(s.dst.id)!;
        registers.forEach((local, r) => {
          this.push(s.value, r);
          w.set(local);
        });
        return;
      }
      case "loop":
        this.loop(s.variable, s.body, s.unroll ?? 1);
        return;
      case "if":
        this.push(s.condition, 0);
        w.if();
        this.block(s.then);
        if (s.otherwise) {
          w.else();
          this.block(s.otherwise);
        }
        w.end();
        return;
      case "index":
        this.define(s.dst, () => this.indexValue(s.at));
        return;
      case "load":
      case "gather":
      case "store":
      case "prefetch":
        emitMemory(this, s);
        return;
      default:
        emitOperation(this, s);
    }
  }

  private indexValue(at: Affine): void {
    const { w } = this;
    let constant = at.constant;
    for (const t of at.terms) constant += (this.unrolled.get(t.variable) ?? 0) * t.stride;
    w.i32(constant);
    for (const t of at.terms) {
      w.get(this.variableLocals.get(t.variable)!);
      if (t.stride !== 1) w.i32(t.stride).op(op.i32Mul);
      w.op(op.i32Add);
    }
    if (at.dynamic) {
      this.push(at.dynamic, 0);
      w.op(op.i32Add);
    }
  }

  private loop(variable: LoopVar, body: readonly Stmt[], unroll: number): void {
    const { w } = this;
    const times = variable.extent % unroll === 0 ? unroll : 1;
    this.scope.push(variable);
    let valueUsed = false;
    visit(body, (s) => {
      if (s.kind === "index" && s.at.terms.some((t) => t.variable === variable)) valueUsed = true;
    });
    // One pointer per way of walking along this loop.
    const advancing: { key: string; local: number; bytes: number }[] = [];
    this.accesses(body, (buffer, at) => {
      const p = this.plan(buffer, at);
      const i = p.terms.findIndex((t) => t.variable === variable);
      if (i < 0) return;
      const key = KernelEmitter.keyOf(p.root, p.terms.slice(0, i + 1));
      if (this.pointers.has(key)) return;
      const from = this.pointers.get(KernelEmitter.keyOf(p.root, p.terms.slice(0, i)));
      if (from === undefined) throw new Error(`wasm: no base pointer for ${buffer.name} in ${this.kernel.name}`);
      const local = w.local("i32");
      w.get(from).set(local);
      this.pointers.set(key, local);
      advancing.push({ key, local, bytes: p.terms[i].bytes });
    });
    const counter = w.local("i32");
    w.i32(valueUsed ? 0 : variable.extent / times).set(counter);
    if (valueUsed) this.variableLocals.set(variable, counter);
    w.loop();
    for (let k = 0; k < times; k++) {
      if (times > 1) this.unrolled.set(variable, k);
      this.block(body);
    }
    this.unrolled.delete(variable);
    for (const a of advancing)
      w.get(a.local)
        .i32(a.bytes * times)
        .op(op.i32Add)
        .set(a.local);
    if (valueUsed) w.get(counter).i32(times).op(op.i32Add).tee(counter).i32(variable.extent).op(op.i32LtU).brIf(0);
    else w.get(counter).i32(-1).op(op.i32Add).tee(counter).brIf(0);
    w.end();
    for (const a of advancing) {
      this.pointers.delete(a.key);
      w.release(a.local);
    }
    w.release(counter);
    this.scope.pop();
  }
}
