/** Kernels as WebAssembly functions: SIMD values in v128 registers, addresses as pointers that loops advance. */
import type { Affine, Buffer, Const, Kernel, Local, LoopVar, Operand, Stmt, ValueType } from "../../compiler/loopir.ts";
import { storageBytes, visit } from "../../compiler/loopir.ts";
import { scratchLayout } from "../../compiler/scratch.ts";
import { AddressPlan, type Pointer } from "./addresses.ts";
import { emitMemory, type MemoryStmt } from "./emit-memory.ts";
import { emitOperation } from "./emit-operation.ts";
import { scalar as op, vector as simd } from "./opcodes.ts";
import { PairPlan } from "./pairs.ts";
import { constantKey, loopConstants, withoutDead } from "./uses.ts";
import { type WasmType, Writer } from "./writer.ts";

export interface EmitOptions {
  /** The engine has `f32x4.relaxed_madd` and it rounds once. */
  readonly relaxedFma: boolean;
  readonly strict: boolean;
  /** The engine fuses pairs of 128-bit operations: which ones is then for the code to say. */
  readonly revectorize?: boolean;
}

/** Vector constants kept in locals for the whole function. */
const maxHoisted = 24;

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
  private readonly body: readonly Stmt[];
  private readonly plan: AddressPlan;
  /** Values of task variables, and of loop variables in scope where somebody asks for them. */
  private readonly variableLocals = new Map<LoopVar, number>();
  /** Iteration of an unrolled body: constant part of a variable's value. */
  private readonly unrolled = new Map<LoopVar, number>();
  private readonly hoisted = new Map<string, number>();
  /** The same for code beside packed values, which must not share a register with them. */
  private readonly hoistedApart = new Map<string, number>();
  /** What the engine will pack; null where it packs nothing. */
  readonly pairs: PairPlan | null;
  /** The instruction under way will be half of a 256-bit one. */
  private packing = false;
  /** Copies of packed values for 128-bit code, by their registers. */
  private readonly copies = new Map<readonly number[], readonly number[]>();
  /** Locals that hold packed values. */
  private readonly packed = new Set<number>();
  /** A local that stays zero. */
  private zero = -1;
  /** Scalars that were spread over all lanes, by the vector's id. */
  private readonly splats = new Map<number, Operand>();

  constructor(kernel: Kernel, options: EmitOptions) {
    this.kernel = kernel;
    this.options = options;
    this.w = new Writer(kernelParameters(kernel));
    this.body = withoutDead(kernel.body);
    this.plan = new AddressPlan(kernel, this.body);
    this.pairs = options.revectorize ? new PairPlan(this.body) : null;
  }

  emit(): Uint8Array {
    const { w, kernel, body } = this;
    const layout = scratchLayout(kernel);
    if (this.pairs) this.zero = w.local("v128");
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
      for (const [into, used] of [
        [this.hoisted, this.pairs?.packsConstant(c) !== false],
        [this.hoistedApart, this.pairs?.leavesConstant(c)],
      ] as const) {
        if (!used) continue;
        const local = w.local("v128");
        this.constantBits(c);
        w.set(local);
        into.set(constantKey(c), local);
      }
    }
    w.get(0).get(1).op(op.i32GeU).if().op(0x0f).end();
    this.decodeTask();
    const task = w.local("i32");
    w.get(0).set(task);
    w.loop();
    const setUp = this.taskPointers();
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

  /** Sets the pointers that depend on task variables only; returns the locals made for them. */
  private taskPointers(): number[] {
    const { w } = this;
    const made: number[] = [];
    for (const pointer of this.plan.tasks) {
      let root = pointer;
      while (root.parent) root = root.parent;
      const base = this.bases.get(root.buffer)!;
      if (root === pointer && root.bytes === 0) {
        pointer.local = base;
        continue;
      }
      w.get(base);
      if (root.bytes !== 0) w.i32(root.bytes).op(op.i32Add);
      for (let p = pointer; p !== root; p = p.parent!)
        w.get(this.variableLocals.get(p.variable!)!).i32(p.bytes).op(op.i32Mul).op(op.i32Add);
      pointer.local = w.local("i32");
      w.set(pointer.local);
      made.push(pointer.local);
    }
    return made;
  }

  /** Puts the base of the address `extra` elements after a statement's on the stack; returns the offset for the operand. */
  address(s: MemoryStmt, extra = 0): number {
    const { w } = this;
    const { pointer, offset } = this.plan.places.get(s)!;
    if (pointer.local === undefined) throw new Error(`wasm: no pointer for ${s.buffer.name} in ${this.kernel.name}`);
    const size = storageBytes[s.buffer.type];
    let constant = offset + extra * size;
    if (this.unrolled.size > 0)
      for (let p: Pointer | null = pointer; p?.variable; p = p.parent)
        constant += (this.unrolled.get(p.variable) ?? 0) * p.bytes;
    w.get(pointer.local);
    const dynamic = s.at.dynamic;
    if (!dynamic && constant >= 0) return constant;
    if (dynamic) {
      this.push(dynamic, 0);
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
  /** Puts register r of an operand on the stack; `direct` where an instruction may read a packed value as it is. */
  push(x: Operand, r: number, direct = false): void {
    const { w } = this;
    if (x.kind === "local") {
      const registers = this.registers.get(x.id);
      if (!registers) throw new Error(`wasm: a value is used before it is defined in ${this.kernel.name}`);
      if (this.packing || direct || !this.pairs?.holds(x, r)) w.get(registers[r]);
      else {
        const copies = this.copies.get(registers);
        if (copies) w.get(copies[r]);
        else w.get(registers[r]).get(registers[r]).simd(simd.or);
      }
    } else if (x.lanes > 1) {
      const local = (this.pairs && !this.packing ? this.hoistedApart : this.hoisted).get(constantKey(x));
      if (local === undefined) this.constantBits(x);
      else w.get(local);
    } else if (x.type === "f32") w.f32(x.value);
    else w.i32(x.type === "mask" ? (x.value ? 1 : 0) : x.value);
  }
  /** The same for a packed instruction. */
  pushPacked(x: Operand, r: number): void {
    this.packing = true;
    this.push(x, r);
    this.packing = false;
  }
  private constantBits(c: Const): void {
    const word = c.type === "mask" ? (c.value ? 0xffffffff : 0) : c.value;
    this.w.v128([word, word, word, word], c.type === "f32");
  }
  /** Defines a value: `code` leaves register r on the stack. */
  define(dst: Local, code: (r: number) => void): void {
    const type = this.wasmType(dst.type, dst.lanes);
    const locals: number[] = [];
    const count = this.registerCount(dst.lanes);
    for (let r = 0; r < count; r++) {
      this.packing = this.pairs?.holds(dst, r) === true;
      code(r);
      const local = this.w.local(type);
      this.blockLocals.push(local);
      if (this.packing) this.packed.add(local);
      this.packing = false;
      this.w.set(local);
      locals.push(local);
    }
    this.registers.set(dst.id, locals);
    this.copyForOthers(dst, locals);
  }
  /** Defines a value whose registers are all equal. */
  defineSame(dst: Local, code: () => void): void {
    const local = this.w.local(this.wasmType(dst.type, dst.lanes));
    this.blockLocals.push(local);
    code();
    this.w.set(local);
    if (this.pairs?.holds(dst, 0)) this.packed.add(local);
    const registers = new Array<number>(this.registerCount(dst.lanes)).fill(local);
    this.registers.set(dst.id, registers);
    this.copyForOthers(dst, registers);
  }
  private copyForOthers(dst: Local, registers: readonly number[]): void {
    if (dst.lanes === 1 || !this.pairs?.crosses(dst)) return;
    const { w } = this;
    const made = new Map<number, number>();
    for (const register of registers) {
      if (made.has(register)) continue;
      const local = w.local("v128");
      this.blockLocals.push(local);
      w.get(register).get(register).simd(simd.or).set(local);
      made.set(register, local);
    }
    this.copies.set(
      registers,
      registers.map((register) => made.get(register)!),
    );
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

  /** Names half the registers of a value; copies when it may change later. */
  part(dst: Local, a: Operand, half: 0 | 1): void {
    const first = half * this.registerCount(dst.lanes);
    const registers = a.kind === "local" && !this.mutable.has(a.id) ? this.registers.get(a.id) : undefined;
    if (registers) this.registers.set(dst.id, registers.slice(first, first + this.registerCount(dst.lanes)));
    else this.define(dst, (r) => this.push(a, first + r));
  }

  // ---- statements

  /** `then` may still use what the block defines. */
  private block(stmts: readonly Stmt[], then?: () => void): void {
    const outer = this.blockLocals;
    this.blockLocals = [];
    for (const s of stmts) this.stmt(s);
    then?.();
    for (const local of this.blockLocals) {
      this.forget(local);
      this.w.release(local);
    }
    this.blockLocals = outer;
  }

  /**
   * Around a loop or a branch V8 makes a value of everything that it assigns, needed or not. For its pass that would be one
   * more reader of a packed value, and such readers count against packing at all.
   */
  private forget(local: number): void {
    if (this.packed.delete(local)) this.w.get(this.zero).set(local);
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
          if (this.pairs?.holds(s.dst, r)) this.pushPacked(s.value, r);
          else this.push(s.value, r);
          w.set(local);
        });
        return;
      }
      case "loop":
        this.loop(s);
        return;
      case "while":
        w.block();
        w.loop();
        this.block(s.test, () => {
          this.push(s.condition, 0);
          w.op(op.i32Eqz).brIf(1);
        });
        this.block(s.body);
        w.br(0);
        w.end();
        w.end();
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

  private loop(s: Extract<Stmt, { kind: "loop" }>): void {
    const { w } = this;
    const { variable, body, unroll = 1 } = s;
    const times = variable.extent % unroll === 0 ? unroll : 1;
    const { pointers, valueUsed } = this.plan.loops.get(s)!;
    for (const p of pointers) {
      if (p.parent?.local === undefined) throw new Error(`wasm: no base for ${p.buffer.name} in ${this.kernel.name}`);
      p.local = w.local("i32");
      w.get(p.parent.local).set(p.local);
    }
    const counter = w.local("i32");
    w.i32(valueUsed ? 0 : variable.extent / times).set(counter);
    if (valueUsed) this.variableLocals.set(variable, counter);
    w.loop();
    for (let k = 0; k < times; k++) {
      if (times > 1) this.unrolled.set(variable, k);
      this.block(body);
    }
    this.unrolled.delete(variable);
    for (const p of pointers)
      w.get(p.local!)
        .i32(p.bytes * times)
        .op(op.i32Add)
        .set(p.local!);
    if (valueUsed) w.get(counter).i32(times).op(op.i32Add).tee(counter).i32(variable.extent).op(op.i32LtU).brIf(0);
    else w.get(counter).i32(-1).op(op.i32Add).tee(counter).brIf(0);
    w.end();
    for (const p of pointers) {
      w.release(p.local!);
      p.local = undefined;
    }
    w.release(counter);
  }
}
