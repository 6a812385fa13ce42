/** Arithmetic, comparisons, conversions and lane operations as WebAssembly. */
import type { BinaryOp, CompareOp, Local, Operand, Stmt, UnaryOp, ValueType } from "../../compiler/loopir.ts";
import type { KernelEmitter } from "./emit.ts";
import { scalar as op, vector as simd } from "./opcodes.ts";

type OperationStmt = Exclude<
  Stmt,
  { kind: "var" | "assign" | "loop" | "while" | "if" | "index" | "load" | "gather" | "store" | "prefetch" }
>;

export function emitOperation(e: KernelEmitter, s: OperationStmt): void {
  const { w } = e;
  switch (s.kind) {
    case "unary":
      e.define(s.dst, (r) => unary(e, s.op, s.a, r));
      return;
    case "binary":
      binary(e, s.op, s.dst, s.a, s.b);
      return;
    case "compare":
      e.define(s.dst, (r) => {
        e.push(s.a, r);
        e.push(s.b, r);
        if (s.a.lanes === 1) w.op(scalarCompare(s.op, s.a.type));
        else w.simd(vectorCompare(s.op, s.a.type));
      });
      return;
    case "fma":
      fma(e, s.dst, s.a, s.b, s.c);
      return;
    case "select":
      e.define(s.dst, (r) => {
        e.push(s.a, r);
        e.push(s.b, r);
        e.push(s.mask, r);
        if (s.dst.lanes === 1) w.op(op.select);
        // Masks are all set or all clear, so that the relaxed form (one blend on x64) has one result.
        else w.simd(e.options.relaxedFma ? simd.relaxedLaneSelect32 : simd.bitselect);
      });
      return;
    case "convert":
      convert(e, s.dst, s.a);
      return;
    case "bitcast":
      if (s.dst.lanes > 1 || (s.dst.type !== "f32" && s.a.type !== "f32")) e.alias(s.dst, retyped(s.a, s.dst.type));
      else
        e.define(s.dst, () => {
          e.push(s.a, 0);
          w.op(s.dst.type === "f32" ? op.f32ReinterpretI32 : op.i32ReinterpretF32);
        });
      return;
    case "splat":
      e.noteSplat(s.dst, s.a);
      e.defineSame(s.dst, () => {
        if (s.dst.type === "mask") w.i32(0);
        e.push(s.a, 0);
        if (s.dst.type === "mask") w.op(op.i32Sub);
        w.simd(s.dst.type === "f32" ? simd.f32x4Splat : simd.i32x4Splat);
      });
      return;
    case "any":
      e.define(s.dst, () => {
        if (s.a.lanes === 1) {
          e.push(s.a, 0);
          return;
        }
        for (let r = 0; r < e.registerCount(s.a.lanes); r++) {
          e.push(s.a, r);
          if (r > 0) w.simd(simd.or);
        }
        w.simd(simd.anyTrue);
      });
      return;
    case "extract":
      e.define(s.dst, () => extract(e, s.a, s.lane));
      return;
    case "broadcastLane":
      if (s.dst.lanes === 1) e.alias(s.dst, s.a);
      else
        e.defineSame(s.dst, () => {
          const first = (s.lane % 4) * 4;
          const r = Math.floor(s.lane / 4);
          e.push(s.a, r);
          e.push(s.a, r);
          w.shuffle(Array.from({ length: 16 }, (_, i) => first + (i % 4)));
        });
      return;
    case "half":
      e.part(s.dst, s.a, s.half);
      return;
    case "zip":
      e.define(s.dst, (r) => {
        // The first pair of register r, its register, and the bytes of its lane in there.
        const first = (s.half * s.dst.lanes) / 2 + 2 * r;
        const byte = (first % 4) * 4;
        e.push(s.a, Math.floor(first / 4));
        e.push(s.b, Math.floor(first / 4));
        w.shuffle(Array.from({ length: 16 }, (_, i) => byte + (i >> 3) * 4 + (i % 4) + ((i >> 2) & 1) * 16));
      });
      return;
    case "tileZero":
    case "tileDot":
    case "tileLoad":
    case "tileStore":
      throw new Error(`wasm: ${s.kind}, and there is no matrix unit`);
    case "iota":
      e.define(s.dst, (r) => {
        if (s.dst.lanes === 1) w.i32(0);
        else w.v128([4 * r, 4 * r + 1, 4 * r + 2, 4 * r + 3], false);
      });
      return;
    default:
      s satisfies never;
  }
}

