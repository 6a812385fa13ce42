/** ReversibleEmbedding: an embedding that also projects vectors back to scores of the indices. */
import { bool, defineSpec, int, number, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { dtypeField } from "./dtype-policy.ts";
import { EmbeddingTable, embeddingFields } from "./embedding.ts";
import type { CallContext } from "./layer.ts";
import { layerFields } from "./layer.ts";

const spec = defineSpec("keras.layers", "ReversibleEmbedding", {
  ...layerFields,
  ...embeddingFields,
  tieWeights: bool().default(true).doc("whether the way back uses the same table"),
  reverseDtype: dtypeField().nullable().doc("dtype of the way back; by default the layer's"),
  logitSoftCap: number({ above: 0 }).nullable().doc("bounds the scores by cap · tanh(score / cap)"),
  inputDim: int({ min: 1 }).doc("number of indices: 0 … inputDim - 1"),
  outputDim: int({ min: 1 }).doc("size of each vector"),
});
export type ReversibleEmbeddingOptions = OptionsOf<typeof spec>;

/**
 * Indices [N, …] → [N, …, outputDim]; with the call option `reverse: true` vectors [N, …, outputDim] → scores
 * [N, …, inputDim] (Press and Wolf 2016).
 */
export class ReversibleEmbedding extends EmbeddingTable<typeof spec> {
  static readonly spec = spec;
  reverseEmbeddings: Variable | null = null;

  constructor(options: ReversibleEmbeddingOptions) {
    super(options, spec);
  }
  override build(): void {
    super.build();
    const { tieWeights, inputDim, outputDim, embeddingsInitializer } = this.options;
    if (tieWeights) return;
    this.reverseEmbeddings = this.addWeight({
      name: "reverse_embeddings",
      shape: [outputDim, inputDim],
      initializer: embeddingsInitializer,
    });
  }
  override call(x: Tensor, context: CallContext): Tensor {
    if (context["reverse"] !== true) return super.call(x);
    const { reverseDtype, logitSoftCap } = this.options;
    const typed = (t: Tensor) => (reverseDtype === null ? t : ops.cast(t, reverseDtype));
    const table = this.reverseEmbeddings
      ? this.read(this.reverseEmbeddings)
      : ops.transpose(this.read(this.embeddings));
    const scores = ops.matmul(typed(x), typed(table));
    return logitSoftCap === null ? scores : ops.tanh(scores.div(logitSoftCap)).mul(logitSoftCap);
  }
}
export const reversibleEmbedding = (
  inputDim: number,
  outputDim: number,
  options: Omit<ReversibleEmbeddingOptions, "inputDim" | "outputDim"> = {},
): ReversibleEmbedding => new ReversibleEmbedding({ ...options, inputDim, outputDim });
