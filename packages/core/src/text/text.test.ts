/** Tokens, byte pairs, characters, and what they refuse. */
import { expect, test } from "vitest";
import { Heap } from "./heap.ts";
import { BytePairs, Characters, decodeUtf8, splitCharacters, splitWords } from "./index.ts";

const corpus = ["low lower lowest", "newer newest wide", "low low newest", "the lower the wider"];

test("training merges the most frequent neighbours, and the text comes back", () => {
  const pairs = BytePairs.train(corpus, { vocabularySize: 280, specialTokens: ["<|end|>"] });
  expect(pairs.merges.slice(0, 2)).toEqual(["w e", "l o"]);
  expect(pairs.vocabularySize).toBe(256 + pairs.merges.length + 1);
  expect(pairs.idOf("<|end|>")).toBe(pairs.vocabularySize - 1);
  // Both occur six times.
  const low = pairs.encode("low");
  expect([...low]).toEqual([pairs.idOf("low")]);
  for (const text of ["", "low lower", "never seen: é 世界 🎬\n\n \t x", " ", "a\u0000b"]) {
    expect(pairs.decode(pairs.encode(text))).toBe(text);
  }
  expect(pairs.encode("").length).toBe(0);
  const copy = new BytePairs({
    vocabulary: JSON.stringify(pairs.vocabulary),
    merges: `#version: 0.2\n${pairs.merges.join("\n")}\n`,
  });
  expect(copy.encode("the lowest newer")).toEqual(pairs.encode("the lowest newer"));
});

test("merges follow their rank whatever the length of a piece", () => {
  const vocabulary = { ...BytePairs.train(["x"], { vocabularySize: 256 }).vocabulary, aa: 256, aaaa: 257, ba: 258 };
  const pairs = new BytePairs({ vocabulary, merges: ["a a", "aa aa", "b a"] });
  const a = vocabulary["a" as never] as number;
  expect([...pairs.encode("aaaaaaa")]).toEqual([257, 256, a]);
  expect([...pairs.encode("baa")]).toEqual([vocabulary["b" as never], 256]);
  const long = pairs.encode("a".repeat(100_001));
  expect(long.length).toBe(25_001);
});

test("ids in pieces: an incomplete character waits", () => {
  const pairs = BytePairs.train(["x"], { vocabularySize: 256 });
  const push = pairs.decoder();
  const ids = pairs.encode("é!");
  expect([push([ids[0]]), push([ids[1]]), push([ids[2]], true)]).toEqual(["", "é", "!"]);
  expect(pairs.decode([ids[0]])).toBe("\ufffd");
});

test("what byte pairs refuse", () => {
  expect(() => new BytePairs({ vocabulary: "not json", merges: "" })).toThrow(/E404.*not JSON/s);
  expect(() => new BytePairs({ vocabulary: "[1]", merges: "" })).toThrow(/E404/);
  expect(() => new BytePairs({ vocabulary: { a: 0 }, merges: "a b" })).toThrow(/E404.*merge 1/s);
  expect(() => new BytePairs({ vocabulary: { a: 0 }, merges: "" }).encode("b")).toThrow(/E406.*0x62/s);
  expect(() => BytePairs.train([], { vocabularySize: 300 })).toThrow(/E405/);
  expect(() => BytePairs.train(["a"], { vocabularySize: 10 })).toThrow(/E404/);
  expect(() => BytePairs.train(["a"], { vocabularySize: 256 }).decode([999])).toThrow(/E406.*999/s);
});

test("characters", () => {
  const chars = Characters.of("hello 🎬");
  expect(chars.vocabulary).toEqual([" ", "e", "h", "l", "o", "🎬"]);
  expect([...chars.encode("🎬 hell")]).toEqual([5, 0, 2, 1, 3, 3]);
  expect(chars.decode(chars.encode("hole"))).toBe("hole");
  expect(chars.encode("").length).toBe(0);
  expect(() => chars.encode("heX")).toThrow(/E406.*"X" at character 2/s);
  expect(() => chars.decode([6])).toThrow(/E406/);
  expect(() => Characters.of("")).toThrow(/E404/);
});

test("bytes that are not UTF-8 are named with their place", () => {
  const bytes = new TextEncoder().encode("first\nsecond é\nthird");
  expect(decodeUtf8(bytes)).toContain("é");
  const at = bytes.indexOf(0xc3) + 1;
  bytes[at] = 0x20;
  expect(() => decodeUtf8(bytes, "reviews.txt")).toThrow(
    new RegExp(`E401.*reviews.txt.*offset ${at} \\(line 2\\)`, "s"),
  );
  expect(decodeUtf8(bytes, "reviews.txt", { fatal: false })).toContain("\ufffd");
  expect(() => decodeUtf8(Uint8Array.of(0x61, 0xe4), "cut.txt")).toThrow(/E401.*offset 1/s);
});

test("words and characters of Chinese", () => {
  expect(splitWords("早餐很好，服务也不错。")).toEqual(expect.arrayContaining(["早餐", "服务"]));
  expect(splitWords("Don't stop — go!")).toEqual(["Don't", "stop", "go"]);
  expect(splitCharacters("早餐🍳")).toEqual(["早", "餐", "🍳"]);
});

test("the heap gives its keys in order", () => {
  const heap = new Heap();
  const keys = Array.from({ length: 200 }, (_, i) => (i * 7919) % 211);
  for (const k of keys) heap.push(k);
  expect(Array.from(keys, () => heap.pop())).toEqual([...keys].sort((a, b) => a - b));
});
