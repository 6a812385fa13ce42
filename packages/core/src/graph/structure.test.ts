import { describe, expect, it } from "vitest";
import { withScope } from "./node.ts";
import { add, cond, maximum, mul, reduceSum, sub, tanh } from "./ops/index.ts";
import { constantValue, inputValue, scalar } from "./ops/source.ts";
import { attrsKey, structureOf } from "./structure.ts";

const f32 = (...shape: number[]) => ({ shape, dtype: "f32" as const });
const x = () => inputValue("x", f32(4));
const key = (...roots: Parameters<typeof structureOf>[0][number][]) => structureOf(roots, { scopes: false }).text;

describe("the structure of a graph", () => {
  it("is equal for graphs that differ in the contents of constants and in names", () => {
    const c = (v: number) => constantValue(Float32Array.of(v, v, v, v), f32(4));
    const make = (name: string, v: number) => tanh(add(inputValue(name, f32(4)), c(v)));
    expect(key(make("x", 1))).toBe(key(make("y", 2)));
    const { constants, inputs } = structureOf([make("x", 3)], { scopes: false });
    expect(constants.map((v) => (v.node.attrs as { data: Float32Array }).data[0])).toEqual([3]);
    expect(inputs).toHaveLength(1);
  });

  it("tells apart ops, shapes, attributes, sharing, the order of roots and what an inner graph does", () => {
    const a = x();
    const b = x();
    const two = constantValue(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), f32(2, 4));
    const choose = (f: typeof tanh) => {
      const v = x();
      return cond(
        constantValue(Uint8Array.of(1), { shape: [], dtype: "bool" }),
        () => [f(v)],
        () => [v],
      )[0];
    };
    const different = [
      key(add(a, b)),
      key(add(a, a)),
      key(sub(a, b)),
      key(mul(inputValue("x", f32(5)), inputValue("y", f32(5)))),
      key(reduceSum(two, [0])),
      key(reduceSum(two, [1])),
      key(a, b, add(a, b)),
      key(b, a, add(a, b)),
      key(add(a, b), a, b),
      key(choose(tanh)),
      key(choose((v) => maximum(v, scalar(0)))),
    ];
    expect(different).not.toContain(null);
    expect(new Set(different).size).toBe(different.length);
  });

  it("holds the layer of a node where that is asked for", () => {
    const make = (scope: string) => withScope(scope, () => tanh(x()));
    const scoped = (scope: string) => structureOf([make(scope)], { scopes: true }).text;
    expect(key(make("one"))).toBe(key(make("two")));
    expect(scoped("one")).not.toBe(scoped("two"));
  });

  it("attributes with a function have no key, and numbers that JSON does not know have their own", () => {
    expect(attrsKey({ f: () => 1 })).toBeNull();
    const keys = [0, -0, Number.NaN, Infinity, -Infinity, null].map((value) => attrsKey({ value }));
    expect(new Set(keys).size).toBe(keys.length);
  });
});
