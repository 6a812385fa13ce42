/** Elementwise ops of two operands: arithmetic, comparison, logic and bits. Operands broadcast and have one dtype. */
import type { KernelBuilder } from "../../compiler/builder.ts";
import type { BinaryOp, CompareOp, Operand } from "../../compiler/loopir.ts";
import * as math from "../../compiler/math.ts";
import type { GradientContext, OpRecord, Value } from "../node.ts";
import type { Reference } from "../reference/array.ts";
import { elementwise } from "../reference/elementwise.ts";
import { isFloat } from "../types.ts";
import { applyBinary, type DTypes, mapOp } from "./common.ts";
import { integerPower, nextAfter as nextAfterExpr, remainder } from "./expressions.ts";
import {
  binarySamples,
  booleans,
  extremes,
  floats,
  integers,
  literal,
  pairs,
  type Sample,
  type Samples,
} from "./sample.ts";
import { select } from "./select.ts";
import { constantNumber, scalar } from "./source.ts";
import { floor, log, neg, trunc } from "./unary.ts";

interface Operands {
  readonly dy: Value;
  readonly a: Value;
  readonly b: Value;
  readonly y: Value;
}

interface Binary {
  readonly takes?: DTypes;
  readonly gives?: "bool";
  readonly expr: (b: KernelBuilder, x: Operand, y: Operand) => Operand;
  readonly flops: number;
  readonly heavy?: boolean;
  /** The gradients of both operands, each made only when asked for. */
  readonly gradient?: { readonly a: (o: Operands) => Value | null; readonly b: (o: Operands) => Value | null };
}

// @__NO_SIDE_EFFECTS__
function binary(name: string, spec: Binary): OpRecord<null> {
  const rules = spec.gradient;
  return mapOp({
    name,
    arity: 2,
    takes: spec.takes ?? "number",
    ...(spec.gives ? { gives: spec.gives } : {}),
    expr: (b, [x, y]) => spec.expr(b, x, y),
    flops: spec.flops,
    ...(spec.heavy ? { heavy: true } : {}),
    gradient: rules
      ? ({ inputs: [a, b], outputs: [y], grads, wants }: GradientContext<null>) => {
          const operands = { dy: grads[0]!, a, b, y };
          return [wants[0] ? rules.a(operands) : null, wants[1] ? rules.b(operands) : null];
        }
      : "none",
  });
}

function number(x: Value, value: number): Value {
  return scalar(value, x.dtype);
}

const direct =
  /* @__NO_SIDE_EFFECTS__ */
    (op: BinaryOp) =>
    (b: KernelBuilder, x: Operand, y: Operand): Operand =>
      b.binary(op, x, y);

// ---- arithmetic

export const addOp = binary("add", {
  expr: direct("add"),
  flops: 1,
  gradient: { a: ({ dy }) => dy, b: ({ dy }) => dy },
});
export const subOp = binary("sub", {
  expr: direct("sub"),
  flops: 1,
  gradient: { a: ({ dy }) => dy, b: ({ dy }) => neg(dy) },
});
export const mulOp = binary("mul", {
  expr: direct("mul"),
  flops: 1,
  gradient: { a: ({ dy, b }) => mul(dy, b), b: ({ dy, a }) => mul(dy, a) },
});
export const divOp = binary("div", {
  expr: direct("div"),
  flops: 4,
  gradient: { a: ({ dy, b }) => div(dy, b), b: ({ dy, b, y }) => neg(mul(div(dy, b), y)) },
});
export const powOp = binary("pow", {
  expr: (b, x, y) => (x.type === "f32" ? math.pow(b, x, y) : integerPower(b, x, y)),
  flops: 40,
  heavy: true,
  gradient: {
    // b·a^(b-1); at b = 0 the power a^-1 may be infinite, and is not needed.
    a: ({ dy, a, b }) => {
      const zero = equal(b, number(b, 0));
      const power = pow(a, select(zero, number(b, 1), sub(b, number(b, 1))));
      return select(zero, number(dy, 0), mul(dy, mul(b, power)));
    },
    // a^b·log a, and 0 at a = 0 where the logarithm is infinite.
    b: ({ dy, a, y }) => mul(dy, mul(y, log(select(equal(a, number(a, 0)), number(a, 1), a)))),
  },
});
export const atan2Op = binary("atan2", {
  takes: "float",
  expr: math.atan2,
  flops: 30,
  heavy: true,
  gradient: {
    a: ({ dy, a, b }) => div(mul(dy, b), add(mul(a, a), mul(b, b))),
    b: ({ dy, a, b }) => neg(div(mul(dy, a), add(mul(a, a), mul(b, b)))),
  },
});

