/** StringLookup and IntegerLookup: from categories to indices or encodings, and back. */
import {
  defineSpec,
  type Fields,
  int,
  type Json,
  list,
  type OptionsOf,
  type Spec,
  string,
  type ValuesOf,
} from "../config/index.ts";
import type { Shape } from "../graph/types.ts";
import { StringTensor, type ValueDType } from "../tensor/string-tensor.ts";
import { tensorFrom } from "../tensor/tensor.ts";
import type { Tree } from "../tensor/tree.ts";
import { LookupTable, type OutputMode, type Token } from "../text/lookup-table.ts";
import { type ArgumentTree, asHostValues, type HostTree, type HostValue } from "./arguments.ts";
import { HostEncodingLayer } from "./host-encoding.ts";
import type { Open } from "./infer.ts";
import { layerFields } from "./layer.ts";
import { allModes, encoding, lookupFields, oneHostValue, oneOpen, tokensOf } from "./lookup-fields.ts";

/** Options that both classes have; the vocabulary's type differs. */
interface LookupValues {
  readonly maxTokens: number | null;
  readonly numOovIndices: number;
  readonly maskToken: Token | null;
  readonly oovToken: Token;
  readonly vocabulary: readonly Token[] | null;
  readonly idfWeights: readonly number[] | null;
  readonly invert: boolean;
  readonly outputMode: OutputMode;
  readonly padToMaxTokens: boolean;
  readonly oovMethod: "floormod" | "farmhash";
  readonly salt: readonly [number, number] | null;
}

/** A layer around a table from tokens to indices. */
abstract class IndexLookup<S extends Spec, T extends Token> extends HostEncodingLayer<S> {
  /** What the tokens are; also the dtype of inputs (of outputs when inverted). */
  abstract readonly kind: "string" | "integer";
  readonly table: LookupTable;

  constructor(options: OptionsOf<S>, spec: S) {
    super(options, spec, (layer: IndexLookup<S, T>) => ({
      mode: layer.values.invert ? "int" : layer.values.outputMode,
      depth: () => layer.table.depth,
      idf: () => layer.table.idfWeights,
    }));
    const o = this.values;
    this.table = new LookupTable(o, this.describe());
    if (o.vocabulary) this.setVocabulary(o.vocabulary as readonly T[], o.idfWeights);
  }
  private get values(): LookupValues {
    return this.options as ValuesOf<S> & LookupValues;
  }
  get inputDType(): ValueDType {
    return this.kind === "integer" || this.values.invert ? "i32" : "string";
  }
  /** Learns the vocabulary from data: the most frequent tokens first. Rows count as documents for tf-idf. */
  adapt(data: ArgumentTree): void {
    const x = oneHostValue(asHostValues(data), this);
    const tokens = Array.from(tokensOf(x, this, this.kind));
    const width = x.ndim < 2 ? 1 : tokens.length / Math.max(1, x.shape[0]);
    this.table.adapt(
      (function* () {
        for (let i = 0; i < tokens.length; i += width) yield tokens.slice(i, i + width);
      })(),
    );
  }
  /** Replaces the vocabulary; with tf-idf output its weights too. */
  setVocabulary(tokens: readonly T[], idfWeights: readonly number[] | null = null): void {
    this.table.setVocabulary(tokens, idfWeights);
  }
  /** Tokens by index, special ones included unless said otherwise. */
  getVocabulary(options: { readonly includeSpecialTokens?: boolean } = {}): T[] {
    return (options.includeSpecialTokens === false ? [...this.table.learned] : this.table.vocabulary) as T[];
  }
  get vocabularySize(): number {
    return this.table.size;
  }
  compute(inputs: HostTree): HostValue {
    const x = oneHostValue(inputs, this);
    if (!this.values.invert) return tensorFrom(this.table.indicesOf(tokensOf(x, this, this.kind)), x.shape, "i32");
    const tokens = Array.from(tokensOf(x, this, "integer"), (i) => this.table.tokenAt(Number(i)));
    return this.fromTokens(tokens as T[], x.shape);
  }
  protected abstract fromTokens(tokens: T[], shape: Shape): HostValue;

  infer(inputs: Tree<Open>): Open {
    const { shape } = oneOpen(inputs, this);
    return { shape, dtype: this.values.invert && this.kind === "string" ? "string" : "i32", maskShape: null };
  }
  override getConfig(): Record<string, Json> {
    const config = super.getConfig();
    if (!this.table.ready) return config;
    return { ...config, vocabulary: this.table.vocabulary, idf_weights: idfOf(this.table) };
  }
}

/** Weights of the whole vocabulary, as configs hold them. */
export function idfOf(table: LookupTable): Json {
  return table.idfWeights ? [...table.idfWeights.subarray(0, table.size)] : null;
}

const stringSpec = defineSpec("keras.layers", "StringLookup", {
  ...layerFields,
  ...lookupFields,
  maskToken: string().nullable().doc("token that stands for padding: index 0, or left out of encodings"),
  oovToken: string().default("[UNK]").doc("token of indices outside the vocabulary, when inverted"),
  vocabulary: list(string()).nullable().doc("the tokens; else call adapt"),
  outputMode: allModes.doc("indices, a one-hot row for each, or one row of flags, counts or tf-idf per sample"),
  encoding,
} satisfies Fields);
export type StringLookupOptions = OptionsOf<typeof stringSpec>;

/** Strings [N, …] → i32 [N, …], or f32 [N, vocabulary] for the encodings; looks up on the host. */
export class StringLookup extends IndexLookup<typeof stringSpec, string> {
  static readonly spec = stringSpec;
  get kind() {
    return "string" as const;
  }
  constructor(options: StringLookupOptions = {}) {
    super(options, stringSpec);
  }
  protected fromTokens(tokens: string[], shape: Shape): HostValue {
    return new StringTensor(tokens, shape);
  }
}
export const stringLookup = (options: StringLookupOptions = {}): StringLookup => new StringLookup(options);

const integerSpec = defineSpec("keras.layers", "IntegerLookup", {
  ...layerFields,
  ...lookupFields,
  maskToken: int().nullable().doc("integer that stands for padding: index 0, or left out of encodings"),
  oovToken: int().default(-1).doc("integer of indices outside the vocabulary, when inverted"),
  vocabulary: list(int()).nullable().doc("the integers; else call adapt"),
  outputMode: allModes.doc("indices, a one-hot row for each, or one row of flags, counts or tf-idf per sample"),
} satisfies Fields);
export type IntegerLookupOptions = OptionsOf<typeof integerSpec>;

/** Integers [N, …] → i32 [N, …], or f32 [N, vocabulary] for the encodings; looks up on the host. */
export class IntegerLookup extends IndexLookup<typeof integerSpec, number> {
  static readonly spec = integerSpec;
  get kind() {
    return "integer" as const;
  }
  constructor(options: IntegerLookupOptions = {}) {
    super(options, integerSpec);
  }
  protected fromTokens(tokens: number[], shape: Shape): HostValue {
    return tensorFrom(Int32Array.from(tokens), shape, "i32");
  }
}
export const integerLookup = (options: IntegerLookupOptions = {}): IntegerLookup => new IntegerLookup(options);
