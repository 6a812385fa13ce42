/**
 * Elementary functions as LoopIR, for any number of lanes: one set of polynomials for every target, at most 5 ULP.
 *
 * Coefficients are near-minimax (Chebyshev interpolation in 40 digits, rounded to f32) on the reduced ranges named at
 * each function. Reductions follow the textbook forms (Cody and Waite, "Software Manual for the Elementary Functions";
 * Payne and Hanek 1983 for large angles). Nothing relies on FMA for accuracy, so `strict` stays within the bound.
 */
import type { KernelBuilder } from "./builder.ts";
import type { Operand } from "./loopir.ts";

/** Constants with the lanes of an operand. */
function constants(b: KernelBuilder, like: Operand) {
  return {
    f: (x: number) => b.f32(x, like.lanes),
    i: (x: number) => b.i32(x, like.lanes),
    u: (x: number) => b.u32(x, like.lanes),
  };
}

/** Horner's rule, coefficients from the constant upwards. */
export function polynomial(b: KernelBuilder, x: Operand, coefficients: readonly number[]): Operand {
  let y: Operand = b.f32(coefficients[coefficients.length - 1], x.lanes);
  for (let i = coefficients.length - 2; i >= 0; i--) y = b.fma(y, x, b.f32(coefficients[i], x.lanes));
  return y;
}

/** 2^n for integers -126 … 127. */
function powerOfTwo(b: KernelBuilder, n: Operand): Operand {
  const { i } = constants(b, n);
  return b.bitcast(b.binary("shl", b.add(n, i(127)), i(23)), "f32");
}

/** x·2^n for -252 ≤ n ≤ 254, in two steps so that results may be subnormal or overflow. */
function scaleByPower(b: KernelBuilder, x: Operand, n: Operand): Operand {
  const half = b.binary("shr", n, b.i32(1, n.lanes));
  return b.mul(b.mul(x, powerOfTwo(b, half)), powerOfTwo(b, b.sub(n, half)));
}

const ln2High = 0.69287109375;
const ln2Low = 0.00027608679374679923;
const log2e = Math.LOG2E;
// e^r on |r| ≤ ln2/2, error 2.1e-9.
const expCoefficients = [1, 1, 0.5, 0.166664049, 0.0416663401, 0.00837596785, 0.00139421597];

/** 3·2²²: a sum with a small number is that number's nearest integer, in the low bits of the sum. */
const rounder = 12582912;

/**
 * e^x for x in [low, high]: x = k·ln 2 + r, and e^r is multiplied by 2^k, whose bits are those of the sum that rounded
 * k. One factor suffices if 2^k, or all of them times a constant, are normal numbers; otherwise there are two. Either way
 * only the last product rounds, so that results may be subnormal or overflow.
 */
function expWithin(b: KernelBuilder, x: Operand, low: number, high: number): Operand {
  const { f, i } = constants(b, x);
  const least = Math.floor(low * log2e);
  const most = Math.ceil(high * log2e);
  const twice = most - least > 253;
  const shift = twice ? 0 : least < -126 ? -126 - least : most > 127 ? 127 - most : 0;
  const bias = twice ? 254 : 127 + shift;
  const sum = b.fma(x, f(log2e), f(rounder + bias));
  const k = b.sub(sum, f(rounder + bias));
  const r = b.fma(k, f(-ln2Low), b.fma(k, f(-ln2High), x));
  const y = polynomial(b, r, expCoefficients);
  // Only the low nine bits reach the exponent, so that those of `rounder` do not matter.
  const power = (n: Operand): Operand => b.bitcast(b.binary("shl", n, i(23)), "f32");
  const bits = b.bitcast(sum, "i32");
  if (twice) {
    const half = b.binary("shr", bits, i(1));
    return b.mul(b.mul(y, power(half)), power(b.sub(bits, half)));
  }
  const scaled = b.mul(y, power(bits));
  return shift === 0 ? scaled : b.mul(scaled, f(2 ** -shift));
}

