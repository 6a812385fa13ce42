/** Embedding: a vector per index. */
import { bool, defineSpec, int, type OptionsOf, type Spec } from "../config/index.ts";
import { cast, gather, largeTable } from "../graph/ops/index.ts";
import type { TypedArray } from "../graph/types.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { isTensor, type TensorTree } from "./arguments.ts";
import { activityFields, weightFields } from "./fields.ts";
import { checkIndices, type IndexTable } from "./index-table.ts";
import { type CallContext, Layer, layerFields, type MaskTree } from "./layer.ts";

export const embeddingFields = {
  ...weightFields("embeddings", "randomUniform"),
  maskZero: bool().default(false).doc("whether index 0 stands for padding"),
  ...activityFields,
};
interface TableOptions {
  readonly inputDim: number;
  readonly outputDim: number;
  readonly maskZero: boolean;
}

/** A table of vectors [inputDim, outputDim]; its gradient sums the rows that a batch names, and no others. */
export abstract class EmbeddingTable<S extends Spec> extends Layer<S> {
  override readonly masking = "consume";
  override get timewise(): boolean {
    return true;
  }
  embeddings!: Variable;

  override get indexTable(): IndexTable {
    return { size: this.table.inputDim, layer: this.describe() };
  }
  protected get table(): TableOptions {
    return this.options as unknown as TableOptions;
  }
  override build(): void {
    const { inputDim, outputDim } = this.table;
    this.embeddings = this.addOptionWeight("embeddings", [inputDim, outputDim]);
    this.embeddings.table = inputDim * outputDim >= largeTable;
  }
  /** Data on the host is checked; indices that a program computes are clamped to the table. */
  call(x: Tensor, _context?: CallContext): Tensor {
    const { node } = x.value;
    if (node.op.name === "constant" && x.size > 0) {
      const { data } = node.attrs as { readonly data: TypedArray };
      checkIndices(data, data.length / (x.shape[0] ?? 1), this.indexTable);
    }
    return new Tensor(gather(this.read(this.embeddings).value, cast(x.value, "i32"), 0));
  }
  override computeMask(inputs: TensorTree): MaskTree {
    return this.table.maskZero && isTensor(inputs) ? ops.notEqual(inputs, 0) : null;
  }
}

const spec = defineSpec("keras.layers", "Embedding", {
  ...layerFields,
  inputDim: int({ min: 1 }).doc("number of indices: 0 … inputDim - 1"),
  outputDim: int({ min: 1 }).doc("size of each vector"),
  ...embeddingFields,
});
export type EmbeddingOptions = OptionsOf<typeof spec>;

/** Indices [N, …] → [N, …, outputDim]. */
export class Embedding extends EmbeddingTable<typeof spec> {
  static readonly spec = spec;
  constructor(options: EmbeddingOptions) {
    super(options, spec);
  }
}
export const embedding = (
  inputDim: number,
  outputDim: number,
  options: Omit<EmbeddingOptions, "inputDim" | "outputDim"> = {},
): Embedding => new Embedding({ ...options, inputDim, outputDim });
