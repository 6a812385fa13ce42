/** Elementary functions against float64 over every binade: within 5 ULP with fma and without, the same bits on both targets. */
import { describe, expect, it } from "vitest";
import { nativeDifference, nativeMissing } from "../../../layerwise/src/native/testing.ts";
import { compared, difference, floatsOf, runInterpreter, runWasm } from "../targets/test-kernels.ts";
import { KernelBuilder, scaled } from "./builder.ts";
import type { Kernel, Operand } from "./loopir.ts";
import * as math from "./math.ts";

const view = new DataView(new ArrayBuffer(8));
function floatFromBits(bits: number): number {
  view.setUint32(0, bits >>> 0);
  return view.getFloat32(0);
}

/** Distance of an f32 result from the exact one, in units of the last place of f32 there (2^-149 among subnormals). */
function ulps(actual: number, exact: number): number {
  if (Number.isNaN(exact)) return Number.isNaN(actual) ? 0 : Number.POSITIVE_INFINITY;
  const rounded = Math.fround(exact);
  if (actual === rounded) return Object.is(actual, rounded) || exact !== 0 ? 0 : Number.POSITIVE_INFINITY;
  if (Number.isNaN(actual) || !Number.isFinite(exact)) return Number.POSITIVE_INFINITY;
  view.setFloat64(0, Math.abs(exact));
  const exponent = Math.min(127, Math.max(-126, ((view.getUint32(0) >>> 20) & 2047) - 1023));
  // An infinity stands for the first number that is too large.
  const finite = Number.isFinite(actual) ? actual : Math.sign(actual) * 2 ** 128;
  return Math.abs(finite - exact) / 2 ** (exponent - 23);
}

/** erf by its series, and by the continued fraction of erfc beyond 2 (Abramowitz and Stegun 7.1.6 and 7.1.14). */
function erf(x: number): number {
  const a = Math.abs(x);
  if (Number.isNaN(x)) return x;
  if (a > 6) return Math.sign(x);
  if (a < 2) {
    let term = x;
    let sum = x;
    for (let n = 1; n < 60; n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let fraction = 0;
  for (let n = 60; n >= 1; n--) fraction = n / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + fraction));
}

const functions: Record<
  string,
  { f: (b: KernelBuilder, x: Operand) => Operand; exact: (x: number) => number; bound?: number }
> = {
  exp: { f: math.exp, exact: Math.exp },
  expm1: { f: math.expm1, exact: Math.expm1 },
  log: { f: math.log, exact: Math.log },
  log1p: { f: math.log1p, exact: Math.log1p },
  tanh: { f: math.tanh, exact: Math.tanh },
  sigmoid: { f: math.sigmoid, exact: (x) => 1 / (1 + Math.exp(-x)) },
  erf: { f: math.erf, exact: erf },
  sin: { f: math.sin, exact: Math.sin },
  cos: { f: math.cos, exact: Math.cos },
  tan: { f: math.tan, exact: Math.tan },
  rsqrt: { f: math.rsqrt, exact: (x) => 1 / Math.sqrt(x) },
  atan: { f: math.atan, exact: Math.atan },
  asin: { f: math.asin, exact: Math.asin },
  acos: { f: math.acos, exact: Math.acos },
  sinh: { f: math.sinh, exact: Math.sinh },
  cosh: { f: math.cosh, exact: Math.cosh },
  asinh: { f: math.asinh, exact: Math.asinh },
  acosh: { f: math.acosh, exact: Math.acosh },
  atanh: { f: math.atanh, exact: Math.atanh },
};

function unaryKernel(f: (b: KernelBuilder, x: Operand) => Operand, size: number, lanes: number): Kernel {
  const b = new KernelBuilder("function");
  const x = b.buffer("x", "f32", size, "read");
  const y = b.buffer("y", "f32", size, "write");
  b.loop("i", size / lanes, (i) => b.store(y, scaled(i, lanes), f(b, b.load(x, scaled(i, lanes), lanes))));
  return b.finish({ flops: 1, bytes: 1 });
}

