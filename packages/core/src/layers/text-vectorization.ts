/** TextVectorization: from texts to indices of tokens, or to rows of flags, counts or tf-idf. */
import {
  bool,
  defineSpec,
  either,
  Field,
  int,
  type Json,
  list,
  type OptionsOf,
  oneOf,
  string,
} from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import type { NestedStrings, StringTensor, ValueDType } from "../tensor/string-tensor.ts";
import { type Tensor, tensorFrom } from "../tensor/tensor.ts";
import type { Tree } from "../tensor/tree.ts";
import { LookupTable, masked } from "../text/lookup-table.ts";
import { ngrams, splitters, standardizers } from "../text/tokens.ts";
import { asHostValues, type HostTree } from "./arguments.ts";
import { HostEncodingLayer } from "./host-encoding.ts";
import type { Open } from "./infer.ts";
import { layerFields } from "./layer.ts";
import { idfOf } from "./lookup.ts";
import { allModes, encoding, oneHostValue, oneOpen, paddedRows, tokensOf, vocabularyFields } from "./lookup-fields.ts";

/** A name, or a function of one's own, which cannot be saved. */
function nameOrFunction<N extends string, F extends (text: string) => unknown>(names: Field<N, N>, what: string) {
  const { expected, read, write } = names.parts;
  return new Field<N | F, N | F, false>({
    expected: `${expected}, or a function of one text`,
    read: (x, where) => (typeof x === "function" ? (x as F) : read(x, where)),
    write: (x) => {
      if (typeof x !== "function") return write(x as N);
      throw new LayerwiseError(`a model with a ${what} function of its own cannot be saved`, {
        code: "E202",
        received: `function ${x.name || "(anonymous)"}`,
        expected,
        hint: "apply the function to the texts before the model instead",
      });
    },
  });
}

const spec = defineSpec("keras.layers", "TextVectorization", {
  ...layerFields,
  ...vocabularyFields,
  standardize: nameOrFunction<"lowerAndStripPunctuation" | "lower" | "stripPunctuation", (text: string) => string>(
    oneOf("lowerAndStripPunctuation", "lower", "stripPunctuation"),
    "standardize",
  )
    .default("lowerAndStripPunctuation")
    .nullable()
    .doc("what is done to each text first (to ASCII letters and punctuation, as in Keras)"),
  split: nameOrFunction<"whitespace" | "character" | "word", (text: string) => readonly string[]>(
    oneOf("whitespace", "character", "word"),
    "split",
  )
    .default("whitespace")
    .nullable()
    .doc('how a text becomes tokens; "word" finds words in Chinese too; null: it is one token'),
  ngrams: either(int({ min: 1 }), list(int({ min: 1 })))
    .nullable()
    .doc("n: runs of 1 … n tokens; or a list of widths"),
  outputMode: allModes.doc("indices of tokens, or a row of flags, counts or tf-idf for each text"),
  outputSequenceLength: int({ min: 0 }).nullable().doc("length that index rows are cut or padded to"),
  ragged: bool().default(false).doc("a list of rows of different lengths in place of padding; not inside models"),
  vocabulary: list(string()).nullable().doc("the tokens; else call adapt"),
  encoding,
});
export type TextVectorizationOptions = OptionsOf<typeof spec>;

/**
 * Texts [N] or [N, 1] → i32 [N, T] (0: padding, 1: outside the vocabulary, then the vocabulary), T the longest text of the
 * call or `outputSequenceLength`; or f32 [N, vocabulary] (0: outside the vocabulary) for the other modes. An empty text is a
 * row of padding, or of zeros. Finds indices on the host, as the first layer of a model.
 */
export class TextVectorization extends HostEncodingLayer<typeof spec> {
  static readonly spec = spec;
  readonly inputDType: ValueDType = "string";
  readonly table: LookupTable;
  private readonly widths: readonly number[] | null;

