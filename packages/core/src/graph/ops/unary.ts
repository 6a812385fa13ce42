/** Elementwise ops of one operand: arithmetic, rounding, exponentials, trigonometry, bits and tests of floats. */
import type { KernelBuilder } from "../../compiler/builder.ts";
import type { Operand } from "../../compiler/loopir.ts";
import * as math from "../../compiler/math.ts";
import type { GradientContext, OpRecord, Value } from "../node.ts";
import type { Reference } from "../reference/array.ts";
import { elementwise, erf as refErf, sigmoid as refSigmoid, roundHalfEven } from "../reference/elementwise.ts";
import { isFloat } from "../types.ts";
import { add, div, greater, mul, sub } from "./binary.ts";
import { applyUnary, type DTypes, fullLike, mapOp } from "./common.ts";
import { booleans, extremes, floats, integers, literal, type Samples, unarySamples } from "./sample.ts";
import { select } from "./select.ts";
import { scalar } from "./source.ts";

type Rule = "none" | ((dy: Value, x: Value, y: Value) => Value);

interface Unary {
  readonly takes?: DTypes;
  readonly gives?: "bool";
  readonly expr: (b: KernelBuilder, x: Operand) => Operand;
  readonly flops: number;
  readonly heavy?: boolean;
  /** dx from dy, the operand and the result. Prefer the result: then the operand need not be kept for the backward pass. */
  readonly gradient: Rule;
}

// @__NO_SIDE_EFFECTS__
function unary(name: string, spec: Unary): OpRecord<null> {
  const rule = spec.gradient;
  return mapOp({
    name,
    arity: 1,
    takes: spec.takes ?? "float",
    ...(spec.gives ? { gives: spec.gives } : {}),
    expr: (b, [x]) => spec.expr(b, x),
    flops: spec.flops,
    ...(spec.heavy ? { heavy: true } : {}),
    gradient:
      rule === "none"
        ? "none"
        : ({ inputs: [x], outputs: [y], grads }: GradientContext<null>) => [rule(grads[0]!, x, y)],
  });
}

/** A number as a rank-0 constant of the dtype of `x`. */
function number(x: Value, value: number): Value {
  return scalar(value, x.dtype);
}

function times(x: Value, factor: number): Value {
  return mul(x, number(x, factor));
}

/** An operation of LoopIR on floats that leaves integers alone (rounding an integer, for example). */
// @__NO_SIDE_EFFECTS__
function floatOnly(op: "floor" | "ceil" | "trunc" | "round"): Unary {
  return { takes: "number", expr: (b, x) => (x.type === "f32" ? b.unary(op, x) : x), flops: 1, gradient: "none" };
}

// ---- arithmetic

export const negOp = unary("neg", {
  takes: "number",
  expr: (b, x) => (x.type === "u32" ? b.sub(b.u32(0, x.lanes), x) : b.neg(x)),
  flops: 1,
  gradient: (dy) => neg(dy),
});
export const absOp = unary("abs", {
  takes: "number",
  expr: (b, x) => (x.type === "u32" ? x : b.unary("abs", x)),
  flops: 1,
  gradient: (dy, x) => mul(dy, sign(x)),
});
export const signOp = unary("sign", {
  takes: "number",
  expr: (b, x) => {
    const zero = b.const(x.type, 0, x.lanes);
    const one = b.const(x.type, 1, x.lanes);
    const positive = b.compare("gt", x, zero);
    // NaN, 0 and -0 pass through.
    if (x.type === "u32") return b.select(positive, one, x);
    return b.select(positive, one, b.select(b.compare("lt", x, zero), b.const(x.type, -1, x.lanes), x));
  },
  flops: 2,
  gradient: "none",
});
export const floorOp = unary("floor", floatOnly("floor"));
export const ceilOp = unary("ceil", floatOnly("ceil"));
export const truncOp = unary("trunc", floatOnly("trunc"));
export const roundOp = unary("round", floatOnly("round"));
export const sqrtOp = unary("sqrt", {
  expr: (b, x) => b.unary("sqrt", x),
  flops: 4,
  gradient: (dy, _, y) => div(times(dy, 0.5), y),
});
export const rsqrtOp = unary("rsqrt", {
  expr: math.rsqrt,
  flops: 8,
  gradient: (dy, x, y) => div(mul(times(dy, -0.5), y), x),
});
/** max(x, 0) with the gradient read off the result (0 at 0), so that a fused producer stores one tensor only. */
export const reluOp = unary("relu", {
  takes: "number",
  expr: (b, x) => (x.type === "u32" ? x : b.max(x, b.const(x.type, 0, x.lanes))),
  flops: 1,
  gradient: (dy, _, y) => select(greater(y, number(y, 0)), dy, number(dy, 0)),
});

