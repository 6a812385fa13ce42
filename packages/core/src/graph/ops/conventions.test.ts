/** Where mathematics leaves a choice: gradients at ties and kinks, powers of zero, empty sums, integer division. */
import { expect, test } from "vitest";
import { gradients } from "../../autodiff/gradients.ts";
import type { Value } from "../node.ts";
import { evaluate } from "../reference/evaluate.ts";
import type { DType } from "../types.ts";
import * as ops from "./index.ts";

const floats = (...data: number[]): Value =>
  ops.constantValue(Float32Array.from(data), { shape: [data.length], dtype: "f32" });
const ints = (...data: number[]): Value =>
  ops.constantValue(Int32Array.from(data), { shape: [data.length], dtype: "i32" });
const numbers = (v: Value): number[] => Array.from(evaluate([v])[0].data);
const gradsOf = (y: Value, ...xs: Value[]): number[][] =>
  gradients([y], [ops.onesLike(y)], xs).map((g) => (g ? numbers(g) : []));

test("maximum and minimum give half to each operand of a tie", () => {
  const a = floats(1, 2, 3);
  const b = floats(2, 2, 2);
  expect(gradsOf(ops.maximum(a, b), a, b)).toEqual([
    [0, 0.5, 1],
    [1, 0.5, 0],
  ]);
  expect(gradsOf(ops.minimum(a, b), a, b)).toEqual([
    [1, 0.5, 0],
    [0, 0.5, 1],
  ]);
});

test("equal largest elements share the gradient", () => {
  const x = floats(1, 3, 3, 2, 3, 0);
  const [dx] = gradsOf(ops.reduceMax(x), x);
  expect(dx).toEqual([0, 1 / 3, 1 / 3, 0, 1 / 3, 0]);
  const [dn] = gradsOf(ops.reduceMin(ops.neg(x)), x);
  expect(dn.map((v) => v + 0)).toEqual([0, -1 / 3, -1 / 3, 0, -1 / 3, 0]);
});

test("relu and abs have gradient 0 at 0", () => {
  const x = floats(-1, 0, 2);
  expect(gradsOf(ops.relu(x), x)[0]).toEqual([0, 0, 1]);
  expect(gradsOf(ops.abs(x), x)[0]).toEqual([-1, 0, 1]);
});

test("the gradient of relu reads the result, not the operand", () => {
  const x = floats(-1, 0, 2);
  const y = ops.relu(x);
  const [dx] = gradients([y], [ops.onesLike(y)], [x]);
  const inputs = new Set(dx!.node.inputs.flatMap((v) => v.node.inputs));
  expect(inputs.has(y)).toBe(true);
  expect(inputs.has(x)).toBe(false);
});

test("powers of zero have finite gradients", () => {
  const a = floats(0, 0, 0, 2);
  const b = floats(0, 1, 2, 3);
  expect(gradsOf(ops.pow(a, b), a, b)[0]).toEqual([0, 1, 0, 12]);
  expect(gradsOf(ops.pow(a, b), a, b)[1].slice(0, 3)).toEqual([0, 0, 0]);
});

test("a product with zeros has the right gradient", () => {
  const one = floats(2, 0, 3);
  expect(gradsOf(ops.reduceProd(one), one)[0]).toEqual([0, 6, 0]);
  const two = floats(2, 0, 0);
  expect(gradsOf(ops.reduceProd(two), two)[0]).toEqual([0, 0, 0]);
});

test("integer division and remainder", () => {
  const a = ints(7, -7, 7, -7, 5, -2147483648);
  const b = ints(2, 2, -2, -2, 0, -1);
  expect(numbers(ops.div(a, b))).toEqual([3, -3, -3, 3, 0, -2147483648]);
  expect(numbers(ops.rem(a, b)).map((v) => v + 0)).toEqual([1, -1, 1, -1, 0, 0]);
  expect(numbers(ops.mod(a, b)).map((v) => v + 0)).toEqual([1, 1, -1, -1, 0, 0]);
});

test("positions of extremes: the first of ties, NaN before numbers", () => {
  expect(numbers(ops.argMax(floats(1, 3, 3), 0))).toEqual([1]);
  expect(numbers(ops.argMin(floats(1, 0, 0), 0))).toEqual([1]);
  expect(numbers(ops.argMax(floats(1, Number.NaN, 3, Number.NaN), 0))).toEqual([1]);
  expect(numbers(ops.argMin(floats(Number.NEGATIVE_INFINITY, Number.NaN), 0))).toEqual([1]);
  expect(numbers(ops.argMax(floats(Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY), 0))).toEqual([0]);
});

test.each<[DType, number[]]>([
  ["i32", [2147483647, -2147483648, 0, 3]],
  ["u32", [4294967295, 0, 0, 3]],
  ["u8", [255, 0, 0, 3]],
  ["i8", [-1, 0, 0, 3]],
  ["bool", [1, 1, 1, 1]],
])("casting floats to %s", (dtype, expected) => {
  expect(numbers(ops.cast(floats(3e9 * 4, -3e9, Number.NaN, 3.9), dtype))).toEqual(expected);
});

test("negative padding of a convolution cuts the input", () => {
  const x = ops.constantValue(Float32Array.of(1, 2, 3, 4, 5), { shape: [1, 5, 1], dtype: "f32" });
  const k = ops.constantValue(Float32Array.of(1, 10), { shape: [2, 1, 1], dtype: "f32" });
  const attrs = { strides: [1], dilation: [1], padLow: [-1], padHigh: [1], groups: 1 };
  const y = ops.conv(x, k, attrs);
  expect(numbers(y)).toEqual([32, 43, 54, 5]);
  expect(gradsOf(y, x, k)).toEqual([
    [0, 1, 11, 11, 11],
    [14, 12],
  ]);
});

test("a dot product of matrices with several free axes keeps their order", () => {
  const a = ops.iota([2, 3, 2], 1, "f32");
  const b = ops.iota([2, 2, 3], 2, "f32");
  const y = ops.dotGeneral(a, b, { batchA: [], batchB: [], contractA: [2], contractB: [0] });
  expect(y.shape).toEqual([2, 3, 2, 3]);
  expect(numbers(y).slice(0, 9)).toEqual([0, 0, 0, 0, 0, 0, 0, 2, 4]);
});