  constructor(options: TextVectorizationOptions = {}) {
    super(options, spec, (layer: TextVectorization) => ({
      mode: layer.options.outputMode,
      depth: () => layer.table.depth,
      idf: () => layer.table.idfWeights,
    }));
    const { maxTokens, outputMode, padToMaxTokens, ngrams: n, vocabulary, idfWeights } = this.options;
    const { outputSequenceLength, ragged } = this.options;
    if (outputMode !== "int" && (outputSequenceLength !== null || ragged)) {
      throw new LayerwiseError(`${this.describe()}: outputSequenceLength and ragged are for index rows`, {
        code: "E202",
        layer: this.name,
        received: `outputMode "${outputMode}"`,
        expected: 'outputMode "int"',
      });
    }
    this.widths = typeof n === "number" ? Array.from({ length: n }, (_, i) => i + 1) : n;
    const table = { maxTokens, outputMode, padToMaxTokens, maskToken: "", oovToken: "[UNK]", numOovIndices: 1 };
    this.table = new LookupTable({ ...table, invert: false, oovMethod: "floormod", salt: null }, this.describe());
    if (vocabulary) this.setVocabulary(vocabulary, idfWeights);
  }
  /** Tokens of one text. */
  tokenize(text: string): readonly string[] {
    const { standardize, split } = this.options;
    const change = typeof standardize === "string" ? standardizers[standardize] : standardize;
    const cut = typeof split === "string" ? splitters[split] : split;
    const plain = change ? change(text) : text;
    const tokens = cut ? cut(plain) : [plain];
    return this.widths ? ngrams(tokens, this.widths) : tokens;
  }
  /** Learns the vocabulary: the most frequent tokens of the texts, at most `maxTokens` with the special ones. */
  adapt(texts: NestedStrings | StringTensor): void {
    const all = this.texts(asHostValues(texts)).data;
    const tokenize = (text: string) => this.tokenize(text);
    this.table.adapt(
      (function* () {
        for (const text of all) yield tokenize(text);
      })(),
    );
  }
  setVocabulary(tokens: readonly string[], idfWeights: readonly number[] | null = null): void {
    this.table.setVocabulary(tokens, idfWeights);
  }
  getVocabulary(options: { readonly includeSpecialTokens?: boolean } = {}): string[] {
    return (options.includeSpecialTokens === false ? [...this.table.learned] : this.table.vocabulary) as string[];
  }
  get vocabularySize(): number {
    return this.table.size;
  }
  compute(inputs: HostTree): Tensor | Tensor[] {
    const { outputMode, outputSequenceLength, ragged, split } = this.options;
    const { data, shape } = this.texts(inputs);
    const rows = data.map((text) => this.table.indicesOf(this.tokenize(text)));
    if (ragged) return rows.map((r) => tensorFrom(r, [r.length], "i32"));
    if (outputMode === "int" && split === null && this.widths === null && outputSequenceLength === null)
      return tensorFrom(
        Int32Array.from(rows, (r) => r[0]),
        shape,
        "i32",
      );
    const { data: out, length } = paddedRows(rows, outputSequenceLength, outputMode === "int" ? 0 : masked);
    return tensorFrom(out, [rows.length, length], "i32");
  }
  infer(inputs: Tree<Open>): Open {
    const { outputMode, outputSequenceLength, ragged, split } = this.options;
    const { shape } = oneOpen(inputs, this);
    this.checkShape(shape);
    if (ragged) {
      throw new LayerwiseError(`${this.describe()} gives rows of different lengths, which no other layer takes`, {
        code: "E202",
        layer: this.name,
        received: "ragged: true",
        expected: "ragged: false inside a model",
      });
    }
    const single = outputMode === "int" && split === null && this.widths === null && outputSequenceLength === null;
    return { shape: single ? shape : [shape[0] ?? null, outputSequenceLength], dtype: "i32", maskShape: null };
  }
  private texts(inputs: HostTree): StringTensor {
    const x = oneHostValue(inputs, this);
    tokensOf(x, this, "string");
    this.checkShape(x.shape);
    return x as StringTensor;
  }
  private checkShape(shape: readonly (number | null)[]): void {
    if (shape.length < 2 || (shape.length === 2 && shape[1] === 1)) return;
    throw new LayerwiseError(`${this.describe()} takes one text per row`, {
      code: "E103",
      layer: this.name,
      received: `strings [${shape.map(String).join(", ")}]`,
      expected: "[N] or [N, 1]",
    });
  }
  override getConfig(): Record<string, Json> {
    const config = super.getConfig();
    if (!this.table.ready) return config;
    return { ...config, vocabulary: this.table.vocabulary, idf_weights: idfOf(this.table) };
  }
}

/** Texts to numbers: `textVectorization({ maxTokens: 20000, outputSequenceLength: 100 })`, then `adapt(texts)`. */
export const textVectorization = (options: TextVectorizationOptions = {}): TextVectorization =>
  new TextVectorization(options);
