/** Plans how a kernel addresses memory: pointers that loops advance, shared by all accesses that walk the same way. */
import type { Affine, AffineTerm, Buffer, Kernel, LoopVar, Stmt } from "../../compiler/loopir.ts";
import { storageBytes, visit } from "../../compiler/loopir.ts";

/**
 * A node of a tree of pointers: a buffer's base plus a constant at the root, then one step for each variable, outermost
 * first. `local` is the wasm local that holds it while it is in scope.
 */
export class Pointer {
  readonly buffer: Buffer;
  readonly parent: Pointer | null;
  readonly variable: LoopVar | null;
  /** What the pointer gains when its variable grows by one; at the root, the constant. */
  readonly bytes: number;
  readonly children: Pointer[] = [];
  local: number | undefined;

  constructor(buffer: Buffer, parent: Pointer | null, variable: LoopVar | null, bytes: number) {
    this.buffer = buffer;
    this.parent = parent;
    this.variable = variable;
    this.bytes = bytes;
  }

  /** The child that gains so many bytes with this variable, if there is one. */
  step(variable: LoopVar, bytes: number): Pointer | undefined {
    for (const p of this.children) if (p.variable === variable && p.bytes === bytes) return p;
    return undefined;
  }
}

/** Where a statement finds its memory: `offset` bytes after the pointer. */
export interface Place {
  readonly pointer: Pointer;
  readonly offset: number;
}

export interface LoopPlan {
  /** Pointers that advance with the loop. */
  readonly pointers: Pointer[];
  /** Somebody asks for the value of the loop's variable. */
  valueUsed: boolean;
}

type Loop = Extract<Stmt, { kind: "loop" }>;

/** Accesses that share a pointer, and the smallest of their constants. */
interface Sharing {
  readonly terms: readonly AffineTerm[];
  readonly stmts: Stmt[];
  smallest: number;
}

/** Whether some access begins below its buffer or walks downwards. */
function goesBelow(stmts: readonly Stmt[]): boolean {
  let below = false;
  visit(stmts, (s) => {
    if (s.kind === "load" || s.kind === "gather" || s.kind === "store" || s.kind === "prefetch")
      below ||= s.at.constant < 0 || s.at.terms.some((t) => t.stride < 0);
  });
  return below;
}

/** Equal but for the order; a variable has one term. */
function sameTerms(a: readonly AffineTerm[], b: readonly AffineTerm[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    let k = 0;
    while (k < b.length && b[k].variable !== a[i].variable) k++;
    if (k === b.length || b[k].stride !== a[i].stride) return false;
  }
  return true;
}

export class AddressPlan {
  readonly places = new Map<Stmt, Place>();
  readonly loops = new Map<Stmt, LoopPlan>();
  /** Pointers that depend on task variables only. */
  readonly tasks = new Set<Pointer>();
  private readonly roots: Pointer[] = [];
  private readonly depths = new Map<LoopVar, number>();
  private readonly enclosing = new Map<LoopVar, LoopPlan>();
  /** Smallest constant of the accesses that share a pointer, where offsets alone cannot express them. */
  private readonly folds = new Map<Stmt, number>();

  constructor(kernel: Kernel, body: readonly Stmt[]) {
    for (const [i, v] of kernel.grid.entries()) this.depths.set(v, i);
    if (goesBelow(body)) this.planFolds(body);
    this.walk(body);
  }

