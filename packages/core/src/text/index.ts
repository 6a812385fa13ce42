/** `text`: tokens of texts, and hashes of strings. */
export { type BytePairFiles, BytePairs, type TrainOptions } from "./byte-pairs.ts";
export { Characters } from "./characters.ts";
export { fingerprint64, sipHash64 } from "./hash.ts";
export type { Tokenizer } from "./tokenizer.ts";
export { decodeUtf8, lower, ngrams, splitCharacters, splitWhitespace, splitWords, stripPunctuation } from "./tokens.ts";
