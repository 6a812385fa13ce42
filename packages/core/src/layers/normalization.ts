/** Normalization: (x - mean) / standard deviation per feature, with statistics given or learned from data. */
import { axes, bool, defineSpec, Field, type Json, type OptionsOf, show } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import * as ops from "../tensor/ops/index.ts";
import { type NestedNumbers, Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { type ArgumentTree, asTensors, isTensor, oneShape, type ShapeTree, treeLeaves } from "./arguments.ts";
import { Layer, layerFields } from "./layer.ts";

/** Numbers in nested lists; null stays null, also where Keras writes "None" as null. */
const nested = new Field<NestedNumbers, NestedNumbers, false>({
  expected: "a number or nested lists of numbers",
  read: (x) => {
    const ok = (y: unknown): boolean => typeof y === "number" || (Array.isArray(y) && y.every(ok));
    return ok(x) ? (x as NestedNumbers) : undefined;
  },
  write: (x) => x as Json,
}).nullable();

const spec = defineSpec("keras.layers", "Normalization", {
  ...layerFields,
  axis: axes().default(-1).nullable().doc("axes that keep statistics of their own; null: one mean for everything"),
  mean: nested.doc("the mean, instead of adapt"),
  variance: nested.doc("the variance, instead of adapt"),
  invert: bool().default(false).doc("back from normalised values"),
});
export type NormalizationOptions = OptionsOf<typeof spec>;

const epsilon = 1e-7;

/** x [N, …] → (x - mean) / max(√variance, 1e-7), or the inverse. Call `adapt(data)` first, unless both are given. */
export class Normalization extends Layer<typeof spec> {
  static readonly spec = spec;
  override readonly masking = "pass";
  override readonly castsIntegers = true;
  private kept: readonly number[] = [];
  /** Learned statistics; null when given. */
  adaptedMean: Variable | null = null;
  adaptedVariance: Variable | null = null;

  constructor(options: NormalizationOptions = {}) {
    super(options, spec);
    const { mean, variance } = this.options;
    if ((mean === null) === (variance === null)) return;
    throw new LayerwiseError("Normalization takes mean and variance together", {
      code: "E202",
      layer: this.name,
      received: `mean ${show(mean)}, variance ${show(variance)}`,
      expected: "both, or neither and adapt",
    });
  }
  override build(inputShape: ShapeTree): void {
    const shape = oneShape(inputShape, this.describe());
    const { axis, mean } = this.options;
    const list = axis === null ? [] : typeof axis === "number" ? [axis] : axis;
    this.kept = list.map((a) => (a < 0 ? shape.length + a : a)).sort((a, b) => a - b);
    const sizes = this.kept.map((a) => shape[a]);
    const unknown = sizes.findIndex((s) => typeof s !== "number");
    if (unknown >= 0) {
      throw new LayerwiseError(`${this.describe()} keeps statistics along an axis whose size is not known`, {
        code: "E103",
        layer: this.name,
        received: `axis ${list[unknown]} of [${shape.map(String).join(", ")}]`,
        expected: "axes with a known size",
      });
    }
    if (mean !== null) return;
    const weight = (name: string, initializer: "zeros" | "ones") =>
      this.addWeight({ name, shape: sizes as number[], initializer, trainable: false });
    this.adaptedMean = weight("mean", "zeros");
    this.adaptedVariance = weight("variance", "ones");
    // Keras keeps a number of samples for old files, and never counts it up.
    this.addWeight({ name: "count", shape: [], dtype: "i32", trainable: false });
  }
  /** Mean and variance of data [N, …] (or of a list of batches) along all axes but the kept ones. */
  adapt(data: ArgumentTree): void {
    const batches = treeLeaves(asTensors(data), isTensor);
    const rank = batches[0]?.ndim ?? 0;
    if (rank === 0 || batches.every((b) => b.size === 0)) {
      throw new LayerwiseError(`${this.describe()} cannot adapt to this`, {
        code: "E301",
        layer: this.name,
        received: batches.length === 0 ? "no data" : `${batches[0].dtype} [${batches[0].shape}]`,
        expected: "at least one row",
      });
    }
    if (this.options.mean !== null) {
      throw new LayerwiseError(`${this.describe()} was given its mean and variance`, {
        code: "E202",
        layer: this.name,
        received: "adapt with a given mean",
        expected: "neither option, for adapt",
      });
    }
    this.buildFor([null, ...batches[0].shape.slice(1)]);
    const { mean, variance } = moments(batches, this.kept);
    this.adaptedMean!.overwrite(mean);
    this.adaptedVariance!.overwrite(variance);
  }
  call(x: Tensor): Tensor {
    const { mean, variance, invert } = this.options;
    const m = this.spread(this.adaptedMean ? this.adaptedMean.read() : Tensor.of(mean!, "f32"), x.ndim);
    const v = this.spread(this.adaptedVariance ? this.adaptedVariance.read() : Tensor.of(variance!, "f32"), x.ndim);
    const deviation = ops.maximum(ops.sqrt(v), epsilon);
    return invert ? m.add(x.mul(this.toCompute(deviation))) : x.sub(m).div(this.toCompute(deviation));
  }
  /** Statistics of the kept axes (or of the last of them) in a shape that broadcasts to the input. */
  private spread(s: Tensor, rank: number): Tensor {
    const shape = new Array<number>(rank).fill(1);
    const own = s.shape;
    for (let i = 1; i <= own.length; i++) shape[this.kept[this.kept.length - i]] = own[own.length - i];
    return this.toCompute(s.reshape(shape));
  }
}

/** Mean and variance in float64, in one pass over shifted values. */
function moments(batches: readonly Tensor[], kept: readonly number[]): { mean: Float32Array; variance: Float32Array } {
  const size = kept.reduce((n, a) => n * batches[0].shape[a], 1);
  const sums = new Float64Array(size);
  const squares = new Float64Array(size);
  const counts = new Float64Array(size);
  const shift = new Float64Array(size).fill(Number.NaN);
  for (const batch of batches) {
    const data = batch.dataSync();
    const { shape } = batch;
    const strides = shape.map((_, a) => shape.slice(a + 1).reduce((n, d) => n * d, 1));
    let inner = 1;
    const parts = [...kept].reverse().map((a) => {
      const part = { stride: strides[a], size: shape[a], scale: inner };
      inner *= shape[a];
      return part;
    });
    for (let i = 0; i < data.length; i++) {
      let k = 0;
      for (const p of parts) k += (Math.floor(i / p.stride) % p.size) * p.scale;
      if (counts[k] === 0) shift[k] = data[i];
      const d = data[i] - shift[k];
      counts[k]++;
      sums[k] += d;
      squares[k] += d * d;
    }
  }
  return {
    mean: Float32Array.from(sums, (s, k) => shift[k] + s / counts[k]),
    variance: Float32Array.from(squares, (q, k) => Math.max(0, q / counts[k] - (sums[k] / counts[k]) ** 2)),
  };
}

/** Normalises features: `normalization()`, then `adapt(x)`. */
export const normalization = (options: NormalizationOptions = {}): Normalization => new Normalization(options);
