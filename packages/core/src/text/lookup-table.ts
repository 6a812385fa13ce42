/** A table from tokens to indices: special indices first, then the vocabulary; learned by frequency or given. */
import { LayerwiseError } from "../errors.ts";
import { fingerprint64, remembered, sipHash64, toBin } from "./hash.ts";

export type Token = string | number;
export type OutputMode = "int" | "oneHot" | "multiHot" | "count" | "tfIdf";

export interface LookupOptions {
  /** Largest size of the vocabulary, special indices included; null for no limit. */
  readonly maxTokens: number | null;
  readonly numOovIndices: number;
  readonly maskToken: Token | null;
  readonly oovToken: Token;
  readonly outputMode: OutputMode;
  readonly padToMaxTokens: boolean;
  readonly invert: boolean;
  /** "floormod": integers outside the vocabulary are spread over several indices by their remainder. */
  readonly oovMethod: "floormod" | "farmhash";
  readonly salt: readonly [number, number] | null;
}

/** Index of a masked token where masks are left out of the encoding. */
export const masked = -1;

/** Order of UTF-8 bytes, which is that of code points (JavaScript compares UTF-16 units). */
export function compareTokens(a: Token, b: Token): number {
  if (typeof a === "number" || typeof b === "number") return Number(a) - Number(b);
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    // Surrogates (D800–DFFF) stand for code points above all of E000–FFFF.
    const high = (u: number) => (u >= 0xd800 && u < 0xe000 ? u + 0x10000 : u);
    return high(x) - high(y);
  }
  return a.length - b.length;
}

export class LookupTable {
  readonly options: LookupOptions;
  private readonly owner: string;
  private tokens: readonly Token[] | null = null;
  private readonly indices = new Map<Token, number>();
  /** Weights of all indices, for tf-idf. */
  private idf: Float32Array | null = null;
  private readonly spread: (x: Token) => number;

  /** `owner` names the layer in errors. */
  constructor(options: LookupOptions, owner: string) {
    this.options = options;
    this.owner = owner;
    const { numOovIndices: n, salt, oovMethod } = options;
    const hash = (text: string) => (salt ? sipHash64(text, [BigInt(salt[0]), BigInt(salt[1])]) : fingerprint64(text));
    this.spread =
      n <= 1
        ? () => 0
        : remembered((x) =>
            typeof x === "number" && oovMethod !== "farmhash" ? ((x % n) + n) % n : toBin(hash(String(x)), n),
          );
  }
  private get hasMask(): boolean {
    return this.options.maskToken !== null && this.options.outputMode === "int";
  }
  /** First index of the out-of-vocabulary ones, and first of the vocabulary's. */
  private get oovStart(): number {
    return this.hasMask ? 1 : 0;
  }
  private get tokenStart(): number {
    return this.oovStart + this.options.numOovIndices;
  }
  get ready(): boolean {
    return this.tokens !== null;
  }
  /** Number of indices: special ones and the vocabulary. */
  get size(): number {
    return this.tokenStart + this.learned.length;
  }
  /** Width of an encoded row. */
  get depth(): number {
    const { padToMaxTokens, maxTokens } = this.options;
    return padToMaxTokens && maxTokens !== null ? maxTokens : this.size;
  }
  /** The vocabulary without special tokens. */
  get learned(): readonly Token[] {
    if (this.tokens !== null) return this.tokens;
    throw new LayerwiseError(`${this.owner} has no vocabulary yet`, {
      code: "E403",
      layer: this.owner,
      received: "a layer that is neither adapted nor given a vocabulary",
      expected: "a vocabulary",
      hint: "call adapt(texts) first, or give the option vocabulary",
    });
  }
  /** Tokens by index, with mask and out-of-vocabulary tokens in front. */
  get vocabulary(): Token[] {
    return [...this.specialTokens, ...this.learned];
  }
  get idfWeights(): Float32Array | null {
    return this.idf;
  }
  private get specialTokens(): Token[] {
    const { maskToken, oovToken, numOovIndices } = this.options;
    return [...(this.hasMask ? [maskToken!] : []), ...new Array<Token>(numOovIndices).fill(oovToken)];
  }

