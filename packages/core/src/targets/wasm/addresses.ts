/** Plans how a kernel addresses memory: pointers that loops advance, shared by all accesses that walk the same way. */
import type { Affine, Buffer, Kernel, LoopVar, Stmt } from "../../compiler/loopir.ts";
import { storageBytes } from "../../compiler/loopir.ts";
import { accessOf } from "./uses.ts";

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
    this.planFolds(body, new Map());
    this.walk(body);
  }

  /**
   * Offsets of memory operands are unsigned, and an address must not pass below zero on the way. Accesses that begin
   * below their buffer or walk downwards therefore get a pointer that contains the smallest constant among those that
   * share it. They share it only under the same conditions: the smallest one may be guarded because it is outside.
   */
  private planFolds(stmts: readonly Stmt[], groups: Map<string, { stmt: Stmt; at: Affine }[]>): void {
    for (const stmt of stmts) {
      if (stmt.kind === "loop") this.planFolds(stmt.body, groups);
      else if (stmt.kind === "while") {
        this.guarded(stmt.test);
        this.guarded(stmt.body);
      } else if (stmt.kind === "if") {
        this.guarded(stmt.then);
        if (stmt.otherwise) this.guarded(stmt.otherwise);
      }
      const a = accessOf(stmt);
      if (!a) continue;
      const terms = a.at.terms.map((t) => `${t.variable.id}*${t.stride}`);
      const key = `${a.buffer.id} ${terms.length > 1 ? terms.sort().join(" ") : terms[0]}`;
      const group = groups.get(key);
      if (group) group.push({ stmt, at: a.at });
      else groups.set(key, [{ stmt, at: a.at }]);
    }
    for (const group of groups.values()) {
      let smallest = 0;
      const down = group[0].at.terms.some((t) => t.stride < 0);
      group.forEach(({ at }, i) => {
        smallest = down && i === 0 ? at.constant : Math.min(smallest, at.constant);
      });
      if (smallest !== 0) for (const { stmt } of group) this.folds.set(stmt, smallest);
    }
  }
  private guarded(stmts: readonly Stmt[]): void {
    this.planFolds(stmts, new Map());
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
    const known = this.roots.find((p) => p.buffer === buffer && p.bytes === folded);
    let pointer = known ?? new Pointer(buffer, null, null, folded);
    if (!known) this.roots.push(pointer);
    const terms =
      at.terms.length < 2
        ? at.terms
        : [...at.terms].sort((a, b) => this.depths.get(a.variable)! - this.depths.get(b.variable)!);
    let task: Pointer | null = pointer;
    for (const { variable, stride } of terms) {
      const bytes = stride * size;
      const loop = this.enclosing.get(variable);
      if (loop && task) {
        this.tasks.add(task);
        task = null;
      }
      const shared: Pointer | undefined = pointer.children.find((p) => p.variable === variable && p.bytes === bytes);
      const child = shared ?? new Pointer(buffer, pointer, variable, bytes);
      if (!shared) {
        pointer.children.push(child);
        loop?.pointers.push(child);
      }
      pointer = child;
      if (task) task = child;
    }
    if (task) this.tasks.add(task);
    this.places.set(stmt, { pointer, offset: at.constant * size - folded });
  }
}
