/** Initializers of one distribution: randomUniform, randomNormal, truncatedNormal. */
import { defineSpec, int, number, type OptionsOf } from "../config/index.ts";
import type { Shape } from "../graph/types.ts";
import { Initializer } from "./initializer.ts";

const seed = int().nullable().doc("makes the values depend on this number alone");

const uniformSpec = defineSpec("keras.initializers", "RandomUniform", {
  minval: number().default(-0.05),
  maxval: number().default(0.05),
  seed,
});
/** Uniform in [minval, maxval). */
export class RandomUniform extends Initializer<typeof uniformSpec> {
  static readonly spec = uniformSpec;
  constructor(options: OptionsOf<typeof uniformSpec> = {}) {
    super(uniformSpec, options);
  }
  values(shape: Shape): Float32Array {
    const { minval, maxval } = this.options;
    const g = this.generator();
    return this.fill(shape, () => minval + (maxval - minval) * g.uniform());
  }
}

const normalSpec = defineSpec("keras.initializers", "RandomNormal", {
  mean: number().default(0),
  stddev: number({ min: 0 }).default(0.05),
  seed,
});
/** Normal with `mean` and `stddev`. */
export class RandomNormal extends Initializer<typeof normalSpec> {
  static readonly spec = normalSpec;
  constructor(options: OptionsOf<typeof normalSpec> = {}) {
    super(normalSpec, options);
  }
  values(shape: Shape): Float32Array {
    const { mean, stddev } = this.options;
    const g = this.generator();
    return this.fill(shape, () => mean + stddev * g.normal());
  }
}

const truncatedSpec = defineSpec("keras.initializers", "TruncatedNormal", {
  mean: number().default(0),
  stddev: number({ min: 0 }).default(0.05),
  seed,
});
/** Normal whose values beyond two standard deviations are drawn again. */
export class TruncatedNormal extends Initializer<typeof truncatedSpec> {
  static readonly spec = truncatedSpec;
  constructor(options: OptionsOf<typeof truncatedSpec> = {}) {
    super(truncatedSpec, options);
  }
  values(shape: Shape): Float32Array {
    const { mean, stddev } = this.options;
    const g = this.generator();
    return this.fill(shape, () => mean + stddev * g.truncatedNormal());
  }
}