/**
 * e^x. From -176 down 2^k is two factors of zero: a product that rounds to zero instead (from -104 on) costs a processor
 * a hundred times as much, and masked scores are far below.
 */
export function exp(b: KernelBuilder, x: Operand): Operand {
  const { f } = constants(b, x);
  return expWithin(b, b.max(b.min(x, f(89)), f(-176)), -176, 89);
}

// (e^x - 1 - x)/x² on |x| ≤ 0.37, error 4e-11.
const expm1Coefficients = [0.5, 0.166666672, 0.0416666679, 0.00833328906, 0.0013888845, 0.000199065165, 2.48668166e-5];

/** e^x - 1, accurate near 0. */
export function expm1(b: KernelBuilder, x: Operand): Operand {
  const { f } = constants(b, x);
  const small = b.fma(b.mul(x, x), polynomial(b, x, expm1Coefficients), x);
  // The sign is set at the end because -0 + 0 lost it.
  return copySign(b, b.select(b.compare("lt", b.unary("abs", x), f(0.36)), small, b.sub(exp(b, x), f(1))), x);
}

/** Splits x > 0 (finite) into m in [√½, √2) and the exponent n as a float; subnormals are scaled first. */
function splitExponent(b: KernelBuilder, x: Operand): { m: Operand; n: Operand } {
  const { f, i } = constants(b, x);
  const tiny = b.compare("lt", x, f(1.17549435e-38));
  const scaled = b.select(tiny, b.mul(x, f(8388608)), x);
  const bits = b.bitcast(scaled, "i32");
  // Subtracting √½ first makes the exponent field change exactly at √½·2^n.
  const shifted = b.sub(bits, i(0x3f3504f3));
  const n = b.convert(b.binary("shr", shifted, i(23)), "f32");
  const m = b.bitcast(b.add(b.binary("and", shifted, i(0x007fffff)), i(0x3f3504f3)), "f32");
  return { m, n: b.select(tiny, b.sub(n, f(23)), n) };
}

// (2·atanh(s) - 2s)/s³ in s² on |s| ≤ 0.1716, error 1.2e-9.
const atanhCoefficients = [0.666666687, 0.400001228, 0.285508037, 0.233309641];

/** log of m in [√½, √2) plus n·ln 2: with s = f/(2+f), f = m-1, log(1+f) = f - f²/2 + s·(f²/2 + s²·R(s²)). */
function logCore(b: KernelBuilder, m: Operand, n: Operand): Operand {
  const { f } = constants(b, m);
  const t = b.sub(m, f(1));
  const s = b.div(t, b.add(t, f(2)));
  const z = b.mul(s, s);
  const half = b.mul(b.mul(t, t), f(0.5));
  const r = b.mul(s, b.add(half, b.mul(z, polynomial(b, z, atanhCoefficients))));
  return b.add(b.mul(n, f(ln2High)), b.add(t, b.sub(b.add(r, b.mul(n, f(ln2Low))), half)));
}

/** Natural logarithm; -∞ at 0, NaN below. */
export function log(b: KernelBuilder, x: Operand): Operand {
  const { f } = constants(b, x);
  const { m, n } = splitExponent(b, x);
  let y: Operand = logCore(b, m, n);
  y = b.select(b.compare("eq", x, f(Number.POSITIVE_INFINITY)), x, y);
  y = b.select(b.compare("eq", x, f(0)), f(Number.NEGATIVE_INFINITY), y);
  // Not ≥ 0: negative or NaN.
  return b.select(b.compare("ge", x, f(0)), y, f(Number.NaN));
}

