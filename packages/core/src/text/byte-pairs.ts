/** Byte-pair encoding: text as tokens that grew from bytes by merging frequent neighbours, as GPT-2 does it. */
import { LayerwiseError } from "../errors.ts";
import { Heap } from "./heap.ts";
import { trainMerges } from "./train-byte-pairs.ts";

/** Pieces inside which bytes are merged (Radford et al. 2019): contractions, letters, digits, signs, spaces. */
const pieces =
  /'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** The visible character that stands for each byte in vocabulary files: itself, or 256 + n for the n-th unprintable byte. */
const byteCharacters: readonly string[] = (() => {
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => {
    const printable = (b > 32 && b < 127) || (b > 160 && b !== 173);
    return String.fromCharCode(printable ? b : next++);
  });
})();
const byteOfCharacter = new Map(byteCharacters.map((c, b) => [c, b]));

export interface BytePairFiles {
  /** Token → id: `vocab.json` or `encoder.json`, as text or parsed. */
  readonly vocabulary: string | { readonly [token: string]: number };
  /** `merges.txt` or `vocab.bpe`: one pair per line, or pairs; earlier pairs are merged first. */
  readonly merges: string | readonly string[];
}

export interface TrainOptions {
  /** Number of tokens to end with, 256 bytes and special tokens included. */
  readonly vocabularySize: number;
  /** Pairs that occur less often are not merged (default 2). */
  readonly minFrequency?: number;
  /** Tokens that stand for no text, e.g. `<|endoftext|>`; they get the last ids. */
  readonly specialTokens?: readonly string[];
}

/** Longest memory of pieces already encoded. */
const maxRemembered = 1 << 16;
const encoder = new TextEncoder();
/** Ids stay below 2^21, so that a pair of them is one exact number. */
const pairOf = (a: number, b: number) => a * 2 ** 21 + b;

export class BytePairs {
  /** Token → id, in the visible characters of vocabulary files. */
  readonly vocabulary: { readonly [token: string]: number };
  /** `"Ġ t"`, in order. */
  readonly merges: readonly string[];
  private readonly tokens: (string | undefined)[] = [];
  private readonly bytesOf: Uint8Array[] = [];
  private readonly byteIds: Int32Array = new Int32Array(256);
  private readonly rankOf = new Map<number, number>();
  private readonly merged: Int32Array;
  private readonly remembered = new Map<string, readonly number[]>();

