/** Hashes against TensorFlow 2.21: tf.fingerprint, tf.strings.to_hash_bucket_strong, tf.sparse.cross_hashed. */
import { expect, test } from "vitest";
import { fingerprint64, joinFingerprints, remembered, sipHash64, toBin } from "./hash.ts";

/** A text of n letters. */
const letters = (n: number) =>
  Array.from({ length: n }, (_, k) => String.fromCharCode(97 + ((n * 7 + k * 3) % 26))).join("");
const textOf = (x: string | number) => (typeof x === "number" ? letters(x) : x);

const fingerprints: [string | number, string][] = [
  [0, "11160318154034397263"],
  [1, "15861341763280603057"],
  [3, "7546428928330793978"],
  [4, "14261215076641730324"],
  [7, "5708720469046736400"],
  [8, "13844512060292010295"],
  [9, "17764095298918380379"],
  [16, "3102888271206580940"],
  [17, "7339646707805498636"],
  [32, "18388226423500870698"],
  [33, "17843019719498681002"],
  [64, "17632506284961212308"],
  [65, "12585803947950740369"],
  [128, "3633509946935312958"],
  [129, "11639666682677016256"],
  [300, "15317064774935961150"],
  ["héllo 世界", "17826886317724044110"],
  ["🎬 film", "12030131057736683265"],
];
const sipBins: [string | number, number][] = [
  [0, 808740301],
  [1, 616567427],
  [7, 623586554],
  [8, 116288247],
  [9, 150506135],
  [16, 895350383],
  [33, 127804249],
  [300, 787899786],
  ["héllo 世界", 1324837570],
  ["🎬 film", 568804985],
];

test("fingerprints of every length class", () => {
  for (const [text, expected] of fingerprints)
    expect([text, String(fingerprint64(textOf(text)))]).toEqual([text, expected]);
});

test("SipHash with a key", () => {
  for (const [text, bin] of sipBins)
    expect([text, toBin(sipHash64(textOf(text), [133n, 7n]), 2 ** 31 - 1)]).toEqual([text, bin]);
});

test("crossed features", () => {
  const cross = (a: string, b: bigint) =>
    toBin(joinFingerprints(joinFingerprints(0xdecafcaffen, fingerprint64(a)), BigInt.asUintN(64, b)), 2 ** 31 - 1);
  expect([cross("a", 1n), cross("b", -2n), cross("longer text", 300n)]).toEqual([397529135, 1279502236, 2104732867]);
});

test("a remembered hash is computed once", () => {
  let calls = 0;
  const hash = remembered((x: string) => x.length + calls++);
  expect([hash("ab"), hash("ab"), hash("abc")]).toEqual([2, 2, 4]);
});
