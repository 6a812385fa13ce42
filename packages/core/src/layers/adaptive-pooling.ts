/** Adaptive pooling: the output has a given size, whatever the input's. */
import { defineSpec, type OptionsOf, tuple } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { dataFormatField } from "./fields.ts";
import { Layer, layerFields } from "./layer.ts";

const adaptiveSpec = (kind: "Max" | "Average", rank: number) =>
  defineSpec("keras.layers", `Adaptive${kind}Pooling${rank}D`, {
    ...layerFields,
    outputSize: tuple(rank).doc("size of the output in each dimension of space"),
    dataFormat: dataFormatField,
  });
type AdaptiveSpec = ReturnType<typeof adaptiveSpec>;
export type AdaptivePoolingOptions = OptionsOf<AdaptiveSpec>;

/** [N, …S, C] → [N, …outputSize, C]; output i covers inputs ⌊i·S/out⌋ … ⌈(i+1)·S/out⌉ - 1. */
abstract class AdaptivePooling extends Layer<AdaptiveSpec> {
  override readonly castsIntegers = true;
  protected abstract readonly pool: typeof ops.adaptiveMaxPool;
  constructor(options: AdaptivePoolingOptions, spec: AdaptiveSpec, rank: number) {
    super(options, spec);
    this.inputSpec = { ndim: rank + 2 };
  }
  call(x: Tensor): Tensor {
    return this.pool(x, this.options.outputSize, this.options.dataFormat);
  }
}
abstract class AdaptiveMaxPooling extends AdaptivePooling {
  protected override readonly pool = ops.adaptiveMaxPool;
}
abstract class AdaptiveAveragePooling extends AdaptivePooling {
  protected override readonly pool = ops.adaptiveAveragePool;
}

type Size = AdaptivePoolingOptions["outputSize"];
type Rest = Omit<AdaptivePoolingOptions, "outputSize">;

const max1dSpec = adaptiveSpec("Max", 1);
/** [N, T, C] → [N, T', C]: largest elements of windows. */
export class AdaptiveMaxPooling1D extends AdaptiveMaxPooling {
  static readonly spec = max1dSpec;
  constructor(options: AdaptivePoolingOptions) {
    super(options, max1dSpec, 1);
  }
}
export const adaptiveMaxPooling1d = (outputSize: Size, options: Rest = {}): AdaptiveMaxPooling1D =>
  new AdaptiveMaxPooling1D({ ...options, outputSize });

const max2dSpec = adaptiveSpec("Max", 2);
/** [N, H, W, C] → [N, H', W', C]: largest elements of windows. */
export class AdaptiveMaxPooling2D extends AdaptiveMaxPooling {
  static readonly spec = max2dSpec;
  constructor(options: AdaptivePoolingOptions) {
    super(options, max2dSpec, 2);
  }
}
export const adaptiveMaxPooling2d = (outputSize: Size, options: Rest = {}): AdaptiveMaxPooling2D =>
  new AdaptiveMaxPooling2D({ ...options, outputSize });

const max3dSpec = adaptiveSpec("Max", 3);
/** [N, A, B, D, C] → [N, A', B', D', C]: largest elements of windows. */
export class AdaptiveMaxPooling3D extends AdaptiveMaxPooling {
  static readonly spec = max3dSpec;
  constructor(options: AdaptivePoolingOptions) {
    super(options, max3dSpec, 3);
  }
}
export const adaptiveMaxPooling3d = (outputSize: Size, options: Rest = {}): AdaptiveMaxPooling3D =>
  new AdaptiveMaxPooling3D({ ...options, outputSize });

const average1dSpec = adaptiveSpec("Average", 1);
/** [N, T, C] → [N, T', C]: means of windows. */
export class AdaptiveAveragePooling1D extends AdaptiveAveragePooling {
  static readonly spec = average1dSpec;
  constructor(options: AdaptivePoolingOptions) {
    super(options, average1dSpec, 1);
  }
}
export const adaptiveAveragePooling1d = (outputSize: Size, options: Rest = {}): AdaptiveAveragePooling1D =>
  new AdaptiveAveragePooling1D({ ...options, outputSize });

const average2dSpec = adaptiveSpec("Average", 2);
/** [N, H, W, C] → [N, H', W', C]: means of windows. */
export class AdaptiveAveragePooling2D extends AdaptiveAveragePooling {
  static readonly spec = average2dSpec;
  constructor(options: AdaptivePoolingOptions) {
    super(options, average2dSpec, 2);
  }
}
export const adaptiveAveragePooling2d = (outputSize: Size, options: Rest = {}): AdaptiveAveragePooling2D =>
  new AdaptiveAveragePooling2D({ ...options, outputSize });

const average3dSpec = adaptiveSpec("Average", 3);
/** [N, A, B, D, C] → [N, A', B', D', C]: means of windows. */
export class AdaptiveAveragePooling3D extends AdaptiveAveragePooling {
  static readonly spec = average3dSpec;
  constructor(options: AdaptivePoolingOptions) {
    super(options, average3dSpec, 3);
  }
}
export const adaptiveAveragePooling3d = (outputSize: Size, options: Rest = {}): AdaptiveAveragePooling3D =>
  new AdaptiveAveragePooling3D({ ...options, outputSize });
