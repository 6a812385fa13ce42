import { expect, test } from "vitest";
import { apply, Node, type OpRecord, topological, type Value, withScope } from "../graph/node.ts";
import {
  add,
  argMax,
  broadcastTo,
  cast,
  customGradient,
  exp,
  greater,
  inputValue,
  mul,
  neg,
  reduceSum,
  relu,
  scalar,
  select,
  sin,
  stopGradient,
} from "../graph/ops/index.ts";
import type { RefArray } from "../graph/reference/array.ts";
import { evaluate } from "../graph/reference/evaluate.ts";
import { gradients } from "./gradients.ts";

const vector = (name: string, n = 3): Value => inputValue(name, { shape: [n], dtype: "f32" });
const feed = (...pairs: [Value, number[]][]): Map<Value, RefArray> =>
  new Map(pairs.map(([v, data]) => [v, { shape: v.shape, data: Float64Array.from(data) }]));
const ones = (v: Value): Value => broadcastTo(scalar(1, v.dtype), v.shape);
const numbers = (v: Value | null, at: Map<Value, RefArray>): number[] => Array.from(evaluate([v!], at)[0].data);

test("a value used several times collects the gradients of all uses", () => {
  const x = vector("x");
  const y = add(mul(x, x), add(mul(x, scalar(3)), x));
  const [dx] = gradients([y], [ones(y)], [x]);
  expect(numbers(dx, feed([x, [1, 2, -1]]))).toEqual([6, 8, 2]);
});

test("only the outputs with a gradient count, and unused outputs cost nothing", () => {
  const x = vector("x");
  const y = mul(x, scalar(2));
  const unused = exp(x);
  const [dx] = gradients([y, unused], [ones(y), null], [x]);
  expect(numbers(dx, feed([x, [1, 2, 3]]))).toEqual([2, 2, 2]);
  expect(topological([dx!]).some((n) => n.op.name === "exp")).toBe(false);
});

test("no path, stopped paths and integers give null", () => {
  const x = vector("x");
  const other = vector("other");
  const index = inputValue("i", { shape: [3], dtype: "i32" });
  const y = add(stopGradient(x), mul(other, cast(index, "f32")));
  expect(gradients([y], [ones(y)], [x, index])).toEqual([null, null]);
  const position = argMax(x, 0);
  expect(gradients([cast(position, "f32")], [scalar(1)], [x])).toEqual([null]);
  expect(gradients([y], [null], [other])).toEqual([null]);
});

test("an input may be a value in the middle of the graph", () => {
  const x = vector("x");
  const h = sin(x);
  const y = mul(h, h);
  const [dh, dx] = gradients([y], [ones(y)], [h, x]);
  const at = feed([x, [0.5, 1, 2]]);
  expect(numbers(dh, at)).toEqual([0.5, 1, 2].map((v) => Math.sin(v) + Math.sin(v)));
  numbers(dx, at).forEach((v, i) => {
    expect(v).toBeCloseTo(Math.sin(2 * [0.5, 1, 2][i]), 12);
  });
});

test("an output may be an input", () => {
  const x = vector("x");
  const [dx] = gradients([x, mul(x, x)], [ones(x), ones(x)], [x]);
  expect(numbers(dx, feed([x, [1, 2, 3]]))).toEqual([3, 5, 7]);
});

test("gradients of gradients", () => {
  const x = vector("x", 1);
  let y: Value = mul(mul(x, x), mul(x, x));
  const expected = [32, 48, 48, 24, 0];
  for (const value of expected) {
    const [dy] = gradients([y], [ones(y)], [x]);
    expect(dy ? numbers(dy, feed([x, [2]])) : [0]).toEqual([value]);
    if (!dy) break;
    y = dy;
  }
});

test("a chain of 50,000 nodes", () => {
  const x = vector("x", 1);
  let y: Value = x;
  for (let i = 0; i < 50_000; i++) y = neg(y);
  const [dx] = gradients([y], [ones(y)], [x]);
  expect(numbers(dx, feed([x, [1]]))).toEqual([1]);
});

test("gradient nodes carry the scope of the forward node", () => {
  const x = vector("x");
  const y = withScope("dense_1", () => relu(x));
  const z = withScope("loss", () => reduceSum(mul(y, y)));
  const [dx] = withScope("elsewhere", () => gradients([z], [scalar(1)], [x]));
  expect(dx!.node.scope).toBe("dense_1");
  expect(topological([dx!]).map((n) => n.scope)).toContain("loss");
});

test("a custom gradient replaces the derivative of its function", () => {
  const x = vector("x");
  const clipped = select(greater(x, scalar(1)), ones(x), x);
  const [y] = customGradient([clipped], [x], ([dy]) => [mul(dy, scalar(10))]);
  const [dx] = gradients([y], [ones(y)], [x]);
  const at = feed([x, [0, 1, 2]]);
  expect(numbers(y, at)).toEqual([0, 1, 1]);
  expect(numbers(dx, at)).toEqual([10, 10, 10]);
  const [wrong] = customGradient([clipped], [x], () => []);
  expect(() => gradients([wrong], [ones(wrong)], [x])).toThrow(/wrong number of gradients/);
});

test("a rule that fails matters only where it is needed", () => {
  const failing: OpRecord<null> = {
    name: "failing",
    infer: ([x]) => [x],
    gradient: () => {
      throw new Error("no gradient");
    },
    kernel: { kind: "alias" },
  };
  const x = vector("x");
  const other = vector("other");
  const [y] = apply(failing, [x], null);
  const z = add(y, other);
  expect(() => gradients([z], [ones(z)], [x])).toThrow("no gradient");
  expect(numbers(gradients([z], [ones(z)], [other])[0], feed([other, [1, 2, 3]]))).toEqual([1, 1, 1]);
});

test("a gradient of the wrong shape is refused", () => {
  const x = vector("x");
  expect(() => gradients([mul(x, x)], [scalar(1)], [x])).toThrow(/E105/);
  expect(() => gradients([mul(x, x)], [], [x])).toThrow(/E105/);
});

test("zero second derivatives end in null, not in an error", () => {
  const x = vector("x");
  const y = mul(x, scalar(3));
  const [dx] = gradients([y], [ones(y)], [x]);
  expect(gradients([dx!], [ones(dx!)], [x])).toEqual([null]);
  expect(dx!.node).toBeInstanceOf(Node);
});
