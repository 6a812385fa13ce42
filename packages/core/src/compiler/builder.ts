/** Writes LoopIR: each call appends a statement to the current block and returns the local it defines. */
import type {
  Affine,
  AffineTerm,
  BinaryOp,
  Buffer,
  CompareOp,
  Const,
  Kernel,
  Local,
  LoopVar,
  Operand,
  Stmt,
  StorageType,
  UnaryOp,
  ValueType,
} from "./loopir.ts";
import { loadedType } from "./loopir.ts";

/** Anything that `affine` can add up: a number, a loop variable, or an affine form. */
export type Index = number | LoopVar | Affine;

function isLoopVar(x: Index): x is LoopVar {
  return typeof x === "object" && "extent" in x;
}

/** Sums indices into one affine form; terms of the same variable are merged and zero strides dropped. */
export function affine(...parts: Index[]): Affine {
  // The hottest function of lowering, in a process that has just begun: no closures, no iterators, no copies of terms.
  const first = parts[0];
  if (parts.length === 1 && typeof first === "object" && !isLoopVar(first) && isReduced(first.terms)) return first;
  let constant = 0;
  let dynamic: Operand | undefined;
  const terms: AffineTerm[] = [];
  for (let i = 0; i < parts.length; i++) {
    const p = parts[i];
    if (typeof p === "number") constant += p;
    else if (isLoopVar(p)) addTerm(terms, { variable: p, stride: 1 });
    else {
      constant += p.constant;
      for (let k = 0; k < p.terms.length; k++) addTerm(terms, p.terms[k]);
      if (p.dynamic) {
        if (dynamic) throw new Error("affine: two dynamic parts; add them in the kernel first");
        dynamic = p.dynamic;
      }
    }
  }
  const kept = isReduced(terms) ? terms : terms.filter((t) => t.stride !== 0);
  return dynamic ? { constant, terms: kept, dynamic } : { constant, terms: kept };
}

/** Neither zero strides nor variables that are always zero. */
function isReduced(terms: readonly AffineTerm[]): boolean {
  for (let i = 0; i < terms.length; i++) if (terms[i].stride === 0 || terms[i].variable.extent === 1) return false;
  return true;
}

function addTerm(terms: AffineTerm[], term: AffineTerm): void {
  const { variable, stride } = term;
  if (variable.extent === 1) return;
  for (let i = 0; i < terms.length; i++) {
    if (terms[i].variable !== variable) continue;
    terms[i] = { variable, stride: terms[i].stride + stride };
    return;
  }
  terms.push(term);
}

/** `index · factor`. An affine form with a dynamic part cannot be scaled. */
export function scaled(index: Index, factor: number): Affine {
  const a = affine(index);
  if (a.dynamic) throw new Error("scaled: a dynamic part cannot be scaled; multiply it in the kernel first");
  if (factor === 0) return { constant: 0, terms: [] };
  if (factor === 1) return a;
  const terms: AffineTerm[] = [];
  for (let i = 0; i < a.terms.length; i++) {
    const { variable, stride } = a.terms[i];
    terms.push({ variable, stride: stride * factor });
  }
  return { constant: a.constant * factor, terms };
}

/** An affine form with a dynamic scalar i32 part. */
export function dynamic(value: Operand): Affine {
  return { constant: 0, terms: [], dynamic: value };
}

export class KernelBuilder {
  readonly name: string;
  readonly buffers: Buffer[] = [];
  readonly grid: LoopVar[] = [];
  private readonly body: Stmt[] = [];
  private block: Stmt[] = this.body;
  private nextLocal = 0;
  private nextVar = 0;

  constructor(name: string) {
    this.name = name;
  }

  // ---- declarations

  buffer(name: string, type: StorageType, size: number, access: Buffer["access"]): Buffer {
    const b: Buffer = { id: this.buffers.length, name, type, size, access };
    this.buffers.push(b);
    return b;
  }
  /** A task dimension: the kernel runs once for every combination of task variables. */
  task(name: string, extent: number): LoopVar {
    const v: LoopVar = { id: this.nextVar++, name, extent };
    this.grid.push(v);
    return v;
  }
  finish(cost: { flops: number; bytes: number }): Kernel {
    return {
      name: this.name,
      buffers: this.buffers,
      grid: this.grid,
      body: this.body,
      flops: cost.flops,
      bytes: cost.bytes,
    };
  }

  // ---- control

