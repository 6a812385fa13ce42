/** Characters as tokens: every code point of a text has an index. */
import { LayerwiseError } from "../errors.ts";
import { unknownId } from "./byte-pairs.ts";
import { compareTokens } from "./lookup-table.ts";

export class Characters {
  /** Characters by index, in the order of code points. */
  readonly vocabulary: readonly string[];
  private readonly indices: ReadonlyMap<string, number>;

  constructor(vocabulary: Iterable<string>) {
    this.vocabulary = [...vocabulary];
    this.indices = new Map(this.vocabulary.map((c, i) => [c, i]));
    if (this.vocabulary.length === 0 || this.indices.size < this.vocabulary.length) {
      throw new LayerwiseError("a vocabulary of characters cannot be made of this", {
        code: "E404",
        received: this.vocabulary.length === 0 ? "no characters" : "a character twice",
        expected: "distinct characters",
      });
    }
  }
  /** The distinct characters of a text. */
  static of(text: string): Characters {
    return new Characters([...new Set(text)].sort(compareTokens));
  }
  get vocabularySize(): number {
    return this.vocabulary.length;
  }
  /** Indices of a text; a character that is not in the vocabulary is an error with its place. */
  encode(text: string): Int32Array {
    const out = new Int32Array(text.length);
    let n = 0;
    for (const c of text) {
      const index = this.indices.get(c);
      if (index === undefined) {
        throw new LayerwiseError("a character is not in the vocabulary", {
          code: "E406",
          received: `${JSON.stringify(c)} at character ${n}`,
          expected: `one of ${this.vocabulary.length} characters`,
          hint: "Characters.of(text) takes the characters of a text; leave others out of it",
        });
      }
      out[n++] = index;
    }
    return out.slice(0, n);
  }
  decode(ids: ArrayLike<number>): string {
    return this.decoder()(ids);
  }
  /** Decodes piece by piece, like that of byte pairs. */
  decoder(): (ids: ArrayLike<number>, last?: boolean) => string {
    return (ids) =>
      Array.from(ids, (id) => {
        const c = this.vocabulary[id];
        if (c === undefined) throw unknownId(id, this.vocabulary.length);
        return c;
      }).join("");
  }
}
