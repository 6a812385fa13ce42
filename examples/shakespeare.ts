/** A character LSTM that learns Shakespeare's plays and writes on. */
import {
  configure,
  datasets,
  generate,
  layers,
  losses,
  optimizers,
  sequential,
  type Tensor,
  tensor,
  text,
} from "layerwise";
import type { ExampleOptions } from "./index.ts";

const { dense, embedding, lstm } = layers;

const length = 100;

/** Pieces of the text that follow one another, and the same one character later: x and y [N, length]. */
function pieces(ids: Int32Array): { x: Tensor; y: Tensor } {
  const rows = Math.floor((ids.length - 1) / length);
  const cut = (from: number) => tensor(ids.slice(from, from + rows * length), [rows, length], "i32");
  return { x: cut(0), y: cut(1) };
}

export function createModel(characters: number) {
  const model = sequential([
    embedding(characters, 64, { inputShape: [null] }),
    lstm(256, { returnSequences: true }),
    dense(characters),
  ]);
  model.compile({
    optimizer: optimizers.adam({ learningRate: 0.004 }),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
  });
  return model;
}

export async function run({ epochs = 6, seed = 0, verbose = 1 }: ExampleOptions = {}) {
  configure({ seed });
  const { train, test } = await datasets.tinyShakespeare();
  const tokenizer = text.Characters.of(train + test);
  const own = pieces(tokenizer.encode(train));
  const held = pieces(tokenizer.encode(test));
  const model = createModel(tokenizer.vocabularySize);
  await model.fit(own.x, own.y, { epochs, batchSize: 32, verbose, validationData: [held.x, held.y] });
  const { loss } = await model.evaluate(held.x, held.y, { verbose: 0 });
  console.log(`${loss.toFixed(3)} nats per character on the last tenth\n`);
  const prompt = "ROMEO:";
  process.stdout.write(prompt);
  for await (const piece of generate(model, prompt, { tokenizer, maxLength: 500, temperature: 0.7, seed })) {
    process.stdout.write(piece);
  }
  console.log();
  return { loss };
}
