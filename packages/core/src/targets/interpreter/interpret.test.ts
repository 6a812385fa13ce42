/** The interpreter against the words of LoopIR's documentation, and the wild accesses it must find. */
import { describe, expect, it } from "vitest";
import { affine, dynamic, KernelBuilder, scaled } from "../../compiler/builder.ts";
import type { BinaryOp, Kernel, Operand, UnaryOp, ValueType } from "../../compiler/loopir.ts";
import { bitsOf, runInterpreter } from "../test-kernels.ts";
import { fusedMultiplyAdd } from "./elements.ts";

const cost = { flops: 1, bytes: 1 };
const MIN = -0x80000000;
const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

/** The one result of an expression, as a number of its type. */
function value(f: (b: KernelBuilder) => Operand, options: { fma?: boolean } = {}): number {
  const b = new KernelBuilder("value");
  const x = f(b);
  const stored = x.type === "mask" ? b.select(x, b.i32(1), b.i32(0)) : x;
  const out = b.buffer("out", stored.type === "mask" ? "i32" : stored.type, 1, "write");
  b.store(out, 0, stored);
  const kernel = b.finish(cost);
  const memory = runInterpreter(kernel, {}, options);
  const view = new DataView(memory.bytes, memory.regions[0].offset);
  return out.type === "f32"
    ? view.getFloat32(0, true)
    : out.type === "u32"
      ? view.getUint32(0, true)
      : view.getInt32(0, true);
}

describe("operations", () => {
  it.each([
    ["div", "i32", 7, -2, -3],
    ["div", "i32", 5, 0, 0],
    ["div", "i32", MIN, -1, MIN],
    ["rem", "i32", -7, 2, -1],
    ["rem", "i32", 7, -2, 1],
    ["rem", "i32", 5, 0, 0],
    ["rem", "i32", MIN, -1, 0],
    ["div", "u32", 0xffffffff, 2, 0x7fffffff],
    ["rem", "u32", 0xffffffff, 10, 5],
    ["mul", "i32", 0x10001, 0x10001, 0x20001],
    ["add", "u32", 0xffffffff, 2, 1],
    ["min", "u32", 0xffffffff, 1, 1],
    ["min", "i32", -1, 1, -1],
    ["shl", "i32", 1, 33, 2],
    ["shr", "i32", -8, 1, -4],
    ["shr", "u32", 0x80000000, 31, 1],
    ["shr", "i32", -8, -31, -4],
    ["mulhi", "u32", 0xffffffff, 0xffffffff, 0xfffffffe],
    ["mulhi", "i32", MIN, 2, -1],
    ["mulhi", "i32", 0x40000000, 4, 1],
    ["min", "f32", nan, 1, nan],
    ["max", "f32", 1, nan, nan],
    ["max", "f32", -0, 0, 0],
    ["min", "f32", 0, -0, -0],
    ["div", "f32", 1, -0, -inf],
    ["add", "f32", 16777216, 1, 16777216],
    ["mul", "f32", 3e38, 3e38, inf],
    ["mul", "f32", 2 ** -100, 2 ** -49, 2 ** -149],
    ["mul", "f32", 2 ** -100, 2 ** -50, 0],
  ] as [BinaryOp, ValueType, number, number, number][])("%s of %s: %d, %d is %d", (op, type, x, y, result) => {
    expect(value((b) => b.binary(op, b.const(type, x), b.const(type, y)))).toBe(result);
  });
  it.each([
    ["round", "f32", 2.5, 2],
    ["round", "f32", -3.5, -4],
    ["round", "f32", -0.5, -0],
    ["round", "f32", 0.49999997, 0],
    ["round", "f32", 8388609, 8388609],
    ["trunc", "f32", -1.9, -1],
    ["floor", "f32", -0.1, -1],
    ["ceil", "f32", -0.1, -0],
    ["sqrt", "f32", -1, nan],
    ["abs", "i32", MIN, MIN],
    ["neg", "i32", MIN, MIN],
    ["not", "i32", 5, -6],
    ["not", "u32", 5, 0xfffffffa],
  ] as [UnaryOp, ValueType, number, number][])("%s of %s: %d is %d", (op, type, x, result) => {
    expect(value((b) => b.unary(op, b.const(type, x)))).toBe(result);
  });
  it.each([
    ["f32", "i32", 1e10, 0x7fffffff],
    ["f32", "i32", -1e10, MIN],
    ["f32", "i32", nan, 0],
    ["f32", "i32", -1.9, -1],
    ["f32", "u32", -5, 0],
    ["f32", "u32", 5e9, 0xffffffff],
    ["f32", "u32", inf, 0xffffffff],
    ["i32", "f32", 16777217, 16777216],
    ["u32", "f32", 0xffffffff, 4294967296],
    ["i32", "u32", -1, 0xffffffff],
  ] as [ValueType, ValueType, number, number][])("converts %s to %s: %d is %d", (from, to, x, result) => {
    expect(value((b) => b.convert(b.const(from, x), to))).toBe(result);
  });
  it("compares NaN unequal and unordered", () => {
    for (const op of ["eq", "lt", "le", "gt", "ge"] as const)
      expect(value((b) => b.compare(op, b.f32(nan), b.f32(nan)))).toBe(0);
    expect(value((b) => b.compare("ne", b.f32(nan), b.f32(nan)))).toBe(1);
    expect(value((b) => b.compare("lt", b.u32(1), b.u32(0x80000000)))).toBe(1);
  });
  it("rounds fma once, or twice where asked", () => {
    // (1 + 2^-12)² - 1 loses 2^-24 when the product is rounded.
    const x = 1 + 2 ** -12;
    const f = (b: KernelBuilder) => b.fma(b.f32(x), b.f32(x), b.f32(-1));
    expect(value(f, { fma: true })).toBe(2 ** -11 + 2 ** -24);
    expect(value(f, { fma: false })).toBe(2 ** -11);
  });
});

