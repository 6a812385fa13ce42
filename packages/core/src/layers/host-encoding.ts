/** Layers from categories to indices on the host, and from indices to their encoding in the program. */
import type { OptionsOf, Spec } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import { type Tensor, tensorFrom } from "../tensor/tensor.ts";
import type { OutputMode } from "../text/lookup-table.ts";
import type { TensorTree } from "./arguments.ts";
import { encodeCategories } from "./category-encoding.ts";
import { HostLayer } from "./host-layer.ts";
import type { Layer } from "./layer.ts";

/** What the program makes of indices. */
export interface Encoding {
  readonly mode: OutputMode;
  /** Width of an encoded row. */
  readonly depth: () => number;
  /** Weights of the indices, for tf-idf. */
  readonly idf?: () => Float32Array | null;
}

/**
 * `compute` gives indices i32 on the host; for any mode but "int" the layer goes on in the program, so that encoded rows exist
 * for one batch at a time. Index -1 is left out of encodings.
 */
export abstract class HostEncodingLayer<S extends Spec> extends HostLayer<S> {
  override runsOn: Layer["runsOn"] = "host";
  private readonly encoding: Encoding;

  constructor(options: OptionsOf<S>, spec: S, encodingOf: (layer: never) => Encoding) {
    super(options, spec);
    this.encoding = encodingOf(this as never);
    if (this.encoding.mode !== "int") this.runsOn = "program";
  }
  override call(indices: TensorTree): Tensor {
    const { mode, depth, idf } = this.encoding;
    return encodeIndices(indices as Tensor, mode, depth(), idf?.() ?? null, this.dtypePolicy.compute);
  }
}

/** Indices [..., T] → f32 [..., depth] (multi-hot, count, tf-idf: over the last axis), or one-hot rows of each. */
function encodeIndices(
  indices: Tensor,
  mode: OutputMode,
  depth: number,
  idf: Float32Array | null,
  dtype: Tensor["dtype"],
): Tensor {
  if (mode === "int") return indices;
  if (mode === "oneHot") return encodeCategories(indices, mode, depth, dtype);
  const ids = indices.ndim === 0 ? indices.reshape([1]) : indices;
  const width = ids.shape[ids.ndim - 1];
  const shape = [...ids.shape.slice(0, -1), depth];
  const rows = shape.slice(0, -1).reduce((n, d) => n * d, 1);
  if (rows * width === 0) return ops.zeros(shape, dtype);
  const flat = ids.reshape([rows, width]);
  const row = ops.broadcastTo(ops.arange(0, rows, 1, "i32").reshape([rows, 1]), [rows, width]);
  const places = ops.stack([row, ops.maximum(flat, 0)], -1); // [rows, width, 2]
  const counts = ops.scatter(places, ops.cast(flat.greaterEqual(0), "f32"), [rows, depth]);
  const encoded =
    mode === "multiHot" ? ops.minimum(counts, 1) : idf ? counts.mul(tensorFrom(idf, [depth], "f32")) : counts;
  return ops.cast(encoded.reshape(shape), dtype);
}