  /** `for variable in 0..extent`. An extent of 1 runs the body in place, 0 not at all. */
  loop(name: string, extent: number, body: (v: LoopVar) => void, unroll?: number): void {
    const variable: LoopVar = { id: this.nextVar++, name, extent };
    if (extent <= 0) return;
    if (extent === 1) {
      body(variable);
      return;
    }
    const stmts = this.within(() => body(variable));
    this.block.push(
      unroll === undefined ? { kind: "loop", variable, body: stmts } : { kind: "loop", variable, body: stmts, unroll },
    );
  }
  if(condition: Operand, then: () => void, otherwise?: () => void): void {
    const t = this.within(then);
    if (otherwise) this.block.push({ kind: "if", condition, then: t, otherwise: this.within(otherwise) });
    else this.block.push({ kind: "if", condition, then: t });
  }
  private within(body: () => void): Stmt[] {
    const saved = this.block;
    const inner: Stmt[] = [];
    this.block = inner;
    try {
      body();
    } finally {
      this.block = saved;
    }
    return inner;
  }

  // ---- values

  private local(type: ValueType, lanes: number): Local {
    return { kind: "local", id: this.nextLocal++, type, lanes };
  }
  const(type: ValueType, value: number, lanes = 1): Const {
    return { kind: "const", type, lanes, value };
  }
  f32(value: number, lanes = 1): Const {
    return this.const("f32", value, lanes);
  }
  i32(value: number, lanes = 1): Const {
    return this.const("i32", value, lanes);
  }
  u32(value: number, lanes = 1): Const {
    return this.const("u32", value >>> 0, lanes);
  }
  unary(op: UnaryOp, a: Operand): Local {
    const dst = this.local(a.type, a.lanes);
    this.block.push({ kind: "unary", op, dst, a });
    return dst;
  }
  binary(op: BinaryOp, a: Operand, b: Operand): Local {
    check(a, b, op);
    const dst = this.local(a.type, a.lanes);
    this.block.push({ kind: "binary", op, dst, a, b });
    return dst;
  }
  compare(op: CompareOp, a: Operand, b: Operand): Local {
    check(a, b, op);
    const dst = this.local("mask", a.lanes);
    this.block.push({ kind: "compare", op, dst, a, b });
    return dst;
  }
  fma(a: Operand, b: Operand, c: Operand): Local {
    check(a, b, "fma");
    check(b, c, "fma");
    const dst = this.local("f32", a.lanes);
    this.block.push({ kind: "fma", dst, a, b, c });
    return dst;
  }
  select(mask: Operand, a: Operand, b: Operand): Local {
    check(a, b, "select");
    if (mask.type !== "mask" || mask.lanes !== a.lanes)
      throw new Error(`select: mask is ${mask.type}×${mask.lanes}, values have ${a.lanes} lanes`);
    const dst = this.local(a.type, a.lanes);
    this.block.push({ kind: "select", dst, mask, a, b });
    return dst;
  }
  convert(a: Operand, type: ValueType): Operand {
    if (a.type === type) return a;
    const dst = this.local(type, a.lanes);
    this.block.push({ kind: "convert", dst, a });
    return dst;
  }
  bitcast(a: Operand, type: ValueType): Operand {
    if (a.type === type) return a;
    const dst = this.local(type, a.lanes);
    this.block.push({ kind: "bitcast", dst, a });
    return dst;
  }
  splat(a: Operand, lanes: number): Operand {
    if (a.lanes === lanes) return a;
    if (a.lanes !== 1) throw new Error(`splat: ${a.lanes} lanes, expected a scalar`);
    if (a.kind === "const") return { ...a, lanes };
    const dst = this.local(a.type, lanes);
    this.block.push({ kind: "splat", dst, a });
    return dst;
  }
  extract(a: Operand, lane: number): Operand {
    if (a.lanes === 1) return a;
    const dst = this.local(a.type, 1);
    this.block.push({ kind: "extract", dst, a, lane });
    return dst;
  }
  broadcastLane(a: Operand, lane: number): Local {
    const dst = this.local(a.type, a.lanes);
    this.block.push({ kind: "broadcastLane", dst, a, lane });
    return dst;
  }
  /** The lower (0) or upper (1) half of at least 8 lanes. */
  half(a: Operand, half: 0 | 1): Local {
    const dst = this.local(a.type, a.lanes / 2);
    this.block.push({ kind: "half", dst, a, half });
    return dst;
  }
  /** Lanes of a and b in turns: those of the lower (0) or upper (1) halves. */
  zip(a: Operand, b: Operand, half: 0 | 1): Local {
    check(a, b, "zip");
    const dst = this.local(a.type, a.lanes);
    this.block.push({ kind: "zip", dst, a, b, half });
    return dst;
  }
  /** As many vectors as each has lanes, with rows and columns exchanged: log2(lanes) rounds of zips. */
  transpose(rows: readonly Operand[]): Operand[] {
    const n = rows.length;
    let now = [...rows];
    for (let round = 1; round < n; round *= 2)
      now = Array.from({ length: n }, (_, i) => this.zip(now[i >> 1], now[(i >> 1) + n / 2], i & 1 ? 1 : 0));
    return now;
  }
  /** All lanes into one scalar: lane i with lane i + n/2, again and again, as vectors as long as they can be halved. */
  foldLanes(whole: Operand, join: (x: Operand, y: Operand) => Operand): Operand {
    let x = whole;
    while (x.lanes >= 8) x = join(this.half(x, 0), this.half(x, 1));
    let parts = Array.from({ length: x.lanes }, (_, i) => this.extract(x, i));
    while (parts.length > 1) {
      const half = parts.length / 2;
      parts = parts.slice(0, half).map((p, i) => join(p, parts[i + half]));
    }
    return parts[0];
  }
  any(a: Operand): Local {
    const dst = this.local("mask", 1);
    this.block.push({ kind: "any", dst, a });
    return dst;
  }
  iota(lanes: number): Local {
    const dst = this.local("i32", lanes);
    this.block.push({ kind: "iota", dst });
    return dst;
  }
  /** The scalar i32 value of an affine form. */
  index(at: Index): Operand {
    const form = affine(at);
    if (form.terms.length === 0)
      return form.dynamic && form.constant === 0
        ? form.dynamic
        : form.dynamic
          ? this.add(form.dynamic, this.i32(form.constant))
          : this.i32(form.constant);
    const dst = this.local("i32", 1);
    this.block.push({ kind: "index", dst, at: form });
    return dst;
  }

