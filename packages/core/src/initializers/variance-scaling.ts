/** Variance scaling and its named forms: glorot, he and lecun, normal and uniform. */
import { axes, defineSpec, int, number, type OptionsOf, oneOf, type Spec } from "../config/index.ts";
import type { Shape } from "../graph/types.ts";
import { computeFans, Initializer } from "./initializer.ts";

/** Standard deviation of a unit normal cut at ±2. */
const truncatedDeviation = 0.87962566103423978;

type Mode = "fanIn" | "fanOut" | "fanAvg";
type Distribution = "truncatedNormal" | "untruncatedNormal" | "uniform";

const asList = (a: number | readonly number[] | null): readonly number[] | null => (typeof a === "number" ? [a] : a);

const fanFields = {
  seed: int().nullable().doc("makes the values depend on this number alone"),
  inputAxes: axes().nullable().doc("axes that count as inputs; by default the last but one"),
  outputAxes: axes().nullable().doc("axes that count as outputs; by default the last"),
};

interface FanOptions {
  readonly inputAxes: number | readonly number[] | null;
  readonly outputAxes: number | readonly number[] | null;
}

/** Values with variance scale / fan, whatever the distribution. */
abstract class Scaled<S extends Spec> extends Initializer<S> {
  protected scaled(shape: Shape, scale: number, mode: Mode, distribution: Distribution): Float32Array {
    const { inputAxes, outputAxes } = this.options as unknown as FanOptions;
    const [fanIn, fanOut] = computeFans(shape, asList(inputAxes), asList(outputAxes));
    const fan = mode === "fanIn" ? fanIn : mode === "fanOut" ? fanOut : (fanIn + fanOut) / 2;
    const variance = scale / Math.max(1, fan);
    const g = this.generator();
    if (distribution === "uniform") {
      const limit = Math.sqrt(3 * variance);
      return this.fill(shape, () => limit * (2 * g.uniform() - 1));
    }
    const deviation = Math.sqrt(variance);
    if (distribution === "untruncatedNormal") return this.fill(shape, () => deviation * g.normal());
    return this.fill(shape, () => (deviation / truncatedDeviation) * g.truncatedNormal());
  }
}

const varianceScalingSpec = defineSpec("keras.initializers", "VarianceScaling", {
  scale: number({ above: 0 }).default(1),
  mode: oneOf("fanIn", "fanOut", "fanAvg").default("fanIn"),
  distribution: oneOf("truncatedNormal", "untruncatedNormal", "uniform", "normal").default("truncatedNormal"),
  ...fanFields,
});
/** Variance scale / fan, where `mode` chooses the fan ("normal" is another name of "truncatedNormal"). */
export class VarianceScaling extends Scaled<typeof varianceScalingSpec> {
  static readonly spec = varianceScalingSpec;
  constructor(options: OptionsOf<typeof varianceScalingSpec> = {}) {
    super(varianceScalingSpec, options);
  }
  values(shape: Shape): Float32Array {
    const { scale, mode, distribution } = this.options;
    return this.scaled(shape, scale, mode, distribution === "normal" ? "truncatedNormal" : distribution);
  }
}

type NamedSpec = Spec<typeof fanFields>;

/** One of the six named forms. */
function named(className: string, scale: number, mode: Mode, distribution: Distribution) {
  const spec: NamedSpec = defineSpec("keras.initializers", className, fanFields);
  return class extends Scaled<NamedSpec> {
    static readonly spec = spec;
    constructor(options: OptionsOf<NamedSpec> = {}) {
      super(spec, options);
    }
    values(shape: Shape): Float32Array {
      return this.scaled(shape, scale, mode, distribution);
    }
  };
}

/** Uniform, variance 2 / (fanIn + fanOut) (Glorot and Bengio 2010). */
export class GlorotUniform extends named("GlorotUniform", 1, "fanAvg", "uniform") {}
/** Truncated normal, variance 2 / (fanIn + fanOut) (Glorot and Bengio 2010). */
export class GlorotNormal extends named("GlorotNormal", 1, "fanAvg", "truncatedNormal") {}
/** Uniform, variance 2 / fanIn (He et al. 2015). */
export class HeUniform extends named("HeUniform", 2, "fanIn", "uniform") {}
/** Truncated normal, variance 2 / fanIn (He et al. 2015). */
export class HeNormal extends named("HeNormal", 2, "fanIn", "truncatedNormal") {}
/** Uniform, variance 1 / fanIn (LeCun et al. 1998). */
export class LecunUniform extends named("LecunUniform", 1, "fanIn", "uniform") {}
/** Truncated normal, variance 1 / fanIn (LeCun et al. 1998; for selu). */
export class LecunNormal extends named("LecunNormal", 1, "fanIn", "truncatedNormal") {}
