import { describe, expect, test } from "vitest";
import { uniform } from "../../../graph/ops/sample.ts";
import { configure } from "../../config.ts";
import { grad } from "../../functions.ts";
import { type Tensor, tensor } from "../../tensor.ts";
import * as ops from "../index.ts";

configure({ device: "wasm", threads: 1, seed: 1 });
const { image } = ops;

const close = (got: Tensor, want: readonly number[], digits = 5): void => {
  expect(got.size).toBe(want.length);
  got.dataSync().forEach((v, i) => {
    expect(v, `element ${i}`).toBeCloseTo(want[i], digits);
  });
};
/** [1, H, W, 1] of f(y, x). */
const picture = (h: number, w: number, f: (y: number, x: number) => number): Tensor =>
  tensor(
    Float32Array.from({ length: h * w }, (_, i) => f(Math.floor(i / w), i % w)),
    [1, h, w, 1],
  );

describe("resize", () => {
  test("keeps a slope, by products and by picked rows", () => {
    for (const [size, out] of [
      [10, 25],
      [200, 500],
      [200, 150],
    ]) {
      const y = image.resize(
        picture(1, size, (_, x) => x),
        [1, out],
      );
      const data = y.dataSync();
      const scale = size / out;
      // Away from the ends, output o lies at (o + ½)·scale - ½.
      for (let o = 5; o < out - 5; o++) expect(data[o]).toBeCloseTo((o + 0.5) * scale - 0.5, 3);
    }
  });
  test("an antialiased picture keeps its mean; cropping and padding keep the shape of things", () => {
    const x = picture(32, 32, (y, z) => ((y + z) % 2 === 0 ? 1 : 0));
    close(image.resize(x, [4, 4], { antialias: true }), new Array(16).fill(0.5), 2);
    const wide = picture(2, 4, (_, z) => z);
    close(image.resize(wide, [2, 2], { cropToAspectRatio: true }), [1, 2, 1, 2]);
    close(image.resize(wide, [4, 4], { padToAspectRatio: true, fillValue: 9 }), [
      ...[9, 9, 9, 9],
      ...[0, 1, 2, 3],
      ...[0, 1, 2, 3],
      ...[9, 9, 9, 9],
    ]);
  });
  test("one image, channels first, integers", () => {
    const x = tensor(Uint8Array.of(0, 10, 20, 30), [1, 2, 2], "u8");
    expect(image.resize(x, [4, 4], { dataFormat: "channelsFirst" }).shape).toEqual([1, 4, 4]);
    expect(image.resize(x, [2, 4], { interpolation: "nearest", dataFormat: "channelsFirst" }).dtype).toBe("u8");
    close(image.resize(x, [2, 4], { dataFormat: "channelsFirst" }), [0, 2.5, 7.5, 10, 20, 22.5, 27.5, 30]);
  });
  test("gradients are the weights' sums", () => {
    const f = (t: Tensor) => ops.sum(image.resize(t, [1, 300]));
    const data = grad(f)(picture(1, 150, () => 1)).dataSync();
    expect([...data].reduce((a, b) => a + b, 0)).toBeCloseTo(300, 2);
  });
  test("what cannot be is refused", () => {
    const x = picture(4, 4, () => 1);
    expect(() => image.resize(x, [0, 2])).toThrow(/E107/);
    expect(() => image.resize(tensor([1, 2]), [2, 2])).toThrow(/E107.*not images/s);
    expect(() => image.resize(x, [2, 2], { cropToAspectRatio: true, padToAspectRatio: true })).toThrow(/E107/);
    expect(() => image.resize(x, [2, 2], { interpolation: "cubic" as never })).toThrow(/E107.*bicubic/s);
  });
});

