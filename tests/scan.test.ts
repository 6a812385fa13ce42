/** scan from tensors to programs: values, gradients, checkpoints, size of the code, threads. */
import { expect, test } from "vitest";
import { gradients } from "../packages/core/src/autodiff/gradients.ts";
import { compileGraph } from "../packages/core/src/compiler/compile.ts";
import { plugRegionKernels } from "../packages/core/src/compiler/region-kernels.ts";
import type { Value } from "../packages/core/src/graph/node.ts";
import * as g from "../packages/core/src/graph/ops/index.ts";
import { uniform } from "../packages/core/src/graph/ops/sample.ts";
import { configure, grad, jit, ops, type Tensor, tensor } from "../packages/core/src/index.ts";
import { createWasmDevice } from "../packages/core/src/targets/wasm/device.ts";
import { emitProgram } from "../packages/core/src/targets/wasm/module.ts";

const random = (shape: number[], seed: number) =>
  tensor(
    Float32Array.from(
      uniform(
        shape.reduce((a, b) => a * b, 1),
        -0.5,
        0.5,
        seed,
      ),
    ),
    shape,
  );

test("running sums", () => {
  const [total, sums] = ops.scan((sum: Tensor, x: Tensor) => [sum.add(x), sum.add(x)], tensor(0), tensor([1, 2, 3]));
  expect(total.item()).toBe(6);
  expect(Array.from(sums.dataSync())).toEqual([1, 3, 6]);
  const [, back] = ops.scan((sum: Tensor, x: Tensor) => [sum.add(x), sum.add(x)], tensor(0), tensor([1, 2, 3]), {
    reverse: true,
  });
  expect(Array.from(back.dataSync())).toEqual([6, 5, 3]);
});

test("trees, no xs, no ys, no steps", () => {
  const [{ a, b }, y] = ops.scan(
    ({ a, b }: { a: Tensor; b: Tensor }) => [{ a: b, b: a.add(b) }, null],
    { a: tensor(0), b: tensor(1) },
    null,
    { length: 10 },
  );
  expect([a.item(), b.item(), y]).toEqual([55, 89, null]);
  const [kept, none] = ops.scan((c: Tensor, x: Tensor) => [c.add(x), x], tensor([1, 2]), tensor([], [0, 2]));
  expect(Array.from(kept.dataSync())).toEqual([1, 2]);
  expect(none.shape).toEqual([0, 2]);
});

test("wrong structures are refused", () => {
  expect(() => ops.scan((c: Tensor) => [c, null], tensor(0))).toThrow(/number of steps/);
  expect(() => ops.scan((c: Tensor, x: Tensor) => [c.add(x), x], tensor(0), tensor([[1, 2]]))).toThrow(/carry/);
});

const cell = (h: Tensor, x: Tensor, w: Tensor, activation = ops.tanh as (x: Tensor) => Tensor) =>
  activation(x.add(ops.matmul(h, w)));
function loss(
  w: Tensor,
  x: Tensor,
  h0: Tensor,
  checkpointEvery: number | null,
  reverse = false,
  activation?: (x: Tensor) => Tensor,
): Tensor {
  const options = checkpointEvery === null ? { reverse } : { reverse, checkpointEvery };
  const [last, ys] = ops.scan(
    (h: Tensor, xt: Tensor) => {
      const next = cell(h, xt, w, activation);
      return [next, next.mul(xt)];
    },
    h0,
    x,
    options,
  );
  return last.sum().add(ys.mul(ys).sum());
}

test.each([1, 3, 4])("checkpoints every %i steps leave values and gradients as they are", (every) => {
  const w = random([5, 5], 1);
  const x = random([11, 3, 5], 2);
  const h = random([3, 5], 3);
  for (const reverse of [false, true]) {
    const plain = grad((w: Tensor) => loss(w, x, h, null, reverse))(w);
    const sparse = grad((w: Tensor) => loss(w, x, h, every, reverse))(w);
    expect(loss(w, x, h, every, reverse).item()).toBeCloseTo(loss(w, x, h, null, reverse).item(), 5);
    plain.dataSync().forEach((v, i) => {
      expect(sparse.dataSync()[i]).toBeCloseTo(v, 5);
    });
  }
});

test.each([
  ["an op", ops.tanh],
  ["a gradient of its own", (x: Tensor) => ops.softmax(x)],
])("gradients against an unrolled loop: the activation is %s", (_, activation) => {
  const w = random([6, 6], 1);
  const x = random([7, 4, 6], 2);
  const h0 = random([4, 6], 3);
  const unrolled = (w: Tensor): Tensor => {
    let h = h0;
    let total = tensor(0);
    for (let t = 0; t < 7; t++) {
      const xt = ops.squeeze(x.slice([t, 0, 0], [1, 4, 6]), 0);
      h = cell(h, xt, w, activation);
      const y = h.mul(xt);
      total = total.add(y.mul(y).sum());
    }
    return total.add(h.sum());
  };
  const expected = grad(unrolled)(w).dataSync();
  for (const every of [null, 3])
    grad((w: Tensor) => loss(w, x, h0, every, false, activation))(w)
      .dataSync()
      .forEach((v, i) => {
        expect(v).toBeCloseTo(expected[i], 5);
      });
});

