/** Kernel expressions too long to stand in a record: float remainder, integer power, next representable number. */
import type { KernelBuilder } from "../../compiler/builder.ts";
import type { Operand } from "../../compiler/loopir.ts";

/**
 * The exact remainder of f32 division, with the sign of the dividend (C's fmod). The quotient is taken off in pieces of
 * at most 23 bits: q·y with 12-bit halves of both factors is a sum of exact products, so no piece rounds. Thirteen pieces
 * reach every quotient of two finite numbers (2^277); most need one, the others are skipped.
 */
export function remainder(b: KernelBuilder, x: Operand, y: Operand): Operand {
  const n = x.lanes;
  const infinite = b.f32(Number.POSITIVE_INFINITY, n);
  const divisor = b.unary("abs", y);
  const divisorExponent = exponent(b, divisor);
  const rest = b.var(b.unary("abs", x));
  b.loop("piece", 13, () => {
    b.if(b.any(b.compare("ge", rest, divisor)), () => {
      const distance = b.sub(b.sub(exponent(b, rest), divisorExponent), b.i32(22, n));
      const step = timesPower(b, divisor, b.max(distance, b.i32(0, n)));
      const quotient = b.unary("trunc", b.div(rest, step));
      const after = subtractProduct(b, rest, quotient, step);
      // The quotient may have been rounded up.
      const fixed = b.select(b.compare("lt", after, b.f32(0, n)), b.add(after, step), after);
      b.assign(rest, b.select(b.compare("lt", rest, step), rest, fixed));
    });
  });
  const magnitude = b.select(b.compare("eq", divisor, infinite), b.unary("abs", x), rest);
  const sign = b.binary("and", b.bitcast(x, "u32"), b.u32(0x80000000, n));
  const signed = b.bitcast(b.binary("or", b.bitcast(magnitude, "u32"), sign), "f32");
  // NaN for NaN operands, an infinite dividend or a zero divisor.
  const finite = b.binary("and", b.compare("lt", b.unary("abs", x), infinite), b.compare("gt", divisor, b.f32(0, n)));
  return b.select(finite, signed, b.f32(Number.NaN, n));
}

/** The biased exponent of a number that is not negative; below 1 for subnormals. */
function exponent(b: KernelBuilder, x: Operand): Operand {
  const n = x.lanes;
  const field = (v: Operand) => b.binary("shr", b.bitcast(v, "i32"), b.i32(23, n));
  const scaled = b.sub(field(b.mul(x, b.f32(2 ** 24, n))), b.i32(24, n));
  return b.select(b.compare("lt", x, b.f32(2 ** -126, n)), scaled, field(x));
}

/** x·2^e for e ≥ 0, in two factors, as 2^e itself may overflow where x is subnormal. */
function timesPower(b: KernelBuilder, x: Operand, e: Operand): Operand {
  const half = b.binary("shr", e, b.i32(1, e.lanes));
  return b.mul(b.mul(x, powerOfTwo(b, half)), powerOfTwo(b, b.sub(e, half)));
}

/** 2^e for -126 ≤ e ≤ 127. */
function powerOfTwo(b: KernelBuilder, e: Operand): Operand {
  const n = e.lanes;
  return b.bitcast(b.binary("shl", b.add(e, b.i32(127, n)), b.i32(23, n)), "f32");
}

/** rest - q·y for an integer q < 2^24, exactly when the result is below y in magnitude. */
function subtractProduct(b: KernelBuilder, rest: Operand, q: Operand, y: Operand): Operand {
  const n = rest.lanes;
  const upper = (v: Operand) => b.bitcast(b.binary("and", b.bitcast(v, "u32"), b.u32(0xfffff000, n)), "f32");
  const qHigh = upper(q);
  const qLow = b.sub(q, qHigh);
  const yHigh = upper(y);
  const yLow = b.sub(y, yHigh);
  let left: Operand = b.sub(rest, b.mul(qHigh, yHigh));
  left = b.sub(left, b.mul(qHigh, yLow));
  left = b.sub(left, b.mul(qLow, yHigh));
  return b.sub(left, b.mul(qLow, yLow));
}

/** x^y of integers by repeated squaring, modulo 2^32. A negative power is 1/x^-y truncated: 0 unless x is 1 or -1. */
export function integerPower(b: KernelBuilder, x: Operand, y: Operand): Operand {
  const n = x.lanes;
  const type = x.type;
  const zero = b.const(type, 0, n);
  const one = b.const(type, 1, n);
  const result = b.var(one);
  const square = b.var(x);
  const left = b.var(y);
  b.loop("bit", 32, () => {
    const odd = b.compare("ne", b.binary("and", left, one), zero);
    b.assign(result, b.select(odd, b.mul(result, square), result));
    b.assign(square, b.mul(square, square));
    // Arithmetic on i32: the bits of a negative power are read modulo 2^32, which is right for bases 1 and -1.
    b.assign(left, b.binary("shr", left, one));
  });
  if (type === "u32") return result;
  const unit = b.binary("or", b.compare("eq", x, one), b.compare("eq", x, b.i32(-1, n)));
  const zeroed = b.binary("and", b.compare("lt", y, zero), b.unary("not", unit));
  return b.select(zeroed, zero, result);
}

/** The f32 next to `a` in the direction of `b`, through its bits as an integer that grows with the magnitude. */
export function nextAfter(b: KernelBuilder, x: Operand, y: Operand): Operand {
  const n = x.lanes;
  const raw = b.bitcast(x, "i32");
  const outward = b.compare("gt", b.select(b.compare("gt", x, b.f32(0, n)), y, b.neg(y)), b.unary("abs", x));
  const stepped = b.bitcast(b.select(outward, b.add(raw, b.i32(1, n)), b.sub(raw, b.i32(1, n))), "f32");
  const tiny = b.select(b.compare("gt", y, b.f32(0, n)), b.f32(2 ** -149, n), b.f32(-(2 ** -149), n));
  const moved = b.select(b.compare("eq", x, b.f32(0, n)), tiny, stepped);
  const nan = b.binary("or", b.compare("ne", x, x), b.compare("ne", y, y));
  return b.select(b.compare("eq", x, y), y, b.select(nan, b.add(x, y), moved));
}
