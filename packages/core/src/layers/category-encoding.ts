/** CategoryEncoding: integer categories as one-hot, multi-hot or count rows, in the program. */
import { defineSpec, int, type OptionsOf, oneOf } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import type { DType } from "../graph/types.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type CallContext, Layer, layerFields } from "./layer.ts";
import { noSparse } from "./lookup-fields.ts";

const spec = defineSpec("keras.layers", "CategoryEncoding", {
  ...layerFields,
  numTokens: int({ min: 1 }).doc("number of categories: 0 … numTokens - 1"),
  outputMode: oneOf("multiHot", "oneHot", "count")
    .default("multiHot")
    .doc("one row per index, or one for the last axis"),
  sparse: noSparse,
});
export type CategoryEncodingOptions = OptionsOf<typeof spec>;
type Mode = "oneHot" | "multiHot" | "count";

/** Rows of `depth` numbers for indices: one-hot [..., depth]; multi-hot and count over the second axis (the only one). */
export function encodeCategories(
  x: Tensor,
  mode: Mode,
  depth: number,
  dtype: DType,
  weights: Tensor | null = null,
): Tensor {
  const indices = x.ndim === 0 ? x.reshape([1]) : x;
  if (mode === "multiHot") return ops.multiHot(indices, depth, -1, dtype);
  if (mode === "oneHot") {
    const narrow = indices.ndim > 1 && indices.shape[indices.ndim - 1] === 1;
    return ops.oneHot(narrow ? ops.squeeze(indices, -1) : indices, depth, -1, dtype);
  }
  const hot = ops.oneHot(indices, depth, -1, dtype);
  return ops.sum(weights ? hot.mul(ops.expandDims(weights, -1)) : hot, indices.ndim > 1 ? 1 : 0);
}

/** Indices [N, …] → [N, …, numTokens] (one-hot), or [N, numTokens] (multi-hot, count; `countWeights` weigh each index). */
export class CategoryEncoding extends Layer<typeof spec> {
  static readonly spec = spec;

  constructor(options: CategoryEncodingOptions) {
    super(options, spec);
  }
  call(x: Tensor, { countWeights = null }: CallContext): Tensor {
    const { outputMode, numTokens } = this.options;
    if (countWeights !== null && outputMode !== "count") {
      throw new LayerwiseError(`${this.describe()} weighs counts only`, {
        code: "E202",
        layer: this.name,
        received: `countWeights with outputMode "${outputMode}"`,
        expected: 'outputMode "count"',
      });
    }
    return encodeCategories(x, outputMode, numTokens, this.dtypePolicy.compute, countWeights);
  }
}
export const categoryEncoding = (options: CategoryEncodingOptions): CategoryEncoding => new CategoryEncoding(options);