/** A recurrent step with gradients, as a program. */
function program(length: number, lanes: 4 | 8 | 16 = 4) {
  const [n, f, u] = [12, 10, 16];
  const type = (...shape: number[]) => ({ shape, dtype: "f32" as const });
  const inputs = [
    g.inputValue("x", type(length, n, f)),
    g.inputValue("h", type(n, u)),
    g.inputValue("wx", type(f, 2 * u)),
    g.inputValue("wh", type(u, 2 * u)),
    g.inputValue("b", type(2 * u)),
  ];
  const [x, h, wx, wh, b] = inputs;
  plugRegionKernels();
  const { carry } = g.scan(
    ([h], [xt]) => {
      const z = g.add(g.add(g.matmul2d(xt, wx), g.broadcastTo(b, [n, 2 * u])), g.matmul2d(h, wh));
      const gate = g.sigmoid(g.slice(z, [0, 0], [n, u]));
      const next = g.add(g.mul(gate, h), g.mul(g.sub(g.scalar(1), gate), g.tanh(g.slice(z, [0, u], [n, 2 * u]))));
      return { carry: [next], ys: [] };
    },
    [h],
    [x],
    { length },
  );
  const loss = g.reduceSum(g.mul(carry[0], carry[0]), [0, 1]);
  const outputs = gradients([loss], [g.scalar(1)], [x, wx, wh, b]) as Value[];
  const profile = { ...createWasmDevice({ threads: 1 }).profile, lanes };
  return compileGraph({ name: "recurrent", inputs, outputs, writes: [] }, profile).program;
}

test("a loop of 2,000 steps is as much code as one of 20", () => {
  const [short, long] = [program(20), program(2000)];
  // A sum over 240 rows is not split in parts; recurrent-length.test.ts compares whole steps.
  const kernels = (p: typeof short) => p.kernels.filter((k) => !/_sum$|_combine$/.test(k.name));
  expect(kernels(long).length).toBe(kernels(short).length);
  const loops = (p: typeof short) => ({
    ...p,
    kernels: p.kernels.filter((k) => k.name.startsWith("scan")),
    stages: [],
  });
  const bytes = (p: typeof short) => emitProgram(loops(p), { shared: false, relaxedFma: false, strict: true }).length;
  expect(bytes(short)).toBeGreaterThan(5000);
  expect(Math.abs(bytes(long) / bytes(short) - 1)).toBeLessThan(0.01);
});

test("the gradient runs the loop twice, and all products of weights are outside", () => {
  const names = program(20).kernels.map((k) => k.name);
  expect(names.filter((n) => n.startsWith("scan")).length).toBe(4);
});

test("the same bits for any number of threads", () => {
  const x = random([9, 37, 24], 1);
  const w = random([24, 24], 2);
  const h = random([37, 24], 3);
  const run = (threads: number) => {
    configure({ device: "wasm", threads });
    const f = jit((w: Tensor) => grad((w: Tensor) => loss(w, x, h, null))(w));
    return Array.from(f(w).dataSync());
  };
  try {
    const first = run(1);
    for (const threads of [2, 3, 7]) expect(run(threads)).toEqual(first);
  } finally {
    configure({ threads: null, device: "auto" });
  }
});

test("cond computes one branch and differentiates it", () => {
  const f = (x: Tensor) =>
    ops.cond(
      x.sum().greater(0),
      () => x.mul(x).sum(),
      () => x.mul(-3).sum(),
    );
  expect(f(tensor([1, 2])).item()).toBe(5);
  expect(f(tensor([-1, -2])).item()).toBe(9);
  expect(Array.from(grad(f)(tensor([1, 2])).dataSync())).toEqual([2, 4]);
  expect(Array.from(grad(f)(tensor([-1, -2])).dataSync())).toEqual([-3, -3]);
  expect(() =>
    ops.cond(
      true,
      () => [tensor(1)],
      () => tensor(1) as never,
    ),
  ).toThrow(/structure/);
});

test("whileLoop runs as long as it must, with a limit it has a gradient", () => {
  const double = (limit?: number) => (x: Tensor) =>
    ops.whileLoop(
      ({ v }) => v.sum().less(50),
      ({ v, n }) => ({ v: v.mul(2), n: n.add(1) }),
      { v: x, n: tensor(0) },
      limit === undefined ? {} : { maxIterations: limit },
    );
  const { v, n } = double()(tensor([1, 2]));
  expect([Array.from(v.dataSync()), n.item()]).toEqual([[32, 64], 5]);
  expect(double(3)(tensor([1, 2])).n.item()).toBe(3);
  expect(Array.from(grad((x: Tensor) => double(20)(x).v.sum())(tensor([1, 2])).dataSync())).toEqual([32, 32]);
  expect(() => grad((x: Tensor) => double()(x).v.sum())(tensor([1, 2]))).toThrow(/maxIterations/);
});

test("foriLoop and map", () => {
  expect(ops.foriLoop(2, 6, (i, sum: Tensor) => sum.add(i), tensor(0, [], "i32")).item()).toBe(14);
  const squares = ops.map(
    (x: Tensor) => x.mul(x),
    tensor([
      [1, 2],
      [3, 4],
    ]),
  );
  expect(Array.from(squares.dataSync())).toEqual([1, 4, 9, 16]);
});

test("rows that do not depend on one another are tasks of their own", () => {
  const grids = program(20)
    .kernels.filter((k) => k.name.startsWith("scan"))
    .map((k) => k.grid.map((v) => v.extent));
  // 12 rows: a block of 8 and one of 4, forwards and backwards.
  expect(grids).toEqual([[1], [1], [1], [1]]);
});
