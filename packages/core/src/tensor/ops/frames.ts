/** Overlapping stretches of a signal, and the short-time Fourier transform of them. */
import { Tensor, type TensorLike, tensorFrom } from "../tensor.ts";
import { add, divide } from "./elementwise.ts";
import { type Complex, irfft, rfft } from "./fourier.ts";
import { argumentError } from "./promote.ts";
import { concatenate, pad, reshape, scatter, sliceAxis, take } from "./shape.ts";
import { type Window, windowValues } from "./windows.ts";

/** Frames made of more strides than this are gathered by index instead of put together from slices. */
const mostSlices = 32;

function checkStride(name: string, length: number, stride: number): void {
  if (!Number.isInteger(length) || !Number.isInteger(stride) || length < 1 || stride < 1)
    throw argumentError(
      name,
      "length and stride of the frames are not usable",
      `${length} and ${stride}`,
      "integers ≥ 1",
    );
}

/** […, T] → […, F, L]: stretches of L that start every `sequenceStride`; F = ⌊(T - L)/stride⌋ + 1. */
export function extractSequences(x: TensorLike, sequenceLength: number, sequenceStride: number): Tensor {
  checkStride("extractSequences", sequenceLength, sequenceStride);
  const t = Tensor.of(x);
  const total = t.shape[t.ndim - 1] ?? 0;
  if (total < sequenceLength)
    throw argumentError(
      "extractSequences",
      "the signal is shorter than one frame",
      `${total} samples`,
      `${sequenceLength} or more`,
    );
  const lead = t.shape.slice(0, -1);
  const rows = lead.reduce((p, d) => p * d, 1);
  const flat = reshape(t, [rows, total]);
  const frames = Math.floor((total - sequenceLength) / sequenceStride) + 1;
  const pieces = Math.ceil(sequenceLength / sequenceStride);
  if (pieces > mostSlices) {
    const at = Int32Array.from(
      { length: frames * sequenceLength },
      (_, i) => Math.floor(i / sequenceLength) * sequenceStride + (i % sequenceLength),
    );
    return reshape(take(flat, tensorFrom(at, [frames * sequenceLength], "i32"), 1), [...lead, frames, sequenceLength]);
  }
  // Row f of the signal cut into strides, beside row f + 1, and so on: movement only, forwards and backwards.
  const needed = (frames - 1 + pieces) * sequenceStride;
  const cut =
    needed <= total
      ? sliceAxis(flat, 1, 0, needed)
      : pad(flat, [
          [0, 0],
          [0, needed - total],
        ]);
  const strides = reshape(cut, [rows, frames - 1 + pieces, sequenceStride]);
  const parts = Array.from({ length: pieces }, (_, i) => sliceAxis(strides, 1, i, i + frames));
  const whole = concatenate(parts, 2); // [R, F, pieces·stride]
  return reshape(sliceAxis(whole, 2, 0, sequenceLength), [...lead, frames, sequenceLength]);
}

/** […, F, L] → […, (F-1)·stride + L]: frames added up where they overlap; the adjoint of `extractSequences`. */
export function overlapAdd(x: TensorLike, stride: number): Tensor {
  const t = Tensor.of(x);
  const [frames, length] = t.shape.slice(-2);
  checkStride("overlapAdd", length ?? 0, stride);
  const lead = t.shape.slice(0, -2);
  const rows = lead.reduce((p, d) => p * d, 1);
  const total = (frames - 1) * stride + length;
  const pieces = Math.ceil(length / stride);
  const flat = reshape(t, [rows, frames, length]);
  if (pieces > mostSlices) {
    const at = Int32Array.from({ length: rows * frames * length }, (_, i) => {
      const [row, rest] = [Math.floor(i / (frames * length)), i % (frames * length)];
      return row * total + Math.floor(rest / length) * stride + (rest % length);
    });
    const sums = scatter(tensorFrom(at, [at.length, 1], "i32"), reshape(flat, [at.length]), [rows * total]);
    return reshape(sums, [...lead, total]);
  }
  const whole = pad(flat, [
    [0, 0],
    [0, 0],
    [0, pieces * stride - length],
  ]);
  const strides = frames - 1 + pieces;
  const parts = Array.from({ length: pieces }, (_, i) =>
    pad(sliceAxis(whole, 2, i * stride, (i + 1) * stride), [
      [0, 0],
      [i, strides - frames - i],
      [0, 0],
    ]),
  );
  const sum = reshape(
    parts.reduce((a, b) => add(a, b)),
    [rows, strides * stride],
  );
  return reshape(sliceAxis(sum, 1, 0, total), [...lead, total]);
}

