import { expect, test } from "vitest";
import { syntheticDigits } from "./synthetic.ts";

test("shapes, types and labels are those of MNIST", () => {
  const { train, test: held } = syntheticDigits({ train: 500, test: 50 });
  expect([train.x.shape, train.x.dtype, train.y.shape, train.y.dtype]).toEqual([[500, 28, 28], "u8", [500], "u8"]);
  expect(held.x.shape).toEqual([50, 28, 28]);
  const counts = new Array<number>(10).fill(0);
  for (const y of train.y.dataSync()) counts[y]++;
  expect(Math.min(...counts)).toBeGreaterThan(25);
});

test("a seed decides every picture, whatever the number asked for", () => {
  const few = syntheticDigits({ seed: 4, train: 5, test: 5 });
  const many = syntheticDigits({ seed: 4, train: 20, test: 5 });
  const other = syntheticDigits({ seed: 5, train: 5, test: 5 });
  expect(few.train.x.dataSync()).toEqual(many.train.x.dataSync().slice(0, 5 * 784));
  expect(few.train.x.dataSync()).not.toEqual(other.train.x.dataSync());
  expect(few.train.x.dataSync()).not.toEqual(few.test.x.dataSync());
});

test("every picture has ink, and stays on the sheet", () => {
  const count = 300;
  const x = syntheticDigits({ train: count, test: 1 }).train.x.dataSync();
  let edge = 0;
  for (let i = 0; i < count; i++) {
    const image = x.subarray(i * 784, (i + 1) * 784);
    expect(image.filter((p) => p > 120).length).toBeGreaterThan(12);
    for (let p = 0; p < 28; p++) if (image[p] > 120 || image[27 * 28 + p] > 120) edge++;
  }
  expect(edge).toBeLessThan(count);
});

test("pictures of one digit are more alike than pictures of two", () => {
  const { x, y } = syntheticDigits({ train: 2000, test: 1 }).train;
  const [images, labels] = [x.dataSync(), y.dataSync()];
  const means = Array.from({ length: 10 }, () => new Float64Array(784));
  const counts = new Array<number>(10).fill(0);
  for (let i = 0; i < 1000; i++) {
    counts[labels[i]]++;
    for (let p = 0; p < 784; p++) means[labels[i]][p] += images[i * 784 + p];
  }
  means.forEach((mean, d) => mean.forEach((sum, p) => (mean[p] = sum / counts[d])));
  // The nearest mean image is a weak classifier: far better than chance, far from perfect.
  let right = 0;
  for (let i = 1000; i < 2000; i++) {
    const distances = means.map((mean) => mean.reduce((sum, m, p) => sum + (m - images[i * 784 + p]) ** 2, 0));
    if (distances.indexOf(Math.min(...distances)) === labels[i]) right++;
  }
  expect(right).toBeGreaterThan(500);
  expect(right).toBeLessThan(950);
});

test("bad numbers are refused", () => {
  expect(() => syntheticDigits({ train: 0 })).toThrow(expect.objectContaining({ code: "D208", received: "0" }));
  expect(() => syntheticDigits({ seed: 1.5 })).toThrow(expect.objectContaining({ code: "D208" }));
});
