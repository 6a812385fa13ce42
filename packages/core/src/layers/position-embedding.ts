/** Position embeddings: learned, sinusoidal, and rotary. Names and options are those of KerasHub. */
import { defineSpec, int, number, type OptionsOf } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import * as g from "../graph/ops/index.ts";
import { type Initializer, type InitializerName, initializerField } from "../initializers/index.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { oneShape, type ShapeTree } from "./arguments.ts";
import { knownSize } from "./input-spec.ts";
import { type CallContext, Layer, layerFields } from "./layer.ts";
import { currentScope } from "./scope.ts";

/** The call option `startIndex` (a number or an i32 tensor []): the position of the first step; 0 by default. */
function startIndex(context: CallContext): Tensor | number {
  const start = context["startIndex"] as Tensor | number | undefined;
  return start ?? 0;
}

const learnedSpec = defineSpec("keras_hub.layers", "PositionEmbedding", {
  ...layerFields,
  sequenceLength: int({ min: 1 }).doc("largest number of positions"),
  initializer: initializerField().default("glorotUniform").doc("how the vectors start"),
});
/**
 * A trained vector for each position: [N, T, D] → [N, T, D], which depends on the input's shape only; add it to the input.
 * Call option `startIndex`: the position of the first step.
 */
export class PositionEmbedding extends Layer<typeof learnedSpec> {
  static readonly spec = learnedSpec;
  override readonly masking = "pass";
  override get timewise(): boolean {
    return true;
  }
  positionEmbeddings!: Variable;

  constructor(options: OptionsOf<typeof learnedSpec>) {
    super(options, learnedSpec);
    this.inputSpec = { minNdim: 2 };
  }
  override build(inputShape: ShapeTree): void {
    const features = knownSize(oneShape(inputShape, this.name), -1, this, "features");
    const { sequenceLength, initializer } = this.options;
    this.positionEmbeddings = this.addWeight({
      name: "embeddings",
      shape: [sequenceLength, features],
      initializer: initializer as Initializer | InitializerName,
    });
  }
  call(x: Tensor, context: CallContext): Tensor {
    const [t, d] = x.shape.slice(-2);
    const start = startIndex(context);
    const { sequenceLength } = this.options;
    if (t > sequenceLength && currentScope()?.probing) return ops.zerosLike(x);
    if (t + (typeof start === "number" ? start : 0) > sequenceLength) {
      throw new LayerwiseError(`${this.describe()} has too few positions`, {
        code: "E103",
        layer: this.name,
        received: `${t} steps${typeof start === "number" && start > 0 ? ` from position ${start}` : ""}`,
        expected: `at most ${sequenceLength} positions`,
        hint: "a larger sequenceLength, or shorter sequences",
      });
    }
    const table = this.read(this.positionEmbeddings);
    const rows =
      typeof start === "number"
        ? ops.slice(table, [start, 0], [t, d])
        : new Tensor(g.dynamicSlice(table.value, [start.value, g.scalar(0, "i32")], [t, d]));
    return ops.broadcastTo(rows, x.shape);
  }
}
export const positionEmbedding = (
  sequenceLength: number,
  options: Omit<OptionsOf<typeof learnedSpec>, "sequenceLength"> = {},
): PositionEmbedding => new PositionEmbedding({ ...options, sequenceLength });

/** Positions start … start + t - 1 as f32 [T, 1]. */
function positions(t: number, start: Tensor | number): Tensor {
  const steps = new Tensor(g.iota([t, 1], 0, "f32"));
  return steps.add(typeof start === "number" ? start : ops.cast(start, "f32"));
}

const sineSpec = defineSpec("keras_hub.layers", "SinePositionEncoding", {
  ...layerFields,
  maxWavelength: number({ above: 0 }).default(10000).doc("wavelength of the slowest wave over 2π"),
});
/**
 * Sines in the even features, cosines in the odd ones, with wavelengths from 2π to 2π · maxWavelength (Vaswani et al. 2017):
 * [N, T, D] → [N, T, D], which depends on the input's shape only; add it to the input. Call option `startIndex`.
 */