/** Rounds an exact dyadic number n·2^e to f32, half to even. */
function roundExact(n: bigint, e: number): number {
  if (n === 0n) return 0;
  const negative = n < 0n;
  let m = negative ? -n : n;
  let exponent = e;
  const length = m.toString(2).length;
  const drop = Math.max(length - 24, -149 - exponent);
  if (drop > 0) {
    const half = 1n << BigInt(drop - 1);
    const rest = m & ((1n << BigInt(drop)) - 1n);
    m >>= BigInt(drop);
    if (rest > half || (rest === half && (m & 1n) === 1n)) m += 1n;
    exponent += drop;
  }
  return Math.fround((negative ? -1 : 1) * Number(m) * 2 ** Math.max(-1000, exponent));
}

it("fuses with exactly one rounding, near ties and cancellations too", () => {
  const view = new DataView(new ArrayBuffer(4));
  let state = 99;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state;
  };
  /** An f32 as integer significand and exponent. */
  const split = (x: number): [bigint, number] => {
    view.setFloat32(0, x);
    const bits = view.getUint32(0);
    const field = (bits >>> 23) & 255;
    const m = BigInt(field === 0 ? bits & 0x7fffff : (bits & 0x7fffff) | 0x800000);
    return [bits >>> 31 ? -m : m, Math.max(1, field) - 150];
  };
  let corrected = 0;
  for (let i = 0; i < 60_000; i++) {
    const number = (spread: number): number =>
      Math.fround(
        (random() % 2 ? 1 : -1) *
          (1 + (random() >>> (9 + (random() % 20))) / 2 ** 23) *
          2 ** ((random() % spread) - spread / 2),
      );
    let a = number(20);
    let b = number(20);
    // Near the product, at its tail, or anything.
    let c = Math.fround(i % 4 === 0 ? -a * b : i % 4 === 1 ? a * b * 2 ** ((random() % 60) - 30) : number(120));
    if (i % 4 === 3) {
      // An odd last place, and almost half of it: float64 sees a tie.
      view.setFloat32(0, c);
      view.setUint32(0, view.getUint32(0) | 1);
      c = view.getFloat32(0);
      const half = (random() % 2 ? 1 : -1) * 2 ** (split(c)[1] - 1);
      a = 1 + 2 ** -20;
      b = half * (1 - 2 ** -20);
    }
    const [ma, ea] = split(a);
    const [mb, eb] = split(b);
    const [mc, ec] = split(c);
    const e = Math.min(ea + eb, ec);
    const exact = ((ma * mb) << BigInt(ea + eb - e)) + (mc << BigInt(ec - e));
    expect(Math.fround(fusedMultiplyAdd(a, b, c)) + 0, `${a}·${b} + ${c}`).toBe(roundExact(exact, e));
    if (Math.fround(fusedMultiplyAdd(a, b, c)) !== Math.fround(a * b + c)) corrected++;
  }
  // The sample holds cases that a sum in float64 gets wrong.
  expect(corrected).toBeGreaterThan(0);
});