describe("maps", () => {
  test("a shift by whole pixels, in every way of filling", () => {
    const x = picture(1, 4, (_, z) => z + 1);
    const shift = (by: number, fillMode: "constant" | "nearest" | "wrap" | "mirror" | "reflect") =>
      image.affineTransform(x, tensor([1, 0, by, 0, 1, 0, 0, 0]), { fillMode, fillValue: 9 });
    close(shift(-2, "constant"), [9, 9, 1, 2]);
    close(shift(-2, "nearest"), [1, 1, 1, 2]);
    close(shift(-2, "wrap"), [3, 4, 1, 2]);
    close(shift(-2, "mirror"), [3, 2, 1, 2]);
    close(shift(-2, "reflect"), [2, 1, 1, 2]);
    close(shift(3, "reflect"), [4, 4, 3, 2]);
    close(shift(0.25, "nearest"), [1.25, 2.25, 3.25, 4]);
  });
  test("four points taken to four others", () => {
    const x = picture(5, 6, (y, z) => 10 * y + z);
    const corners = [
      [0, 0],
      [5, 0],
      [0, 4],
      [5, 4],
    ];
    close(image.perspectiveTransform(x, tensor(corners), tensor(corners)), [...x.dataSync()], 4);
    // Mirrored left to right: the points' order is free.
    const mirrored = corners.map(([a, b]) => [5 - a, b]);
    close(image.perspectiveTransform(x, tensor(corners), tensor(mirrored)), [...ops.flip(x, 2).dataSync()], 4);
  });
  test("gradients reach the pixels and the map", () => {
    const x = picture(4, 5, (y, z) => y * z);
    const to = tensor([1, 0, 0.3, 0, 1, 0.2, 0, 0]);
    const pixels = grad((t: Tensor) => ops.sum(image.affineTransform(t, to)))(x);
    expect(pixels.dataSync()[7]).toBeCloseTo(1, 5);
    // d/dx of a picture that grows by y for each x: Σ y over the points inside.
    const moved = grad((t: Tensor) =>
      ops.sum(
        image.affineTransform(
          picture(4, 5, (_, z) => z),
          t,
          { fillMode: "nearest" },
        ),
      ),
    )(to);
    expect(moved.dataSync()[2]).toBeCloseTo(16, 4);
    expect(moved.dataSync()[5]).toBeCloseTo(0, 4);
  });
  test("scaling by a computed amount agrees with resizing", () => {
    const x = tensor(uniform(5 * 6 * 2, 0, 1, 3), [1, 5, 6, 2]);
    const two = image.scaleAndTranslate(x, [1, 10, 12, 2], tensor([2, 2]), tensor([0, 0]), [1, 2], "cubic");
    close(two, [...image.resize(x, [10, 12], { interpolation: "bicubic" }).dataSync()], 4);
  });
});

describe("colours and pieces", () => {
  test("hue, saturation and value there and back", () => {
    const x = tensor(uniform(4 * 4 * 3, 0, 1, 9), [1, 4, 4, 3]);
    close(image.hsvToRgb(image.rgbToHsv(x)), [...x.dataSync()], 4);
    close(
      image.rgbToHsv(
        tensor([
          [
            [
              [0, 0, 0],
              [0.5, 0.5, 0.5],
              [0, 1, 0],
              [1, 0, 1],
            ],
          ],
        ]),
      ),
      [...[0, 0, 0], ...[0, 0, 0.5], ...[1 / 3, 1, 1], ...[5 / 6, 1, 1]],
    );
    expect(() => image.rgbToHsv(picture(2, 2, () => 1))).toThrow(/E107/);
  });
  test("edges are determined by two of three numbers", () => {
    const x = picture(2, 2, (y, z) => 2 * y + z);
    expect(image.padImages(x, 1, 0, { bottom: 2, targetWidth: 5 }).shape).toEqual([1, 5, 5, 1]);
    close(image.cropImages(x, 1, 0, { targetHeight: 1, right: 1 }), [2]);
    expect(() => image.padImages(x, 1, null, { targetHeight: 4, targetWidth: 4 })).toThrow(/E107.*width/s);
    expect(() => image.cropImages(x, 2, 0, { bottom: 0, right: 0 })).toThrow(/E107/);
  });
  test("patches row by row", () => {
    const x = picture(4, 4, (y, z) => 4 * y + z);
    close(image.extractPatches(x, 2), [...[0, 1, 4, 5], ...[2, 3, 6, 7], ...[8, 9, 12, 13], ...[10, 11, 14, 15]]);
    expect(image.extractPatches(x, 3, { strides: 1, padding: "same" }).shape).toEqual([1, 4, 4, 9]);
    expect(image.extractPatches(x, 2, { strides: 1, dilationRate: 2 }).shape).toEqual([1, 2, 2, 4]);
  });
  test("a blur keeps the middle of an even picture", () => {
    const y = image.gaussianBlur(
      picture(7, 7, () => 3),
      [3, 5],
      [1, 2],
    );
    expect(y.dataSync()[24]).toBeCloseTo(3, 5);
  });
});
