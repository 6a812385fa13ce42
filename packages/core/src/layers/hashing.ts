/** Hashing and HashedCrossing: categories as bins of a hash, without a vocabulary. */
import { defineSpec, either, int, type OptionsOf, oneOf, string } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import { StringTensor } from "../tensor/string-tensor.ts";
import { type Tensor, tensorFrom } from "../tensor/tensor.ts";
import type { Tree } from "../tensor/tree.ts";
import { fingerprint64, joinFingerprints, remembered, sipHash64, toBin } from "../text/hash.ts";
import type { Token } from "../text/lookup-table.ts";
import { type HostTree, isHostValue } from "./arguments.ts";
import { HostEncodingLayer } from "./host-encoding.ts";
import type { Open } from "./infer.ts";
import { layerFields } from "./layer.ts";
import { noSparse, oneHostValue, oneOpen, saltField, tokensOf } from "./lookup-fields.ts";

const hashingSpec = defineSpec("keras.layers", "Hashing", {
  ...layerFields,
  numBins: int({ min: 1 }).doc("number of bins"),
  maskValue: either(string(), int()).nullable().doc("value that gets bin 0, which no other value gets then"),
  salt: saltField.doc("key of SipHash; without one, FarmHash's Fingerprint64"),
  outputMode: oneOf("int", "oneHot", "multiHot", "count").default("int").doc("bins, or their encoding"),
  sparse: noSparse,
});
export type HashingOptions = OptionsOf<typeof hashingSpec>;

/** Strings or integers [N, …] → bins i32 [N, …], or their encoding f32; runs on the host. The bits are TensorFlow's. */
export class Hashing extends HostEncodingLayer<typeof hashingSpec> {
  static readonly spec = hashingSpec;
  private readonly binOf: (value: Token) => number;

  constructor(options: HashingOptions) {
    super(options, hashingSpec, ({ options: o }: Hashing) => ({ mode: o.outputMode, depth: () => o.numBins }));
    const { numBins, maskValue, salt } = this.options;
    const reserved = maskValue !== null && numBins > 1 ? 1 : 0;
    const key = salt && ([BigInt(salt[0]), BigInt(salt[1])] as const);
    this.binOf = remembered((value) => {
      if (reserved && value === maskValue) return 0;
      const text = typeof value === "number" ? String(Math.trunc(value)) : value;
      return reserved + toBin(key ? sipHash64(text, key) : fingerprint64(text), numBins - reserved);
    });
  }
  compute(inputs: HostTree): Tensor {
    const x = oneHostValue(inputs, this);
    return tensorFrom(Int32Array.from(Array.from(tokensOf(x, this, "both")), this.binOf), x.shape, "i32");
  }
  infer(inputs: Tree<Open>): Open {
    return { shape: oneOpen(inputs, this).shape, dtype: "i32", maskShape: null };
  }
}
export const hashing = (numBins: number, options: Omit<HashingOptions, "numBins"> = {}): Hashing =>
  new Hashing({ ...options, numBins });

const crossingSpec = defineSpec("keras.layers", "HashedCrossing", {
  ...layerFields,
  numBins: int({ min: 1 }).doc("number of bins"),
  outputMode: oneOf("int", "oneHot").default("int").doc("bins, or one-hot rows"),
  sparse: noSparse,
});
export type HashedCrossingOptions = OptionsOf<typeof crossingSpec>;

/** TensorFlow's key of crossed features. */
const crossKey = 0xdecafcaffen;

/** Several features [N] or [N, 1], strings or integers → one bin for each combination; runs on the host. */
export class HashedCrossing extends HostEncodingLayer<typeof crossingSpec> {
  static readonly spec = crossingSpec;

  constructor(options: HashedCrossingOptions) {
    super(options, crossingSpec, ({ options: o }: HashedCrossing) => ({
      mode: o.outputMode,
      depth: () => o.numBins,
    }));
  }
  compute(inputs: HostTree): Tensor {
    const { numBins } = this.options;
    const features = Array.isArray(inputs) ? inputs.filter(isHostValue) : [];
    const shapes = features.map((f) => f.shape);
    this.check(shapes);
    const columns = features.map((f) => {
      const hash =
        f instanceof StringTensor
          ? (v: Token) => fingerprint64(v as string)
          : (v: Token) => BigInt.asUintN(64, BigInt(v));
      return Array.from(tokensOf(f, this, "both"), hash);
    });
    const bins = Int32Array.from({ length: features[0].size }, (_, i) =>
      toBin(
        columns.reduce((joined, column) => joinFingerprints(joined, column[i]), crossKey),
        numBins,
      ),
    );
    return tensorFrom(bins, shapes[0], "i32");
  }
  infer(inputs: Tree<Open>): Open {
    const features = Array.isArray(inputs) ? (inputs as readonly Open[]) : [];
    this.check(features.map((f) => f.shape));
    return { shape: features[0].shape, dtype: "i32", maskShape: null };
  }
  private check(shapes: readonly (readonly (number | null)[])[]): void {
    const fits = (s: readonly (number | null)[]) =>
      (s.length < 2 || (s.length === 2 && s[1] === 1)) && String(s) === String(shapes[0]);
    if (shapes.length >= 2 && shapes.every(fits)) return;
    throw new LayerwiseError(`${this.describe()} crosses two or more features of the same shape`, {
      code: "E103",
      layer: this.name,
      received: shapes.map((s) => `[${s}]`).join(", ") || "one value",
      expected: "a list of features, each [N] or [N, 1]",
    });
  }
}
export const hashedCrossing = (numBins: number, options: Omit<HashedCrossingOptions, "numBins"> = {}): HashedCrossing =>
  new HashedCrossing({ ...options, numBins });
