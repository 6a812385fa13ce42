/** Dropout and its relatives: random layers that act only in training. */
import { defineSpec, Field, int, type Json, number, type OptionsOf } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import { dataFormatField } from "./fields.ts";
import { type CallContext, Layer, layerFields } from "./layer.ts";
import { bernoulli, normal } from "./random.ts";

const seed = int().nullable().doc("makes the random numbers depend on this number and the step alone");
const rate = number({ min: 0, max: 1 }).doc("share that is dropped");

type NoiseShape = readonly (number | null)[];
const noiseShape = new Field<NoiseShape | null, NoiseShape | null, true>({
  expected: "a shape whose axes of size 1 share one decision (null: as the input)",
  read: (x) =>
    x === null
      ? null
      : Array.isArray(x) && x.every((d) => d === null || Number.isInteger(d))
        ? (x as NoiseShape)
        : undefined,
  write: (x): Json => (x === null ? null : [...x]),
  fallback: null,
});

const dropoutSpec = defineSpec("keras.layers", "Dropout", { ...layerFields, rate, seed, noiseShape });

/** In training, sets a share `rate` of the elements to 0 and scales the others by 1 / (1 - rate); [N, …] → the same shape. */
export class Dropout extends Layer<typeof dropoutSpec> {
  static readonly spec = dropoutSpec;
  override readonly masking = "pass";
  override get timewise(): boolean {
    return true;
  }
  constructor(options: OptionsOf<typeof dropoutSpec>) {
    super(options, dropoutSpec);
  }
  call(x: Tensor, { training }: CallContext): Tensor {
    const { rate, seed, noiseShape } = this.options;
    if (!training || rate === 0) return x;
    const shape = (noiseShape ?? x.shape).map((d, i) => d ?? x.shape[i]);
    return dropped(this, x, shape, rate, seed);
  }
}
export const dropout = (rate: number, options: Omit<OptionsOf<typeof dropoutSpec>, "rate"> = {}): Dropout =>
  new Dropout({ ...options, rate });

/** `x` with a share of its elements, decided per element of `shape`, set to 0. */
export function dropped(
  layer: Pick<Layer, "name" | "describe">,
  x: Tensor,
  shape: readonly number[],
  rate: number,
  seed: number | null,
): Tensor {
  if (shape.length !== x.ndim || shape.some((d, i) => d !== 1 && d !== x.shape[i])) {
    throw new LayerwiseError(`the noise shape of ${layer.describe()} does not fit`, {
      code: "E103",
      layer: layer.name,
      received: `[${shape}] for an input [${x.shape}]`,
      expected: "1 or the input's size in each axis",
    });
  }
  if (rate === 1) return ops.zerosLike(x);
  const keep = bernoulli(shape, 1 - rate, seed);
  return ops.where(keep, x.mul(1 / (1 - rate)), Tensor.of(0, x.dtype));
}

const spatialSpec = (rank: number) =>
  defineSpec("keras.layers", `SpatialDropout${rank}D`, { ...layerFields, rate, seed, dataFormat: dataFormatField });
type SpatialSpec = ReturnType<typeof spatialSpec>;
export type SpatialDropoutOptions = OptionsOf<SpatialSpec>;

/** Drops whole channels. */
abstract class SpatialDropout extends Layer<SpatialSpec> {
  override readonly masking = "pass";
  override get timewise(): boolean {
    return true;
  }
  constructor(options: SpatialDropoutOptions, spec: SpatialSpec, rank: number) {
    super(options, spec);
    this.inputSpec = { ndim: rank + 2 };
  }
  call(x: Tensor, { training }: CallContext): Tensor {
    const { rate, seed, dataFormat } = this.options;
    if (!training || rate === 0) return x;
    const [n, ...rest] = x.shape;
    const shape =
      dataFormat === "channelsFirst"
        ? [n, rest[0], ...rest.slice(1).map(() => 1)]
        : [n, ...rest.slice(1).map(() => 1), rest[rest.length - 1]];
    return dropped(this, x, shape, rate, seed);
  }
}
const spatialDropout1dSpec = spatialSpec(1);
/** Dropout of whole channels over 1 spatial dimension. */
export class SpatialDropout1D extends SpatialDropout {
  static readonly spec = spatialDropout1dSpec;
  constructor(options: SpatialDropoutOptions) {
    super(options, spatialDropout1dSpec, 1);
  }
}
export const spatialDropout1d = (rate: number, options: Omit<SpatialDropoutOptions, "rate"> = {}): SpatialDropout1D =>
  new SpatialDropout1D({ ...options, rate });

