/** BytePairTokenizer: texts as ids of byte pairs, inside a model. */
import { defineSpec, Field, int, type Json, list, type OptionsOf, string } from "../config/index.ts";
import { type Tensor, tensorFrom } from "../tensor/tensor.ts";
import type { Tree } from "../tensor/tree.ts";
import { BytePairs } from "../text/byte-pairs.ts";
import type { HostTree } from "./arguments.ts";
import { HostLayer } from "./host-layer.ts";
import type { Open } from "./infer.ts";
import { layerFields } from "./layer.ts";
import { oneHostValue, oneOpen, paddedRows, tokensOf } from "./lookup-fields.ts";

type Ids = { readonly [token: string]: number };
const vocabularyField = new Field<Ids, Ids, false>({
  expected: "{ token: id, … }",
  read: (x) => (x !== null && typeof x === "object" && !Array.isArray(x) ? (x as Ids) : undefined),
  write: (x): Json => ({ ...x }),
});

const spec = defineSpec("keras_hub.tokenizers", "BytePairTokenizer", {
  ...layerFields,
  vocabulary: vocabularyField.doc("token → id"),
  merges: list(string()).doc("pairs in the order in which they are merged"),
  sequenceLength: int({ min: 1 }).nullable().doc("length that rows are cut or padded to (with 0)"),
});
export type BytePairTokenizerOptions = OptionsOf<typeof spec>;

/** Texts [N] or [N, 1] → i32 [N, T], T the longest of the call or `sequenceLength`; runs on the host. */
export class BytePairTokenizer extends HostLayer<typeof spec> {
  static readonly spec = spec;
  readonly tokenizer: BytePairs;

  constructor(options: BytePairTokenizerOptions) {
    super(options, spec);
    this.tokenizer = new BytePairs(this.options);
  }
  compute(inputs: HostTree): Tensor {
    const texts = tokensOf(oneHostValue(inputs, this), this, "string") as readonly string[];
    const { data, length } = paddedRows(
      texts.map((t) => this.tokenizer.encode(t)),
      this.options.sequenceLength,
    );
    return tensorFrom(data, [texts.length, length], "i32");
  }
  infer(inputs: Tree<Open>): Open {
    const { shape } = oneOpen(inputs, this);
    return { shape: [shape[0] ?? null, this.options.sequenceLength], dtype: "i32", maskShape: null };
  }
}
/** Byte pairs in a model: from files or a trained `text.BytePairs`, which has `vocabulary` and `merges`. */
export const bytePairTokenizer = (
  pairs: { readonly vocabulary: Ids; readonly merges: readonly string[] },
  options: Omit<BytePairTokenizerOptions, "vocabulary" | "merges"> = {},
): BytePairTokenizer => new BytePairTokenizer({ ...options, vocabulary: pairs.vocabulary, merges: pairs.merges });