// ---- exponentials and logarithms

export const expOp = unary("exp", { expr: math.exp, flops: 12, heavy: true, gradient: (dy, _, y) => mul(dy, y) });
export const expm1Op = unary("expm1", {
  expr: math.expm1,
  flops: 16,
  heavy: true,
  gradient: (dy, _, y) => mul(dy, add(y, number(y, 1))),
});
export const logOp = unary("log", { expr: math.log, flops: 14, heavy: true, gradient: (dy, x) => div(dy, x) });
export const log1pOp = unary("log1p", {
  expr: math.log1p,
  flops: 18,
  heavy: true,
  gradient: (dy, x) => div(dy, add(x, number(x, 1))),
});
export const tanhOp = unary("tanh", {
  expr: math.tanh,
  flops: 16,
  heavy: true,
  gradient: (dy, _, y) => mul(dy, sub(number(y, 1), mul(y, y))),
});
export const sigmoidOp = unary("sigmoid", {
  expr: math.sigmoid,
  flops: 16,
  heavy: true,
  gradient: (dy, _, y) => mul(dy, mul(y, sub(number(y, 1), y))),
});
export const erfOp = unary("erf", {
  expr: math.erf,
  flops: 20,
  heavy: true,
  gradient: (dy, x) => mul(dy, times(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI))),
});

// ---- trigonometry

export const sinOp = unary("sin", { expr: math.sin, flops: 16, heavy: true, gradient: (dy, x) => mul(dy, cos(x)) });
export const cosOp = unary("cos", {
  expr: math.cos,
  flops: 16,
  heavy: true,
  gradient: (dy, x) => neg(mul(dy, sin(x))),
});
export const tanOp = unary("tan", {
  expr: math.tan,
  flops: 24,
  heavy: true,
  gradient: (dy, _, y) => mul(dy, add(mul(y, y), number(y, 1))),
});
export const asinOp = unary("asin", {
  expr: math.asin,
  flops: 20,
  heavy: true,
  gradient: (dy, x) => mul(dy, rsqrt(oneMinusSquare(x))),
});
export const acosOp = unary("acos", {
  expr: math.acos,
  flops: 20,
  heavy: true,
  gradient: (dy, x) => neg(mul(dy, rsqrt(oneMinusSquare(x)))),
});
export const atanOp = unary("atan", {
  expr: math.atan,
  flops: 20,
  heavy: true,
  gradient: (dy, x) => div(dy, add(mul(x, x), number(x, 1))),
});
export const sinhOp = unary("sinh", { expr: math.sinh, flops: 24, heavy: true, gradient: (dy, x) => mul(dy, cosh(x)) });
export const coshOp = unary("cosh", { expr: math.cosh, flops: 24, heavy: true, gradient: (dy, x) => mul(dy, sinh(x)) });
export const asinhOp = unary("asinh", {
  expr: math.asinh,
  flops: 30,
  heavy: true,
  gradient: (dy, x) => mul(dy, rsqrt(add(mul(x, x), number(x, 1)))),
});
export const acoshOp = unary("acosh", {
  expr: math.acosh,
  flops: 30,
  heavy: true,
  gradient: (dy, x) => mul(dy, rsqrt(mul(sub(x, number(x, 1)), add(x, number(x, 1))))),
});
export const atanhOp = unary("atanh", {
  expr: math.atanh,
  flops: 30,
  heavy: true,
  gradient: (dy, x) => div(dy, oneMinusSquare(x)),
});

/** 1 - x², as a product: exact near 1, where the square would cancel. */
function oneMinusSquare(x: Value): Value {
  const one = number(x, 1);
  return mul(sub(one, x), add(one, x));
}

