/** Walks over LoopIR statements: what they define and use, and which are dead. */
import {
  type Affine,
  type Buffer,
  type Const,
  type Local,
  type Operand,
  type Stmt,
  visit,
} from "../../compiler/loopir.ts";

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

export function operandsOf(s: Stmt): Operand[] {
  const at = (a: Affine): Operand[] => (a.dynamic ? [a.dynamic] : []);
  switch (s.kind) {
    case "unary":
    case "convert":
    case "bitcast":
    case "splat":
    case "any":
    case "extract":
    case "broadcastLane":
    case "half":
      return [s.a];
    case "binary":
    case "compare":
    case "zip":
      return [s.a, s.b];
    case "fma":
      return [s.a, s.b, s.c];
    case "select":
      return [s.mask, s.a, s.b];
    case "iota":
    case "loop":
    case "tileZero":
    case "tileDot":
      return [];
    case "index":
    case "load":
    case "prefetch":
    case "tileLoad":
    case "tileStore":
      return at(s.at);
    case "gather":
      return [s.indices, ...at(s.at)];
    case "store":
      return [s.value, ...at(s.at)];
    case "var":
      return [s.init];
    case "assign":
      return [s.value];
    case "if":
    case "while":
      return [s.condition];
    default:
      return s satisfies never;
  }
}

/** The memory a statement addresses. */
export function accessOf(s: Stmt): { buffer: Buffer; at: Affine } | null {
  switch (s.kind) {
    case "load":
    case "gather":
    case "store":
    case "prefetch":
      return s;
    default:
      return null;
  }
}

/** Statements without those whose result nobody uses. Definitions come before uses, so one pass from the end is enough. */
export function withoutDead(stmts: readonly Stmt[], used: Set<number> = new Set()): Stmt[] {
  const out: Stmt[] = [];
  for (let i = stmts.length - 1; i >= 0; i--) {
    const s = stmts[i];
    const dst = pureResult(s);
    if (dst && !used.has(dst.id)) continue;
    let kept: Stmt = s;
    // Inner blocks first: they are later in the program than the condition.
    if (s.kind === "loop") kept = { ...s, body: withoutDead(s.body, used) };
    else if (s.kind === "while") {
      const body = withoutDead(s.body, used);
      if (s.condition.kind === "local") used.add(s.condition.id);
      kept = { ...s, body, test: withoutDead(s.test, used) };
    } else if (s.kind === "if") {
      const then = withoutDead(s.then, used);
      kept = s.otherwise ? { ...s, then, otherwise: withoutDead(s.otherwise, used) } : { ...s, then };
    }
    for (const x of operandsOf(s)) if (x.kind === "local") used.add(x.id);
    if (s.kind === "assign") used.add(s.dst.id);
    out.push(kept);
  }
  return out.reverse();
}

/** Vector constants by how often loops use them. */
export function loopConstants(stmts: readonly Stmt[]): Const[] {
  const counts = new Map<string, { constant: Const; uses: number }>();
  visit(stmts, (s, depth) => {
    if (depth === 0) return;
    for (const x of operandsOf(s)) {
      if (x.kind !== "const" || x.lanes === 1) continue;
      const key = constantKey(x);
      const known = counts.get(key);
      if (known) known.uses += depth;
      else counts.set(key, { constant: x, uses: depth });
    }
  });
  return [...counts.values()].sort((a, b) => b.uses - a.uses).map((c) => c.constant);
}

export function constantKey(c: Const): string {
  return `${c.type === "f32" ? "f" : c.type === "mask" ? "m" : "i"}${Object.is(c.value, -0) ? "-0" : c.value}`;
}