  constructor({ vocabulary, merges }: BytePairFiles) {
    this.vocabulary = typeof vocabulary === "string" ? parseVocabulary(vocabulary) : vocabulary;
    const lines = typeof merges === "string" ? merges.split(/\r?\n/) : merges;
    this.merges = lines.filter((line) => line !== "" && !line.startsWith("#version"));
    for (const [token, id] of Object.entries(this.vocabulary)) this.tokens[id] = token;
    byteCharacters.forEach((c, b) => {
      this.byteIds[b] = this.vocabulary[c] ?? -1;
    });
    this.merged = new Int32Array(this.merges.length);
    this.merges.forEach((pair, rank) => {
      const [a, b, rest] = pair.split(" ");
      const ids = [this.vocabulary[a], this.vocabulary[b], this.vocabulary[a + b]];
      if (b === undefined || rest !== undefined || ids.includes(undefined as never)) {
        throw new LayerwiseError("the merges do not belong to the vocabulary", {
          code: "E404",
          received: `merge ${rank + 1}: "${pair}"`,
          expected: "two tokens of the vocabulary, separated by a space, whose union is a token",
        });
      }
      const key = pairOf(ids[0], ids[1]);
      if (!this.rankOf.has(key)) this.rankOf.set(key, rank);
      this.merged[rank] = ids[2];
    });
  }
  /** Learns merges from texts: the most frequent pair of neighbours again and again. */
  static train(texts: Iterable<string>, options: TrainOptions): BytePairs {
    const { vocabularySize, minFrequency = 2, specialTokens = [] } = options;
    const counts = new Map<string, number>();
    for (const text of texts)
      for (const [piece] of text.matchAll(pieces)) counts.set(piece, (counts.get(piece) ?? 0) + 1);
    if (!(vocabularySize >= 256 + specialTokens.length)) {
      throw new LayerwiseError("the vocabulary is smaller than its 256 bytes and special tokens", {
        code: "E404",
        received: String(vocabularySize),
        expected: `at least ${256 + specialTokens.length}`,
      });
    }
    if (counts.size === 0) {
      throw new LayerwiseError("there is no text to train on", {
        code: "E405",
        received: "empty texts",
        expected: "texts with at least one character",
      });
    }
    const words = [...counts].map(([piece, count]) => ({ ids: [...encoder.encode(piece)], count }));
    const found = trainMerges(words, vocabularySize - specialTokens.length, minFrequency);
    const tokens = [...byteCharacters];
    const merges = found.map(([a, b]) => {
      tokens.push(tokens[a] + tokens[b]);
      return `${tokens[a]} ${tokens[b]}`;
    });
    return new BytePairs({
      vocabulary: Object.fromEntries([...tokens, ...specialTokens].map((t, i) => [t, i])),
      merges,
    });
  }
  get vocabularySize(): number {
    return this.tokens.length;
  }
  /** Id of a token in the vocabulary, e.g. `<|endoftext|>`; undefined if there is none. */
  idOf(token: string): number | undefined {
    return Object.hasOwn(this.vocabulary, token) ? this.vocabulary[token] : undefined;
  }
  /** Ids of a text; none for "". Special tokens in the text are text like any other. */
  encode(text: string): Int32Array {
    const out: number[] = [];
    for (const [piece] of text.matchAll(pieces)) {
      let ids = this.remembered.get(piece);
      if (ids === undefined) {
        ids = this.encodePiece(piece);
        if (this.remembered.size >= maxRemembered) this.remembered.clear();
        if (piece.length < 64) this.remembered.set(piece, ids);
      }
      for (const id of ids) out.push(id);
    }
    return Int32Array.from(out);
  }
  /**
   * The pair with the lowest rank is merged first, the leftmost of equal ones. Neighbours are linked, candidates wait in a
   * heap: n log n, whatever the length of the piece.
   */
  private encodePiece(piece: string): readonly number[] {
    const bytes = encoder.encode(piece);
    const n = bytes.length;
    const ids = Int32Array.from(bytes, (b) => this.byteIds[b]);
    const missing = ids.indexOf(-1);
    if (missing >= 0) {
      throw new LayerwiseError("a byte of the text is not in the vocabulary", {
        code: "E406",
        received: `byte 0x${bytes[missing].toString(16)} of ${JSON.stringify(piece)}`,
        expected: "a vocabulary with all 256 bytes",
      });
    }
    if (n === 1) return [ids[0]];
    const next = Int32Array.from({ length: n }, (_, i) => i + 1);
    const previous = Int32Array.from({ length: n }, (_, i) => i - 1);
    const heap = new Heap();
    const offer = (i: number) => {
      if (i < 0 || next[i] >= n) return;
      const rank = this.rankOf.get(pairOf(ids[i], ids[next[i]]));
      // Rank first, then place; a place is below 2^26.
      if (rank !== undefined) heap.push(rank * 2 ** 26 + i);
    };
    for (let i = 0; i < n - 1; i++) offer(i);
    while (heap.size > 0) {
      const key = heap.pop();
      const rank = Math.floor(key / 2 ** 26);
      const i = key % 2 ** 26;
      const j = next[i];
      // A candidate is stale when one of its tokens has changed since.
      if (ids[i] < 0 || j >= n || this.rankOf.get(pairOf(ids[i], ids[j])) !== rank) continue;
      ids[i] = this.merged[rank];
      ids[j] = -1;
      next[i] = next[j];
      if (next[j] < n) previous[next[j]] = i;
      offer(i);
      offer(previous[i]);
    }
    return Array.from(ids.filter((id) => id >= 0));
  }
  private tokenBytes(id: number): Uint8Array {
    const token = this.tokens[id];
    if (token === undefined) throw unknownId(id, this.tokens.length);
    const own = Array.from(token, (c) => byteOfCharacter.get(c) ?? -1);
    // A special token need not be made of byte characters.
    return own.includes(-1) ? encoder.encode(token) : Uint8Array.from(own);
  }
  /** Text of ids. Bytes that are no UTF-8 (a token may end inside a character) become U+FFFD. */
  decode(ids: ArrayLike<number>): string {
    return this.decoder()(ids, true);
  }
  /** Decodes a text piece by piece; incomplete characters wait for the next ids. */
  decoder(): (ids: ArrayLike<number>, last?: boolean) => string {
    const text = new TextDecoder();
    return (ids, last = false) => {
      const bytes: number[] = [];
      for (let i = 0; i < ids.length; i++) {
        this.bytesOf[ids[i]] ??= this.tokenBytes(ids[i]);
        for (const b of this.bytesOf[ids[i]]) bytes.push(b);
      }
      return text.decode(Uint8Array.from(bytes), { stream: !last });
    };
  }
}

function parseVocabulary(text: string): { [token: string]: number } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new LayerwiseError(
      "the vocabulary is not JSON",
      { code: "E404", received: JSON.stringify(text.slice(0, 40)), expected: '{ "token": id, … }' },
      { cause },
    );
  }
  const entries = parsed !== null && typeof parsed === "object" ? Object.entries(parsed) : [];
  const wrong = entries.find(([, id]) => !Number.isInteger(id) || id < 0 || id >= 2 ** 21);
  if (entries.length > 0 && !wrong && !Array.isArray(parsed)) return parsed as { [token: string]: number };
  throw new LayerwiseError("the vocabulary has another form", {
    code: "E404",
    received: wrong ? JSON.stringify(wrong) : JSON.stringify(parsed).slice(0, 40),
    expected: '{ "token": id, … } with ids from 0 to 2,097,151',
  });
}

export function unknownId(id: number, size: number): LayerwiseError {
  return new LayerwiseError("this id is not in the vocabulary", {
    code: "E406",
    received: String(id),
    expected: `0 to ${size - 1}`,
  });
}