// ---- bits and tests

export const logicalNotOp = unary("logicalNot", {
  takes: "bool",
  expr: (b, x) => b.unary("not", x),
  flops: 1,
  gradient: "none",
});
export const bitwiseNotOp = unary("bitwiseNot", {
  takes: "bits",
  expr: (b, x) => b.unary("not", x),
  flops: 1,
  gradient: "none",
});

function test(name: string, onFloat: (b: KernelBuilder, x: Operand) => Operand, onInteger: 0 | 1): OpRecord<null> {
  return unary(name, {
    takes: "any",
    gives: "bool",
    expr: (b, x) => (x.type === "f32" ? onFloat(b, x) : b.const("mask", onInteger, x.lanes)),
    flops: 1,
    gradient: "none",
  });
}
const infinity = (b: KernelBuilder, x: Operand) => b.f32(Number.POSITIVE_INFINITY, x.lanes);
export const isNanOp = test("isNan", (b, x) => b.compare("ne", x, x), 0);
export const isFiniteOp = test("isFinite", (b, x) => b.compare("lt", b.unary("abs", x), infinity(b, x)), 1);
export const isInfOp = test("isInf", (b, x) => b.compare("eq", b.unary("abs", x), infinity(b, x)), 0);

// ---- functions

export const neg = (x: Value): Value => applyUnary(negOp, x);
export const abs = (x: Value): Value => applyUnary(absOp, x);
/** -1, 0 or 1; NaN stays NaN. */
export const sign = (x: Value): Value => applyUnary(signOp, x);
export const floor = (x: Value): Value => applyUnary(floorOp, x);
export const ceil = (x: Value): Value => applyUnary(ceilOp, x);
export const trunc = (x: Value): Value => applyUnary(truncOp, x);
/** To the nearest integer, halves to even. */
export const round = (x: Value): Value => applyUnary(roundOp, x);
export const sqrt = (x: Value): Value => applyUnary(sqrtOp, x);
/** 1 / √x */
export const rsqrt = (x: Value): Value => applyUnary(rsqrtOp, x);
export const relu = (x: Value): Value => applyUnary(reluOp, x);
export const exp = (x: Value): Value => applyUnary(expOp, x);
/** e^x - 1, accurate near 0. */
export const expm1 = (x: Value): Value => applyUnary(expm1Op, x);
export const log = (x: Value): Value => applyUnary(logOp, x);
/** log(1 + x), accurate near 0. */
export const log1p = (x: Value): Value => applyUnary(log1pOp, x);
export const tanh = (x: Value): Value => applyUnary(tanhOp, x);
/** 1 / (1 + e^-x) */
export const sigmoid = (x: Value): Value => applyUnary(sigmoidOp, x);
export const erf = (x: Value): Value => applyUnary(erfOp, x);
export const sin = (x: Value): Value => applyUnary(sinOp, x);
export const cos = (x: Value): Value => applyUnary(cosOp, x);
export const tan = (x: Value): Value => applyUnary(tanOp, x);
export const asin = (x: Value): Value => applyUnary(asinOp, x);
export const acos = (x: Value): Value => applyUnary(acosOp, x);
export const atan = (x: Value): Value => applyUnary(atanOp, x);
export const sinh = (x: Value): Value => applyUnary(sinhOp, x);
export const cosh = (x: Value): Value => applyUnary(coshOp, x);
export const asinh = (x: Value): Value => applyUnary(asinhOp, x);
export const acosh = (x: Value): Value => applyUnary(acoshOp, x);
export const atanh = (x: Value): Value => applyUnary(atanhOp, x);
export const logicalNot = (x: Value): Value => applyUnary(logicalNotOp, x);
export const bitwiseNot = (x: Value): Value => applyUnary(bitwiseNotOp, x);
export const isNan = (x: Value): Value => applyUnary(isNanOp, x);
// biome-ignore lint/suspicious/noShadowRestrictedNames: the name of the field.
export const isFinite = (x: Value): Value => applyUnary(isFiniteOp, x);
export const isInf = (x: Value): Value => applyUnary(isInfOp, x);
/** Zeros of the shape and dtype of `x`. */
export const zerosLike = (x: Value): Value => fullLike(x, 0);
export const onesLike = (x: Value): Value => fullLike(x, 1);

