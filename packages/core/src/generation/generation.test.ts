/** Generation: sampling, caches against whole sequences, streams, and what it refuses. */
import { expect, test } from "vitest";
import { Generator } from "../initializers/generator.ts";
import {
  activation,
  add,
  bidirectional,
  dense,
  embedding,
  flatten,
  globalAveragePooling1d,
  gru,
  input,
  layerNormalization,
  lstm,
  multiHeadAttention,
  positionEmbedding,
  simpleRnn,
} from "../layers/index.ts";
import { functional, type Model, sequential } from "../models/index.ts";
import { BytePairs, Characters } from "../text/index.ts";
import { generate } from "./index.ts";
import { areProbabilities, sampleToken } from "./sampling.ts";
import { planSteps } from "./step-plan.ts";

const vocabulary = 11;

/** A small transformer with a context of `positions`. */
function transformer(positions: number, fixed = false): Model {
  const ids = input([fixed ? positions : null], { dtype: "int32" });
  const tokens = embedding(vocabulary, 16, { embeddingsInitializer: "randomNormal" }).apply(ids);
  let x = add().apply([tokens, positionEmbedding(positions).apply(tokens)]);
  for (let i = 0; i < 2; i++) {
    const seen = multiHeadAttention(2, 8).apply(layerNormalization().apply(x), { useCausalMask: true });
    x = add().apply([x, seen]);
    const wide = dense(32, { activation: "relu" }).apply(layerNormalization().apply(x));
    x = add().apply([x, dense(16).apply(wide)]);
  }
  const scale = dense(vocabulary).apply(layerNormalization().apply(x));
  return functional({ inputs: ids, outputs: scale });
}

test("a key-value cache gives what whole sequences give", async () => {
  const model = transformer(64);
  expect(planSteps(model as never)?.keepers.length).toBe(2);
  for (const options of [
    { temperature: 0 },
    { temperature: 1, seed: 7 },
    { topK: 3, seed: 1 },
    { topP: 0.7, seed: 2 },
  ]) {
    const cached = await generate(model, [1, 2, 3], { maxLength: 30, ...options }).ids();
    const whole = await generate(model, [1, 2, 3], { maxLength: 30, useCache: false, ...options }).ids();
    expect(cached.length).toBe(30);
    expect([...cached]).toEqual([...whole]);
  }
  const a = await generate(model, [1], { maxLength: 40, seed: 1 }).ids();
  expect([...(await generate(model, [1], { maxLength: 40, seed: 1 }).ids())]).toEqual([...a]);
  expect([...(await generate(model, [1], { maxLength: 40, seed: 2 }).ids())]).not.toEqual([...a]);
});

test("states of recurrent layers give what whole sequences give", async () => {
  const inputs = embedding(vocabulary, 8, { inputShape: [null], embeddingsInitializer: "randomNormal" });
  const stacked = sequential([
    inputs,
    lstm(12, { returnSequences: true }),
    gru(10, { returnSequences: true }),
    dense(vocabulary),
  ]);
  const last = sequential([
    embedding(vocabulary, 8, { inputShape: [null] }),
    simpleRnn(9),
    dense(vocabulary, { activation: "softmax" }),
  ]);
  for (const model of [stacked, last]) {
    expect(planSteps(model as never)).not.toBeNull();
    for (const options of [{ temperature: 0 }, { seed: 5 }]) {
      const cached = await generate(model, [1, 2, 3], { maxLength: 40, ...options }).ids();
      expect([...cached]).toEqual([
        ...(await generate(model, [1, 2, 3], { maxLength: 40, useCache: false, ...options }).ids()),
      ]);
    }
  }
  const both = sequential([
    embedding(vocabulary, 8, { inputShape: [null] }),
    bidirectional(lstm(4)),
    dense(vocabulary),
  ]);
  expect(planSteps(both as never)).toBeNull();
});

test("padding inside a text counts as little step by step as in the whole sequence", async () => {
  const masked = { maskZero: true, inputShape: [null], embeddingsInitializer: "randomNormal" as const };
  const model = sequential([embedding(vocabulary, 8, masked), lstm(12, { returnSequences: true }), dense(vocabulary)]);
  const prompt = [3, 0, 0, 5];
  const cached = await generate(model, prompt, { maxLength: 30, seed: 3 }).ids();
  expect([...cached]).toEqual([...(await generate(model, prompt, { maxLength: 30, seed: 3, useCache: false }).ids())]);
  // A cache of keys forgets what was padding, so that such a model is computed as a whole.
  const ids = input([null], { dtype: "int32" });
  const tokens = embedding(vocabulary, 16, { maskZero: true }).apply(ids);
  const seen = multiHeadAttention(2, 8).apply(tokens, { useCausalMask: true });
  expect(planSteps(functional({ inputs: ids, outputs: dense(vocabulary).apply(seen) }) as never)).toBeNull();
});

test("beyond the context the model goes on from its last half", async () => {
  const model = transformer(8, true);
  const ids = await generate(model, [1, 2], { maxLength: 40, temperature: 0 }).ids();
  expect(ids.length).toBe(40);
  // Up to the full context, nothing differs; the same when nothing is cached and the window slides.
  const whole = await generate(model, [1, 2], { maxLength: 40, temperature: 0, useCache: false }).ids();
  expect([...ids.slice(0, 9)]).toEqual([...whole.slice(0, 9)]);
  // Token 9 is the first after a cut: from tokens 5 … 8 alone.
  const cut = await generate(model, [...ids.slice(5, 9)], { maxLength: 5, temperature: 0, useCache: false }).ids();
  expect(cut[4]).toBe(ids[9]);
});

