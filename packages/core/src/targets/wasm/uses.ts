/** Walks over LoopIR statements: what they define and use, and which are dead. */
import { type Const, type Local, type Operand, type Stmt, visit } from "../../compiler/loopir.ts";

/** The local a statement defines without other effects. */
export function pureResult(s: Stmt): Local | null {
  switch (s.kind) {
    case "var":
    case "assign":
    case "store":
    case "prefetch":
    case "loop":
    case "while":
    case "if":
    case "tileZero":
    case "tileLoad":
    case "tileStore":
    case "tileDot":
      return null;
    default:
      return s.dst;
  }
}

/** Calls `each` for what a statement reads. */
export function visitOperands(s: Stmt, each: (x: Operand) => void): void {
  switch (s.kind) {
    case "unary":
    case "convert":
    case "bitcast":
    case "splat":
    case "any":
    case "extract":
    case "broadcastLane":
    case "half":
      each(s.a);
      return;
    case "binary":
    case "compare":
    case "zip":
      each(s.a);
      each(s.b);
      return;
    case "fma":
      each(s.a);
      each(s.b);
      each(s.c);
      return;
    case "select":
      each(s.mask);
      each(s.a);
      each(s.b);
      return;
    case "iota":
    case "loop":
    case "tileZero":
    case "tileDot":
      return;
    case "index":
    case "load":
    case "prefetch":
    case "tileLoad":
    case "tileStore":
      break;
    case "gather":
      each(s.indices);
      break;
    case "store":
      each(s.value);
      break;
    case "var":
      each(s.init);
      return;
    case "assign":
      each(s.value);
      return;
    case "if":
    case "while":
      each(s.condition);
      return;
    default:
      s satisfies never;
      return;
  }
  if (s.at.dynamic) each(s.at.dynamic);
}

export function operandsOf(s: Stmt): Operand[] {
  const out: Operand[] = [];
  visitOperands(s, (x) => out.push(x));
  return out;
}

/** Statements without those whose result nobody uses. Definitions come before uses, so one pass from the end is enough. */
export function withoutDead(stmts: readonly Stmt[]): Stmt[] {
  const used = new Set<number>();
  return living(stmts, used, (x) => {
    if (x.kind === "local") used.add(x.id);
  });
}

/** `use` adds a local to `used`. */
function living(stmts: readonly Stmt[], used: Set<number>, use: (x: Operand) => void): Stmt[] {
  const out: Stmt[] = [];
  for (let i = stmts.length - 1; i >= 0; i--) {
    const s = stmts[i];
    const dst = pureResult(s);
    if (dst && !used.has(dst.id)) continue;
    let kept: Stmt = s;
    // Inner blocks first: they are later in the program than the condition.
    if (s.kind === "loop") kept = { ...s, body: living(s.body, used, use) };
    else if (s.kind === "while") {
      const body = living(s.body, used, use);
      use(s.condition);
      kept = { ...s, body, test: living(s.test, used, use) };
    } else if (s.kind === "if") {
      const then = living(s.then, used, use);
      kept = s.otherwise ? { ...s, then, otherwise: living(s.otherwise, used, use) } : { ...s, then };
    }
    visitOperands(s, use);
    if (s.kind === "assign") used.add(s.dst.id);
    out.push(kept);
  }
  return out.reverse();
}

/** Vector constants by how often loops use them. */
export function loopConstants(stmts: readonly Stmt[]): Const[] {
  const counts = new Map<string, { constant: Const; uses: number }>();
  let loops = 0;
  const count = (x: Operand): void => {
    if (x.kind !== "const" || x.lanes === 1) return;
    const key = constantKey(x);
    const known = counts.get(key);
    if (known) known.uses += loops;
    else counts.set(key, { constant: x, uses: loops });
  };
  visit(stmts, (s, depth) => {
    loops = depth;
    if (depth > 0) visitOperands(s, count);
  });
  return [...counts.values()].sort((a, b) => b.uses - a.uses).map((c) => c.constant);
}

export function constantKey(c: Const): string {
  return `${c.type === "f32" ? "f" : c.type === "mask" ? "m" : "i"}${Object.is(c.value, -0) ? "-0" : c.value}`;
}
