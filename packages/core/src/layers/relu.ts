/** ReLU and its relatives as layers: relu, leakyRelu, elu, prelu. */
import * as activations from "../activations/functions.ts";
import { defineSpec, int, list, number, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { oneShape, type ShapeTree } from "./arguments.ts";
import { weightFields } from "./fields.ts";
import { knownSize } from "./input-spec.ts";
import { Layer, layerFields } from "./layer.ts";

const reluSpec = defineSpec("keras.layers", "ReLU", {
  ...layerFields,
  maxValue: number({ min: 0 }).nullable().doc("upper bound of the output"),
  negativeSlope: number({ min: 0 }).default(0).doc("slope below the threshold"),
  threshold: number({ min: 0 }).default(0).doc("where the function starts to rise"),
});
/** min(max(x, slope·(x - threshold)), maxValue), elementwise. */
export class ReLU extends Layer<typeof reluSpec> {
  static readonly spec = reluSpec;
  override readonly masking = "pass";
  override get timewise(): boolean {
    return true;
  }
  constructor(options: OptionsOf<typeof reluSpec> = {}) {
    super(options, reluSpec);
  }
  call(x: Tensor): Tensor {
    const { negativeSlope, maxValue, threshold } = this.options;
    return activations.relu(x, { negativeSlope, maxValue, threshold });
  }
}
export const relu = (options: OptionsOf<typeof reluSpec> = {}): ReLU => new ReLU(options);

const leakySpec = defineSpec("keras.layers", "LeakyReLU", {
  ...layerFields,
  negativeSlope: number({ min: 0 }).default(0.3).doc("slope for negative values"),
});
/** x above zero, slope·x below. */
export class LeakyReLU extends Layer<typeof leakySpec> {
  static readonly spec = leakySpec;
  override readonly masking = "pass";
  override get timewise(): boolean {
    return true;
  }
  constructor(options: OptionsOf<typeof leakySpec> = {}) {
    super(options, leakySpec);
  }
  call(x: Tensor): Tensor {
    return activations.leakyRelu(x, this.options.negativeSlope);
  }
}
export const leakyRelu = (
  negativeSlope = 0.3,
  options: Omit<OptionsOf<typeof leakySpec>, "negativeSlope"> = {},
): LeakyReLU => new LeakyReLU({ ...options, negativeSlope });

const eluSpec = defineSpec("keras.layers", "ELU", {
  ...layerFields,
  alpha: number().default(1).doc("value far below zero is -alpha"),
});
/** x above zero, alpha·(exp(x) - 1) below. */
export class ELU extends Layer<typeof eluSpec> {
  static readonly spec = eluSpec;
  override readonly masking = "pass";
  override get timewise(): boolean {
    return true;
  }
  constructor(options: OptionsOf<typeof eluSpec> = {}) {
    super(options, eluSpec);
  }
  call(x: Tensor): Tensor {
    return activations.elu(x, this.options.alpha);
  }
}
export const elu = (alpha = 1, options: Omit<OptionsOf<typeof eluSpec>, "alpha"> = {}): ELU =>
  new ELU({ ...options, alpha });

const preluSpec = defineSpec("keras.layers", "PReLU", {
  ...layerFields,
  ...weightFields("alpha", "zeros"),
  sharedAxes: list(int()).nullable().doc("axes along which one slope is shared"),
});
/** x above zero, alpha·x below, with a learned alpha per element of a sample. */
export class PReLU extends Layer<typeof preluSpec> {
  static readonly spec = preluSpec;
  override readonly masking = "pass";
  alpha!: Variable;
  constructor(options: OptionsOf<typeof preluSpec> = {}) {
    super(options, preluSpec);
  }
  override build(inputShape: ShapeTree): void {
    const shape = oneShape(inputShape, this.name);
    const shared = new Set((this.options.sharedAxes ?? []).map((a) => (a < 0 ? a + shape.length : a)));
    const sizes = shape.slice(1).map((_, i) => (shared.has(i + 1) ? 1 : knownSize(shape, i + 1, this, "elements")));
    this.alpha = this.addOptionWeight("alpha", sizes);
  }
  call(x: Tensor): Tensor {
    return ops.relu(x).sub(this.read(this.alpha).mul(ops.relu(ops.negative(x))));
  }
}
export const prelu = (options: OptionsOf<typeof preluSpec> = {}): PReLU => new PReLU(options);
