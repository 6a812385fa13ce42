/** Rows of indices as rows of numbers: multi-hot, counts, tf-idf. */
import type { OutputMode } from "./lookup-table.ts";

/** Adds the encoding of one row of indices to `out` from `offset`; negative indices are left out. */
export function encodeRow(
  indices: ArrayLike<number>,
  mode: Exclude<OutputMode, "int">,
  out: Float32Array,
  offset: number,
  idf: Float32Array | null = null,
): void {
  for (let i = 0; i < indices.length; i++) {
    const k = indices[i];
    if (k < 0) continue;
    if (mode === "count") out[offset + k]++;
    else if (mode === "tfIdf") out[offset + k] += idf![k];
    else out[offset + k] = 1;
  }
}

/** Shape of an encoding: a one-hot row for each index, or one row for the last axis (a single row for one axis). */
export function encodedShape<D extends number | null>(
  shape: readonly D[],
  mode: OutputMode,
  depth: number,
): (D | number)[] {
  if (mode === "int") return [...shape];
  if (mode === "oneHot")
    return [...(shape.length > 1 && shape[shape.length - 1] === 1 ? shape.slice(0, -1) : shape), depth];
  return [...shape.slice(0, -1), depth];
}

/** Encodes indices of `shape`. */
export function encode(
  indices: Int32Array,
  shape: readonly number[],
  mode: Exclude<OutputMode, "int">,
  depth: number,
  idf: Float32Array | null = null,
): { data: Float32Array; shape: number[] } {
  const width = mode === "oneHot" || shape.length === 0 ? 1 : shape[shape.length - 1];
  const rows = width === 0 ? shape.slice(0, -1).reduce((n, d) => n * d, 1) : indices.length / width;
  const data = new Float32Array(rows * depth);
  for (let r = 0; r < rows; r++) encodeRow(indices.subarray(r * width, (r + 1) * width), mode, data, r * depth, idf);
  return { data, shape: encodedShape(shape, mode, depth) };
}