/** All of the gradient to the larger (smaller) operand, half to each at a tie, as in JAX. */
function toWinner(dy: Value, mine: Value, other: Value, wins: (a: Value, b: Value) => Value): Value {
  const tie = select(equal(mine, other), mul(dy, number(dy, 0.5)), number(dy, 0));
  return select(wins(mine, other), dy, tie);
}
export const maximumOp = binary("maximum", {
  expr: direct("max"),
  flops: 1,
  gradient: { a: ({ dy, a, b }) => toWinner(dy, a, b, greater), b: ({ dy, a, b }) => toWinner(dy, b, a, greater) },
});
export const minimumOp = binary("minimum", {
  expr: direct("min"),
  flops: 1,
  gradient: { a: ({ dy, a, b }) => toWinner(dy, a, b, less), b: ({ dy, a, b }) => toWinner(dy, b, a, less) },
});
export const remOp = binary("rem", {
  expr: (b, x, y) => (x.type === "f32" ? remainder(b, x, y) : b.binary("rem", x, y)),
  flops: 20,
  heavy: true,
  gradient: { a: ({ dy }) => dy, b: ({ dy, a, b }) => neg(mul(dy, trunc(div(a, b)))) },
});
export const modOp = binary("mod", {
  expr: (b, x, y) => {
    const n = x.lanes;
    const rest = x.type === "f32" ? remainder(b, x, y) : b.binary("rem", x, y);
    if (x.type === "u32") return rest;
    const zero = b.const(x.type, 0, n);
    const otherSide = b.binary("xor", b.compare("lt", rest, zero), b.compare("lt", y, zero));
    const fix = b.binary("and", b.compare("ne", rest, zero), otherSide);
    return b.select(fix, b.add(rest, y), rest);
  },
  flops: 24,
  heavy: true,
  gradient: { a: ({ dy }) => dy, b: ({ dy, a, b }) => neg(mul(dy, floor(div(a, b)))) },
});
/** The next f32 after `a` towards `b`; no gradient. */
export const nextAfterOp = binary("nextAfter", { takes: "float", expr: nextAfterExpr, flops: 8 });

// ---- bits

/** Bitwise ops; on bool they are the logical ones. */
const bits = /* @__NO_SIDE_EFFECTS__ */ (name: string, op: BinaryOp) =>
  binary(name, { takes: "bits", expr: direct(op), flops: 1 });
export const bitwiseAndOp = bits("bitwiseAnd", "and");
export const bitwiseOrOp = bits("bitwiseOr", "or");
export const bitwiseXorOp = bits("bitwiseXor", "xor");
export const shiftLeftOp = binary("shiftLeft", { takes: "integer", expr: direct("shl"), flops: 1 });
export const shiftRightOp = binary("shiftRight", { takes: "integer", expr: direct("shr"), flops: 1 });

// ---- logic and comparison

const logical = /* @__NO_SIDE_EFFECTS__ */ (name: string, op: BinaryOp) =>
  binary(name, { takes: "bool", expr: direct(op), flops: 1 });
export const logicalAndOp = logical("logicalAnd", "and");
export const logicalOrOp = logical("logicalOr", "or");
export const logicalXorOp = logical("logicalXor", "xor");

/** `onMask` says the same of bools, which LoopIR does not compare. */
// @__NO_SIDE_EFFECTS__
function comparison(
  name: string,
  op: CompareOp,
  onMask: (b: KernelBuilder, x: Operand, y: Operand) => Operand,
): OpRecord<null> {
  const expr = (b: KernelBuilder, x: Operand, y: Operand) =>
    x.type === "mask" ? onMask(b, x, y) : b.compare(op, x, y);
  return binary(name, { takes: "any", gives: "bool", expr, flops: 1 });
}
const not = (b: KernelBuilder, x: Operand) => b.unary("not", x);
export const equalOp = comparison("equal", "eq", (b, x, y) => not(b, b.binary("xor", x, y)));
export const notEqualOp = comparison("notEqual", "ne", (b, x, y) => b.binary("xor", x, y));
export const lessOp = comparison("less", "lt", (b, x, y) => b.binary("and", not(b, x), y));
export const lessEqualOp = comparison("lessEqual", "le", (b, x, y) => b.binary("or", not(b, x), y));
export const greaterOp = comparison("greater", "gt", (b, x, y) => b.binary("and", x, not(b, y)));
export const greaterEqualOp = comparison("greaterEqual", "ge", (b, x, y) => b.binary("or", x, not(b, y)));