  // ---- memory

  load(buffer: Buffer, at: Index, lanes = 1, options: { stride?: number; count?: number } = {}): Local {
    const dst = this.local(loadedType(buffer.type), lanes);
    this.block.push({ kind: "load", dst, buffer, at: affine(at), ...options });
    return dst;
  }
  gather(buffer: Buffer, at: Index, indices: Operand): Local {
    const dst = this.local(loadedType(buffer.type), indices.lanes);
    this.block.push({ kind: "gather", dst, buffer, at: affine(at), indices });
    return dst;
  }
  store(buffer: Buffer, at: Index, value: Operand, options: { stride?: number; count?: number } = {}): void {
    this.block.push({ kind: "store", buffer, at: affine(at), value, ...options });
  }
  tileZero(tile: number): void {
    this.block.push({ kind: "tileZero", tile });
  }
  /** 16 rows of 16 words, `pitch` elements apart. */
  tileLoad(tile: number, buffer: Buffer, at: Index, pitch = 16): void {
    this.block.push({ kind: "tileLoad", tile, buffer, at: affine(at), pitch });
  }
  tileStore(tile: number, buffer: Buffer, at: Index, pitch = 16): void {
    this.block.push({ kind: "tileStore", tile, buffer, at: affine(at), pitch });
  }
  tileDot(sum: number, a: number, b: number): void {
    this.block.push({ kind: "tileDot", sum, a, b });
  }
  prefetch(buffer: Buffer, at: Index): void {
    this.block.push({ kind: "prefetch", buffer, at: affine(at) });
  }
  /** A local that `assign` may change. */
  var(init: Operand): Local {
    const dst = this.local(init.type, init.lanes);
    this.block.push({ kind: "var", dst, init });
    return dst;
  }
  assign(dst: Local, value: Operand): void {
    check(dst, value, "assign");
    this.block.push({ kind: "assign", dst, value });
  }

  // ---- shorthands

  add(a: Operand, b: Operand): Local {
    return this.binary("add", a, b);
  }
  sub(a: Operand, b: Operand): Local {
    return this.binary("sub", a, b);
  }
  mul(a: Operand, b: Operand): Local {
    return this.binary("mul", a, b);
  }
  div(a: Operand, b: Operand): Local {
    return this.binary("div", a, b);
  }
  min(a: Operand, b: Operand): Local {
    return this.binary("min", a, b);
  }
  max(a: Operand, b: Operand): Local {
    return this.binary("max", a, b);
  }
  neg(a: Operand): Local {
    return this.unary("neg", a);
  }
}

function check(a: Operand, b: Operand, what: string): void {
  if (a.type !== b.type || a.lanes !== b.lanes) {
    throw new Error(`LoopIR ${what}: operands are ${a.type}×${a.lanes} and ${b.type}×${b.lanes}`);
  }
}