test("two generations at once do not disturb each other", async () => {
  const model = transformer(64);
  const alone = await generate(model, [1], { maxLength: 20, temperature: 0 }).ids();
  const [a, b] = [
    generate(model, [1], { maxLength: 20, temperature: 0 }),
    generate(model, [5], { maxLength: 20, seed: 3 }),
  ];
  const ids: number[] = [1];
  const other = b[Symbol.asyncIterator]();
  for await (const id of a) {
    ids.push(id);
    await other.next();
  }
  expect(ids).toEqual([...alone]);
});

test("weights that change are seen by the next text", async () => {
  const model = transformer(32);
  const before = await generate(model, [1], { maxLength: 24, temperature: 0 }).ids();
  model.setWeights(model.getWeights().map((w) => w.neg()));
  const after = await generate(model, [1], { maxLength: 24, temperature: 0 }).ids();
  expect([...after]).not.toEqual([...before]);
});

test("models with one row of scores, of fixed and of any length", async () => {
  const fixed = sequential([
    embedding(vocabulary, 4, { inputShape: [6] }),
    flatten(),
    dense(vocabulary, { activation: "softmax" }),
  ]);
  expect((await generate(fixed, [1, 2], { maxLength: 12 }).ids()).length).toBe(12);
  const open = sequential([
    embedding(vocabulary, 4, { inputShape: [null] }),
    globalAveragePooling1d(),
    dense(vocabulary),
  ]);
  expect(planSteps(open as never)).toBeNull();
  expect((await generate(open, [1, 2], { maxLength: 6 }).ids()).length).toBe(6);
});

test("text in pieces, with stop tokens", async () => {
  const characters = Characters.of("abcdefghijk");
  const model = transformer(32);
  const options = { tokenizer: characters, maxLength: 20, temperature: 0 };
  const pieces: string[] = [];
  for await (const piece of generate(model, "ab", options)) pieces.push(piece);
  const text = await generate(model, "ab", options).text();
  expect(`ab${pieces.join("")}`).toBe(text);
  expect(text.length).toBe(20);
  const stop = characters.encode(text[5])[0];
  const short = await generate(model, "ab", { ...options, stopTokens: [stop] }).text();
  expect(short).toBe(text.slice(0, text.indexOf(text[5], 2)));
  await expect(generate(model, [1], {}).text()).rejects.toThrow(/E202.*tokenizer/s);
});

test("a character that a token cuts in two comes whole", async () => {
  const pairs = BytePairs.train(["x"], { vocabularySize: 256 });
  // A model that always gives the byte after the last one in "é": 0xc3, 0xa9.
  const ids = input([null], { dtype: "int32" });
  const table = new Float32Array(256 * 256);
  for (let i = 0; i < 256; i++) table[i * 256 + (i === 0xc3 ? 0xa9 : 0xc3)] = 50;
  const layer = embedding(256, 256);
  const model = functional({ inputs: ids, outputs: layer.apply(ids) });
  layer.setWeights([table]);
  const pieces: string[] = [];
  for await (const piece of generate(model, "é", { tokenizer: pairs, maxLength: 7, temperature: 0 }))
    pieces.push(piece);
  expect(pieces).toEqual(["é", "é", "\ufffd"]);
});

test("sampling", () => {
  const random = new Generator("sampling test");
  const logits = Float32Array.of(1, 3, 2, -1);
  const probabilities = Float32Array.from(logits, Math.exp);
  const sum = probabilities.reduce((s, p) => s + p);
  expect(areProbabilities(logits)).toBe(false);
  expect(areProbabilities(probabilities.map((p) => p / sum))).toBe(true);
  const shares = (scores: Float32Array, options: object) => {
    const counts = new Float64Array(scores.length);
    for (let i = 0; i < 20000; i++) counts[sampleToken(scores, options, random)] += 1 / 20000;
    return counts;
  };
  for (const scores of [logits, probabilities.map((p) => p / sum)]) {
    shares(scores, {}).forEach((s, i) => expect(Math.abs(s - probabilities[i] / sum)).toBeLessThan(0.015));
    const cold = shares(scores, { temperature: 0.5 });
    const squares = probabilities.map((p) => p * p);
    const total = squares.reduce((s, p) => s + p);
    cold.forEach((s, i) => expect(Math.abs(s - squares[i] / total)).toBeLessThan(0.015));
    expect(shares(scores, { topK: 2 })[0]).toBe(0);
    expect(shares(scores, { topK: 2 })[2]).toBeGreaterThan(0.2);
    // The best has 0.66, the best two 0.90.
    expect([...shares(scores, { topP: 0.5 })]).toEqual([0, expect.closeTo(1, 6), 0, 0]);
    expect(shares(scores, { topP: 0.8 })[0]).toBe(0);
    expect(sampleToken(scores, { temperature: 0 }, random)).toBe(1);
  }
  expect(() => sampleToken(Float32Array.of(Number.NaN, Number.NaN), {}, random)).toThrow(/L110/);
});

test("what generation refuses", () => {
  const model = transformer(8);
  expect(() => generate(model, [])).toThrow(/E407.*no tokens/s);
  expect(() => generate(model, "", { tokenizer: Characters.of("a") })).toThrow(/E407/);
  expect(() => generate(model, "abc" as never)).toThrow(/E202.*tokenizer/s);
  expect(() => generate(model, [99])).toThrow(/E406.*99/s);
  expect(() => generate(model, [1, 2, 3], { maxLength: 2 })).toThrow(/E202/);
  for (const bad of [{ temperature: -1 }, { topK: 0 }, { topP: 2 }])
    expect(() => generate(model, [1], bad)).toThrow(/E202/);
  const wrong = sequential([dense(2, { inputShape: [4, 4] }), activation("relu")]);
  expect(() => generate(wrong, [1])).toThrow(/E407/);
  expect(() => generate(sequential([dense(2)]), [1])).toThrow(/E204/);
});
