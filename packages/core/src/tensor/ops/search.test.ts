import { expect, test } from "vitest";
import { uniform } from "../../graph/ops/sample.ts";
import { configure } from "../config.ts";
import { grad, jit } from "../functions.ts";
import { type Tensor, tensor } from "../tensor.ts";
import * as ops from "./index.ts";

configure({ device: "wasm", threads: 1, seed: 1 });
const list = (t: Tensor) => [...t.dataSync()];
const ints = (x: readonly number[]) => tensor(Int32Array.from(x), [x.length], "i32");

test("places in sorted sequences and bins", () => {
  const s = tensor([1, 2, 2, 5]);
  expect(list(ops.searchsorted(s, tensor([0, 1, 2, 3, 9])))).toEqual([0, 0, 1, 3, 4]);
  expect(list(ops.searchsorted(s, tensor([0, 1, 2, 3, 9]), "right"))).toEqual([0, 1, 3, 3, 4]);
  expect(list(ops.digitize(tensor([0.5, 1, 4]), tensor([1, 3])))).toEqual([0, 1, 2]);
  const [counts, edges] = ops.histogram(tensor([0, 1, 1.5, 2, 2, 9]), 2, [0, 2]);
  expect(list(counts)).toEqual([1, 4]);
  expect(list(edges)).toEqual([0, 1, 2]);
  expect(list(ops.histogram(tensor([3, 3]), 2)[0])).toEqual([0, 2]);
});

test("members, indices, counts", () => {
  expect(list(ops.isin(ints([1, 2, 3]), ints([3, 1])))).toEqual([1, 0, 1]);
  expect(list(ops.isin(ints([1, 2, 3]), ints([3, 1]), true))).toEqual([0, 1, 0]);
  expect(
    ops
      .nonzero(
        tensor([
          [0, 1],
          [2, 0],
        ]),
      )
      .map(list),
  ).toEqual([
    [0, 1],
    [1, 0],
  ]);
  expect(ops.unravelIndex(ints([5, 0, -1]), [2, 3]).map(list)).toEqual([
    [1, 0, 1],
    [2, 0, 2],
  ]);
  expect(list(ops.bincount(ints([1, 1, 3])))).toEqual([0, 2, 0, 1]);
  expect(list(ops.bincount(ints([1, 1, 3]), tensor([0.5, 1, 2]), 3))).toEqual([0, 1.5, 0]);
  expect(() => jit((x: Tensor) => ops.nonzero(x)[0])(tensor([1]))).toThrow(/E106/);
});

test("segments: rows of others do not count, gradients go to the rows that do", () => {
  const x = tensor([
    [1, 2],
    [3, 4],
    [5, 6],
    [7, 8],
  ]);
  const ids = ints([0, 2, 0, 7]);
  expect(list(ops.segmentSum(x, ids, 3))).toEqual([6, 8, 0, 0, 3, 4]);
  expect(list(ops.segmentMax(x, ids, 3))).toEqual([5, 6, -Infinity, -Infinity, 3, 4]);
  expect(list(grad((t: Tensor) => ops.sum(ops.segmentSum(t, ids, 3)))(x))).toEqual([1, 1, 1, 1, 1, 1, 0, 0]);
});

test("divisors", () => {
  const cases = [
    [12, 18],
    [0, 5],
    [0, 0],
    [-8, 12],
    [1836311903, 1134903170],
  ];
  expect(list(ops.gcd(ints(cases.map((c) => c[0])), ints(cases.map((c) => c[1]))))).toEqual([6, 5, 0, 4, 1]);
  expect(list(ops.lcm(ints([4, 0, -6]), ints([6, 3, 4])))).toEqual([12, 0, 12]);
});

test("select takes the first condition that holds", () => {
  const yes = tensor([true, true, false]);
  const no = tensor([false, true, false]);
  expect(list(ops.select([no, yes], [tensor([1, 1, 1]), tensor([2, 2, 2])], 9))).toEqual([2, 1, 9]);
});

test("I0 from its series", () => {
  const series = (x: number) => {
    let [sum, term] = [1, 1];
    for (let k = 1; k < 200; k++) {
      term *= (x / 2) ** 2 / k ** 2;
      sum += term;
    }
    return sum;
  };
  const xs = uniform(50, -12, 12, 3);
  list(ops.i0(tensor(xs))).forEach((y, i) => {
    expect(Math.abs(y / series(xs[i]) - 1)).toBeLessThan(2e-6);
  });
  // I0' = I1, by central differences of the series.
  list(grad((t: Tensor) => ops.sum(ops.i0(t)))(tensor(xs))).forEach((d, i) => {
    const want = (series(xs[i] + 1e-4) - series(xs[i] - 1e-4)) / 2e-4;
    expect(Math.abs(d - want)).toBeLessThan(1e-5 * Math.max(1, Math.abs(want)));
  });
});

test("columns of patches, powers, geometric steps", () => {
  const x = tensor(
    Float32Array.from({ length: 9 }, (_, i) => i),
    [1, 1, 3, 3],
  );
  expect(list(ops.unfold(x, 2))).toEqual([...[0, 1, 3, 4], ...[1, 2, 4, 5], ...[3, 4, 6, 7], ...[4, 5, 7, 8]]);
  expect(ops.unfold(x, 2, 1, 1, 2).shape).toEqual([1, 4, 4]);
  expect(list(ops.vander(tensor([2, 3]), 3))).toEqual([4, 2, 1, 9, 3, 1]);
  expect(list(ops.logspace(0, 2, 3)).map((v) => Math.round(v))).toEqual([1, 10, 100]);
});

test("coordinates under a reshape that strides cannot express", () => {
  // Positions spread over rows, then flattened: the compiler must store them first.
  const f = jit((x: Tensor) => ops.reshape(x.add(ops.expandDims(ops.arange(2).mul(4), 1)), [6, 1]));
  expect(
    list(
      f(
        tensor(
          [
            [0, 1, 2],
            [3, 4, 5],
          ],
          [2, 3],
          "i32",
        ),
      ),
    ),
  ).toEqual([0, 1, 2, 7, 8, 9]);
});
