/**
 * Which values V8 may fuse to 256 bits. Its pass starts at two stores side by side and packs all that their values are
 * made of. Where a packed value is read by 128-bit code too, both share a register whose width V8 13.6 confuses: an
 * accumulator that begins with the zeros of a packed one may lose its upper half. So the two kinds of code are kept apart:
 * this plan says what will be packed, and nothing else can be (see `KernelEmitter` and docs/performance.md).
 */
import type { Const, Local, Operand, Stmt } from "../../compiler/loopir.ts";
import { storageBytes, visit } from "../../compiler/loopir.ts";
import { constantKey, operandsOf } from "./uses.ts";

type Store = Extract<Stmt, { kind: "store" }>;

/** Pairs of registers (8 lanes) of a value. */
const pairsOf = (x: Operand) => x.lanes >> 3;

export class PairPlan {
  /** What defines each local: one statement, or a `var` and its `assign`s. */
  private readonly definitions = new Map<number, Stmt[]>();
  /** Locals that share the registers of another one. */
  private readonly aliases = new Map<number, number>();
  private readonly unpackable = new Set<number>();
  /** For each local the pairs of its registers that are packed, as bits. */
  private readonly packed = new Map<number, number>();
  /** Packed locals that 128-bit code reads where that may be a move (see `copies`). */
  private readonly crossing = new Set<number>();
  private readonly packedConstants = new Set<string>();
  private readonly otherConstants = new Set<string>();

  constructor(body: readonly Stmt[]) {
    const stores: Store[] = [];
    visit(body, (s) => {
      if (s.kind === "store") stores.push(s);
      else if ("dst" in s) {
        const known = this.definitions.get(s.dst.id);
        if (known) known.push(s);
        else this.definitions.set(s.dst.id, [s]);
      }
    });
    visit(body, (s) => {
      if (isAlias(s) && s.a.kind === "local" && !this.mutable(s.a.id)) this.aliases.set(s.dst.id, this.own(s.a.id));
    });
    this.findUnpackable();
    for (const s of stores) this.pack(s.value, this.storedPairs(s));
    visit(body, (s) => this.findCrossing(s));
  }

  /** Register r of x will be half of a 256-bit value. */
  holds(x: Operand, r: number): boolean {
    return (this.bits(x) & (1 << (r >> 1))) !== 0;
  }
  /** Registers r and r + 1 of the store are to be packed; r is even. */
  stores(s: Store, r: number): boolean {
    return (this.storedPairs(s) & (1 << (r >> 1))) !== 0;
  }
  /** x is packed, never changes, and 128-bit code needs copies of its own. */
  crosses(x: Local): boolean {
    return this.crossing.has(this.own(x.id)) && !this.mutable(x.id);
  }
  /** The constant is part of packed values. */
  packsConstant(c: Const): boolean {
    return this.packedConstants.has(constantKey(c));
  }
  /** The constant is read by 128-bit code. */
  leavesConstant(c: Const): boolean {
    return this.otherConstants.has(constantKey(c));
  }
  /**
   * A vector addition of integers whose sides may come from the same instruction: V8 would pack the two sides, whatever
   * becomes of the sum.
   */
  mayPackSides(a: Operand, b: Operand): boolean {
    const [x, y] = [a, b].map((side) => (side.kind === "const" ? "const" : this.instruction(side)));
    return x === null || y === null || x === y;
  }

  private own(id: number): number {
    return this.aliases.get(id) ?? id;
  }
  private mutable(id: number): boolean {
    return this.definitions.get(id)?.[0].kind === "var";
  }
  private mayPair(s: Store): boolean {
    const { value, buffer, stride = 1 } = s;
    return (
      value.lanes >= 8 &&
      stride === 1 &&
      storageBytes[buffer.type] === 4 &&
      (value.kind === "const" || !this.unpackable.has(this.own(value.id)))
    );
  }

  /** Values that V8 cannot pack, and whatever is made of them. */
  private findUnpackable(): void {
    for (const [id, statements] of this.definitions) {
      if (statements.some((s) => !("dst" in s) || s.dst.lanes < 8 || !packs(s))) this.unpackable.add(id);
    }
    for (let before = -1; before !== this.unpackable.size; ) {
      before = this.unpackable.size;
      for (const [id, statements] of this.definitions) {
        if (this.unpackable.has(id)) continue;
        const blocked = (x: Operand) => x.kind === "local" && x.lanes > 1 && this.unpackable.has(x.id);
        if (statements.some((s) => this.packedOperands(s).some(blocked))) this.unpackable.add(id);
      }
    }
  }

