import { describe, expect, test } from "vitest";
import { uniform } from "../../graph/ops/sample.ts";
import { configure } from "../config.ts";
import { grad } from "../functions.ts";
import { type Tensor, tensor } from "../tensor.ts";
import * as ops from "./index.ts";

configure({ device: "wasm", threads: 1, seed: 1 });

/** The definition, in float64. */
function definition(re: readonly number[], im: readonly number[], sign: -1 | 1): [number[], number[]] {
  const n = re.length;
  const out: [number[], number[]] = [[], []];
  for (let k = 0; k < n; k++) {
    let [x, y] = [0, 0];
    for (let j = 0; j < n; j++) {
      const a = (sign * 2 * Math.PI * ((j * k) % n)) / n;
      x += re[j] * Math.cos(a) - im[j] * Math.sin(a);
      y += re[j] * Math.sin(a) + im[j] * Math.cos(a);
    }
    out[0].push(x);
    out[1].push(y);
  }
  return out;
}

/** Largest error against the size of the values, per √N. */
function expectClose(got: Tensor, want: readonly number[]): void {
  const data = got.dataSync();
  expect(data.length).toBe(want.length);
  const scale = Math.max(1, ...want.map(Math.abs));
  want.forEach((w, i) => {
    expect(Math.abs(data[i] - w) / scale, `element ${i}`).toBeLessThan(2e-6);
  });
}

// One product, splits of one and two levels with odd factors, a prime as a matrix, a prime and its double as a chirp.
const sizes = [1, 2, 3, 8, 48, 97, 100, 160, 315, 512, 1000, 4096, 401, 802];

describe("transforms against the definition", () => {
  for (const n of sizes) {
    test(`of ${n}`, () => {
      const re = uniform(n, -1, 1, n + 1);
      const im = uniform(n, -1, 1, n + 2);
      const [wantRe, wantIm] = definition(re, im, -1);
      const [gotRe, gotIm] = ops.fft([tensor(re), tensor(im)]);
      expectClose(gotRe, wantRe);
      expectClose(gotIm, wantIm);
      const back = ops.ifft([gotRe, gotIm]);
      expectClose(back[0], re);
      expectClose(back[1], im);

      const zeros = re.map(() => 0);
      const half = Math.floor(n / 2) + 1;
      const [realRe, realIm] = definition(re, zeros, -1);
      const spectrum = ops.rfft(tensor(re));
      expectClose(spectrum[0], realRe.slice(0, half));
      expectClose(spectrum[1], realIm.slice(0, half));
      expectClose(ops.irfft(spectrum, n), re);
    });
  }

  test("of rows, cut and filled", () => {
    const x = uniform(2 * 3 * 5, -1, 1, 7);
    const t = tensor(x, [2, 3, 5]);
    const [cut] = ops.rfft(t, 4);
    expect(cut.shape).toEqual([2, 3, 3]);
    const row = x.slice(4 * 5, 4 * 5 + 4);
    expectClose(ops.slice(cut, [1, 1, 0], [1, 1, 3]), definition(row, [0, 0, 0, 0], -1)[0].slice(0, 3));
    const [filled] = ops.rfft(t, 8);
    expect(filled.shape).toEqual([2, 3, 5]);
    const long = [...x.slice(0, 5), 0, 0, 0];
    expectClose(
      ops.slice(filled, [0, 0, 0], [1, 1, 5]),
      definition(
        long,
        long.map(() => 0),
        -1,
      )[0].slice(0, 5),
    );
  });

  test("in two dimensions", () => {
    const x = uniform(12, -1, 1, 3);
    const zeros = tensor(new Float32Array(12), [3, 4]);
    const [re, im] = ops.fft2([tensor(x, [3, 4]), zeros]);
    expect(re.shape).toEqual([3, 4]);
    const sum = x.reduce((a, b) => a + b, 0);
    expect(re.dataSync()[0]).toBeCloseTo(sum, 5);
    // Element [1, 2] of the definition.
    let [wantRe, wantIm] = [0, 0];
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 4; j++) {
        const a = -2 * Math.PI * (i / 3 + (2 * j) / 4);
        wantRe += x[4 * i + j] * Math.cos(a);
        wantIm += x[4 * i + j] * Math.sin(a);
      }
    }
    expect(re.dataSync()[6]).toBeCloseTo(wantRe, 5);
    expect(im.dataSync()[6]).toBeCloseTo(wantIm, 5);
    expectClose(ops.ifft2([re, im])[0], x);
  });
});

