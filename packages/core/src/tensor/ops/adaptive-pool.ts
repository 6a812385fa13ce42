/** Adaptive pooling: windows chosen so that the output has a given size. */
import { constantValue } from "../../graph/ops/index.ts";
import { Tensor, type TensorLike } from "../tensor.ts";
import type { DataFormat } from "./conv.ts";
import { matmul } from "./linalg.ts";
import { argumentError, castTo, toFloat } from "./promote.ts";
import { max } from "./reduce.ts";
import { moveaxis, reshape, take } from "./shape.ts";

type Sizes = number | readonly number[];

/** Windows of one axis: output i covers ⌊i·n/out⌋ … ⌈(i+1)·n/out⌉ - 1, so neighbours may share an element. */
function windows(n: number, out: number): readonly (readonly [start: number, stop: number])[] {
  return Array.from({ length: out }, (_, i) => [Math.floor((i * n) / out), Math.ceil(((i + 1) * n) / out)] as const);
}

/** Pools every axis of space by itself, which gives the same as pooling blocks. */
function pooled(
  name: string,
  inputs: TensorLike,
  outputSize: Sizes,
  dataFormat: DataFormat,
  axisPool: (x: Tensor, axis: number, out: number) => Tensor,
): Tensor {
  let x = toFloat(inputs);
  const rank = x.ndim - 2;
  const sizes = typeof outputSize === "number" ? new Array<number>(rank).fill(outputSize) : outputSize;
  if (sizes.length !== rank || sizes.some((d) => !Number.isInteger(d) || d < 1)) {
    throw argumentError(
      name,
      "the output size does not fit the input",
      `[${sizes}] for [${x.shape}]`,
      `${rank} sizes ≥ 1`,
    );
  }
  const first = dataFormat === "channelsFirst" || dataFormat === "channels_first" ? 2 : 1;
  sizes.forEach((out, i) => {
    if (x.shape[first + i] !== out) x = axisPool(x, first + i, out);
  });
  return x;
}

/** Means over windows: x [N, …S, C] → [N, …outputSize, C]. */
export function adaptiveAveragePool(inputs: TensorLike, outputSize: Sizes, dataFormat: DataFormat = null): Tensor {
  return pooled("adaptiveAveragePool", inputs, outputSize, dataFormat, (x, axis, out) => {
    const n = x.shape[axis];
    if (n % out === 0) {
      const split = [...x.shape.slice(0, axis), out, n / out, ...x.shape.slice(axis + 1)];
      return reshape(x, split).mean(axis + 1);
    }
    // A product with the shares [n, out] of the elements in the outputs.
    const shares = new Float32Array(n * out);
    windows(n, out).forEach(([start, stop], i) => {
      for (let k = start; k < stop; k++) shares[k * out + i] = 1 / (stop - start);
    });
    const last = moveaxis(x, axis, -1);
    return castTo(moveaxis(matmul(last, constant(shares, [n, out])), -1, axis), x.dtype);
  });
}

/** Largest elements of windows: x [N, …S, C] → [N, …outputSize, C]. */
export function adaptiveMaxPool(inputs: TensorLike, outputSize: Sizes, dataFormat: DataFormat = null): Tensor {
  return pooled("adaptiveMaxPool", inputs, outputSize, dataFormat, (x, axis, out) => {
    const spans = windows(x.shape[axis], out);
    const width = Math.max(...spans.map(([start, stop]) => stop - start));
    // Shorter windows repeat their last element.
    const places = Int32Array.from(
      spans.flatMap(([start, stop]) => Array.from({ length: width }, (_, k) => Math.min(start + k, stop - 1))),
    );
    const gathered = take(x, constant(places, [places.length]), axis);
    return max(reshape(gathered, [...x.shape.slice(0, axis), out, width, ...x.shape.slice(axis + 1)]), axis + 1);
  });
}

const constant = (data: Float32Array | Int32Array, shape: readonly number[]): Tensor =>
  new Tensor(constantValue(data, { shape, dtype: data instanceof Int32Array ? "i32" : "f32" }));