/** `perBinade` numbers of each sign in every binade, subnormals included, and the special ones. */
function sampled(perBinade: number): Float32Array {
  const values = [0, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 1, -1, 0.5, -0.5];
  for (let exponent = 0; exponent < 255; exponent++)
    for (let i = 0; i < perBinade; i++) {
      // Spread over the significand, never the same places in two binades.
      const fraction = Math.floor(((i + ((exponent * 0.6180339887) % 1)) * 8388608) / perBinade) & 0x7fffff;
      const bits = (exponent << 23) | fraction;
      values.push(floatFromBits(bits), floatFromBits(bits | 0x80000000));
    }
  // Where the functions change their formulas, and multiples of π/2 at both ends of the reductions.
  for (const x of [
    0.36, 0.5, 0.625, 0.92, 1e-8, 80, 88.72284, 88.72283, -87.33655, -103.97208, 176, 176.4, 89.4, 9.01, 4, 12000, 1e9,
  ])
    for (let d = -8; d <= 8; d++) {
      view.setFloat32(0, x);
      const near = floatFromBits(view.getUint32(0) + d);
      values.push(near, -near);
    }
  for (let k = 1; k < 40000; k += 37) values.push(Math.fround((k * Math.PI) / 2), -Math.fround((k * Math.PI) / 2));
  while (values.length % 16 !== 0) values.push(values.length);
  return Float32Array.from(values);
}

describe.each(Object.keys(functions))("%s", (name) => {
  const { f, exact } = functions[name];
  it.each([true, false])("is within 5 ULP in every binade, fma %s", (fma) => {
    const x = sampled(600);
    const kernel = unaryKernel(f, x.length, 4);
    const y = floatsOf(runWasm(kernel, { x }, { fma }), kernel, "y");
    let worst = { error: 0, x: 0, y: 0, exact: 0 };
    for (let i = 0; i < x.length; i++) {
      const error = ulps(y[i], exact(x[i]));
      if (!(error <= worst.error)) worst = { error, x: x[i], y: y[i], exact: exact(x[i]) };
    }
    expect(worst.error, JSON.stringify(worst)).toBeLessThanOrEqual(5);
    expect(worst.error).toBeGreaterThan(0.3);
  });
  it("gives the interpreter's bits, on 1, 4 and 16 lanes", () => {
    const x = sampled(4);
    for (const lanes of [1, 4, 16]) expect(difference(unaryKernel(f, x.length, lanes), { x })).toBeNull();
  });
});

function binaryKernel(f: (b: KernelBuilder, x: Operand, y: Operand) => Operand, size: number, lanes: number): Kernel {
  const b = new KernelBuilder("function");
  const x = b.buffer("x", "f32", size, "read");
  const y = b.buffer("y", "f32", size, "read");
  const z = b.buffer("z", "f32", size, "write");
  b.loop("i", size / lanes, (i) => {
    const at = scaled(i, lanes);
    b.store(z, at, f(b, b.load(x, at, lanes), b.load(y, at, lanes)));
  });
  return b.finish({ flops: 1, bytes: 1 });
}

/** C's pow: JavaScript's differs where a base of ±1 meets infinity or NaN. */
function pow(x: number, y: number): number {
  if (x === 1 || y === 0) return 1;
  return x === -1 && Math.abs(y) === Number.POSITIVE_INFINITY ? 1 : x ** y;
}

const special = [
  0,
  -0,
  1,
  -1,
  2,
  -2,
  3,
  -3,
  0.5,
  -0.5,
  1.5,
  -1.5,
  1e-45,
  -1e-45,
  1e-40,
  3.4028235e38,
  -3.4028235e38,
  0.99999994,
  1.0000001,
  -0.99999994,
  16777216,
  16777215,
  -16777217,
  8388609,
  -8388607,
  2147483648,
  1e30,
  -1e30,
  127,
  -149,
  128,
  150,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  7,
  -7,
  1 / 3,
].map(Math.fround);

