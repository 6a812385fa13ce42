/**
 * A small GPT on the characters of tiny Shakespeare: 1.1 million characters, of which the last tenth is kept for testing.
 *
 *     npm run example -- gpt [--epochs N]
 */
import { functional, input, layers } from "layerwise";

const { add, dense, dropout, embedding, layerNormalization, multiHeadAttention, positionEmbedding } = layers;

export interface GptOptions {
  /** Number of blocks. */
  readonly depth?: number;
  readonly heads?: number;
  /** Features of a position. */
  readonly width?: number;
  /** Characters that are looked at, at most. */
  readonly length?: number;
  readonly vocabulary?: number;
  readonly dropoutRate?: number;
}

/** Tokens [N, T] → scores of the next token at every position [N, T, vocabulary] (Radford et al. 2019: norms come first). */
export function createGpt({
  depth = 6,
  heads = 6,
  width = 384,
  length = 128,
  vocabulary = 65,
  dropoutRate = 0,
}: GptOptions = {}) {
  const normal = { kernelInitializer: { class_name: "RandomNormal", config: { stddev: 0.02 } } } as never;
  const drop = (x: ReturnType<typeof input>) => (dropoutRate > 0 ? dropout(dropoutRate).apply(x) : x);
  const tokens = input([length], { dtype: "int32" });
  const vectors = embedding(vocabulary, width).apply(tokens);
  let x = drop(add().apply([vectors, positionEmbedding(length).apply(vectors)]));
  for (let i = 0; i < depth; i++) {
    const seen = layerNormalization({ epsilon: 1e-5 }).apply(x);
    const looked = multiHeadAttention(heads, width / heads, normal).apply([seen, seen], { useCausalMask: true });
    x = add().apply([x, drop(looked)]);
    const wide = dense(4 * width, { activation: "gelu", ...(normal as object) }).apply(
      layerNormalization({ epsilon: 1e-5 }).apply(x),
    );
    x = add().apply([x, drop(dense(width, normal).apply(wide))]);
  }
  const scores = dense(vocabulary, normal).apply(layerNormalization({ epsilon: 1e-5 }).apply(x));
  return functional({ inputs: tokens, outputs: scores, name: "gpt" });
}
