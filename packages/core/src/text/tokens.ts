/** From a text to its tokens: standardising, splitting, n-grams. */
import { LayerwiseError } from "../errors.ts";

/** ASCII letters in lower case; other letters stay as they are, as in Keras (`text => text.toLowerCase()` changes all). */
export const lower = (text: string): string => text.replace(/[A-Z]+/g, (s) => s.toLowerCase());

/** Without ASCII punctuation. */
export const stripPunctuation = (text: string): string => text.replace(/[!-/:-@[-`{-~]/g, "");

export const standardizers = {
  lowerAndStripPunctuation: (text: string) => stripPunctuation(lower(text)),
  lower,
  stripPunctuation,
};
export type StandardizeName = keyof typeof standardizers;

/** Parts between runs of ASCII white space. */
export const splitWhitespace = (text: string): string[] => text.match(/[^ \t-\r]+/g) ?? [];

/** Code points: a character outside the basic plane is one token. */
export const splitCharacters = (text: string): string[] => Array.from(text);

let segmenter: Intl.Segmenter | null = null;

/** Words by the Unicode rules and, where a script has no spaces (Chinese, Japanese, Thai), by the engine's dictionaries. */
export function splitWords(text: string): string[] {
  if (typeof Intl === "undefined" || typeof Intl.Segmenter === "undefined") {
    throw new LayerwiseError("this engine cannot find word boundaries", {
      code: "E402",
      received: "no Intl.Segmenter",
      expected: "Node 16, Chrome 87, Safari 14.1, Firefox 125 or later",
      hint: 'split: "character" works everywhere',
    });
  }
  segmenter ??= new Intl.Segmenter(undefined, { granularity: "word" });
  const words: string[] = [];
  for (const { segment, isWordLike } of segmenter.segment(text)) if (isWordLike) words.push(segment);
  return words;
}

export const splitters = { whitespace: splitWhitespace, character: splitCharacters, word: splitWords };
export type SplitName = keyof typeof splitters;

/** All runs of `width` tokens for each width in turn, joined by spaces. */
export function ngrams(tokens: readonly string[], widths: readonly number[]): string[] {
  const out: string[] = [];
  for (const width of widths) {
    for (let i = 0; i + width <= tokens.length; i++) out.push(tokens.slice(i, i + width).join(" "));
  }
  return out;
}

/** Text of UTF-8 bytes; a sequence that is not UTF-8 is an error with its place, or U+FFFD where `fatal` is false. */
export function decodeUtf8(bytes: Uint8Array, name = "text", options: { readonly fatal?: boolean } = {}): string {
  if (options.fatal === false) return new TextDecoder().decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    const at = firstInvalid(bytes);
    const line = bytes.subarray(0, at).reduce((n, b) => n + (b === 10 ? 1 : 0), 1);
    throw new LayerwiseError(
      `${name} is not UTF-8`,
      {
        code: "E401",
        layer: name,
        received: `byte 0x${bytes[at].toString(16)} at offset ${at} (line ${line})`,
        expected: "UTF-8",
        hint: 'new TextDecoder("latin1" or another encoding).decode(bytes) reads other files',
      },
      { cause },
    );
  }
}

/** Offset of the first byte that cannot be decoded: the longest prefix that can be is found by halving. */
function firstInvalid(bytes: Uint8Array): number {
  const fits = (end: number) => {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, end), { stream: true });
      return true;
    } catch {
      return false;
    }
  };
  let good = 0;
  let bad = bytes.length;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (fits(middle)) good = middle;
    else bad = middle;
  }
  return Math.min(good, bytes.length - 1);
}