/** log(1 + x), accurate near 0: the rounding error of 1 + x is put back to first order. */
export function log1p(b: KernelBuilder, x: Operand): Operand {
  const { f } = constants(b, x);
  const u = b.add(x, f(1));
  const lost = b.sub(x, b.sub(u, f(1)));
  const finite = b.compare("lt", b.unary("abs", u), f(Number.POSITIVE_INFINITY));
  const correctable = b.binary("and", finite, b.compare("gt", u, f(0)));
  const y = b.add(log(b, u), b.select(correctable, b.div(lost, u), f(0)));
  // Keeps tiny x (and -0) as they are.
  return b.select(b.compare("lt", b.unary("abs", x), f(1e-8)), x, y);
}

// (tanh x - x)/x³ in x² on |x| ≤ 0.625, error 1.6e-9.
const tanhCoefficients = [-0.333333343, 0.133333042, -0.0539592579, 0.0217689183, -0.00834394526, 0.00229274458];

/** The sign bit of `sign` on the magnitude of `x`. */
function copySign(b: KernelBuilder, x: Operand, sign: Operand): Operand {
  const { i } = constants(b, x);
  const magnitude = b.binary("and", b.bitcast(x, "i32"), i(0x7fffffff));
  return b.bitcast(b.binary("or", magnitude, b.binary("and", b.bitcast(sign, "i32"), i(-2147483648))), "f32");
}

export function tanh(b: KernelBuilder, x: Operand): Operand {
  const { f } = constants(b, x);
  const a = b.unary("abs", x);
  const z = b.mul(x, x);
  const small = b.fma(b.mul(z, x), polynomial(b, z, tanhCoefficients), x);
  // tanh 9.02 is 1 in f32, and so are all beyond.
  const e = expWithin(b, b.min(b.add(a, a), f(20)), 0, 20);
  const large = b.sub(f(1), b.div(f(2), b.add(e, f(1))));
  // The sign is set at the end: that of large is missing, and that of -0 was lost.
  return copySign(b, b.select(b.compare("lt", a, f(0.625)), small, large), x);
}

/** 1/(1 + e^-x), with full relative accuracy for negative x. */
export function sigmoid(b: KernelBuilder, x: Operand): Operand {
  const { f } = constants(b, x);
  const e = expWithin(b, b.max(b.neg(b.unary("abs", x)), f(-104)), -104, 0);
  return b.div(b.select(b.compare("ge", x, f(0)), f(1), e), b.add(e, f(1)));
}

// erf(x)/x in x² on |x| ≤ 0.92, error 4e-10; log(erfc(x)) on [0.9, 4], error 2e-8.
const erfCoefficients = [
  1.12837923, -0.376126349, 0.112837009, -0.0268596914, 0.00520171458, -0.000815005042, 8.39977802e-5,
];
const logErfcCoefficients = [
  0.000318539649, -1.13023102, -0.631823897, -0.110087164, 0.0264276378, -0.00476262579, 0.000597585749, -4.61638592e-5,
  1.64306368e-6,
];

/** The error function 2/√π·∫₀ˣ e^-t² dt. */
export function erf(b: KernelBuilder, x: Operand): Operand {
  const { f } = constants(b, x);
  const a = b.unary("abs", x);
  const small = b.mul(x, polynomial(b, b.mul(x, x), erfCoefficients));
  const large = b.sub(f(1), expWithin(b, polynomial(b, b.min(a, f(4)), logErfcCoefficients), -20, 0));
  return b.select(b.compare("lt", a, f(0.92)), small, copySign(b, large, x));
}

// Four pieces of π/2; the first three have at most 11 bits, so that products with small integers are exact.
const piOverTwo = [1.5703125, 0.0004837512969970703, 7.549533620476723e-8, 2.5633440682570896e-12];
// 2/π, 32 bits a word.
const twoOverPi = [0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab, 0xdebbc561];
/** From here on the four-piece reduction loses bits. */
const largeAngle = 12000;

