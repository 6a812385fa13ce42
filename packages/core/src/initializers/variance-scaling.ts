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
type FanInitializerOptions = OptionsOf<NamedSpec>;
const named = (className: string): NamedSpec => defineSpec("keras.initializers", className, fanFields);

const glorotUniformSpec = named("GlorotUniform");
/** Uniform, variance 2 / (fanIn + fanOut) (Glorot and Bengio 2010). */
export class GlorotUniform extends Scaled<NamedSpec> {
  static readonly spec = glorotUniformSpec;
  constructor(options: FanInitializerOptions = {}) {
    super(glorotUniformSpec, options);
  }
  values(shape: Shape): Float32Array {
    return this.scaled(shape, 1, "fanAvg", "uniform");
  }
}

const glorotNormalSpec = named("GlorotNormal");
/** Truncated normal, variance 2 / (fanIn + fanOut) (Glorot and Bengio 2010). */
export class GlorotNormal extends Scaled<NamedSpec> {
  static readonly spec = glorotNormalSpec;
  constructor(options: FanInitializerOptions = {}) {
    super(glorotNormalSpec, options);
  }
  values(shape: Shape): Float32Array {
    return this.scaled(shape, 1, "fanAvg", "truncatedNormal");
  }
}

const heUniformSpec = named("HeUniform");
/** Uniform, variance 2 / fanIn (He et al. 2015). */
export class HeUniform extends Scaled<NamedSpec> {
  static readonly spec = heUniformSpec;
  constructor(options: FanInitializerOptions = {}) {
    super(heUniformSpec, options);
  }
  values(shape: Shape): Float32Array {
    return this.scaled(shape, 2, "fanIn", "uniform");
  }
}

const heNormalSpec = named("HeNormal");
/** Truncated normal, variance 2 / fanIn (He et al. 2015). */
export class HeNormal extends Scaled<NamedSpec> {
  static readonly spec = heNormalSpec;
  constructor(options: FanInitializerOptions = {}) {
    super(heNormalSpec, options);
  }
  values(shape: Shape): Float32Array {
    return this.scaled(shape, 2, "fanIn", "truncatedNormal");
  }
}

const lecunUniformSpec = named("LecunUniform");
/** Uniform, variance 1 / fanIn (LeCun et al. 1998). */
export class LecunUniform extends Scaled<NamedSpec> {
  static readonly spec = lecunUniformSpec;
  constructor(options: FanInitializerOptions = {}) {
    super(lecunUniformSpec, options);
  }
  values(shape: Shape): Float32Array {
    return this.scaled(shape, 1, "fanIn", "uniform");
  }
}

const lecunNormalSpec = named("LecunNormal");
/** Truncated normal, variance 1 / fanIn (LeCun et al. 1998; for selu). */
export class LecunNormal extends Scaled<NamedSpec> {
  static readonly spec = lecunNormalSpec;
  constructor(options: FanInitializerOptions = {}) {
    super(lecunNormalSpec, options);
  }
  values(shape: Shape): Float32Array {
    return this.scaled(shape, 1, "fanIn", "truncatedNormal");
  }
}
