/** Embedding: a vector per index. */
import { bool, defineSpec, int, type OptionsOf } from "../config/index.ts";
import { cast, gather } from "../graph/ops/index.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { isTensor, type TensorTree } from "./arguments.ts";
import { activityFields, weightFields } from "./fields.ts";
import { Layer, layerFields, type MaskTree } from "./layer.ts";

const spec = defineSpec("keras.layers", "Embedding", {
  ...layerFields,
  inputDim: int({ min: 1 }).doc("number of indices: 0 … inputDim - 1"),
  outputDim: int({ min: 1 }).doc("size of each vector"),
  ...weightFields("embeddings", "randomUniform"),
  maskZero: bool().default(false).doc("whether index 0 stands for padding"),
  ...activityFields,
});
export type EmbeddingOptions = OptionsOf<typeof spec>;

/** Indices [N, …] → [N, …, outputDim]. */
export class Embedding extends Layer<typeof spec> {
  static readonly spec = spec;
  override readonly masking = "consume";
  embeddings!: Variable;

  constructor(options: EmbeddingOptions) {
    super(options, spec);
  }
  override build(): void {
    this.embeddings = this.addOptionWeight("embeddings", [this.options.inputDim, this.options.outputDim]);
  }
  call(x: Tensor): Tensor {
    return new Tensor(gather(this.read(this.embeddings).value, cast(x.value, "i32"), 0));
  }
  override computeMask(inputs: TensorTree): MaskTree {
    return this.options.maskZero && isTensor(inputs) ? ops.notEqual(inputs, 0) : null;
  }
}
export const embedding = (
  inputDim: number,
  outputDim: number,
  options: Omit<EmbeddingOptions, "inputDim" | "outputDim"> = {},
): Embedding => new Embedding({ ...options, inputDim, outputDim });