  /**
   * Offsets of memory operands are unsigned, and an address must not pass below zero on the way. Accesses that begin
   * below their buffer or walk downwards therefore get a pointer that contains the smallest constant among those that
   * share it. They share it only under the same conditions: the smallest one may be guarded because it is outside.
   */
  private planFolds(stmts: readonly Stmt[]): void {
    const sharing = new Map<Buffer, Sharing[]>();
    this.collect(stmts, sharing);
    for (const groups of sharing.values())
      for (const { stmts, smallest } of groups)
        if (smallest !== 0) for (const stmt of stmts) this.folds.set(stmt, smallest);
  }
  private collect(stmts: readonly Stmt[], sharing: Map<Buffer, Sharing[]>): void {
    for (const stmt of stmts) {
      switch (stmt.kind) {
        case "loop":
          this.collect(stmt.body, sharing);
          break;
        case "while":
          this.planFolds(stmt.test);
          this.planFolds(stmt.body);
          break;
        case "if":
          this.planFolds(stmt.then);
          if (stmt.otherwise) this.planFolds(stmt.otherwise);
          break;
        case "load":
        case "gather":
        case "store":
        case "prefetch": {
          const { buffer, at } = stmt;
          let groups = sharing.get(buffer);
          if (!groups) {
            groups = [];
            sharing.set(buffer, groups);
          }
          // The latest groups first: neighbours in the code mostly share.
          let i = groups.length - 1;
          while (i >= 0 && !sameTerms(groups[i].terms, at.terms)) i--;
          if (i >= 0) {
            groups[i].stmts.push(stmt);
            groups[i].smallest = Math.min(groups[i].smallest, at.constant);
          } else {
            const down = at.terms.some((t) => t.stride < 0);
            groups.push({ terms: at.terms, stmts: [stmt], smallest: down ? at.constant : Math.min(0, at.constant) });
          }
          break;
        }
        default:
      }
    }
  }

  private walk(stmts: readonly Stmt[]): void {
    for (const s of stmts) {
      switch (s.kind) {
        case "loop":
          this.enter(s);
          break;
        case "while":
          this.walk(s.test);
          this.walk(s.body);
          break;
        case "if":
          this.walk(s.then);
          if (s.otherwise) this.walk(s.otherwise);
          break;
        case "index":
          for (const t of s.at.terms) {
            const loop = this.enclosing.get(t.variable);
            if (loop) loop.valueUsed = true;
          }
          break;
        case "load":
        case "gather":
        case "store":
        case "prefetch":
          this.place(s, s.buffer, s.at);
          break;
        default:
      }
    }
  }
  private enter(loop: Loop): void {
    const plan: LoopPlan = { pointers: [], valueUsed: false };
    this.loops.set(loop, plan);
    this.enclosing.set(loop.variable, plan);
    this.depths.set(loop.variable, this.depths.size);
    this.walk(loop.body);
    this.depths.delete(loop.variable);
    this.enclosing.delete(loop.variable);
  }

  private place(stmt: Stmt, buffer: Buffer, at: Affine): void {
    const size = storageBytes[buffer.type];
    const folded = (this.folds.get(stmt) ?? 0) * size;
    let pointer = this.root(buffer, folded);
    let task: Pointer | null = pointer;
    for (const { variable, stride } of this.outermostFirst(at.terms)) {
      const bytes = stride * size;
      const loop = this.enclosing.get(variable);
      if (loop && task) {
        this.tasks.add(task);
        task = null;
      }
      let child = pointer.step(variable, bytes);
      if (!child) {
        child = new Pointer(buffer, pointer, variable, bytes);
        pointer.children.push(child);
        loop?.pointers.push(child);
      }
      pointer = child;
      if (task) task = child;
    }
    if (task) this.tasks.add(task);
    this.places.set(stmt, { pointer, offset: at.constant * size - folded });
  }

  private root(buffer: Buffer, bytes: number): Pointer {
    for (const p of this.roots) if (p.buffer === buffer && p.bytes === bytes) return p;
    const made = new Pointer(buffer, null, null, bytes);
    this.roots.push(made);
    return made;
  }

  private outermostFirst(terms: readonly AffineTerm[]): readonly AffineTerm[] {
    if (terms.length < 2) return terms;
    const sorted: AffineTerm[] = [];
    for (const term of terms) {
      const depth = this.depths.get(term.variable)!;
      let i = sorted.length;
      for (; i > 0 && this.depths.get(sorted[i - 1].variable)! > depth; i--) sorted[i] = sorted[i - 1];
      sorted[i] = term;
    }
    return sorted;
  }
}
