/** What generation and host layers need of a tokenizer; `BytePairs` and `Characters` have it. */
export interface Tokenizer {
  readonly vocabularySize: number;
  encode(text: string): Int32Array;
  decode(ids: ArrayLike<number>): string;
  /** Decodes a text that comes in pieces. */
  decoder(): (ids: ArrayLike<number>, last?: boolean) => string;
}