/** The window of `length`, in the middle of `fftLength` numbers. */
function centredWindow(name: string, window: Window, length: number, fftLength: number): Tensor {
  checkStride(name, length, 1);
  if (!Number.isInteger(fftLength) || fftLength < length)
    throw argumentError(
      name,
      "fftLength is shorter than the frames",
      String(fftLength),
      `an integer ≥ ${length}, the length of a frame`,
    );
  if (window === null) return tensorFrom(new Float32Array(fftLength).fill(1), [fftLength], "f32");
  const out = new Float32Array(fftLength);
  out.set(windowValues(window, length), Math.floor((fftLength - length) / 2));
  return tensorFrom(out, [fftLength], "f32");
}

/**
 * The short-time Fourier transform: […, T] → [real, imaginary] of […, F, ⌊fftLength/2⌋+1], a transform of every frame times the
 * window. `center` reflects the signal at both ends, so that frame f stands around sample f·stride.
 */
export function stft(
  x: TensorLike,
  sequenceLength: number,
  sequenceStride: number,
  fftLength: number,
  window: Window = "hann",
  center = true,
): [Tensor, Tensor] {
  const weights = centredWindow("stft", window, sequenceLength, fftLength);
  let t = Tensor.of(x);
  const half = Math.floor(fftLength / 2);
  if (center) {
    const samples = t.shape[t.ndim - 1] ?? 0;
    if (samples <= half)
      throw argumentError("stft", "the signal is too short to be reflected", `${samples} samples`, `more than ${half}`);
    t = pad(
      t,
      t.shape.map((_, i) => (i === t.ndim - 1 ? [half, half] : [0, 0])),
      "reflect",
    );
  }
  return rfft(extractSequences(t, fftLength, sequenceStride).mul(weights));
}

/**
 * The signal of a short-time Fourier transform, by least squares (Griffin and Lim 1984): frames times the window, added up
 * and divided by the sum of squared windows. [real, imaginary] of […, F, K] → […, T], or `length` samples.
 */
export function istft(
  x: Complex,
  sequenceLength: number,
  sequenceStride: number,
  fftLength: number,
  length: number | null = null,
  window: Window = "hann",
  center = true,
): Tensor {
  const weights = centredWindow("istft", window, sequenceLength, fftLength);
  const frames = irfft(x, fftLength); // […, F, N]
  const count = frames.shape[frames.ndim - 2];
  const signal = overlapAdd(frames.mul(weights), sequenceStride);
  const w = weights.dataSync();
  const total = (count - 1) * sequenceStride + fftLength;
  const sums = new Float64Array(total);
  for (let f = 0; f < count; f++) for (let i = 0; i < fftLength; i++) sums[f * sequenceStride + i] += w[i] * w[i];
  const norm = tensorFrom(
    Float32Array.from(sums, (s) => (s > 1e-10 ? s : 1)),
    [total],
    "f32",
  );
  const start = center ? Math.floor(fftLength / 2) : 0;
  const stop = length === null ? (center ? total - start : total) : start + length;
  const whole = divide(signal, norm);
  const axis = whole.ndim - 1;
  if (stop <= total) return sliceAxis(whole, axis, start, stop);
  return pad(
    sliceAxis(whole, axis, start, total),
    whole.shape.map((_, i) => [0, i === axis ? stop - total : 0]),
  );
}