// ---- beside the records

const of = /* @__NO_SIDE_EFFECTS__ */ (f: (x: number) => number): Reference<unknown> => elementwise(([x]) => f(x));

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  neg: of((x) => -x),
  abs: of(Math.abs),
  sign: of(Math.sign),
  floor: of(Math.floor),
  ceil: of(Math.ceil),
  trunc: of(Math.trunc),
  round: of(roundHalfEven),
  sqrt: of(Math.sqrt),
  rsqrt: of((x) => 1 / Math.sqrt(x)),
  relu: of((x) => Math.max(x, 0)),
  exp: of(Math.exp),
  expm1: of(Math.expm1),
  log: of(Math.log),
  log1p: of(Math.log1p),
  tanh: of(Math.tanh),
  sigmoid: of(refSigmoid),
  erf: of(refErf),
  sin: of(Math.sin),
  cos: of(Math.cos),
  tan: of(Math.tan),
  asin: of(Math.asin),
  acos: of(Math.acos),
  atan: of(Math.atan),
  sinh: of(Math.sinh),
  cosh: of(Math.cosh),
  asinh: of(Math.asinh),
  acosh: of(Math.acosh),
  atanh: of(Math.atanh),
  logicalNot: of((x) => (x === 0 ? 1 : 0)),
  bitwiseNot: /* @__PURE__ */ elementwise(([x], dtype) => (dtype === "bool" ? (x === 0 ? 1 : 0) : ~x)),
  isNan: /* @__PURE__ */ elementwise(([x], dtype) => Number(isFloat(dtype) && Number.isNaN(x))),
  isFinite: /* @__PURE__ */ elementwise(([x], dtype) => Number(!isFloat(dtype) || Number.isFinite(x))),
  isInf: /* @__PURE__ */ elementwise(([x], dtype) =>
    Number(isFloat(dtype) && Math.abs(x) === Number.POSITIVE_INFINITY),
  ),
};

export const docs: Record<string, string> = {
  neg: "-x",
  abs: "|x|; its gradient at 0 is 0.",
  sign: "-1, 0 or 1; NaN stays NaN.",
  floor: "The largest integer not above x.",
  ceil: "The smallest integer not below x.",
  trunc: "x without its fraction.",
  round: "The nearest integer, halves to even.",
  sqrt: "√x",
  rsqrt: "1/√x",
  relu: "max(x, 0); its gradient at 0 is 0.",
  exp: "e^x",
  expm1: "e^x - 1, accurate near 0.",
  log: "The natural logarithm; NaN below 0, -∞ at 0.",
  log1p: "log(1 + x), accurate near 0.",
  tanh: "The hyperbolic tangent.",
  sigmoid: "1 / (1 + e^-x)",
  erf: "2/√π ∫₀ˣ e^-t² dt",
  sin: "The sine of x radians.",
  cos: "The cosine of x radians.",
  tan: "The tangent of x radians.",
  asin: "The angle in [-π/2, π/2] whose sine is x; NaN outside [-1, 1].",
  acos: "The angle in [0, π] whose cosine is x; NaN outside [-1, 1].",
  atan: "The angle in (-π/2, π/2) whose tangent is x.",
  sinh: "(e^x - e^-x) / 2",
  cosh: "(e^x + e^-x) / 2",
  asinh: "log(x + √(x² + 1))",
  acosh: "log(x + √(x² - 1)); NaN below 1.",
  atanh: "½ log((1 + x) / (1 - x)); NaN outside [-1, 1].",
  logicalNot: "bool → bool",
  bitwiseNot: "All bits turned; integers and bool.",
  isNan: "any → bool: x is NaN.",
  isFinite: "any → bool: x is neither NaN nor infinite.",
  isInf: "any → bool: x is +∞ or -∞.",
};

const halves = /* @__PURE__ */ extremes.concat([2.5, 3.5, -1.5, 0.49999997, -0.49999997, 8388607.5, 2147483648]);