/** x = quadrant·π/2 + r with x ≥ 0 and |r| ≤ π/4 (a little more): quadrant modulo 4 and r. */
function reduceAngle(b: KernelBuilder, x: Operand): { quadrant: Operand; r: Operand } {
  const { f, i } = constants(b, x);
  const large = b.compare("ge", x, f(largeAngle));
  const y = b.select(large, f(0), x);
  const k = b.unary("round", b.mul(y, f(0.6366197723675814)));
  let r: Operand = y;
  for (const p of piOverTwo) r = b.sub(r, b.mul(k, f(p)));
  const quadrant = b.var(b.convert(k, "i32"));
  const rest = b.var(r);
  b.if(b.any(large), () => {
    const exact = reduceLargeAngle(b, x);
    b.assign(quadrant, b.select(large, exact.quadrant, quadrant));
    b.assign(rest, b.select(large, exact.r, rest));
  });
  return { quadrant: b.binary("and", quadrant, i(3)), r: rest };
}

/**
 * Payne–Hanek: the 24-bit significand times the 96 bits of 2/π that matter for this exponent, modulo 4. The top two bits
 * of the product are the quadrant, the others the fraction of π/2. Infinity and NaN give NaN.
 */
function reduceLargeAngle(b: KernelBuilder, x: Operand): { quadrant: Operand; r: Operand } {
  const { f, i, u } = constants(b, x);
  const bits = b.bitcast(x, "u32");
  const significand = b.binary("or", b.binary("and", bits, u(0x007fffff)), u(0x00800000));
  const exponent = b.sub(b.binary("and", b.binary("shr", bits, u(23)), u(255)), u(127));
  const offset = b.add(exponent, u(7));
  const word = b.binary("shr", offset, u(5));
  const shift = b.binary("and", offset, u(31));
  const words = [0, ...twoOverPi];
  // The word at index + n of the table; the index is 0 … 4.
  const at = (n: number): Operand => {
    let w: Operand = u(words[n]);
    for (let j = 1; j <= 4; j++) w = b.select(b.compare("eq", word, u(j)), u(words[n + j]), w);
    return w;
  };
  const w = [0, 1, 2, 3].map(at);
  const back = b.sub(u(31), shift);
  const join = (high: Operand, low: Operand) =>
    b.binary("or", b.binary("shl", high, shift), b.binary("shr", b.binary("shr", low, u(1)), back));
  const [high, middle, low] = [join(w[0], w[1]), join(w[1], w[2]), join(w[2], w[3])];
  const carryIn = b.binary("mulhi", significand, low);
  const p1 = b.add(b.mul(significand, middle), carryIn);
  const carry = b.select(b.compare("lt", p1, carryIn), u(1), u(0));
  const p2 = b.add(b.add(b.mul(significand, high), b.binary("mulhi", significand, middle)), carry);
  const fraction = b.bitcast(b.binary("or", b.binary("shl", p2, u(2)), b.binary("shr", p1, u(30))), "i32");
  const below = b.binary("shl", p1, u(2));
  const quadrant = b.add(
    b.bitcast(b.binary("shr", p2, u(30)), "i32"),
    b.binary("and", b.binary("shr", fraction, i(31)), i(1)),
  );
  const turns = b.add(b.mul(b.convert(fraction, "f32"), f(2 ** -32)), b.mul(b.convert(below, "f32"), f(2 ** -64)));
  const angle = b.mul(turns, f(Math.PI / 2));
  const finite = b.compare("lt", x, f(Number.POSITIVE_INFINITY));
  return { quadrant, r: b.select(finite, angle, f(Number.NaN)) };
}

// (sin r - r)/r³ and (cos r - 1 + r²/2)/r⁴ in r² on |r| ≤ π/4.
const sinCoefficients = [-0.166666672, 0.00833333191, -0.000198400827, 2.72493139e-6];
const cosCoefficients = [0.0416666679, -0.00138888881, 2.48005963e-5, -2.73004474e-7];

