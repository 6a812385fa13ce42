/** Discretization: numbers as bins between boundaries, given or learned as quantiles; in the program. */
import { defineSpec, int, type Json, list, number, type OptionsOf, oneOf } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import { type ArgumentTree, asTensors, isTensor, treeLeaves } from "./arguments.ts";
import { encodeCategories } from "./category-encoding.ts";
import { Layer, layerFields } from "./layer.ts";
import { noSparse } from "./lookup-fields.ts";

const spec = defineSpec("keras.layers", "Discretization", {
  ...layerFields,
  binBoundaries: list(number())
    .nullable()
    .doc("increasing boundaries; bin i holds boundaries[i-1] ≤ x < boundaries[i]"),
  numBins: int({ min: 1 }).nullable().doc("number of bins with equally many values, for adapt"),
  epsilon: number({ above: 0, below: 1 }).default(0.01).doc("error of the quantiles that adapt finds"),
  outputMode: oneOf("int", "oneHot", "multiHot", "count").default("int").doc("bins, or their encoding"),
  sparse: noSparse,
});
export type DiscretizationOptions = OptionsOf<typeof spec>;

/** Numbers [N, …] → i32 [N, …] from 0 to the number of boundaries, or their encoding. NaN is in the last bin. */
export class Discretization extends Layer<typeof spec> {
  static readonly spec = spec;
  override readonly castsIntegers = true;
  private boundaries: readonly number[] | null;

  constructor(options: DiscretizationOptions) {
    super(options, spec);
    const { binBoundaries, numBins } = this.options;
    if (binBoundaries === null && numBins === null) {
      throw new LayerwiseError("Discretization needs numBins or binBoundaries", {
        code: "E202",
        layer: this.name,
        received: "neither",
        expected: "{ binBoundaries: [0, 1, 2] }, or { numBins: 10 } and adapt",
      });
    }
    this.boundaries = binBoundaries;
  }
  get binBoundaries(): readonly number[] {
    if (this.boundaries !== null) return this.boundaries;
    throw new LayerwiseError(`${this.describe()} has no boundaries yet`, {
      code: "E403",
      layer: this.name,
      received: "numBins alone",
      expected: "boundaries",
      hint: "call adapt(data) first, or give binBoundaries",
    });
  }
  /** Boundaries that put equally many of the values in each bin, within `epsilon`. */
  adapt(data: ArgumentTree): void {
    const { numBins, epsilon } = this.options;
    if (numBins === null) {
      throw new LayerwiseError(`${this.describe()} was given its boundaries`, {
        code: "E202",
        layer: this.name,
        received: "adapt with binBoundaries",
        expected: "numBins alone",
      });
    }
    const values = treeLeaves(asTensors(data), isTensor).map((t) => Float32Array.from(t.dataSync()).sort());
    this.boundaries = quantileBoundaries(values, numBins, epsilon);
  }
  call(x: Tensor): Tensor {
    const { outputMode } = this.options;
    const { binBoundaries: edges } = this;
    const { compute } = this.dtypePolicy;
    const below = ops.less(ops.expandDims(x, -1), Tensor.of([...edges], "f32")); // [..., boundaries]
    const bins = edges.length === 0 ? ops.zerosLike(x, "i32") : ops.sum(ops.logicalNot(below).cast("i32"), -1);
    return outputMode === "int" ? bins : encodeCategories(bins, outputMode, edges.length + 1, compute);
  }
  override getConfig(): Record<string, Json> {
    return { ...super.getConfig(), bin_boundaries: this.boundaries && [...this.boundaries] };
  }
}
export const discretization = (options: DiscretizationOptions): Discretization => new Discretization(options);

/** Values with the number of data points each stands for. */
interface Summary {
  readonly values: Float32Array;
  readonly weights: Float32Array;
}

/** Boundaries from sorted batches: a summary of each of about 1/epsilon values, merged, then cut into `numBins`. */
function quantileBoundaries(batches: readonly Float32Array[], numBins: number, epsilon: number): number[] {
  let all: Summary = { values: new Float32Array(0), weights: new Float32Array(0) };
  for (const sorted of batches) {
    const step = Math.max(sorted.length * epsilon, 1);
    const values = sorted.filter(
      (_, i) => i >= Math.trunc(step - 1) && (i - Math.trunc(step - 1)) % Math.trunc(step) === 0,
    );
    const pairs = [
      ...Array.from(values, (v) => [v, step] as const),
      ...Array.from(all.values, (v, i) => [v, all.weights[i]] as const),
    ].sort((a, b) => a[0] - b[0]);
    const merged = { values: Float32Array.from(pairs, (p) => p[0]), weights: Float32Array.from(pairs, (p) => p[1]) };
    all = compress(merged, epsilon);
  }
  return [...compress(all, 1 / numBins).values.slice(0, -1)];
}

/** The same distribution in about 1/epsilon values, by interpolating its cumulative weights. */
function compress({ values, weights }: Summary, epsilon: number): Summary {
  if (values.length * epsilon < 1) return { values, weights };
  let sum = 0;
  const cumulative = Array.from(weights, (w) => (sum += w));
  const shares = cumulative.map((c) => c / sum);
  const wanted = Array.from({ length: Math.ceil(1 / epsilon - 1e-9) }, (_, i) => epsilon + i * epsilon);
  const totals = wanted.map((p) => interpolate(p, shares, cumulative));
  return {
    values: Float32Array.from(wanted, (p) => interpolate(p, shares, values)),
    weights: Float32Array.from(totals, (t, i) => t - (i === 0 ? 0 : totals[i - 1])),
  };
}

function interpolate(x: number, xs: ArrayLike<number>, ys: ArrayLike<number>): number {
  let i = 0;
  while (i < xs.length && xs[i] < x) i++;
  if (i === 0) return ys[0];
  if (i === xs.length) return ys[i - 1];
  const t = (x - xs[i - 1]) / (xs[i] - xs[i - 1]);
  return ys[i - 1] + t * (ys[i] - ys[i - 1]);
}