// ---- functions

export const add = (a: Value, b: Value): Value => applyBinary(addOp, a, b);
export const sub = (a: Value, b: Value): Value => applyBinary(subOp, a, b);
export const mul = (a: Value, b: Value): Value => applyBinary(mulOp, a, b);
/** a / b; of integers the quotient truncated towards zero, and 0 where b is 0. */
export const div = (a: Value, b: Value): Value => applyBinary(divOp, a, b);
/** a^b; of integers modulo 2^32, with negative powers truncated towards zero. */
export function pow(a: Value, b: Value): Value {
  const power = b.shape.length === 0 && isFloat(a.dtype) && a.dtype === b.dtype ? constantNumber(b) : undefined;
  if (power === 1) return a;
  if (power === 2) return mul(a, a);
  if (power === 3) return mul(mul(a, a), a);
  return applyBinary(powOp, a, b);
}
/** The angle of the point (b, a), in [-π, π]. */
export const atan2 = (a: Value, b: Value): Value => applyBinary(atan2Op, a, b);
/** NaN where either is NaN. */
export const maximum = (a: Value, b: Value): Value =>
  a.dtype === "bool" && b.dtype === "bool" ? logicalOr(a, b) : applyBinary(maximumOp, a, b);
export const minimum = (a: Value, b: Value): Value =>
  a.dtype === "bool" && b.dtype === "bool" ? logicalAnd(a, b) : applyBinary(minimumOp, a, b);
/** a - b·trunc(a/b): the sign of the dividend. */
export const rem = (a: Value, b: Value): Value => applyBinary(remOp, a, b);
/** a - b·floor(a/b): the sign of the divisor. */
export const mod = (a: Value, b: Value): Value => applyBinary(modOp, a, b);
export const nextAfter = (a: Value, b: Value): Value => applyBinary(nextAfterOp, a, b);
export const bitwiseAnd = (a: Value, b: Value): Value => applyBinary(bitwiseAndOp, a, b);
export const bitwiseOr = (a: Value, b: Value): Value => applyBinary(bitwiseOrOp, a, b);
export const bitwiseXor = (a: Value, b: Value): Value => applyBinary(bitwiseXorOp, a, b);
/** The count is taken modulo 32. */
export const shiftLeft = (a: Value, b: Value): Value => applyBinary(shiftLeftOp, a, b);
/** Arithmetic on signed dtypes, logical on unsigned ones; the count is taken modulo 32. */
export const shiftRight = (a: Value, b: Value): Value => applyBinary(shiftRightOp, a, b);
export const logicalAnd = (a: Value, b: Value): Value => applyBinary(logicalAndOp, a, b);
export const logicalOr = (a: Value, b: Value): Value => applyBinary(logicalOrOp, a, b);
export const logicalXor = (a: Value, b: Value): Value => applyBinary(logicalXorOp, a, b);
export const equal = (a: Value, b: Value): Value => applyBinary(equalOp, a, b);
export const notEqual = (a: Value, b: Value): Value => applyBinary(notEqualOp, a, b);
export const less = (a: Value, b: Value): Value => applyBinary(lessOp, a, b);
export const lessEqual = (a: Value, b: Value): Value => applyBinary(lessEqualOp, a, b);
export const greater = (a: Value, b: Value): Value => applyBinary(greaterOp, a, b);
export const greaterEqual = (a: Value, b: Value): Value => applyBinary(greaterEqualOp, a, b);

// ---- beside the records

const numbers = /* @__NO_SIDE_EFFECTS__ */ (f: (a: number, b: number) => number): Reference<unknown> =>
  elementwise(([a, b]) => f(a, b));
/** One function for floats, another for integers, where they differ. */
const split = /* @__NO_SIDE_EFFECTS__ */ (
  onFloat: (a: number, b: number) => number,
  onInteger: (a: number, b: number) => number,
): Reference<unknown> => elementwise(([a, b], dtype) => (isFloat(dtype) ? onFloat(a, b) : onInteger(a, b)));

const floorMod = (a: number, b: number): number => {
  const r = a % b;
  return r !== 0 && r < 0 !== b < 0 ? r + b : r;
};

function powInteger(a: number, b: number): number {
  if (b < 0) return a === 1 ? 1 : a === -1 ? (b % 2 === 0 ? 1 : -1) : 0;
  let result = 1;
  let square = a | 0;
  for (let left = b; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result = Math.imul(result, square);
    square = Math.imul(square, square);
  }
  return result;
}