/** Of |x|, before the quadrant decides which is which; `sign` is the sign bit of x. */
function sinCos(b: KernelBuilder, x: Operand): { sin: Operand; cos: Operand; quadrant: Operand; sign: Operand } {
  const { f, i } = constants(b, x);
  const sign = b.binary("and", b.bitcast(x, "i32"), i(-2147483648));
  const { quadrant, r } = reduceAngle(b, b.unary("abs", x));
  const z = b.mul(r, r);
  const sin = b.fma(b.mul(z, r), polynomial(b, z, sinCoefficients), r);
  const half = b.mul(z, f(0.5));
  const one = b.sub(f(1), half);
  // 1 - half rounds; what it lost is added back with the small terms.
  const lost = b.sub(b.sub(f(1), one), half);
  const cos = b.add(one, b.fma(b.mul(z, z), polynomial(b, z, cosCoefficients), lost));
  return { sin, cos, quadrant, sign };
}

/** The bits of `y` with its sign bit changed by those of `flip`. */
function flipSign(b: KernelBuilder, y: Operand, flip: Operand): Operand {
  return b.bitcast(b.binary("xor", b.bitcast(y, "i32"), flip), "f32");
}

/** ±sin or ±cos of the reduced angle, by quadrant. */
function byQuadrant(b: KernelBuilder, sin: Operand, cos: Operand, quadrant: Operand): Operand {
  const { i } = constants(b, sin);
  const y = b.select(b.compare("eq", b.binary("and", quadrant, i(1)), i(0)), sin, cos);
  return flipSign(b, y, b.binary("shl", b.binary("and", quadrant, i(2)), i(30)));
}

export function sin(b: KernelBuilder, x: Operand): Operand {
  const s = sinCos(b, x);
  return flipSign(b, byQuadrant(b, s.sin, s.cos, s.quadrant), s.sign);
}

export function cos(b: KernelBuilder, x: Operand): Operand {
  const s = sinCos(b, x);
  return byQuadrant(b, s.sin, s.cos, b.add(s.quadrant, b.i32(1, x.lanes)));
}

export function tan(b: KernelBuilder, x: Operand): Operand {
  const { i } = constants(b, x);
  const { sin: s, cos: c, quadrant, sign } = sinCos(b, x);
  const even = b.compare("eq", b.binary("and", quadrant, i(1)), i(0));
  return flipSign(b, b.div(b.select(even, s, b.neg(c)), b.select(even, c, s)), sign);
}

// (atan x - x)/x³ in x² on [0, 1], error 4e-10.
const atanCoefficients = [
  -0.333333343, 0.199999899, -0.142853186, 0.111047067, -0.0903674215, 0.0741749704, -0.057607159, 0.0383274443,
  -0.0192610808, 0.00620725472, -0.000936299446,
];
const halfPiHigh = 1.5707963705062866;
const halfPiLow = -4.371138828673793e-8;

/** atan of x in [0, 1]. */
function atanUnit(b: KernelBuilder, x: Operand): Operand {
  const z = b.mul(x, x);
  return b.fma(b.mul(z, x), polynomial(b, z, atanCoefficients), x);
}

export function atan(b: KernelBuilder, x: Operand): Operand {
  const { f } = constants(b, x);
  const a = b.unary("abs", x);
  const inverted = b.compare("gt", a, f(1));
  const y = atanUnit(b, b.select(inverted, b.div(f(1), a), a));
  return copySign(b, b.select(inverted, b.sub(f(halfPiHigh), b.sub(y, f(halfPiLow))), y), x);
}