/** A constant's bits under another type; locals keep their registers. */
function retyped(a: Operand, type: ValueType): Operand {
  if (a.kind === "local") return a;
  const view = new DataView(new ArrayBuffer(4));
  if (a.type === "f32") view.setFloat32(0, a.value);
  else view.setUint32(0, a.value >>> 0);
  const value = type === "f32" ? view.getFloat32(0) : type === "u32" ? view.getUint32(0) : view.getInt32(0);
  return { kind: "const", type, lanes: a.lanes, value };
}

function extract(e: KernelEmitter, a: Operand, lane: number): void {
  e.push(a, Math.floor(lane / 4));
  e.w.lane(a.type === "f32" ? simd.f32x4Extract : simd.i32x4Extract, lane % 4);
}

function unary(e: KernelEmitter, name: UnaryOp, a: Operand, r: number): void {
  const { w } = e;
  const float = a.type === "f32";
  if (a.lanes > 1) {
    e.push(a, r);
    const table: Record<UnaryOp, number> = {
      neg: float ? simd.f32x4Neg : simd.i32x4Neg,
      abs: float ? simd.f32x4Abs : simd.i32x4Abs,
      sqrt: simd.f32x4Sqrt,
      floor: simd.f32x4Floor,
      ceil: simd.f32x4Ceil,
      trunc: simd.f32x4Trunc,
      round: simd.f32x4Nearest,
      not: simd.not,
    };
    w.simd(table[name]);
    return;
  }
  if (float) {
    e.push(a, r);
    const table: Record<Exclude<UnaryOp, "not">, number> = {
      neg: op.f32Neg,
      abs: op.f32Abs,
      sqrt: op.f32Sqrt,
      floor: op.f32Floor,
      ceil: op.f32Ceil,
      trunc: op.f32Trunc,
      round: op.f32Nearest,
    };
    w.op(table[name as Exclude<UnaryOp, "not">]);
    return;
  }
  switch (name) {
    case "neg":
      w.i32(0);
      e.push(a, r);
      w.op(op.i32Sub);
      return;
    case "abs":
      w.i32(0);
      e.push(a, r);
      w.op(op.i32Sub);
      e.push(a, r);
      e.push(a, r);
      w.i32(0).op(op.i32LtS).op(op.select);
      return;
    case "not":
      e.push(a, r);
      if (a.type === "mask") w.op(op.i32Eqz);
      else w.i32(-1).op(op.i32Xor);
      return;
    default:
      throw new Error(`wasm: ${name} of ${a.type}`);
  }
}

const floatBinary: Partial<Record<BinaryOp, [number, number]>> = {
  add: [op.f32Add, simd.f32x4Add],
  sub: [op.f32Sub, simd.f32x4Sub],
  mul: [op.f32Mul, simd.f32x4Mul],
  div: [op.f32Div, simd.f32x4Div],
  min: [op.f32Min, simd.f32x4Min],
  max: [op.f32Max, simd.f32x4Max],
};
const intBinary: Partial<Record<BinaryOp, [number, number]>> = {
  add: [op.i32Add, simd.i32x4Add],
  sub: [op.i32Sub, simd.i32x4Sub],
  mul: [op.i32Mul, simd.i32x4Mul],
  and: [op.i32And, simd.and],
  or: [op.i32Or, simd.or],
  xor: [op.i32Xor, simd.xor],
};

function binary(e: KernelEmitter, name: BinaryOp, dst: Local, a: Operand, b: Operand): void {
  const { w } = e;
  const unsigned = a.type === "u32";
  const direct = a.type === "f32" ? floatBinary[name] : intBinary[name];
  const vector = a.lanes > 1;
  if (vector && a.type === "f32" && (name === "min" || name === "max") && clamp(e, name, dst, a, b)) return;
  if (direct) {
    const plain = a.type === "f32" && name !== "min" && name !== "max";
    const apart = vector && a.type !== "f32" && name === "add" && e.pairs?.mayPackSides(a, b);
    e.define(dst, (r) => {
      e.push(a, r, plain);
      e.push(b, r, plain);
      if (apart) w.simd(simd.i32x4Neg).simd(simd.i32x4Sub);
      else if (vector) w.simd(direct[1]);
      else w.op(direct[0]);
    });
    return;
  }
  switch (name) {
    case "min":
    case "max":
      e.define(dst, (r) => {
        e.push(a, r);
        e.push(b, r);
        if (vector)
          w.simd(
            name === "min" ? (unsigned ? simd.i32x4MinU : simd.i32x4MinS) : unsigned ? simd.i32x4MaxU : simd.i32x4MaxS,
          );
        else {
          e.push(a, r);
          e.push(b, r);
          w.op(name === "min" ? (unsigned ? op.i32LtU : op.i32LtS) : unsigned ? op.i32GtU : op.i32GtS).op(op.select);
        }
      });
      return;
    case "shl":
    case "shr":
      shift(e, name, dst, a, b);
      return;
    case "mulhi":
      if (vector) vectorMulHigh(e, dst, a, b);
      else
        e.define(dst, () => {
          for (const x of [a, b]) {
            e.push(x, 0);
            w.op(unsigned ? op.i64ExtendI32U : op.i64ExtendI32S);
          }
          w.op(op.i64Mul).i64(32n).op(op.i64ShrU).op(op.i32WrapI64);
        });
      return;
    case "div":
    case "rem":
      if (vector)
        byLane(e, dst, (r, lane) =>
          divide(
            e,
            name,
            unsigned,
            () => laneOf(e, a, r, lane),
            () => laneOf(e, b, r, lane),
          ),
        );
      else
        e.define(dst, () =>
          divide(
            e,
            name,
            unsigned,
            () => e.push(a, 0),
            () => e.push(b, 0),
          ),
        );
      return;
    default:
      throw new Error(`wasm: ${name} of ${a.type}`);
  }
}