function next(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.NaN;
  if (a === b) return b;
  if (a === 0) return b > 0 ? 2 ** -149 : -(2 ** -149);
  const f = new Float32Array([a]);
  const i = new Int32Array(f.buffer);
  i[0] += b > a === a > 0 ? 1 : -1;
  return f[0];
}

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  add: numbers((a, b) => a + b),
  sub: numbers((a, b) => a - b),
  mul: split((a, b) => a * b, Math.imul),
  div: split(
    (a, b) => a / b,
    (a, b) => (b === 0 ? 0 : Math.trunc(a / b)),
  ),
  pow: split((a, b) => (a === 1 || (a === -1 && Math.abs(b) === Number.POSITIVE_INFINITY) ? 1 : a ** b), powInteger),
  atan2: numbers(Math.atan2),
  maximum: numbers(Math.max),
  minimum: numbers(Math.min),
  rem: split(
    (a, b) => a % b,
    (a, b) => (b === 0 ? 0 : a % b),
  ),
  mod: split(floorMod, (a, b) => (b === 0 ? 0 : floorMod(a, b))),
  nextAfter: numbers(next),
  bitwiseAnd: numbers((a, b) => a & b),
  bitwiseOr: numbers((a, b) => a | b),
  bitwiseXor: numbers((a, b) => a ^ b),
  shiftLeft: numbers((a, b) => a << b),
  shiftRight: /* @__PURE__ */ elementwise(([a, b], dtype) => (dtype === "u32" ? a >>> b : a >> b)),
  logicalAnd: numbers((a, b) => a & b),
  logicalOr: numbers((a, b) => a | b),
  logicalXor: numbers((a, b) => a ^ b),
  equal: numbers((a, b) => Number(a === b)),
  notEqual: numbers((a, b) => Number(a !== b)),
  less: numbers((a, b) => Number(a < b)),
  lessEqual: numbers((a, b) => Number(a <= b)),
  greater: numbers((a, b) => Number(a > b)),
  greaterEqual: numbers((a, b) => Number(a >= b)),
};

export const docs: Record<string, string> = {
  add: "a + b",
  sub: "a - b",
  mul: "a · b; integers modulo 2^32.",
  div: "a / b; integers truncated towards zero, a/0 = 0.",
  pow: "a^b; integers modulo 2^32, negative powers truncated towards zero.",
  atan2: "The angle of the point (b, a), in [-π, π].",
  maximum: "The larger of a and b, NaN if either is NaN; a tie gives half of the gradient to each.",
  minimum: "The smaller of a and b, NaN if either is NaN; a tie gives half of the gradient to each.",
  rem: "a - b·trunc(a/b), exactly: the sign of the dividend; integers: a rem 0 = 0.",
  mod: "a - b·floor(a/b): the sign of the divisor; integers: a mod 0 = 0.",
  nextAfter: "The f32 next to a in the direction of b.",
  bitwiseAnd: "a and b, bit by bit; integers and bool.",
  bitwiseOr: "a or b, bit by bit; integers and bool.",
  bitwiseXor: "a exclusive-or b, bit by bit; integers and bool.",
  shiftLeft: "a · 2^(b mod 32) modulo the size of the dtype.",
  shiftRight: "floor(a / 2^(b mod 32)).",
  logicalAnd: "bool, bool → bool",
  logicalOr: "bool, bool → bool",
  logicalXor: "bool, bool → bool",
  equal: "any, any → bool: a = b; NaN equals nothing.",
  notEqual: "any, any → bool: a ≠ b; true with NaN.",
  less: "any, any → bool: a < b; false with NaN.",
  lessEqual: "any, any → bool: a ≤ b; false with NaN.",
  greater: "any, any → bool: a > b; false with NaN.",
  greaterEqual: "any, any → bool: a ≥ b; false with NaN.",
};