/** The angle of the point (x, y), in (-π, π], with IEEE's results for zeros and infinities. */
export function atan2(b: KernelBuilder, y: Operand, x: Operand): Operand {
  const { f, i } = constants(b, y);
  const infinity = f(Number.POSITIVE_INFINITY);
  const ax = b.unary("abs", x);
  const ay = b.unary("abs", y);
  const steep = b.compare("gt", ay, ax);
  const high = b.select(steep, ay, ax);
  const low = b.select(steep, ax, ay);
  const bothInfinite = b.compare("eq", low, infinity);
  const zero = b.compare("eq", high, f(0));
  const ratio = b.select(bothInfinite, f(1), b.select(zero, f(0), b.div(low, high)));
  const base = atanUnit(b, ratio);
  const first = b.select(steep, b.sub(f(halfPiHigh), b.sub(base, f(halfPiLow))), base);
  // The sign bit counts, so that -0 is on the other side.
  const left = b.compare("lt", b.bitcast(x, "i32"), i(0));
  const angle = b.select(left, b.sub(f(2 * halfPiHigh), b.sub(first, f(2 * halfPiLow))), first);
  const signed = copySign(b, angle, y);
  const isNan = b.binary("or", b.compare("ne", x, x), b.compare("ne", y, y));
  return b.select(isNan, f(Number.NaN), signed);
}

// (asin x - x)/x³ in x² on |x| ≤ ½, error 4e-9.
const asinCoefficients = [0.166666657, 0.0750009492, 0.0445993207, 0.0311017279, 0.017143717, 0.0337007269];

/** asin(t) for t ≤ ½, or asin(√((1-a)/2)) for larger a = |x|, and which. */
function asinParts(b: KernelBuilder, x: Operand): { part: Operand; large: Operand } {
  const { f } = constants(b, x);
  const a = b.unary("abs", x);
  const large = b.compare("gt", a, f(0.5));
  const z = b.select(large, b.mul(b.sub(f(1), a), f(0.5)), b.mul(a, a));
  const t = b.select(large, b.unary("sqrt", z), a);
  return { part: b.fma(b.mul(z, t), polynomial(b, z, asinCoefficients), t), large };
}

export function asin(b: KernelBuilder, x: Operand): Operand {
  const { f } = constants(b, x);
  const { part, large } = asinParts(b, x);
  const y = b.select(large, b.sub(f(halfPiHigh), b.sub(b.add(part, part), f(halfPiLow))), part);
  const valid = b.compare("le", b.unary("abs", x), f(1));
  return b.select(valid, copySign(b, y, x), f(Number.NaN));
}

export function acos(b: KernelBuilder, x: Operand): Operand {
  const { f } = constants(b, x);
  const { part, large } = asinParts(b, x);
  const negative = b.compare("lt", x, f(0));
  const twice = b.add(part, part);
  const outer = b.select(negative, b.sub(f(2 * halfPiHigh), b.sub(twice, f(2 * halfPiLow))), twice);
  const inner = b.sub(f(halfPiHigh), b.sub(copySign(b, part, x), f(halfPiLow)));
  const valid = b.compare("le", b.unary("abs", x), f(1));
  return b.select(valid, b.select(large, outer, inner), f(Number.NaN));
}

// (sinh x - x)/x³ in x² on |x| ≤ 1.
const sinhCoefficients = [0.166666672, 0.00833333377, 0.000198412832, 2.75536991e-6, 2.54607837e-8];

/** e^|x|/2, without overflow before the result overflows. */
function halfExp(b: KernelBuilder, a: Operand): Operand {
  const { f } = constants(b, a);
  const root = exp(b, b.mul(a, f(0.5)));
  const big = b.mul(b.mul(root, f(0.5)), root);
  return b.select(b.compare("lt", a, f(80)), b.mul(exp(b, a), f(0.5)), big);
}

export function sinh(b: KernelBuilder, x: Operand): Operand {
  const { f } = constants(b, x);
  const a = b.unary("abs", x);
  const z = b.mul(x, x);
  const small = b.fma(b.mul(z, x), polynomial(b, z, sinhCoefficients), x);
  const e = halfExp(b, a);
  const large = copySign(b, b.sub(e, b.div(f(0.25), e)), x);
  return b.select(b.compare("lt", a, f(1)), small, large);
}

