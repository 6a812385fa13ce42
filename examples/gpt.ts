/**
 * A small GPT on the characters of tiny Shakespeare: 1.1 million characters, of which the last tenth is kept for testing.
 * Four blocks of width 128 that look back 64 characters reach about 1.6 nats per character.
 */
import {
  configure,
  datasets,
  functional,
  generate,
  input,
  layers,
  losses,
  optimizers,
  schedules,
  tensor,
  text,
} from "layerwise";
import type { ExampleOptions } from "./index.ts";

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
export function createGpt(options: GptOptions = {}) {
  const { depth = 6, heads = 6, width = 384, length = 128, vocabulary = 65, dropoutRate = 0 } = options;
  const drop = (x: ReturnType<typeof input>) => (dropoutRate > 0 ? dropout(dropoutRate).apply(x) : x);
  const normal = (x: ReturnType<typeof input>) => layerNormalization({ epsilon: 1e-5 }).apply(x);
  const tokens = input([length], { dtype: "int32" });
  const vectors = embedding(vocabulary, width).apply(tokens);
  let x = drop(add().apply([vectors, positionEmbedding(length).apply(vectors)]));
  for (let i = 0; i < depth; i++) {
    const seen = normal(x);
    const looked = multiHeadAttention(heads, width / heads).apply([seen, seen], { useCausalMask: true });
    x = add().apply([x, drop(looked)]);
    const wide = dense(4 * width, { activation: "gelu" }).apply(normal(x));
    x = add().apply([x, drop(dense(width).apply(wide))]);
  }
  return functional({ inputs: tokens, outputs: dense(vocabulary).apply(normal(x)), name: "gpt" });
}

/** Windows of `length` ids that begin `stride` apart, and the same one character later: x and y [N, length] as bytes. */
function windows(ids: Int32Array, length: number, stride: number) {
  const rows = Math.floor((ids.length - 1 - length) / stride) + 1;
  const cut = (shift: number) => {
    const bytes = new Uint8Array(rows * length);
    for (let i = 0; i < rows; i++) bytes.set(ids.subarray(i * stride + shift, i * stride + shift + length), i * length);
    return tensor(bytes, [rows, length], "u8");
  };
  return { x: cut(0), y: cut(1), rows };
}

const length = 64;
const batchSize = 64;

export async function run({ epochs = 3, seed = 0, verbose = 1 }: ExampleOptions = {}) {
  configure({ seed });
  const { train, test } = await datasets.tinyShakespeare();
  const tokenizer = text.Characters.of(train + test);
  // Each character is seen at four places of a window in one epoch.
  const own = windows(tokenizer.encode(train), length, length / 4);
  const held = windows(tokenizer.encode(test), length, length);
  const model = createGpt({ depth: 4, heads: 4, width: 128, length, vocabulary: tokenizer.vocabularySize });
  const steps = epochs * Math.ceil(own.rows / batchSize);
  model.compile({
    optimizer: optimizers.adamW({
      learningRate: schedules.cosineDecay({
        initialLearningRate: 0,
        warmupTarget: 0.002,
        warmupSteps: 100,
        decaySteps: steps - 100,
        alpha: 0.05,
      }),
      beta2: 0.99,
      weightDecay: 0.1,
    }),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
  });
  await model.fit(own.x, own.y, { epochs, batchSize, verbose });
  const { loss } = await model.evaluate(held.x, held.y, { batchSize, verbose: 0 });
  console.log(`${loss.toFixed(3)} nats per character on the last tenth\n`);
  for await (const piece of generate(model, "ROMEO:", { tokenizer, maxLength: 400, temperature: 0.8, seed })) {
    process.stdout.write(piece);
  }
  console.log();
  return { loss };
}