export const samples: Samples = {
  neg: () => [
    ...unarySamples(neg, -2, 2, { ulps: 0 }),
    { name: "i32", inputs: [integers([9], -50, 50)], build: neg },
    { name: "u32", inputs: [literal([0, 1, 4294967295], "u32")], build: neg },
    { name: "i8", inputs: [literal([-128, 0, 127], "i8")], build: neg },
  ],
  abs: () => [
    ...unarySamples(abs, 0.5, 2, { ulps: 0 }),
    { name: "negative", inputs: [floats([5], -2, -0.5)], build: abs, gradient: true },
    { name: "i32", inputs: [literal([-2147483648, -3, 0, 3], "i32")], build: abs },
    { name: "u8", inputs: [literal([0, 200], "u8")], build: abs },
  ],
  sign: () => [
    ...unarySamples(sign, 0.5, 2, { ulps: 0, gradient: false }),
    { name: "i32", inputs: [literal([-7, 0, 7], "i32")], build: sign },
    { name: "u32", inputs: [literal([0, 7, 4294967295], "u32")], build: sign },
  ],
  floor: () => unarySamples(floor, -9, 9, { ulps: 0, gradient: false, extremes: halves }),
  ceil: () => unarySamples(ceil, -9, 9, { ulps: 0, gradient: false, extremes: halves }),
  trunc: () => unarySamples(trunc, -9, 9, { ulps: 0, gradient: false, extremes: halves }),
  round: () => [
    ...unarySamples(round, -9, 9, { ulps: 0, gradient: false, extremes: halves }),
    { name: "i32", inputs: [integers([5], -9, 9)], build: round },
  ],
  sqrt: () => unarySamples(sqrt, 0.25, 9, { ulps: 1 }),
  rsqrt: () => unarySamples(rsqrt, 0.25, 9),
  relu: () => [
    ...unarySamples(relu, 0.25, 2, { ulps: 0 }),
    { name: "both signs", inputs: [literal([-2, -1, 0.5, 3])], build: relu, gradient: true },
    { name: "i32", inputs: [integers([5], -9, 9)], build: relu },
  ],
  exp: () => unarySamples(exp, -3, 3),
  expm1: () => unarySamples(expm1, -3, 3),
  log: () => unarySamples(log, 0.25, 9),
  log1p: () => unarySamples(log1p, -0.5, 9),
  tanh: () => unarySamples(tanh, -3, 3),
  sigmoid: () => unarySamples(sigmoid, -5, 5),
  erf: () => unarySamples(erf, -2.5, 2.5),
  sin: () => unarySamples(sin, -7, 7),
  cos: () => unarySamples(cos, -7, 7),
  tan: () => unarySamples(tan, -1.2, 1.2),
  asin: () => unarySamples(asin, -0.9, 0.9),
  acos: () => unarySamples(acos, -0.9, 0.9),
  atan: () => unarySamples(atan, -3, 3),
  sinh: () => unarySamples(sinh, -3, 3),
  cosh: () => unarySamples(cosh, -3, 3),
  asinh: () => unarySamples(asinh, -3, 3),
  acosh: () => unarySamples(acosh, 1.5, 9),
  atanh: () => unarySamples(atanh, -0.9, 0.9),
  logicalNot: () => [
    { name: "typical", inputs: [booleans([7])], build: logicalNot },
    { name: "size 0", inputs: [booleans([0])], build: logicalNot },
  ],
  bitwiseNot: () => [
    { name: "i32", inputs: [integers([9], -50, 50)], build: bitwiseNot },
    { name: "u32", inputs: [literal([0, 1, 4294967295], "u32")], build: bitwiseNot },
    { name: "u8", inputs: [integers([9], 0, 256, 3, "u8")], build: bitwiseNot },
    { name: "bool", inputs: [booleans([5])], build: bitwiseNot },
  ],
  isNan: () => [
    ...unarySamples(isNan, -2, 2, { gradient: false }),
    { name: "i32", inputs: [integers([3], 0, 9)], build: isNan },
  ],
  isFinite: () => [
    ...unarySamples(isFinite, -2, 2, { gradient: false }),
    { name: "bool", inputs: [booleans([3])], build: isFinite },
  ],
  isInf: () => [
    ...unarySamples(isInf, -2, 2, { gradient: false }),
    { name: "u8", inputs: [integers([3], 0, 9, 1, "u8")], build: isInf },
  ],
};