describe("gradients", () => {
  // Σ |X|² = N·Σ x² (Parseval), so its gradient is 2N·x.
  for (const n of [8, 97, 128, 300, 401]) {
    test(`of a transform of ${n}`, () => {
      const x = uniform(n, -1, 1, n);
      const zeros = tensor(new Float32Array(n));
      const energy = (t: Tensor) => {
        const [re, im] = ops.fft([t, zeros]);
        return ops.sum(re.mul(re).add(im.mul(im)));
      };
      expectClose(grad(energy)(tensor(x)).mul(1 / (2 * n)), x);
    });
  }
  test("of the real transform and back are the identity's", () => {
    const n = 254;
    const x = tensor(uniform(n, -1, 1, 5));
    const weights = uniform(n, -1, 1, 6);
    const f = (t: Tensor) => ops.sum(ops.irfft(ops.rfft(t), n).mul(tensor(weights)));
    expectClose(grad(f)(x), weights);
  });
});

describe("frames", () => {
  test("are stretches, by slices and by index", () => {
    const x = Array.from({ length: 40 }, (_, i) => i);
    for (const [length, stride] of [
      [6, 3],
      [7, 3],
      [4, 9],
      [40, 1],
    ]) {
      const frames = ops.extractSequences(tensor([x, x.map((v) => -v)]), length, stride);
      const count = Math.floor((40 - length) / stride) + 1;
      expect(frames.shape).toEqual([2, count, length]);
      const data = frames.dataSync();
      for (let f = 0; f < count; f++)
        for (let i = 0; i < length; i++) expect(data[f * length + i]).toBe(f * stride + i);
      expect(data[count * length + 1]).toBe(-1);
    }
    expect(() => ops.extractSequences(tensor([1, 2]), 3, 1)).toThrow(/E107/);
  });

  test("added up are the gradient of taking them", () => {
    for (const [length, stride] of [
      [6, 3],
      [5, 2],
      [35, 1],
      [2, 5],
    ]) {
      const count = Math.floor((40 - length) / stride) + 1;
      const w = tensor(uniform(count * length, -1, 1, 2), [count, length]);
      const f = (t: Tensor) => ops.sum(ops.extractSequences(t, length, stride).mul(w));
      const sums = [...ops.overlapAdd(w, stride).dataSync()];
      while (sums.length < 40) sums.push(0);
      expectClose(grad(f)(tensor(uniform(40, -1, 1, 3))), sums);
    }
  });

  test("a tone has its energy in its bin, and comes back", () => {
    const n = 1000;
    const x = Array.from({ length: n }, (_, i) => Math.cos((2 * Math.PI * 5 * i) / 64));
    const [re, im] = ops.stft(tensor(x), 64, 16, 64);
    expect(re.shape).toEqual([Math.floor(n / 16) + 1, 33]);
    const power = re.mul(re).add(im.mul(im)).dataSync();
    const frame = [...power.slice(30 * 33, 31 * 33)];
    expect(frame.indexOf(Math.max(...frame))).toBe(5);
    expectClose(ops.istft([re, im], 64, 16, 64, n), x);
    // A window shorter than the transform lies in its middle.
    const short = ops.stft(tensor(x), 50, 10, 128, "hamming");
    expectClose(ops.istft(short, 50, 10, 128, n, "hamming"), x);
  });

  test("what cannot be transformed is refused", () => {
    const x = tensor(new Float32Array(20));
    expect(() => ops.stft(x, 16, 4, 8)).toThrow(/E107.*fftLength/s);
    expect(() => ops.stft(x, 32, 4, 64)).toThrow(/E107.*reflected/s);
    expect(() => ops.stft(x, 4, 2, 4, [1, 1, 1])).toThrow(/E107.*window/s);
    expect(() => ops.rfft(tensor(1))).toThrow(/E107/);
    expect(() => ops.fft([x, tensor([1])])).toThrow(/E107.*shape/s);
  });
});