export function cosh(b: KernelBuilder, x: Operand): Operand {
  const { f } = constants(b, x);
  const e = halfExp(b, b.unary("abs", x));
  return b.add(e, b.div(f(0.25), e));
}

/** sign(x)·log(|x| + √(x²+1)), by log1p for small and log(2|x|) for large arguments. */
export function asinh(b: KernelBuilder, x: Operand): Operand {
  const { f } = constants(b, x);
  const a = b.unary("abs", x);
  const z = b.mul(a, a);
  const middle = log1p(b, b.add(a, b.div(z, b.add(f(1), b.unary("sqrt", b.add(z, f(1)))))));
  const large = b.add(log(b, a), f(Math.LN2));
  return copySign(b, b.select(b.compare("lt", a, f(1e9)), middle, large), x);
}

/** log(x + √(x²-1)), x ≥ 1. */
export function acosh(b: KernelBuilder, x: Operand): Operand {
  const { f } = constants(b, x);
  const t = b.sub(x, f(1));
  const middle = log1p(b, b.add(t, b.unary("sqrt", b.add(b.add(t, t), b.mul(t, t)))));
  const large = b.add(log(b, x), f(Math.LN2));
  const y = b.select(b.compare("lt", x, f(1e9)), middle, large);
  return b.select(b.compare("ge", x, f(1)), y, f(Number.NaN));
}

/** ½·log((1+x)/(1-x)). */
export function atanh(b: KernelBuilder, x: Operand): Operand {
  const { f } = constants(b, x);
  const a = b.unary("abs", x);
  return copySignOrNan(b, b.mul(f(0.5), log1p(b, b.div(b.add(a, a), b.sub(f(1), a)))), x);
}

function copySignOrNan(b: KernelBuilder, magnitude: Operand, sign: Operand): Operand {
  return b.select(b.compare("eq", magnitude, magnitude), copySign(b, magnitude, sign), magnitude);
}

/** 1/√x. */
export function rsqrt(b: KernelBuilder, x: Operand): Operand {
  return b.div(b.f32(1, x.lanes), b.unary("sqrt", x));
}

/** a·b exactly, as p + e, by splitting both factors (Dekker 1971). Good where nothing overflows. */
function exactProduct(b: KernelBuilder, x: Operand, y: Operand): { p: Operand; e: Operand } {
  const high = (v: Operand) => b.bitcast(b.binary("and", b.bitcast(v, "i32"), b.i32(-4096, v.lanes)), "f32");
  const xh = high(x);
  const xl = b.sub(x, xh);
  const yh = high(y);
  const yl = b.sub(y, yh);
  const p = b.mul(x, y);
  const e = b.add(b.add(b.add(b.sub(b.mul(xh, yh), p), b.mul(xh, yl)), b.mul(xl, yh)), b.mul(xl, yl));
  return { p, e };
}

/** x + y exactly, as s + e, for |x| ≥ |y|. */
function exactSum(b: KernelBuilder, x: Operand, y: Operand): { s: Operand; e: Operand } {
  const s = b.add(x, y);
  return { s, e: b.sub(y, b.sub(s, x)) };
}

// 2^t on |t| ≤ ½, error 5e-11.
const exp2Coefficients = [
  1, 0.693147182, 0.240226507, 0.0555041097, 0.00961802155, 0.00133334752, 0.000154710622, 1.53047258e-5,
];
const inverseLn2High = 1.4426950216293335;
const inverseLn2Low = 1.925963033500011e-8;