export class SinePositionEncoding extends Layer<typeof sineSpec> {
  static readonly spec = sineSpec;
  override readonly masking = "pass";
  override get timewise(): boolean {
    return true;
  }
  constructor(options: OptionsOf<typeof sineSpec> = {}) {
    super(options, sineSpec);
    this.inputSpec = { minNdim: 2 };
  }
  call(x: Tensor, context: CallContext): Tensor {
    const [t, d] = x.shape.slice(-2);
    const rate = Float32Array.from(
      { length: d },
      (_, i) => this.options.maxWavelength ** (-(2 * Math.floor(i / 2)) / d),
    );
    const angle = positions(t, startIndex(context)).mul(constant(rate, [1, d])); // [T, D]
    const even = constant(
      Uint8Array.from({ length: d }, (_, i) => 1 - (i % 2)),
      [1, d],
    );
    const waves = ops.where(even, ops.sin(angle), ops.cos(angle));
    return ops.broadcastTo(ops.cast(waves, x.dtype), x.shape);
  }
}
export const sinePositionEncoding = (options: OptionsOf<typeof sineSpec> = {}): SinePositionEncoding =>
  new SinePositionEncoding(options);

const rotarySpec = defineSpec("keras_hub.layers", "RotaryEmbedding", {
  ...layerFields,
  maxWavelength: number({ above: 0 }).default(10000).doc("wavelength of the slowest wave over 2π"),
  scalingFactor: number({ above: 0 }).default(1).doc("positions are divided by this"),
  sequenceAxis: int().default(1).doc("axis of the positions"),
  featureAxis: int().default(-1).doc("axis of the features, of even size"),
});
/**
 * Turns the pairs of features (i, i + D/2) by angles that grow with the position (Su et al. 2021): queries and keys
 * [N, T, heads, D] → the same shape, so that their products depend on the distance of positions. Call option `startIndex`.
 */
export class RotaryEmbedding extends Layer<typeof rotarySpec> {
  static readonly spec = rotarySpec;
  override readonly masking = "pass";
  constructor(options: OptionsOf<typeof rotarySpec> = {}) {
    super(options, rotarySpec);
  }
  call(x: Tensor, context: CallContext): Tensor {
    const wrap = (axis: number) => (axis < 0 ? axis + x.ndim : axis);
    const { maxWavelength, scalingFactor } = this.options;
    const [sequence, feature] = [wrap(this.options.sequenceAxis), wrap(this.options.featureAxis)];
    const [t, d] = [x.shape[sequence], x.shape[feature]];
    if (d % 2 !== 0) {
      throw new LayerwiseError(`${this.describe()} turns pairs of features`, {
        code: "E103",
        layer: this.name,
        received: `${d} features`,
        expected: "an even number",
      });
    }
    const half = d / 2;
    const rate = Float32Array.from({ length: half }, (_, i) => maxWavelength ** (-(2 * i) / d) / scalingFactor);
    const angle = positions(t, startIndex(context)).mul(constant(rate, [1, half])); // [T, D/2]
    const place = x.shape.map((_, i) => (i === sequence ? t : i === feature ? half : 1));
    const spread = (y: Tensor) => ops.cast((sequence < feature ? y : ops.transpose(y)).reshape(place), x.dtype);
    const [cosine, sine] = [spread(ops.cos(angle)), spread(ops.sin(angle))];
    const a = ops.sliceAxis(x, feature, 0, half);
    const b = ops.sliceAxis(x, feature, half, d);
    return ops.concatenate([a.mul(cosine).sub(b.mul(sine)), b.mul(cosine).add(a.mul(sine))], feature);
  }
}
export const rotaryEmbedding = (options: OptionsOf<typeof rotarySpec> = {}): RotaryEmbedding =>
  new RotaryEmbedding(options);

const constant = (data: Float32Array | Uint8Array, shape: readonly number[]): Tensor =>
  new Tensor(g.constantValue(data, { shape, dtype: data instanceof Uint8Array ? "bool" : "f32" }));