describe.each([
  ["pow", math.pow, pow],
  ["atan2", math.atan2, Math.atan2],
] as const)("%s", (name, f, exact) => {
  const x: number[] = [];
  const y: number[] = [];
  for (const a of special) for (const b of special) [x.push(a), y.push(b)];
  const specials = x.length;
  let state = 12345;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  for (let i = 0; i < 120_000; i++) {
    const base = Math.fround((name === "pow" ? 1 : Math.sign(random() - 0.5)) * 2 ** (random() * 60 - 30));
    // Results spread over the whole range of f32, up to overflow and down to subnormals.
    const limit = name === "pow" ? 150 / Math.max(1e-6, Math.abs(Math.log2(base))) : 2 ** (random() * 60 - 30);
    x.push(i % 3 === 0 && name === "pow" ? Math.fround(1 + (random() - 0.5) / 50) : base);
    y.push(Math.fround((random() * 2 - 1) * limit));
  }
  while (x.length % 16 !== 0) [x.push(2), y.push(3)];

  it.each([true, false])("is within 5 ULP, fma %s", (fma) => {
    const kernel = binaryKernel(f, x.length, 4);
    const z = floatsOf(runWasm(kernel, { x, y }, { fma }), kernel, "z");
    let worst = { error: 0, x: 0, y: 0, z: 0, exact: 0 };
    for (let i = 0; i < x.length; i++) {
      const error = ulps(z[i], exact(x[i], y[i]));
      if (!(error <= worst.error)) worst = { error, x: x[i], y: y[i], z: z[i], exact: exact(x[i], y[i]) };
    }
    expect(worst.error, JSON.stringify(worst)).toBeLessThanOrEqual(5);
    expect(worst.error).toBeGreaterThan(0.3);
  });
  it("gives the interpreter's bits", () => {
    const size = Math.floor(specials / 16) * 16;
    for (const lanes of [1, 8]) {
      const kernel = binaryKernel(f, size, lanes);
      expect(difference(kernel, { x: x.slice(0, size), y: y.slice(0, size) })).toBeNull();
    }
  });
});

// They are most of what a recurrent layer computes besides its products.
it.each([
  ["exp", math.exp, 21],
  ["sigmoid", math.sigmoid, 22],
  ["tanh", math.tanh, 36],
] as const)("%s takes few statements", (_, f, most) => {
  const [loop] = unaryKernel(f, 32, 16).body;
  // The load and the store are not its own.
  expect(loop.kind === "loop" && loop.body.length - 2).toBeLessThanOrEqual(most);
});

it("is exact where the result is a whole number or a half", () => {
  for (const [f, x, y] of [
    [math.exp, 0, 1],
    [math.log, 1, 0],
    [math.cos, 0, 1],
    [math.sigmoid, 0, 0.5],
    [math.acos, 1, 0],
    [math.cosh, 0, 1],
  ] as const)
    for (const fma of [true, false]) {
      const kernel = unaryKernel(f, 1, 1);
      expect(floatsOf(runInterpreter(kernel, { x: [x] }, { fma }), kernel, "y")[0]).toBe(y);
    }
});

describe.skipIf(nativeMissing !== null)("native code gives the interpreter's bits", () => {
  // Compiling them all, once for each kind of vector, would take minutes; the op suite has the rest.
  it.each([
    { every: 2, strict: false },
    { every: 3, strict: true },
    { every: 5, strict: false, lanes: 4 },
    { every: 7, strict: true, lanes: 8 },
  ] as const)(
    "for the kernels above, %o",
    ({ every, ...options }) => {
      const some = compared.filter((_, i) => i % every === 0);
      expect(some.length).toBeGreaterThan(0);
      expect(nativeDifference(some, options)).toBeNull();
    },
    600_000,
  );
});