/** log2 of a positive finite x as an unevaluated sum of two floats, to about 2^-30 relative. */
function log2Pair(b: KernelBuilder, x: Operand): { high: Operand; low: Operand } {
  const { f } = constants(b, x);
  const { m, n } = splitExponent(b, x);
  const t = b.sub(m, f(1));
  // s = t/(2+t) as a pair.
  const d = exactSum(b, f(2), t);
  const s = b.div(t, d.s);
  const sd = exactProduct(b, s, d.s);
  const sLow = b.div(b.sub(b.sub(b.sub(t, sd.p), sd.e), b.mul(s, d.e)), d.s);
  const z = b.mul(s, s);
  const tail = b.fma(b.mul(z, s), polynomial(b, z, atanhCoefficients), b.add(sLow, sLow));
  const l = exactSum(b, b.add(s, s), tail);
  const p = exactProduct(b, l.s, f(inverseLn2High));
  const low = b.add(p.e, b.add(b.mul(l.s, f(inverseLn2Low)), b.mul(l.e, f(inverseLn2High))));
  const whole = exactSum(b, b.select(b.compare("eq", n, f(0)), p.p, n), b.select(b.compare("eq", n, f(0)), f(0), p.p));
  return { high: whole.s, low: b.add(whole.e, low) };
}

/** x^y with C's special cases: x^0 = 1, 1^y = 1, negative bases for integer y only. */
export function pow(b: KernelBuilder, x: Operand, y: Operand): Operand {
  const { f, i } = constants(b, x);
  const infinity = f(Number.POSITIVE_INFINITY);
  const a = b.unary("abs", x);
  const ay = b.unary("abs", y);
  const l = log2Pair(b, a);
  // |y| is bounded so that products stay finite; the result is 0, 1 or ∞ far earlier.
  const bounded = b.max(b.min(y, f(1e30)), f(-1e30));
  const clampedHigh = b.mul(l.high, bounded);
  const far = b.compare("ge", b.unary("abs", clampedHigh), f(300));
  const exponent = b.select(far, f(0), bounded);
  const p = exactProduct(b, l.high, exponent);
  const k = b.unary("round", p.p);
  const rest = b.add(b.sub(p.p, k), b.add(p.e, b.mul(l.low, exponent)));
  const near = scaleByPower(
    b,
    polynomial(b, rest, exp2Coefficients),
    b.convert(b.max(b.min(k, f(252)), f(-252)), "i32"),
  );
  let result: Operand = b.select(far, b.select(b.compare("gt", clampedHigh, f(0)), infinity, f(0)), near);
  // Bases 0 and ∞.
  const positive = b.compare("gt", y, f(0));
  result = b.select(b.compare("eq", a, f(0)), b.select(positive, f(0), infinity), result);
  result = b.select(b.compare("eq", a, infinity), b.select(positive, infinity, f(0)), result);
  // Negative bases: sign from odd y, NaN from fractions. Floats from 2^24 on are even integers.
  const integer = b.compare("eq", b.unary("trunc", y), y);
  const parity = b.binary("and", b.convert(b.select(b.compare("lt", ay, f(16777216)), y, f(0)), "i32"), i(1));
  const odd = b.binary("and", integer, b.compare("eq", parity, i(1)));
  const negative = b.compare("lt", b.bitcast(x, "i32"), i(0));
  result = b.select(b.binary("and", odd, negative), b.neg(result), result);
  const fractional = b.binary("and", b.compare("lt", ay, infinity), b.compare("ne", b.unary("trunc", y), y));
  const undefinedPower = b.binary(
    "and",
    b.binary("and", b.compare("lt", x, f(0)), b.compare("lt", a, infinity)),
    fractional,
  );
  result = b.select(undefinedPower, f(Number.NaN), result);
  result = b.select(b.binary("or", b.compare("ne", x, x), b.compare("ne", y, y)), f(Number.NaN), result);
  // |x| = 1 with y = ±∞, and the two cases that give 1 whatever the other operand is.
  const unit = b.binary("and", b.compare("eq", a, f(1)), b.compare("eq", ay, infinity));
  const one = b.binary("or", b.binary("or", b.compare("eq", y, f(0)), b.compare("eq", x, f(1))), unit);
  return b.select(one, f(1), result);
}
