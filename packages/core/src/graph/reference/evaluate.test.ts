import { expect, test } from "vitest";
import type { Node, Value } from "../node.ts";
import { add, cast, constantValue, exp, inputValue, mul, scalar } from "../ops/index.ts";
import type { RefArray } from "./array.ts";
import { erf, roundHalfEven } from "./elementwise.ts";
import { evaluate } from "./evaluate.ts";

const one = (...data: number[]): RefArray => ({ shape: [data.length], data: Float64Array.from(data) });

test("works in double precision", () => {
  const x = inputValue("x", { shape: [1], dtype: "f32" });
  const [y] = evaluate([add(x, scalar(1))], new Map([[x, one(1e-12)]]));
  expect(y.data[0]).toBe(1 + 1e-12);
});

test("integers wrap as their dtype does", () => {
  const x = constantValue(new Int32Array([2147483647, 65537]), { shape: [2], dtype: "i32" });
  expect(Array.from(evaluate([add(x, scalar(1, "i32"))])[0].data)).toEqual([-2147483648, 65538]);
  expect(Array.from(evaluate([mul(x, x)])[0].data)).toEqual([1, 131073]);
  expect(Array.from(evaluate([cast(x, "u8")])[0].data)).toEqual([255, 1]);
});

test("f16 and bf16 constants are read as numbers and results rounded", () => {
  const half = constantValue(new Uint16Array([0x3c00, 0xc000, 0x7bff]), { shape: [3], dtype: "f16" });
  expect(Array.from(evaluate([half])[0].data)).toEqual([1, -2, 65504]);
  expect(Array.from(evaluate([add(half, scalar(0.0001, "f16"))])[0].data)).toEqual([1, -2, 65504]);
  const brain = constantValue(new Uint16Array([0x3f80, 0xc040]), { shape: [2], dtype: "bf16" });
  expect(Array.from(evaluate([brain])[0].data)).toEqual([1, -3]);
});

test("a fed value stands in for its node, whose inputs are then not needed", () => {
  const x = inputValue("x", { shape: [1], dtype: "f32" });
  const h = exp(x);
  const feed = new Map<Node | Value, RefArray>([[h, one(3)]]);
  expect(evaluate([add(h, h)], feed)[0].data[0]).toBe(6);
  expect(() => evaluate([x], feed)).toThrow(/nothing was fed for input "x"/);
});

test("deep graphs do not overflow the stack", () => {
  let y: Value = scalar(0);
  for (let i = 0; i < 30_000; i++) y = add(y, scalar(1));
  expect(evaluate([y])[0].data[0]).toBe(30_000);
});

test("erf agrees with tabulated values", () => {
  // Abramowitz and Stegun, table 7.1.
  expect(erf(0.5)).toBeCloseTo(0.5204998778130465, 14);
  expect(erf(1)).toBeCloseTo(0.8427007929497149, 14);
  expect(erf(2)).toBeCloseTo(0.9953222650189527, 14);
  expect(erf(-3.5)).toBeCloseTo(-0.9999992569016276, 14);
  expect(erf(0)).toBe(0);
});

test("halves round to even", () => {
  expect([0.5, 1.5, 2.5, -0.5, -1.5, 3.4999].map(roundHalfEven)).toEqual([0, 2, 2, -0, -2, 3]);
});
