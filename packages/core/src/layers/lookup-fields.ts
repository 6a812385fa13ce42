/** Options and helpers that layers with a vocabulary or with hashes share. */
import { bool, either, Field, int, json, list, number, oneOf, type Spec, string } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import { StringTensor } from "../tensor/string-tensor.ts";
import type { Token } from "../text/lookup-table.ts";
import type { HostTree, HostValue } from "./arguments.ts";
import { isHostValue } from "./arguments.ts";
import type { HostLayer } from "./host-layer.ts";
import type { Open } from "./infer.ts";

export const noSparse = bool()
  .default(false)
  .check((x) => !x, "false: sparse tensors are not supported")
  .doc("kept for Keras configs");

const saltPair = list(int({ min: 0 }), 2);
/** One key or two for SipHash; one stands for both. */
export const saltField = new Field<number | readonly number[], readonly [number, number], false>({
  expected: "an integer ≥ 0, or two",
  read: (x, where) => {
    const pair = saltPair.parts.read(Array.isArray(x) ? x : [x, x], where);
    return pair && ([pair[0], pair[1]] as const);
  },
  write: (x) => [...x],
}).nullable();

/** Options of a vocabulary of strings (T) or integers. */
export const vocabularyFields = {
  maxTokens: int({ min: 1 }).nullable().doc("largest size of the vocabulary, special tokens included"),
  padToMaxTokens: bool().default(false).doc("whether encoded rows are maxTokens wide whatever the vocabulary"),
  idfWeights: list(number()).nullable().doc("inverse document frequencies of a given vocabulary, for tf-idf"),
  sparse: noSparse,
  /** In Keras' configs only. */
  vocabularySize: json().nullable().transient(),
};
export const lookupFields = {
  ...vocabularyFields,
  numOovIndices: int({ min: 0 }).default(1).doc("indices for tokens outside the vocabulary; 0 makes them an error"),
  invert: bool().default(false).doc("from indices to tokens"),
  oovMethod: oneOf("floormod", "farmhash").default("floormod").doc("how several such indices share integers"),
  salt: saltField.doc("key of the hash that spreads tokens over several indices"),
};
export const encoding = string()
  .default("utf-8")
  .check((x) => x.toLowerCase().replace("-", "") === "utf8", '"utf-8"')
  .doc("kept for Keras configs");
export const textOrInteger = either(string(), int());
export const allModes = oneOf("int", "oneHot", "multiHot", "count", "tfIdf").default("int");

/** The one input of a host layer. */
export function oneHostValue(inputs: HostTree, layer: HostLayer<Spec>): HostValue {
  if (isHostValue(inputs)) return inputs;
  throw new LayerwiseError(`${layer.describe()} takes one input`, {
    code: "E103",
    layer: layer.name,
    received: "a tree of values",
    expected: "one array",
  });
}

/** Elements as tokens: strings, or integers of a tensor. */
export function tokensOf(
  x: HostValue,
  layer: HostLayer<Spec>,
  wanted: "string" | "integer" | "both",
): ArrayLike<Token> {
  const got = x instanceof StringTensor ? "strings" : x.dtype;
  if (x instanceof StringTensor ? wanted !== "integer" : wanted !== "string")
    return x instanceof StringTensor ? x.data : x.dataSync();
  throw new LayerwiseError(`${layer.describe()} got an input of another kind than it takes`, {
    code: "E104",
    layer: layer.name,
    received: got,
    expected: wanted === "string" ? "strings" : "integers",
  });
}

/** Rows of indices in one array, cut or padded to `length` (null: that of the longest). */
export function paddedRows(
  rows: readonly Int32Array[],
  wanted: number | null,
  padding = 0,
): { data: Int32Array; length: number } {
  const length = wanted ?? rows.reduce((n, r) => Math.max(n, r.length), 0);
  const data = new Int32Array(rows.length * length).fill(padding);
  rows.forEach((r, i) => {
    data.set(r.length > length ? r.subarray(0, length) : r, i * length);
  });
  return { data, length };
}

/** A layer's single open input. */
export function oneOpen(x: unknown, layer: HostLayer<Spec>): Open {
  if (x !== null && typeof x === "object" && "shape" in x && "dtype" in x) return x as Open;
  throw new LayerwiseError(`${layer.describe()} takes one input`, {
    code: "E103",
    layer: layer.name,
    received: "a tree of values",
    expected: "one array",
  });
}
