/** Windows of a time series: what a model sees, and what it shall say about the time after. */
import { LayerwiseError } from "../errors.ts";
import { allocate, sizeOf } from "../graph/types.ts";
import { Tensor, type TensorLike, tensorFrom } from "../tensor/tensor.ts";

export interface TimeseriesOptions {
  /** Steps in a window. */
  readonly sequenceLength: number;
  /** Steps from the start of one window to the next (default 1). */
  readonly sequenceStride?: number;
  /** Steps from one element of a window to the next (default 1). */
  readonly samplingRate?: number;
  /** The part of the series that is used: from `startIndex` (default 0) up to `endIndex` (default its end), not included. */
  readonly startIndex?: number;
  readonly endIndex?: number;
}

/** Windows and their targets, ready for `fit`. */
export interface Windows {
  /** [N, sequenceLength, …]: window i starts at step startIndex + i·sequenceStride. */
  readonly x: Tensor;
  /** [N, …]: the target of each window's first step. */
  readonly y: Tensor;
}

/**
 * Sliding windows of a series [T, …], as `keras.utils.timeseries_dataset_from_array` forms them. `targets[i]` belongs to the
 * window that starts at step i, so to predict the value right after a window of L pass `targets = series.slice(L)`, that is
 * the series from step L on. Fewer targets than steps end the windows early. Throws E307 when no window fits.
 */
export function timeseriesDataset(data: TensorLike, targets: TensorLike, options: TimeseriesOptions): Windows;
export function timeseriesDataset(data: TensorLike, targets: null, options: TimeseriesOptions): { readonly x: Tensor };
export function timeseriesDataset(
  data: TensorLike,
  targets: TensorLike | null,
  options: TimeseriesOptions,
): { readonly x: Tensor; readonly y?: Tensor } {
  const series = Tensor.of(data);
  const y = targets === null ? null : Tensor.of(targets);
  const { sequenceLength: length, sequenceStride: stride = 1, samplingRate: step = 1, startIndex: start = 0 } = options;
  const steps = series.shape[0] ?? 0;
  const end = options.endIndex ?? steps;
  const fail = (message: string, received: string, expected: string): never => {
    throw new LayerwiseError(`windows of the series: ${message}`, { code: "E307", received, expected });
  };
  for (const [name, value] of Object.entries({ sequenceLength: length, sequenceStride: stride, samplingRate: step })) {
    if (!Number.isInteger(value) || value < 1) fail(`${name} is not usable`, String(value), "an integer ≥ 1");
  }
  if (!Number.isInteger(start) || !Number.isInteger(end) || start < 0 || end > steps || start >= end)
    fail(
      "the part of the series is not usable",
      `steps ${start} … ${end} of ${steps}`,
      `0 ≤ startIndex < endIndex ≤ ${steps}`,
    );
  if (y !== null && y.ndim === 0) fail("the targets are one number", "a scalar", "one target for each step");
  const span = (length - 1) * step + 1;
  // A window starts where it fits into the part and where there is a target for it.
  const last = Math.min(end - span, y === null ? Number.POSITIVE_INFINITY : y.shape[0] - 1);
  if (last < start) {
    fail(
      y !== null && end - span >= start ? "there are no targets for them" : "not one fits",
      `${end - start} steps${y === null ? "" : ` and ${y.shape[0]} targets`}`,
      `${span} steps for a window of ${length}, and a target`,
    );
  }
  const count = Math.floor((last - start) / stride) + 1;
  const rowShape = series.shape.slice(1);
  const row = sizeOf(rowShape);
  const source = series.dataSync();
  const x = allocate(series.dtype, count * length * row);
  for (let i = 0, at = 0; i < count; i++) {
    const from = start + i * stride;
    if (step === 1) {
      x.set(source.subarray(from * row, (from + length) * row) as never, at);
      at += length * row;
      continue;
    }
    for (let j = 0; j < length; j++, at += row) {
      const k = (from + j * step) * row;
      x.set(source.subarray(k, k + row) as never, at);
    }
  }
  const windows = tensorFrom(x, [count, length, ...rowShape], series.dtype);
  if (y === null) return { x: windows };
  const targetShape = y.shape.slice(1);
  const size = sizeOf(targetShape);
  const given = y.dataSync();
  const chosen = allocate(y.dtype, count * size);
  for (let i = 0; i < count; i++) {
    const k = (start + i * stride) * size;
    chosen.set(given.subarray(k, k + size) as never, i * size);
  }
  return { x: windows, y: tensorFrom(chosen, [count, ...targetShape], y.dtype) };
}
