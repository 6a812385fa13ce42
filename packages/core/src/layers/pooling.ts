/** Max and average pooling in one, two and three dimensions. */
import { defineSpec, type OptionsOf, oneOf, tuple } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import { avgPool, maxPool } from "../graph/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import { dataFormatField } from "./fields.ts";
import { Layer, layerFields } from "./layer.ts";
import { fromChannelsLast, paddingFor, toChannelsLast } from "./spatial.ts";

const poolingSpec = /* @__NO_SIDE_EFFECTS__ */ (kind: "Max" | "Average", rank: number) =>
  defineSpec("keras.layers", `${kind}Pooling${rank}D`, {
    ...layerFields,
    poolSize: tuple(rank).default(2).doc("size of the window"),
    strides: tuple(rank).nullable().doc("step of the window; by default the pool size"),
    padding: oneOf("valid", "same").default("valid").doc('"same": output size = ceil(size / stride)'),
    dataFormat: dataFormatField,
  });
type PoolingSpec = ReturnType<typeof poolingSpec>;
export type PoolingOptions = OptionsOf<PoolingSpec>;

/** [N, …S, C] → [N, …S', C]. Padding never counts: not in a maximum, nor in the number that an average divides by. */
abstract class Pooling extends Layer<PoolingSpec> {
  override readonly castsIntegers = true;
  protected abstract readonly pool: typeof maxPool;

  constructor(options: PoolingOptions, spec: PoolingSpec, rank: number) {
    super(options, spec);
    this.inputSpec = { ndim: rank + 2 };
  }
  call(inputs: Tensor): Tensor {
    const { poolSize, padding, dataFormat } = this.options;
    const strides = this.options.strides ?? poolSize;
    const x = toChannelsLast(inputs, dataFormat);
    const space = x.shape.slice(1, -1);
    const ones = poolSize.map(() => 1);
    const { padLow, padHigh } = paddingFor(padding, space, poolSize, strides, ones);
    if (space.some((size, i) => size + padLow[i] + padHigh[i] < poolSize[i])) {
      throw new LayerwiseError(`the window of ${this.describe()} does not fit into its input`, {
        code: "E103",
        layer: this.name,
        received: `space [${space}] with window [${poolSize}]`,
        expected: "an input at least as large as the window",
        hint: 'padding: "same", or fewer pooling layers before',
      });
    }
    return fromChannelsLast(new Tensor(this.pool(x.value, { window: poolSize, strides, padLow, padHigh })), dataFormat);
  }
}

abstract class MaxPooling extends Pooling {
  protected override readonly pool = maxPool;
}
abstract class AveragePooling extends Pooling {
  protected override readonly pool = avgPool;
}

type Size = PoolingOptions["poolSize"];
type Rest = Omit<PoolingOptions, "poolSize">;

const maxPooling1dSpec = poolingSpec("Max", 1);
/** [N, T, C] → [N, T', C]. */
export class MaxPooling1D extends MaxPooling {
  static readonly spec = maxPooling1dSpec;
  constructor(options: PoolingOptions = {}) {
    super(options, maxPooling1dSpec, 1);
  }
}
export const maxPooling1d = (poolSize: Size = 2, options: Rest = {}): MaxPooling1D =>
  new MaxPooling1D({ ...options, poolSize });

const maxPooling2dSpec = poolingSpec("Max", 2);
/** [N, H, W, C] → [N, H', W', C]. */
export class MaxPooling2D extends MaxPooling {
  static readonly spec = maxPooling2dSpec;
  constructor(options: PoolingOptions = {}) {
    super(options, maxPooling2dSpec, 2);
  }
}
export const maxPooling2d = (poolSize: Size = 2, options: Rest = {}): MaxPooling2D =>
  new MaxPooling2D({ ...options, poolSize });

const maxPooling3dSpec = poolingSpec("Max", 3);
/** [N, A, B, D, C] → [N, A', B', D', C]. */
export class MaxPooling3D extends MaxPooling {
  static readonly spec = maxPooling3dSpec;
  constructor(options: PoolingOptions = {}) {
    super(options, maxPooling3dSpec, 3);
  }
}
export const maxPooling3d = (poolSize: Size = 2, options: Rest = {}): MaxPooling3D =>
  new MaxPooling3D({ ...options, poolSize });

const averagePooling1dSpec = poolingSpec("Average", 1);
/** [N, T, C] → [N, T', C]. */
export class AveragePooling1D extends AveragePooling {
  static readonly spec = averagePooling1dSpec;
  constructor(options: PoolingOptions = {}) {
    super(options, averagePooling1dSpec, 1);
  }
}
export const averagePooling1d = (poolSize: Size = 2, options: Rest = {}): AveragePooling1D =>
  new AveragePooling1D({ ...options, poolSize });

const averagePooling2dSpec = poolingSpec("Average", 2);
/** [N, H, W, C] → [N, H', W', C]. */
export class AveragePooling2D extends AveragePooling {
  static readonly spec = averagePooling2dSpec;
  constructor(options: PoolingOptions = {}) {
    super(options, averagePooling2dSpec, 2);
  }
}
export const averagePooling2d = (poolSize: Size = 2, options: Rest = {}): AveragePooling2D =>
  new AveragePooling2D({ ...options, poolSize });

const averagePooling3dSpec = poolingSpec("Average", 3);
/** [N, A, B, D, C] → [N, A', B', D', C]. */
export class AveragePooling3D extends AveragePooling {
  static readonly spec = averagePooling3dSpec;
  constructor(options: PoolingOptions = {}) {
    super(options, averagePooling3dSpec, 3);
  }
}
export const averagePooling3d = (poolSize: Size = 2, options: Rest = {}): AveragePooling3D =>
  new AveragePooling3D({ ...options, poolSize });
