/** What ops refuse: the error names the op, what came and what was expected. */
import { describe, expect, test } from "vitest";
import { LayerwiseError } from "../../errors.ts";
import { type Value, withScope } from "../node.ts";
import type { DType, Shape } from "../types.ts";
import * as ops from "./index.ts";

const value = (shape: Shape, dtype: DType = "f32"): Value => ops.inputValue("x", { shape, dtype });
const dot = { batchA: [], batchB: [], contractA: [1], contractB: [0] };
const conv = { strides: [1], dilation: [1], padLow: [0], padHigh: [0], groups: 1 };

const cases: [name: string, run: () => unknown, code: string, ...parts: RegExp[]][] = [
  [
    "add of unlike dtypes",
    () => ops.add(value([2]), value([2], "i32")),
    "E104",
    /add/,
    /f32\[2\] and i32\[2\]/,
    /cast/,
  ],
  ["add of shapes that do not broadcast", () => ops.add(value([2, 3]), value([4])), "E101", /\[2, 3\] and \[4\]/],
  ["exp of integers", () => ops.exp(value([2], "i32")), "E104", /exp does not take i32/, /floating-point/],
  ["logicalAnd of floats", () => ops.logicalAnd(value([2]), value([2])), "E104", /logicalAnd/, /bool/],
  ["shiftLeft of floats", () => ops.shiftLeft(value([2]), value([2])), "E104", /integer/],
  ["add of bools", () => ops.add(value([2], "bool"), value([2], "bool")), "E104", /numeric/],
  ["select with a float condition", () => ops.select(value([2]), value([2]), value([2])), "E104", /bool condition/],
  ["select of unlike dtypes", () => ops.select(value([2], "bool"), value([2]), value([2], "i32")), "E104", /one dtype/],
  ["reshape to another size", () => ops.reshape(value([2, 3]), [4]), "E103", /6 elements/, /\[4\]/],
  ["reshape to a negative size", () => ops.reshape(value([2, 3]), [-1, 6]), "E103", /reshape/],
  ["transpose with a repeated axis", () => ops.transpose(value([2, 3]), [0, 0]), "E103", /\[0, 0\]/],
  ["broadcastTo a smaller shape", () => ops.broadcastTo(value([2, 3]), [3]), "E103", /broadcastTo/],
  ["slice beyond the end", () => ops.slice(value([4]), [0], [5]), "E103", /limit/, /\[4\]/],
  ["slice with step 0", () => ops.slice(value([4]), [0], [4], [0]), "E103", /step/],
  ["slice with too few axes", () => ops.slice(value([4, 4]), [0], [4]), "E103", /start/],
  ["reverse along an axis that is not there", () => ops.reverse(value([4]), [1]), "E102", /axis 1/, /rank 1/],
  ["concat of unlike shapes", () => ops.concat([value([2, 3]), value([2, 4])], 0), "E103", /concat/, /axis 0/],
  ["concat of nothing", () => ops.concat([], 0), "E103", /nothing/],
  ["concat of unlike dtypes", () => ops.concat([value([2]), value([2], "i32")], 0), "E104", /concat/],
  ["pad that cuts too much", () => ops.pad(value([2]), [-2], [-1]), "E103", /cut off/],
  ["reduceMax of nothing", () => ops.reduceMax(value([3, 0]), 1), "E103", /reduceMax/, /at least one/],
  ["argMax of nothing", () => ops.argMax(value([0]), 0), "E103", /argMax/],
  ["reduceSum of bools", () => ops.reduceSum(value([3], "bool")), "E104", /numeric/],
  ["reduceSum along an axis that is not there", () => ops.reduceSum(value([3]), 2), "E102", /reduceSum: axis 2/],
  [
    "dotGeneral of sizes that do not match",
    () => ops.dotGeneral(value([2, 3]), value([4, 5]), dot),
    "E103",
    /contracted axes/,
  ],
  ["dotGeneral of unlike dtypes", () => ops.dotGeneral(value([2, 3]), value([3, 5], "i32"), dot), "E104", /dotGeneral/],
  ["bitcast of bytes", () => ops.bitcast(value([2], "u8"), "f32"), "E104", /32-bit/],
  ["iota of bools", () => ops.iota([2], 0, "bool"), "E104", /iota/],
  ["conv with too few channels", () => ops.conv(value([1, 5, 2]), value([3, 3, 4]), conv), "E103", /channels/],
  ["conv of integers", () => ops.conv(value([1, 5, 3], "i32"), value([3, 3, 4], "i32"), conv), "E104", /f32/],
  ["conv of a wrong rank", () => ops.conv(value([5, 3]), value([3, 3, 4]), conv), "E103", /spatial|rank/],
  [
    "convInputGrad without a size",
    () => ops.convInputGrad(value([1, 3, 4]), value([3, 3, 4]), conv),
    "E103",
    /missing/,
  ],
];

describe("refusals", () => {
  test.each(cases)("%s", (_, run, code, ...parts) => {
    let error: unknown;
    try {
      run();
    } catch (e) {
      error = e;
    }
    expect(error).toBeInstanceOf(LayerwiseError);
    const { message } = error as LayerwiseError;
    expect((error as LayerwiseError).code).toBe(code);
    for (const part of parts) expect(message).toMatch(part);
  });
});

test("errors name the layer that was being built", () => {
  try {
    withScope("dense_3", () => ops.add(value([2]), value([2], "i32")));
    expect.unreachable();
  } catch (error) {
    expect((error as LayerwiseError).layer).toBe("dense_3");
  }
});

test("functions that change nothing make no node", () => {
  const x = value([2, 3]);
  expect(ops.reshape(x, [2, 3])).toBe(x);
  expect(ops.transpose(x, [0, 1])).toBe(x);
  expect(ops.broadcastTo(x, [2, 3])).toBe(x);
  expect(ops.slice(x, [0, 0], [2, 3])).toBe(x);
  expect(ops.pad(x, [0, 0], [0, 0])).toBe(x);
  expect(ops.concat([x], 0)).toBe(x);
  expect(ops.cast(x, "f32")).toBe(x);
  expect(ops.reverse(x, [])).toBe(x);
});