type Function2 = (a: Value, b: Value) => Value;
const exact = { ulps: 0 } as const;
const inexact = { ulps: 0, gradient: false } as const;
const someIntegers = [-2147483648, -7, -3, -1, 0, 1, 2, 5, 31, 2147483647];
const unsigned = [0, 1, 3, 31, 2147483648, 4294967295];
const onI32 = (f: Function2): Sample => ({ name: "i32", inputs: pairs(someIntegers, "i32"), build: f });
const onU32 = (f: Function2): Sample => ({ name: "u32", inputs: pairs(unsigned, "u32"), build: f });
const onU8 = (f: Function2): Sample => ({
  name: "u8",
  inputs: [integers([23], 0, 256, 1, "u8"), integers([23], 0, 256, 2, "u8")],
  build: f,
});
const onBool = (f: Function2): Sample => ({ name: "bool", inputs: pairs([0, 1], "bool"), build: f });
const compared = /* @__NO_SIDE_EFFECTS__ */ (f: Function2) => () => [
  ...binarySamples(f, [-2, 2], [-2, 2], inexact),
  { name: "equal operands", inputs: [literal([1, 2, 3]), literal([1, 3, 2])], build: f },
  onI32(f),
  onU32(f),
  onBool(f),
];
const bitwise = /* @__NO_SIDE_EFFECTS__ */ (f: Function2) => () => [onI32(f), onU32(f), onU8(f), onBool(f)];
const logic = /* @__NO_SIDE_EFFECTS__ */ (f: Function2) => () => [
  onBool(f),
  { name: "broadcasts", inputs: [booleans([3, 4], 1), booleans([4], 2)], build: f },
  { name: "size 0", inputs: [booleans([0]), booleans([1])], build: f },
];

export const samples: Samples = {
  add: () => [...binarySamples(add, [-2, 2], [-2, 2], exact), onI32(add), onU32(add), onU8(add)],
  sub: () => [...binarySamples(sub, [-2, 2], [-2, 2], exact), onI32(sub), onU32(sub), onU8(sub)],
  mul: () => [...binarySamples(mul, [-2, 2], [-2, 2], exact), onI32(mul), onU32(mul), onU8(mul)],
  div: () => [...binarySamples(div, [-2, 2], [0.5, 2], exact), onI32(div), onU32(div)],
  pow: () => [
    ...binarySamples(pow, [0.3, 3], [-2, 2]),
    {
      name: "negative bases",
      inputs: [literal([-2, -2, -1.5, -3]), literal([2, 3, 1, -2])],
      build: (a, b) => pow(a, b),
    },
    { name: "square", inputs: [floats([5])], build: (a) => pow(a, scalar(2)), gradient: true },
    { name: "cube", inputs: [floats([5])], build: (a) => pow(a, scalar(3)), gradient: true },
    { name: "a constant power", inputs: [floats([5], 0.5, 3)], build: (a) => pow(a, scalar(2.5)), gradient: true },
    { name: "power 0", inputs: [literal([0, 1, -2])], build: (a) => pow(a, scalar(0)), gradient: true },
    {
      name: "i32",
      inputs: [literal([2, -3, 7, 0, 0, 1, -1, -1, 5, 3], "i32"), literal([10, 3, 0, 0, 2, -5, -3, -4, -1, 21], "i32")],
      build: pow,
    },
  ],
  atan2: () => binarySamples(atan2, [0.5, 2], [-2, 2]),
  maximum: () => [...binarySamples(maximum, [-2, 2], [-2, 2], exact), onI32(maximum), onU32(maximum), onBool(maximum)],
  minimum: () => [...binarySamples(minimum, [-2, 2], [-2, 2], exact), onI32(minimum), onU32(minimum), onBool(minimum)],
  rem: () => [
    ...binarySamples(rem, [2.1, 2.9], [0.9, 1.04], { ulps: 0 }),
    { name: "negative", inputs: [floats([40], -9, 9, 3), floats([40], -3, 3, 4)], build: rem, ulps: 0 },
    { name: "wide range", inputs: pairs([1e38, 3.5e20, 12345.678, 1.1, 3e-20, 1e-40, -7e30]), build: rem, ulps: 0 },
    onI32(rem),
    onU32(rem),
  ],
  mod: () => [
    ...binarySamples(mod, [-2.9, -2.1], [0.9, 1.04], { ulps: 1 }),
    { name: "negative", inputs: [floats([40], -9, 9, 3), floats([40], -3, 3, 4)], build: mod, ulps: 1 },
    onI32(mod),
    onU32(mod),
  ],
  nextAfter: () => binarySamples(nextAfter, [-2, 2], [-2, 2], { ...inexact, extremes }),
  bitwiseAnd: bitwise(bitwiseAnd),
  bitwiseOr: bitwise(bitwiseOr),
  bitwiseXor: bitwise(bitwiseXor),
  shiftLeft: () => [onI32(shiftLeft), onU32(shiftLeft)],
  shiftRight: () => [onI32(shiftRight), onU32(shiftRight)],
  logicalAnd: logic(logicalAnd),
  logicalOr: logic(logicalOr),
  logicalXor: logic(logicalXor),
  equal: compared(equal),
  notEqual: compared(notEqual),
  less: compared(less),
  lessEqual: compared(lessEqual),
  greater: compared(greater),
  greaterEqual: compared(greaterEqual),
};
