/** Bytes divided by a number: the same bits as the division, without it. */
import { expect, test } from "vitest";
import { topological } from "../graph/node.ts";
import * as ops from "../graph/ops/index.ts";
import type { RefArray } from "../graph/reference/array.ts";
import { evaluate } from "../graph/reference/evaluate.ts";
import { simplify } from "./simplify.ts";

const bytes = (dtype: "u8" | "i8"): RefArray => {
  const data = Float64Array.from({ length: 256 }, (_, i) => (dtype === "u8" ? i : i - 128));
  return { shape: [256], data };
};

/** Every product and sum rounded to f32, as the targets compute. */
function rounded(dtype: "u8" | "i8", c: number): { divisions: number; values: number[] } {
  const x = ops.inputValue("x", { shape: [256], dtype });
  const [y] = simplify([ops.div(ops.cast(x, "f32"), ops.scalar(c, "f32"))]);
  const nodes = topological([y]);
  const feed = new Map([[x, bytes(dtype)]]);
  for (const n of nodes) {
    if (n.inputs.length === 0) continue;
    const [{ shape, data }] = evaluate([n.outputs[0]], feed);
    feed.set(n.outputs[0], { shape, data: data.map(Math.fround) });
  }
  return { divisions: nodes.filter((n) => n.op.name === "div").length, values: [...feed.get(y)!.data] };
}

test.each([255, 127.5, 256, 10, 3, -7, 0.3, 1e30])("by %f", (c) => {
  for (const dtype of ["u8", "i8"] as const) {
    const { divisions, values } = rounded(dtype, c);
    const expected = [...bytes(dtype).data].map((v) => Math.fround(v / Math.fround(c)));
    if (c === 255 || c === 127.5) expect(divisions).toBe(0);
    values.forEach((v, i) => {
      expect(v, `element ${i}`).toBe(expected[i]);
    });
  }
});

test("the divisor may be an integer, as in x.div(255)", () => {
  const x = ops.inputValue("x", { shape: [2, 3], dtype: "u8" });
  const y = ops.div(ops.reshape(ops.cast(x, "f32"), [6]), ops.cast(ops.scalar(255, "i32"), "f32"));
  expect(topological(simplify([y])).some((n) => n.op.name === "div")).toBe(false);
});

test("wider integers and division by zero stay as they are", () => {
  const x = ops.inputValue("x", { shape: [4], dtype: "i32" });
  const wide = ops.div(ops.cast(x, "f32"), ops.scalar(255, "f32"));
  expect(topological(simplify([wide])).some((n) => n.op.name === "div")).toBe(true);
  expect(rounded("u8", 0).divisions).toBe(1);
});
