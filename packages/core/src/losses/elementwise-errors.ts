/** Losses that are means of a function of target and prediction, element by element. */
import { defineSpec, number, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Loss, lossFields } from "./loss.ts";

const epsilon = 1e-7;

const mseSpec = defineSpec("keras.losses", "MeanSquaredError", lossFields("mean_squared_error"));
/** mean((t - p)²) */
export class MeanSquaredError extends Loss<typeof mseSpec> {
  static readonly spec = mseSpec;
  constructor(options: OptionsOf<typeof mseSpec> = {}) {
    super(mseSpec, options);
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor {
    const [t, p] = this.pair(yTrue, yPred);
    return ops.mean(ops.square(ops.subtract(t, p)), -1);
  }
}

const maeSpec = defineSpec("keras.losses", "MeanAbsoluteError", lossFields("mean_absolute_error"));
/** mean(|t - p|) */
export class MeanAbsoluteError extends Loss<typeof maeSpec> {
  static readonly spec = maeSpec;
  constructor(options: OptionsOf<typeof maeSpec> = {}) {
    super(maeSpec, options);
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor {
    const [t, p] = this.pair(yTrue, yPred);
    return ops.mean(ops.abs(ops.subtract(t, p)), -1);
  }
}

const mapeSpec = defineSpec(
  "keras.losses",
  "MeanAbsolutePercentageError",
  lossFields("mean_absolute_percentage_error"),
);
/** 100 · mean(|t - p| / |t|) */
export class MeanAbsolutePercentageError extends Loss<typeof mapeSpec> {
  static readonly spec = mapeSpec;
  constructor(options: OptionsOf<typeof mapeSpec> = {}) {
    super(mapeSpec, options);
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor {
    const [t, p] = this.pair(yTrue, yPred);
    const share = ops.abs(ops.divide(ops.subtract(t, p), ops.maximum(ops.abs(t), epsilon)));
    return ops.multiply(ops.mean(share, -1), 100);
  }
}

const msleSpec = defineSpec(
  "keras.losses",
  "MeanSquaredLogarithmicError",
  lossFields("mean_squared_logarithmic_error"),
);
/** mean((log(1 + t) - log(1 + p))²) */
export class MeanSquaredLogarithmicError extends Loss<typeof msleSpec> {
  static readonly spec = msleSpec;
  constructor(options: OptionsOf<typeof msleSpec> = {}) {
    super(msleSpec, options);
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor {
    const [t, p] = this.pair(yTrue, yPred).map((x) => ops.log(ops.add(ops.maximum(x, epsilon), 1)));
    return ops.mean(ops.square(ops.subtract(p, t)), -1);
  }
}

const huberSpec = defineSpec("keras.losses", "Huber", {
  ...lossFields("huber_loss"),
  delta: number().default(1).doc("where the loss goes over from quadratic to linear"),
});
/** mean(e²/2 where |e| ≤ delta, else delta·|e| - delta²/2), e = p - t (Huber 1964) */
export class Huber extends Loss<typeof huberSpec> {
  static readonly spec = huberSpec;
  constructor(options: OptionsOf<typeof huberSpec> = {}) {
    super(huberSpec, options);
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor {
    const [t, p] = this.pair(yTrue, yPred);
    const { delta } = this.options;
    const error = ops.subtract(p, t);
    const size = ops.abs(error);
    const far = ops.subtract(ops.multiply(size, delta), 0.5 * delta * delta);
    return ops.mean(ops.where(ops.lessEqual(size, delta), ops.multiply(ops.square(error), 0.5), far), -1);
  }
}

const logCoshSpec = defineSpec("keras.losses", "LogCosh", lossFields("log_cosh"));
/** mean(log cosh(p - t)) */
export class LogCosh extends Loss<typeof logCoshSpec> {
  static readonly spec = logCoshSpec;
  constructor(options: OptionsOf<typeof logCoshSpec> = {}) {
    super(logCoshSpec, options);
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor {
    const [t, p] = this.pair(yTrue, yPred);
    const e = ops.subtract(p, t);
    return ops.mean(ops.subtract(ops.add(e, ops.softplus(ops.multiply(e, -2))), Math.LN2), -1);
  }
}

const poissonSpec = defineSpec("keras.losses", "Poisson", lossFields("poisson"));
/** mean(p - t·log p) */
export class Poisson extends Loss<typeof poissonSpec> {
  static readonly spec = poissonSpec;
  constructor(options: OptionsOf<typeof poissonSpec> = {}) {
    super(poissonSpec, options);
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor {
    const [t, p] = this.pair(yTrue, yPred);
    return ops.mean(ops.subtract(p, ops.multiply(t, ops.log(ops.add(p, epsilon)))), -1);
  }
}