/**
 * Minimum or maximum with a constant: wasm's exact instructions take eight on x64 for the sake of NaN and signed zeros,
 * the pseudo ones a single one. `pmin(x, c)` is `c < x ? c : x` and `pmax(x, c)` is `x < c ? c : x`: with x first, NaN in
 * x stays; equal operands give x, which is wrong only for a zero of the other sign.
 */
function clamp(e: KernelEmitter, name: "min" | "max", dst: Local, a: Operand, b: Operand): boolean {
  const [x, c] = a.kind === "const" ? [b, a] : [a, b];
  if (c.kind !== "const" || Number.isNaN(c.value)) return false;
  const winningZero = Object.is(c.value, name === "min" ? -0 : 0);
  // max(x, +0): adding +0 afterwards turns -0 into +0 and nothing else; there is no such trick for min.
  if (winningZero && name === "min") return false;
  e.define(dst, (r) => {
    e.push(x, r);
    e.push(c, r);
    e.w.simd(name === "min" ? simd.f32x4Pmin : simd.f32x4Pmax);
    if (!winningZero) return;
    e.push(c, r);
    e.w.simd(simd.f32x4Add);
  });
  return true;
}

function laneOf(e: KernelEmitter, x: Operand, r: number, lane: number): void {
  e.push(x, r);
  e.w.lane(simd.i32x4Extract, lane);
}

/** Integer operations that SIMD lacks, lane by lane: `one` leaves lane `lane` of register r on the stack. */
function byLane(e: KernelEmitter, dst: Local, one: (r: number, lane: number) => void): void {
  e.define(dst, (r) => {
    one(r, 0);
    e.w.simd(simd.i32x4Splat);
    for (let lane = 1; lane < 4; lane++) {
      one(r, lane);
      e.w.lane(simd.i32x4Replace, lane);
    }
  });
}

/** Truncated division with x/0 = 0, x%0 = 0, MIN/-1 = MIN, MIN%-1 = 0: where it would trap, the divisor becomes 1. */
function divide(e: KernelEmitter, name: "div" | "rem", unsigned: boolean, pushA: () => void, pushB: () => void): void {
  const { w } = e;
  const a = w.local("i32");
  const b = w.local("i32");
  pushA();
  w.set(a);
  pushB();
  w.set(b);
  w.get(a).i32(1).get(b).get(b).op(op.i32Eqz);
  if (!unsigned) w.get(b).i32(-1).op(op.i32Eq).get(a).i32(-2147483648).op(op.i32Eq).op(op.i32And).op(op.i32Or);
  w.op(op.select);
  w.op(name === "div" ? (unsigned ? op.i32DivU : op.i32DivS) : unsigned ? op.i32RemU : op.i32RemS);
  if (name === "div") {
    const q = w.local("i32");
    w.set(q).i32(0).get(q).get(b).op(op.i32Eqz).op(op.select);
    w.release(q);
  }
  w.release(a);
  w.release(b);
}

