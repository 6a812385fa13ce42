import { describe, expect, test } from "vitest";
import { uniform } from "../../graph/ops/sample.ts";
import { configure } from "../config.ts";
import { grad, jit } from "../functions.ts";
import { type Tensor, tensor } from "../tensor.ts";
import * as ops from "./index.ts";

configure({ device: "wasm", threads: 1, seed: 1 });

const matrix = (shape: readonly number[], seed: number): Tensor =>
  tensor(
    uniform(
      shape.reduce((p, d) => p * d, 1),
      -1,
      1,
      seed,
    ),
    shape,
  );
const near = (got: Tensor, want: Tensor | readonly number[], tolerance = 1e-4): void => {
  const b = Array.isArray(want) ? want : [...(want as Tensor).dataSync()];
  const a = got.dataSync();
  expect(a.length).toBe(b.length);
  for (let i = 0; i < a.length; i++) expect(Math.abs(a[i] - b[i]), `element ${i}: ${a[i]}`).toBeLessThan(tolerance);
};
/** Compares the gradient of f with finite differences. */
function checkGradient(fn: (x: Tensor) => Tensor, x: Tensor, tolerance = 2e-2): void {
  const got = grad(fn)(x).dataSync();
  const f = jit(fn);
  const data = [...x.dataSync()];
  const h = 1e-2;
  data.forEach((v, i) => {
    const at = (d: number) =>
      f(
        tensor(
          data.map((w, j) => (j === i ? v + d : w)),
          x.shape,
        ),
      ).item();
    const want = (at(h) - at(-h)) / (2 * h);
    expect(Math.abs(got[i] - want), `${got[i]} against ${want}`).toBeLessThan(tolerance * Math.max(1, Math.abs(want)));
  });
}

describe("linear equations", () => {
  for (const n of [1, 3, 20]) {
    test(`of ${n} unknowns`, () => {
      const a = matrix([2, n, n], n);
      const b = matrix([2, n, 2], n + 1);
      near(ops.matmul(a, ops.solve(a, b)), b, 1e-3);
      near(ops.matmul(ops.inv(a), a), ops.broadcastTo(ops.eye(n), [2, n, n]), 1e-3);
    });
  }
  test("with zeros where pivots would be, and a vector", () => {
    const a = tensor([
      [0, 2, 0],
      [0, 0, 4],
      [1, 0, 0],
    ]);
    near(ops.solve(a, tensor([2, 8, 3])), [3, 1, 2]);
    expect(ops.det(a).item()).toBeCloseTo(8, 4);
    expect(
      ops
        .slogdet(
          tensor([
            [0, 1],
            [1, 0],
          ]),
        )[0]
        .item(),
    ).toBe(-1);
    expect(
      ops
        .det(
          tensor([
            [1, 2],
            [2, 4],
          ]),
        )
        .item(),
    ).toBeCloseTo(0, 6);
  });
  test("triangles read one half", () => {
    const a = tensor([
      [2, 9],
      [1, 4],
    ]);
    near(ops.solveTriangular(a, tensor([2, 9]), true), [1, 2]);
    near(ops.solveTriangular(a, tensor([[20], [4]])), [5.5, 1]);
  });
  test("Cholesky's factor", () => {
    const x = matrix([2, 6, 6], 4);
    const a = ops.matmul(x, ops.swapaxes(x, 1, 2)).add(ops.eye(6));
    const l = ops.cholesky(a);
    near(ops.matmul(l, ops.swapaxes(l, 1, 2)), a, 1e-4);
    near(ops.cholesky(a, true), ops.swapaxes(l, 1, 2));
    expect(l.dataSync()[1]).toBe(0);
  });
  test("gradients", () => {
    const b = matrix([3, 2], 8);
    const w = matrix([3, 2], 9);
    const a = matrix([3, 3], 7).add(ops.eye(3).mul(2));
    checkGradient((t) => ops.sum(ops.solve(t, b).mul(w)), a);
    checkGradient((t) => ops.sum(ops.solve(a, t).mul(w)), b);
    checkGradient((t) => ops.det(t), a);
    checkGradient((t) => ops.logdet(t), a);
    const symmetric = (t: Tensor) => ops.matmul(t, ops.transpose(t)).add(ops.eye(3));
    checkGradient((t) => ops.sum(ops.cholesky(symmetric(t)).mul(matrix([3, 3], 5))), matrix([3, 3], 6));
  });
  test("what does not fit is refused", () => {
    expect(() => ops.inv(matrix([2, 3], 1))).toThrow(/E107.*square/s);
    expect(() => ops.solve(matrix([3, 3], 1), matrix([2, 2], 1))).toThrow(/E107/);
  });
});