const spatialDropout2dSpec = spatialSpec(2);
/** Dropout of whole channels over 2 spatial dimensions. */
export class SpatialDropout2D extends SpatialDropout {
  static readonly spec = spatialDropout2dSpec;
  constructor(options: SpatialDropoutOptions) {
    super(options, spatialDropout2dSpec, 2);
  }
}
export const spatialDropout2d = (rate: number, options: Omit<SpatialDropoutOptions, "rate"> = {}): SpatialDropout2D =>
  new SpatialDropout2D({ ...options, rate });

const spatialDropout3dSpec = spatialSpec(3);
/** Dropout of whole channels over 3 spatial dimensions. */
export class SpatialDropout3D extends SpatialDropout {
  static readonly spec = spatialDropout3dSpec;
  constructor(options: SpatialDropoutOptions) {
    super(options, spatialDropout3dSpec, 3);
  }
}
export const spatialDropout3d = (rate: number, options: Omit<SpatialDropoutOptions, "rate"> = {}): SpatialDropout3D =>
  new SpatialDropout3D({ ...options, rate });

const noiseSpec = defineSpec("keras.layers", "GaussianNoise", {
  ...layerFields,
  stddev: number({ min: 0 }).doc("standard deviation of the noise"),
  seed,
});
/** In training, adds normal noise of mean 0. */
export class GaussianNoise extends Layer<typeof noiseSpec> {
  static readonly spec = noiseSpec;
  override readonly masking = "pass";
  override get timewise(): boolean {
    return true;
  }
  constructor(options: OptionsOf<typeof noiseSpec>) {
    super(options, noiseSpec);
  }
  call(x: Tensor, { training }: CallContext): Tensor {
    const { stddev, seed } = this.options;
    return training && stddev > 0 ? x.add(normal(x.shape, 0, stddev, x.dtype, seed)) : x;
  }
}
export const gaussianNoise = (
  stddev: number,
  options: Omit<OptionsOf<typeof noiseSpec>, "stddev"> = {},
): GaussianNoise => new GaussianNoise({ ...options, stddev });

const gaussianSpec = defineSpec("keras.layers", "GaussianDropout", {
  ...layerFields,
  rate: number({ min: 0, below: 1 }).doc("as of dropout"),
  seed,
});
/** In training, multiplies by normal noise of mean 1 and variance rate / (1 - rate). */
export class GaussianDropout extends Layer<typeof gaussianSpec> {
  static readonly spec = gaussianSpec;
  override readonly masking = "pass";
  override get timewise(): boolean {
    return true;
  }
  constructor(options: OptionsOf<typeof gaussianSpec>) {
    super(options, gaussianSpec);
  }
  call(x: Tensor, { training }: CallContext): Tensor {
    const { rate, seed } = this.options;
    return training && rate > 0 ? x.mul(normal(x.shape, 1, Math.sqrt(rate / (1 - rate)), x.dtype, seed)) : x;
  }
}
export const gaussianDropout = (
  rate: number,
  options: Omit<OptionsOf<typeof gaussianSpec>, "rate"> = {},
): GaussianDropout => new GaussianDropout({ ...options, rate });

const alphaSpec = defineSpec("keras.layers", "AlphaDropout", {
  ...layerFields,
  rate: number({ min: 0, below: 1 }).doc("share that is dropped"),
  seed,
  noiseShape,
});
/** In training, drops to selu's negative limit and keeps mean and variance (Klambauer et al. 2017). */
export class AlphaDropout extends Layer<typeof alphaSpec> {
  static readonly spec = alphaSpec;
  override readonly masking = "pass";
  override get timewise(): boolean {
    return true;
  }
  constructor(options: OptionsOf<typeof alphaSpec>) {
    super(options, alphaSpec);
  }
  call(x: Tensor, { training }: CallContext): Tensor {
    const { rate, seed, noiseShape } = this.options;
    if (!training || rate === 0) return x;
    const limit = -1.6732632423543772 * 1.0507009873554805;
    const a = ((1 - rate) * (1 + rate * limit ** 2)) ** -0.5;
    const b = -a * limit * rate;
    const shape = (noiseShape ?? x.shape).map((d, i) => d ?? x.shape[i]);
    const keep = bernoulli(shape, 1 - rate, seed);
    return ops.where(keep, x, Tensor.of(limit, x.dtype)).mul(a).add(b);
  }
}
export const alphaDropout = (rate: number, options: Omit<OptionsOf<typeof alphaSpec>, "rate"> = {}): AlphaDropout =>
  new AlphaDropout({ ...options, rate });