  /** Vectors that are packed together with the result; the count of a shift stays a scalar. */
  private packedOperands(s: Stmt): Operand[] {
    const operands = s.kind === "binary" && (s.op === "shl" || s.op === "shr") ? [s.a] : operandsOf(s);
    return operands.filter((x) => x.lanes > 1);
  }

  private pack(x: Operand, pairs: number): void {
    const pending: [Operand, number][] = [[x, pairs]];
    for (let next = pending.pop(); next; next = pending.pop()) {
      const [value, wanted] = next;
      if (wanted === 0) continue;
      if (value.kind === "const") {
        this.packedConstants.add(constantKey(value));
        continue;
      }
      const id = this.own(value.id);
      const statements = this.definitions.get(id)!;
      // All registers of a splat are one.
      const bits = statements.some(isSplat) ? (1 << pairsOf(value)) - 1 : wanted;
      const known = this.packed.get(id) ?? 0;
      if ((bits & ~known) === 0) continue;
      this.packed.set(id, known | bits);
      for (const s of statements) for (const operand of this.packedOperands(s)) pending.push([operand, bits]);
    }
  }

  private findCrossing(s: Stmt): void {
    if ("dst" in s && this.aliases.has(s.dst.id)) return;
    const result = s.kind === "store" ? s.value : "dst" in s ? s.dst : null;
    const here = s.kind === "store" ? this.storedPairs(s) : result === null ? 0 : this.bits(result);
    const reads = copied(s);
    for (const x of operandsOf(s)) {
      if (x.lanes === 1) continue;
      if (x.kind === "const") {
        if (result === null || here !== (1 << pairsOf(result)) - 1) this.otherConstants.add(constantKey(x));
      } else if ((this.bits(x) & ~here) !== 0 && reads.includes(x)) this.crossing.add(this.own(x.id));
    }
  }
  private bits(x: Operand): number {
    return x.kind === "local" ? (this.packed.get(this.own(x.id)) ?? 0) : 0;
  }
  private storedPairs(s: Store): number {
    return this.mayPair(s) ? (1 << ((s.count ?? s.value.lanes) >> 3)) - 1 : 0;
  }

  /** Name of the instruction that makes a value, as far as it is known to be one and the same. */
  private instruction(x: Local): string | null {
    const statements = this.definitions.get(this.own(x.id));
    const s = statements?.length === 1 ? statements[0] : null;
    switch (s?.kind) {
      case "binary":
        return s.a.type !== "f32" && (s.op === "add" || s.op === "xor") ? s.op : null;
      case "fma":
      case "select":
      case "splat":
        return s.kind;
      case "load":
        if (storageBytes[s.buffer.type] < 4) return null;
        return s.stride === 0 ? "load splat" : (s.stride ?? 1) === 1 ? "load" : null;
      default:
        return null;
    }
  }
}

/** Statements that only give registers another name, or bits another type. */
function isAlias(s: Stmt): s is Extract<Stmt, { readonly kind: "convert" | "bitcast" | "splat" | "any" }> {
  if (s.kind === "convert") return s.dst.lanes > 1 && s.a.type !== "f32" && s.dst.type !== "f32";
  return s.kind === "bitcast" && s.dst.lanes > 1;
}

function isSplat(s: Stmt): boolean {
  return s.kind === "splat" || (s.kind === "load" && s.stride === 0);
}

/** V8 packs what this statement becomes, given packed operands. */
function packs(s: Stmt): boolean {
  switch (s.kind) {
    case "var":
    case "assign":
    case "bitcast":
    case "compare":
    case "fma":
    case "select":
    case "convert":
    case "splat":
    case "iota":
      return true;
    case "unary":
      return s.op === "neg" || s.op === "abs" || s.op === "sqrt" || s.op === "not";
    case "binary":
      if (s.op === "mulhi" || (s.a.type !== "f32" && (s.op === "div" || s.op === "rem"))) return false;
      return (s.op !== "shl" && s.op !== "shr") || s.b.kind === "const";
    case "load": {
      const { buffer, stride = 1 } = s;
      // Half floats are widened by code that is not worth it.
      const narrow = storageBytes[buffer.type] < 4;
      return (stride === 1 && buffer.type !== "f16" && buffer.type !== "bf16") || (stride === 0 && !narrow);
    }
    default:
      return false;
  }
}

/**
 * Operands that the statement's instructions may take by way of a move: all but the inputs of instructions that write a
 * register of their own.
 */
function copied(s: Stmt): readonly Operand[] {
  if (s.kind === "fma") return [s.c];
  if (s.kind === "binary" && s.a.type === "f32" && ["add", "sub", "mul", "div"].includes(s.op)) return [];
  if (s.kind === "store") return [];
  return operandsOf(s);
}
