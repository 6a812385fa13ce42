/** Splitting and padding. */
import { expect, test } from "vitest";
import { StringTensor } from "../tensor/string-tensor.ts";
import { tensor } from "../tensor/tensor.ts";
import { bucketByLength, paddedBatches, padSequences, sequenceMask, split, splitRows } from "./index.ts";

const sequences = [[1, 2, 3], [4], [], [5, 6], [7, 8, 9, 10, 11]];

test("padding as in Keras: before, and cut before, unless said otherwise", () => {
  expect(padSequences(sequences, { maxLength: 3 }).arraySync()).toEqual([
    [1, 2, 3],
    [0, 0, 4],
    [0, 0, 0],
    [0, 5, 6],
    [9, 10, 11],
  ]);
  expect(
    padSequences(sequences.slice(0, 2), { padding: "post", truncating: "post", maxLength: 2, value: -1 }).arraySync(),
  ).toEqual([
    [1, 2],
    [4, -1],
  ]);
  expect(padSequences([]).shape).toEqual([0, 0]);
  expect(padSequences([[], []]).shape).toEqual([2, 0]);
  expect(padSequences([[0.5]], { dtype: "f32" }).dtype).toBe("f32");
  expect(() => padSequences(sequences, { maxLength: -1 })).toThrow(/E202/);
  expect(sequenceMask([2, 0, 9], 3).arraySync()).toEqual([
    [true, true, false],
    [false, false, false],
    [true, true, true],
  ]);
});

test("buckets hold sequences of similar length", () => {
  const buckets = bucketByLength(sequences, [1, 3]);
  expect(buckets.map((b) => [...b.rows])).toEqual([
    [1, 2],
    [0, 3, 4],
  ]);
  expect(buckets[1].x.arraySync()).toEqual([
    [1, 2, 3],
    [5, 6, 0],
    [7, 8, 9],
  ]);
  expect(buckets[0].mask.arraySync()).toEqual([[true], [false]]);
  expect(() => bucketByLength(sequences, [3, 3])).toThrow(/E202/);
  expect(() => bucketByLength(sequences, [])).toThrow(/E202/);
});

test("padded batches hold every row once, in an order of the seed", () => {
  const many = Array.from({ length: 50 }, (_, i) => new Array<number>(1 + ((i * 13) % 17)).fill(i));
  const rows = (seed: number | null) => [...paddedBatches(many, { batchSize: 8, seed })].map((b) => [...b.rows]);
  expect(
    rows(1)
      .flat()
      .sort((a, b) => a - b),
  ).toEqual(many.map((_, i) => i));
  expect(rows(1)).toEqual(rows(1));
  expect(rows(1)).not.toEqual(rows(2));
  for (const b of paddedBatches(many, { batchSize: 8 }))
    expect(b.x.shape).toEqual([b.rows.length, Math.max(...Array.from(b.rows, (r) => many[r].length))]);
  const shapes = new Set([...paddedBatches(many, { batchSize: 8, boundaries: [8, 17] })].map((b) => b.x.shape[1]));
  expect([...shapes].sort()).toEqual([17, 8]);
});

test("a split keeps the shares of the classes and every row", () => {
  const y = Array.from({ length: 100 }, (_, i) => (i % 10 === 0 ? 1 : 0));
  const parts = splitRows(y, [0.8, 0.1, 0.1], { seed: 3 });
  expect(parts.map((p) => p.length)).toEqual([80, 10, 10]);
  expect(parts.map((p) => p.filter((r) => y[r] === 1).length)).toEqual([8, 1, 1]);
  expect(parts.flatMap((p) => [...p]).sort((a, b) => a - b)).toEqual(y.map((_, i) => i));
  expect(splitRows(y, [0.5, 0.5], { seed: 3, stratify: false })[0].length).toBe(50);
  const [a, b] = split(
    { x: new StringTensor(["p", "q", "r", "s"]), y: tensor(Int32Array.of(0, 0, 1, 1), [4], "i32") },
    [0.5, 0.5],
  );
  expect([...a.x.data, ...b.x.data].sort()).toEqual(["p", "q", "r", "s"]);
  expect([...a.y.dataSync()]).toEqual([0, 1]);
  expect(() => splitRows(y, [0.5, 0.6])).toThrow(/E306/);
  expect(() => splitRows([0], [0.5, 0.5])).toThrow(/E306/);
  expect(() => split({ x: ["a"], y: tensor([1, 2]) }, [0.5, 0.5])).toThrow(/E302/);
});