  /** Takes a vocabulary, with or without the special tokens in front. `idfWeights` belong to the tokens given. */
  setVocabulary(given: readonly Token[], idfWeights: readonly number[] | null = null): void {
    const { outputMode, maskToken, oovToken, invert, maxTokens } = this.options;
    const fail = (message: string, received: string, expected: string): never => {
      throw new LayerwiseError(`${this.owner}: ${message}`, { code: "E404", layer: this.owner, received, expected });
    };
    if ((outputMode === "tfIdf") !== (idfWeights !== null))
      fail("tf-idf output needs idfWeights with a vocabulary, other modes take none", `${outputMode}`, "both or none");
    const special = this.specialTokens;
    const complete = special.length > 0 && special.every((t, i) => given[i] === t);
    const tokens = complete ? given.slice(special.length) : [...given];
    if (given.length === 0) fail("the vocabulary is empty", "[]", "at least one token");
    if (idfWeights !== null && idfWeights.length !== given.length)
      fail(
        "idfWeights do not fit the vocabulary",
        `${idfWeights.length} weights`,
        `${given.length}, one for each token`,
      );
    const seen = new Set<Token>();
    for (const token of tokens) {
      if (seen.has(token)) fail("a token occurs twice in the vocabulary", JSON.stringify(token), "distinct tokens");
      if (token === maskToken || (invert && token === oovToken))
        fail(
          "a special token stands inside the vocabulary",
          JSON.stringify(token),
          `${JSON.stringify(special)} in front, or none`,
        );
      seen.add(token);
    }
    if (maxTokens !== null && this.tokenStart + tokens.length > maxTokens)
      fail("the vocabulary is larger than maxTokens", String(this.tokenStart + tokens.length), `at most ${maxTokens}`);
    this.store(tokens);
    this.idf = idfWeights === null ? null : this.padIdf(idfWeights, complete ? special.length : 0);
  }
  private store(tokens: readonly Token[]): void {
    this.tokens = tokens;
    this.indices.clear();
    const { maskToken } = this.options;
    tokens.forEach((t, i) => this.indices.set(t, this.tokenStart + i));
    if (maskToken !== null) this.indices.set(maskToken, this.hasMask ? 0 : masked);
  }
  /** Weights of all indices: out-of-vocabulary ones weigh as the mean, padding nothing. */
  private padIdf(weights: ArrayLike<number>, given: number): Float32Array {
    const front = this.tokenStart - given;
    const out = new Float32Array(Math.max(this.depth, front + weights.length));
    let sum = 0;
    for (let i = 0; i < weights.length; i++) sum += weights[i];
    out.fill(sum / weights.length, 0, front);
    out.set(weights, front);
    return out;
  }

  /** Learns the vocabulary: the most frequent tokens, among equally frequent ones the later in order, as Keras does. */
  adapt(documents: Iterable<readonly Token[]>): void {
    const { maxTokens, maskToken, oovToken, outputMode } = this.options;
    const counts = new Map<Token, number>();
    const inDocuments = outputMode === "tfIdf" ? new Map<Token, number>() : null;
    let number = 0;
    for (const tokens of documents) {
      number++;
      for (const t of tokens) counts.set(t, (counts.get(t) ?? 0) + 1);
      if (inDocuments) for (const t of new Set(tokens)) inDocuments.set(t, (inDocuments.get(t) ?? 0) + 1);
    }
    if (maskToken !== null) counts.delete(maskToken);
    counts.delete(oovToken);
    if (counts.size === 0) {
      throw new LayerwiseError(`${this.owner} found no token to learn`, {
        code: "E405",
        layer: this.owner,
        received: number === 0 ? "no texts" : `${number} texts without a token`,
        expected: "texts with at least one token",
      });
    }
    const sorted = [...counts].sort((a, b) => b[1] - a[1] || compareTokens(b[0], a[0])).map(([token]) => token);
    const kept = maxTokens === null ? sorted : sorted.slice(0, Math.max(0, maxTokens - this.tokenStart));
    this.store(kept);
    this.idf = inDocuments
      ? this.padIdf(
          kept.map((t) => Math.log(1 + number / (1 + inDocuments.get(t)!))),
          0,
        )
      : null;
  }

  /** Index of a token; `masked` for the mask token where masks have no index. */
  indexOf(token: Token): number {
    const found = this.indices.get(token);
    if (found !== undefined) return found;
    const { numOovIndices } = this.options;
    if (numOovIndices === 0) {
      throw new LayerwiseError(`${this.owner} got a token that is not in its vocabulary`, {
        code: "E406",
        layer: this.owner,
        received: JSON.stringify(token),
        expected: `one of ${this.learned.length} tokens`,
        hint: "numOovIndices: 1 gives such tokens an index of their own",
      });
    }
    return this.oovStart + this.spread(token);
  }
  /** Indices of tokens. */
  indicesOf(tokens: ArrayLike<Token>): Int32Array {
    void this.learned;
    const out = new Int32Array(tokens.length);
    for (let i = 0; i < tokens.length; i++) out[i] = this.indexOf(tokens[i]);
    return out;
  }
  /** Token of an index, for the inverse lookup. */
  tokenAt(index: number): Token {
    const { maskToken, oovToken } = this.options;
    if (this.hasMask && index === 0) return maskToken!;
    return this.learned[index - this.tokenStart] ?? oovToken;
  }
}
