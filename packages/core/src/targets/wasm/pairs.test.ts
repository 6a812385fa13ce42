/** What the plan of packed values says of kernels that mix 256-bit and 128-bit code. */
import { describe, expect, it } from "vitest";
import { KernelBuilder } from "../../compiler/builder.ts";
import { type Kernel, type Stmt, visit } from "../../compiler/loopir.ts";
import { PairPlan } from "./pairs.ts";

function kernel(body: (b: KernelBuilder) => void): Kernel {
  const b = new KernelBuilder("kernel");
  body(b);
  return b.finish({ flops: 0, bytes: 0 });
}

function statements<K extends Stmt["kind"]>(from: Kernel, kind: K): Extract<Stmt, { kind: K }>[] {
  const found: Stmt[] = [];
  visit(from.body, (s) => {
    if (s.kind === kind) found.push(s);
  });
  return found as Extract<Stmt, { kind: K }>[];
}

describe("the plan of packed values", () => {
  it("begins at whole stores and takes what their values are made of", () => {
    const k = kernel((b) => {
      const x = b.buffer("x", "f32", 64, "read");
      const y = b.buffer("y", "f32", 64, "write");
      const sum = b.var(b.f32(0, 8));
      const rest = b.var(b.f32(0, 8));
      b.loop("k", 3, () => {
        const scale = b.load(x, 0, 8, { stride: 0 });
        b.assign(sum, b.fma(scale, b.load(x, 8, 8), sum));
        b.assign(rest, b.fma(scale, b.load(x, 16, 8), rest));
      });
      b.store(y, 0, sum);
      b.store(y, 8, rest, { count: 7 });
    });
    const plan = new PairPlan(k.body);
    const [sum, rest] = statements(k, "var").map((s) => s.dst);
    const [scale, whole, part] = statements(k, "load").map((s) => s.dst);
    expect([sum, rest, scale, whole, part].map((x) => plan.holds(x, 0) && plan.holds(x, 1))).toEqual([
      true,
      false,
      true,
      true,
      false,
    ]);
    // The zeros of both, and nothing else, would be shared by way of a move; the splat is an input only.
    const zero = statements(k, "var")[0].init;
    if (zero.kind !== "const") throw new Error("not a constant");
    expect([plan.packsConstant(zero), plan.leavesConstant(zero), plan.crosses(scale)]).toEqual([true, true, false]);
    expect(statements(k, "store").map((s) => plan.stores(s, 0))).toEqual([true, false]);
  });

  it("leaves values alone that V8 cannot pack, and all that is made of them", () => {
    const k = kernel((b) => {
      const x = b.buffer("x", "f32", 64, "read");
      const y = b.buffer("y", "f32", 64, "write");
      const a = b.load(x, 0, 8);
      b.store(y, 0, b.add(b.unary("floor", a), a));
      b.store(y, 8, b.neg(a));
      b.store(y, 16, a, { stride: 2 });
    });
    const plan = new PairPlan(k.body);
    const [a] = statements(k, "load").map((s) => s.dst);
    expect(statements(k, "store").map((s) => plan.stores(s, 0))).toEqual([false, true, false]);
    expect(plan.holds(statements(k, "binary")[0].dst, 0)).toBe(false);
    expect(plan.holds(a, 0)).toBe(true);
    // 128-bit floor reads it.
    expect(plan.crosses(a)).toBe(true);
  });

  it("packs narrow integers, which an epilogue may read, and neither half floats nor strides", () => {
    const k = kernel((b) => {
      const y = b.buffer("y", "f32", 64, "write");
      for (const type of ["u8", "i8", "bool", "i16", "f16", "f32"] as const) {
        const x = b.buffer(type, type, 64, "read");
        b.store(y, 0, b.convert(b.load(x, 0, 8), "f32"));
      }
      b.store(y, 0, b.load(b.buffer("x", "f32", 64, "read"), 8, 8, { stride: -1 }));
    });
    const plan = new PairPlan(k.body);
    expect(statements(k, "load").map((s) => plan.holds(s.dst, 0))).toEqual([
      true,
      true,
      true,
      true,
      false,
      true,
      false,
    ]);
  });

  it("packs as many pairs of a wide value as its store writes whole", () => {
    const k = kernel((b) => {
      const x = b.buffer("x", "f32", 64, "read");
      const y = b.buffer("y", "f32", 64, "write");
      b.store(y, 0, b.neg(b.load(x, 0, 16)), { count: 13 });
    });
    const plan = new PairPlan(k.body);
    const [{ dst }] = statements(k, "unary");
    expect([0, 1, 2, 3].map((r) => plan.holds(dst, r))).toEqual([true, true, false, false]);
  });

  it("knows sums of integers whose sides may come from one instruction", () => {
    const k = kernel((b) => {
      const x = b.buffer("x", "i32", 64, "read");
      const y = b.buffer("y", "i32", 64, "write");
      const [p, q] = [b.load(x, 0, 8), b.load(x, 8, 8)];
      const mixed = b.binary("xor", p, q);
      b.store(y, 0, b.add(p, q));
      b.store(y, 8, b.add(mixed, p));
    });
    const plan = new PairPlan(k.body);
    const sums = statements(k, "binary").filter((s) => s.op === "add");
    expect(sums.map((s) => plan.mayPackSides(s.a, s.b))).toEqual([true, false]);
  });
});