describe("wild accesses", () => {
  const kernel = (body: (b: KernelBuilder, a: ReturnType<KernelBuilder["buffer"]>) => void, size = 10): Kernel => {
    const b = new KernelBuilder("wild");
    const a = b.buffer("data", "f32", size, "readwrite");
    body(b, a);
    return b.finish(cost);
  };
  it.each([
    ["loads element 10 of data", (b, a) => void b.load(a, 10)],
    ["loads element -1 of data", (b, a) => void b.load(a, -1, 4)],
    ["loads element 26 of data", (b, a) => void b.load(a, 9, 64)],
    ["loads element 11 of data", (b, a) => b.loop("i", 12, (i) => void b.load(a, i, 4, { stride: 0 }))],
    ["loads element 15 of data", (b, a) => void b.load(a, 0, 4, { stride: 5 })],
    ["stores to element 10 of data", (b, a) => b.store(a, 8, b.f32(1, 4))],
    ["stores to element -2 of data", (b, a) => b.store(a, affine(dynamic(b.i32(-2))), b.f32(1))],
    ["gathers element 12 of data", (b, a) => void b.gather(a, 5, b.i32(7, 4))],
    ["prefetches element 10 of data", (b, a) => b.prefetch(a, 10)],
  ] as [string, (b: KernelBuilder, a: ReturnType<KernelBuilder["buffer"]>) => void][])("%s", (message, body) => {
    // The loop's first element outside is 10; strided loads have no slack.
    const expected = message.includes("11 of")
      ? "loads element 10 of data"
      : message.replace("element 15", "element 10");
    expect(() => runInterpreter(kernel(body), {})).toThrow(`interpreter: wild ${expected}, which has 10`);
  });
  it("takes tails of vector loads, but what they find past the end is noticed", () => {
    const b = new KernelBuilder("tail");
    const a = b.buffer("a", "f32", 5, "read");
    const out = b.buffer("out", "f32", 4, "write");
    b.store(out, 0, b.load(a, 4, 4));
    const k = b.finish(cost);
    expect(bitsOf(runInterpreter(k, { a: [1, 2, 3, 4, 5] }), k, out)).toEqual([
      0x40a00000, 0x7fc00000, 0x7fc00000, 0x7fc00000,
    ]);
  });
  it("refuses stores to what is declared to be read", () => {
    const b = new KernelBuilder("mistaken");
    const a = b.buffer("a", "f32", 4, "read");
    b.store(a, 0, b.f32(1));
    expect(() => runInterpreter(b.finish(cost), {})).toThrow("mistaken stores to a, which it declares to read");
  });
  it("runs a part of the tasks", () => {
    const b = new KernelBuilder("part");
    const out = b.buffer("out", "i32", 12, "write");
    const [i, j] = [b.task("i", 3), b.task("j", 4)];
    b.store(out, affine(scaled(i, 4), j), b.add(b.index(i), b.i32(1)));
    const k = b.finish(cost);
    const done = bitsOf(runInterpreter(k, { out: new Array(12).fill(0) }, { ranges: [[3, 6]] }), k, out);
    expect(done).toEqual([0, 0, 0, 1, 2, 2, 0, 0, 0, 0, 0, 0]);
  });
});
