import { expect, test } from "vitest";
import { tensor } from "../tensor/tensor.ts";
import { timeseriesDataset } from "./windows.ts";

const series = Float32Array.from({ length: 10 }, (_, i) => i);
const rows = (t: { shape: readonly number[]; dataSync(): ArrayLike<number> }) => {
  const n = t.shape.slice(1).reduce((p, d) => p * d, 1);
  return Array.from({ length: t.shape[0] }, (_, i) => Array.from(t.dataSync()).slice(i * n, (i + 1) * n));
};

test("windows of a series, and the value after each", () => {
  const { x, y } = timeseriesDataset(tensor(series), tensor(series.slice(3)), { sequenceLength: 3 });
  expect(rows(x)).toEqual([0, 1, 2, 3, 4, 5, 6].map((i) => [i, i + 1, i + 2]));
  expect([...y.dataSync()]).toEqual([3, 4, 5, 6, 7, 8, 9]);
});

test("stride, sampling rate and a part of the series, as in Keras", () => {
  // From the documentation of timeseries_dataset_from_array: length 10, rate 2, stride 3 of range(100).
  const hundred = Float32Array.from({ length: 100 }, (_, i) => i);
  const { x } = timeseriesDataset(tensor(hundred), null, { sequenceLength: 10, samplingRate: 2, sequenceStride: 3 });
  expect(rows(x)[0]).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
  expect(rows(x)[1]).toEqual([3, 5, 7, 9, 11, 13, 15, 17, 19, 21]);
  expect(x.shape[0]).toBe(28);
  const part = timeseriesDataset(tensor(series), tensor(series), { sequenceLength: 2, startIndex: 4, endIndex: 8 });
  expect(rows(part.x)).toEqual([
    [4, 5],
    [5, 6],
    [6, 7],
  ]);
  expect([...part.y.dataSync()]).toEqual([4, 5, 6]);
});

test("several features keep their axis and dtype; targets may have axes too", () => {
  const data = tensor(
    Int32Array.from({ length: 8 }, (_, i) => i),
    [4, 2],
    "i32",
  );
  const { x, y } = timeseriesDataset(data, data, { sequenceLength: 3 });
  expect(x.shape).toEqual([2, 3, 2]);
  expect(x.dtype).toBe("i32");
  expect(rows(y)).toEqual([
    [0, 1],
    [2, 3],
  ]);
});

test("what does not fit is refused", () => {
  const t = tensor(series);
  expect(() => timeseriesDataset(t, null, { sequenceLength: 11 })).toThrow(/E307.*not one fits/s);
  expect(() => timeseriesDataset(t, t, { sequenceLength: 3, startIndex: 9 })).toThrow(/E307/);
  expect(() => timeseriesDataset(t, tensor([1]), { sequenceLength: 3, startIndex: 2 })).toThrow(/E307.*no targets/s);
  expect(() => timeseriesDataset(t, null, { sequenceLength: 0 })).toThrow(/E307.*sequenceLength/s);
  expect(() => timeseriesDataset(t, null, { sequenceLength: 2, endIndex: 99 })).toThrow(/E307/);
});