function shift(e: KernelEmitter, name: "shl" | "shr", dst: Local, a: Operand, b: Operand): void {
  const { w } = e;
  const unsigned = a.type === "u32";
  const scalarOp = name === "shl" ? op.i32Shl : unsigned ? op.i32ShrU : op.i32ShrS;
  if (a.lanes === 1) {
    e.define(dst, () => {
      e.push(a, 0);
      e.push(b, 0);
      w.op(scalarOp);
    });
  } else if (b.kind === "const") {
    e.define(dst, (r) => {
      e.push(a, r);
      w.i32(b.value & 31).simd(name === "shl" ? simd.i32x4Shl : unsigned ? simd.i32x4ShrU : simd.i32x4ShrS);
    });
  } else if (e.splatSource(b)) {
    const count = e.splatSource(b)!;
    e.define(dst, (r) => {
      e.push(a, r);
      e.push(count, 0);
      w.simd(name === "shl" ? simd.i32x4Shl : unsigned ? simd.i32x4ShrU : simd.i32x4ShrS);
    });
  } else {
    byLane(e, dst, (r, lane) => {
      laneOf(e, a, r, lane);
      laneOf(e, b, r, lane);
      w.op(scalarOp);
    });
  }
}

/** Upper halves of the 64-bit products of the low and the high pair of lanes, shuffled together. */
function vectorMulHigh(e: KernelEmitter, dst: Local, a: Operand, b: Operand): void {
  const unsigned = a.type === "u32";
  e.define(dst, (r) => {
    for (const code of unsigned
      ? [simd.i64x2ExtmulLowU, simd.i64x2ExtmulHighU]
      : [simd.i64x2ExtmulLowS, simd.i64x2ExtmulHighS]) {
      e.push(a, r);
      e.push(b, r);
      e.w.simd(code);
    }
    e.w.shuffle([4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31]);
  });
}

function scalarCompare(name: CompareOp, type: ValueType): number {
  if (type === "f32")
    return { eq: op.f32Eq, ne: op.f32Ne, lt: op.f32Lt, le: op.f32Le, gt: op.f32Gt, ge: op.f32Ge }[name];
  if (type === "u32")
    return { eq: op.i32Eq, ne: op.i32Ne, lt: op.i32LtU, le: op.i32LeU, gt: op.i32GtU, ge: op.i32GeU }[name];
  return { eq: op.i32Eq, ne: op.i32Ne, lt: op.i32LtS, le: op.i32LeS, gt: op.i32GtS, ge: op.i32GeS }[name];
}
function vectorCompare(name: CompareOp, type: ValueType): number {
  if (type === "f32")
    return {
      eq: simd.f32x4Eq,
      ne: simd.f32x4Ne,
      lt: simd.f32x4Lt,
      le: simd.f32x4Le,
      gt: simd.f32x4Gt,
      ge: simd.f32x4Ge,
    }[name];
  if (type === "u32")
    return {
      eq: simd.i32x4Eq,
      ne: simd.i32x4Ne,
      lt: simd.i32x4LtU,
      le: simd.i32x4LeU,
      gt: simd.i32x4GtU,
      ge: simd.i32x4GeU,
    }[name];
  return {
    eq: simd.i32x4Eq,
    ne: simd.i32x4Ne,
    lt: simd.i32x4LtS,
    le: simd.i32x4LeS,
    gt: simd.i32x4GtS,
    ge: simd.i32x4GeS,
  }[name];
}

/** WebAssembly has no scalar FMA: a vector of equal lanes rounds the same way. */
function fma(e: KernelEmitter, dst: Local, a: Operand, b: Operand, c: Operand): void {
  const { w } = e;
  const fused = e.options.relaxedFma && !e.options.strict;
  const vector = dst.lanes > 1;
  e.define(dst, (r) => {
    if (!fused) {
      e.push(a, r, true);
      e.push(b, r, true);
      if (vector) w.simd(simd.f32x4Mul);
      else w.op(op.f32Mul);
      e.push(c, r);
      if (vector) w.simd(simd.f32x4Add);
      else w.op(op.f32Add);
      return;
    }
    for (const x of [a, b, c]) {
      e.push(x, r, x !== c);
      if (!vector) w.simd(simd.f32x4Splat);
    }
    w.simd(simd.relaxedMadd);
    if (!vector) w.lane(simd.f32x4Extract, 0);
  });
}

function convert(e: KernelEmitter, dst: Local, a: Operand): void {
  const { w } = e;
  const vector = dst.lanes > 1;
  if (a.type !== "f32" && dst.type !== "f32") {
    e.alias(dst, retyped(a, dst.type));
    return;
  }
  e.define(dst, (r) => {
    e.push(a, r);
    if (dst.type === "f32") {
      if (vector) w.simd(a.type === "u32" ? simd.f32x4ConvertU : simd.f32x4ConvertS);
      else w.op(a.type === "u32" ? op.f32ConvertI32U : op.f32ConvertI32S);
    } else if (vector) w.simd(dst.type === "u32" ? simd.i32x4TruncSatU : simd.i32x4TruncSatS);
    else w.truncSat(dst.type === "u32");
  });
}