describe("singular values", () => {
  for (const [m, n] of [
    [1, 1],
    [7, 4],
    [4, 7],
    [5, 5],
    [30, 13],
  ]) {
    test(`of ${m}×${n}`, () => {
      const a = matrix([2, m, n], m * n);
      const [u, s, vt] = ops.svd(a);
      const k = Math.min(m, n);
      expect([u.shape, s.shape, vt.shape]).toEqual([
        [2, m, k],
        [2, k],
        [2, k, n],
      ]);
      near(ops.matmul(u.mul(ops.expandDims(s, 1)), vt), a);
      near(ops.matmul(ops.swapaxes(u, 1, 2), u), ops.broadcastTo(ops.eye(k), [2, k, k]));
      near(ops.matmul(vt, ops.swapaxes(vt, 1, 2)), ops.broadcastTo(ops.eye(k), [2, k, k]));
      const values = s.dataSync();
      for (let i = 1; i < k; i++) expect(values[i]).toBeLessThanOrEqual(values[i - 1]);
    });
  }
  test("of a matrix without full rank: rank, pseudo-inverse, least squares", () => {
    const a = ops.matmul(matrix([6, 2], 3), matrix([2, 4], 4));
    expect(ops.matrixRank(a).item()).toBe(2);
    const p = ops.pinv(a);
    near(ops.matmul(ops.matmul(a, p), a), a);
    near(ops.matmul(ops.matmul(p, a), p), p);
    const full = matrix([6, 3], 5);
    const b = matrix([6], 6);
    // The residual stands upright on the columns.
    const residual = ops.matmul(full, ops.lstsq(full, b)).sub(b);
    near(ops.matmul(ops.transpose(full), residual), [0, 0, 0]);
  });
  test("norms of matrices", () => {
    const a = tensor([
      [3, 0],
      [0, -4],
    ]);
    expect(ops.norm(a, "nuc", [0, 1]).item()).toBeCloseTo(7, 5);
    expect(ops.norm(a, 2, [0, 1]).item()).toBeCloseTo(4, 5);
    expect(ops.norm(a, -2, [0, 1], true).shape).toEqual([1, 1]);
  });
  test("gradients", () => {
    const w = matrix([4, 3], 2);
    checkGradient((t) => ops.sum(ops.svd(t, false, false).mul(tensor([1, 2, 3]))), matrix([4, 3], 1));
    checkGradient((t) => ops.sum(ops.svd(t)[0].abs().mul(w)), matrix([4, 3], 1));
    checkGradient((t) => ops.sum(ops.pinv(t).mul(ops.transpose(w))), matrix([4, 3], 1));
  });
});

describe("sequences of labels", () => {
  /** All ways to write `labels` in `steps` classes. */
  function brute(scores: readonly (readonly number[])[], labels: readonly number[]): number {
    const logits = scores.map((row) => {
      const total = Math.log(row.reduce((s, v) => s + Math.exp(v), 0));
      return row.map((v) => v - total);
    });
    const classes = scores[0].length;
    let sum = 0;
    for (let code = 0; code < classes ** scores.length; code++) {
      const path = scores.map((_, t) => Math.floor(code / classes ** t) % classes);
      const merged = path.filter((c, t) => c !== path[t - 1]).filter((c) => c !== 0);
      if (String(merged) === String(labels)) sum += Math.exp(path.reduce((s, c, t) => s + logits[t][c], 0));
    }
    return -Math.log(sum);
  }
  const scores = uniform(2 * 5 * 3, -2, 2, 4);
  const rows = (i: number, steps: number) =>
    Array.from({ length: steps }, (_, t) => scores.slice((i * 5 + t) * 3, (i * 5 + t) * 3 + 3));

  test("the loss is the sum over all ways", () => {
    const loss = (s: Tensor) =>
      ops.ctcLoss(
        tensor(
          [
            [1, 1],
            [2, 0],
          ],
          [2, 2],
          "i32",
        ),
        s,
        tensor([2, 1], [2], "i32"),
        tensor([5, 3], [2], "i32"),
      );
    near(loss(tensor(scores, [2, 5, 3])), [brute(rows(0, 5), [1, 1]), brute(rows(1, 3), [2])]);
    checkGradient((s) => ops.sum(loss(s)), tensor(scores, [2, 5, 3]));
  });
  test("decoding leaves out blanks and repetitions", () => {
    const best = (list: readonly number[]) => list.map((c) => [0, 1, 2].map((k) => (k === c ? 1 : 0)));
    const s = tensor([best([1, 1, 0, 1, 2]), best([0, 2, 2, 2, 1])]);
    const [labels, score] = ops.ctcDecode(s, tensor([5, 3], [2], "i32"));
    expect([...labels.dataSync()]).toEqual([1, 1, 2, -1, -1, 2, -1, -1, -1, -1]);
    expect([...score.dataSync()]).toEqual([-5, -3]);
  });
});
