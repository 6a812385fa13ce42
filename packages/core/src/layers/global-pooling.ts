/** Global pooling: one number per channel. */
import { bool, defineSpec, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { isTensor } from "./arguments.ts";
import { dataFormatField } from "./fields.ts";
import { type CallContext, Layer, layerFields, type Masking } from "./layer.ts";
import { spatialAxes } from "./spatial.ts";

const globalSpec = (kind: "Max" | "Average", rank: number) =>
  defineSpec("keras.layers", `Global${kind}Pooling${rank}D`, {
    ...layerFields,
    dataFormat: dataFormatField,
    keepdims: bool().default(false).doc("whether the spatial axes stay, with size 1"),
  });
type GlobalSpec = ReturnType<typeof globalSpec>;
export type GlobalPoolingOptions = OptionsOf<GlobalSpec>;

abstract class GlobalPooling extends Layer<GlobalSpec> {
  override readonly castsIntegers = true;
  protected readonly rank: number;

  constructor(options: GlobalPoolingOptions, spec: GlobalSpec, rank: number) {
    super(options, spec);
    this.rank = rank;
    this.inputSpec = { ndim: rank + 2 };
  }
  protected get axes(): number[] {
    return spatialAxes(this.rank, this.options.dataFormat);
  }
}

/** The largest value of each channel. */
abstract class GlobalMaxPooling extends GlobalPooling {
  call(x: Tensor): Tensor {
    return ops.max(x, this.axes, this.options.keepdims);
  }
}

/** The mean of each channel; with a mask (one dimension), of the steps that count. */
abstract class GlobalAveragePooling extends GlobalPooling {
  override readonly masking: Masking = "consume";
  call(x: Tensor, { mask }: CallContext): Tensor {
    const { keepdims, dataFormat } = this.options;
    if (this.rank !== 1 || !isTensor(mask)) return ops.mean(x, this.axes, keepdims);
    const [axis] = this.axes;
    const weight = ops.expandDims(ops.cast(mask, x.dtype), dataFormat === "channelsLast" ? 2 : 1);
    return ops.sum(x.mul(weight), axis, keepdims).div(ops.sum(weight, axis, keepdims));
  }
}

const globalMaxPooling1dSpec = globalSpec("Max", 1);
/** [N, T, C] → [N, C]. */
export class GlobalMaxPooling1D extends GlobalMaxPooling {
  static readonly spec = globalMaxPooling1dSpec;
  constructor(options: GlobalPoolingOptions = {}) {
    super(options, globalMaxPooling1dSpec, 1);
  }
}
export const globalMaxPooling1d = (options: GlobalPoolingOptions = {}): GlobalMaxPooling1D =>
  new GlobalMaxPooling1D(options);

const globalMaxPooling2dSpec = globalSpec("Max", 2);
/** [N, H, W, C] → [N, C]. */
export class GlobalMaxPooling2D extends GlobalMaxPooling {
  static readonly spec = globalMaxPooling2dSpec;
  constructor(options: GlobalPoolingOptions = {}) {
    super(options, globalMaxPooling2dSpec, 2);
  }
}
export const globalMaxPooling2d = (options: GlobalPoolingOptions = {}): GlobalMaxPooling2D =>
  new GlobalMaxPooling2D(options);

const globalMaxPooling3dSpec = globalSpec("Max", 3);
/** [N, A, B, D, C] → [N, C]. */
export class GlobalMaxPooling3D extends GlobalMaxPooling {
  static readonly spec = globalMaxPooling3dSpec;
  constructor(options: GlobalPoolingOptions = {}) {
    super(options, globalMaxPooling3dSpec, 3);
  }
}
export const globalMaxPooling3d = (options: GlobalPoolingOptions = {}): GlobalMaxPooling3D =>
  new GlobalMaxPooling3D(options);

const globalAveragePooling1dSpec = globalSpec("Average", 1);
/** [N, T, C] → [N, C]. */
export class GlobalAveragePooling1D extends GlobalAveragePooling {
  static readonly spec = globalAveragePooling1dSpec;
  constructor(options: GlobalPoolingOptions = {}) {
    super(options, globalAveragePooling1dSpec, 1);
  }
}
export const globalAveragePooling1d = (options: GlobalPoolingOptions = {}): GlobalAveragePooling1D =>
  new GlobalAveragePooling1D(options);

const globalAveragePooling2dSpec = globalSpec("Average", 2);
/** [N, H, W, C] → [N, C]. */
export class GlobalAveragePooling2D extends GlobalAveragePooling {
  static readonly spec = globalAveragePooling2dSpec;
  constructor(options: GlobalPoolingOptions = {}) {
    super(options, globalAveragePooling2dSpec, 2);
  }
}
export const globalAveragePooling2d = (options: GlobalPoolingOptions = {}): GlobalAveragePooling2D =>
  new GlobalAveragePooling2D(options);

const globalAveragePooling3dSpec = globalSpec("Average", 3);
/** [N, A, B, D, C] → [N, C]. */
export class GlobalAveragePooling3D extends GlobalAveragePooling {
  static readonly spec = globalAveragePooling3dSpec;
  constructor(options: GlobalPoolingOptions = {}) {
    super(options, globalAveragePooling3dSpec, 3);
  }
}
export const globalAveragePooling3d = (options: GlobalPoolingOptions = {}): GlobalAveragePooling3D =>
  new GlobalAveragePooling3D(options);
