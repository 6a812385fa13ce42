/** UpSampling: repeats (or interpolates) along the spatial axes. */
import { defineSpec, type OptionsOf, oneOf, tuple } from "../config/index.ts";
import { broadcastTo, reshape } from "../graph/ops/index.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor, tensorFrom } from "../tensor/tensor.ts";
import { dataFormatField } from "./fields.ts";
import { Layer, layerFields } from "./layer.ts";
import { fromChannelsLast, spatialAxes, toChannelsLast } from "./spatial.ts";

/** Repeats every element of an axis `times` times. */
function repeat(x: Tensor, axis: number, times: number): Tensor {
  const { shape } = x;
  const split = [...shape.slice(0, axis + 1), 1, ...shape.slice(axis + 1)];
  const spread = split.map((d, i) => (i === axis + 1 ? times : d));
  return new Tensor(
    reshape(
      broadcastTo(reshape(x.value, split), spread),
      shape.map((d, i) => (i === axis ? d * times : d)),
    ),
  );
}

/** Interpolation kernels as functions of the distance in input elements, with their reach. */
const kernels: Record<string, { readonly reach: number; readonly weight: (d: number) => number }> = {
  bilinear: { reach: 1, weight: (d) => 1 - d },
  // Keys (1981) with a = -1/2.
  bicubic: { reach: 2, weight: (d) => (d < 1 ? (1.5 * d - 2.5) * d * d + 1 : ((-0.5 * d + 2.5) * d - 4) * d + 2) },
  lanczos3: { reach: 3, weight: (d) => sinc(d) * sinc(d / 3) },
  lanczos5: { reach: 5, weight: (d) => sinc(d) * sinc(d / 5) },
};

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/**
 * Interpolation of an axis to `times` its size with half-pixel centres: output o reads around position (o + ½) / times - ½;
 * weights of elements beyond the border are spread over the others.
 */
function interpolate(x: Tensor, axis: number, times: number, method: string): Tensor {
  const { reach, weight } = kernels[method];
  const size = x.shape[axis];
  const weights = new Float32Array(size * times * size);
  for (let o = 0; o < size * times; o++) {
    const at = (o + 0.5) / times - 0.5;
    const row = Array.from({ length: size }, (_, i) => (Math.abs(at - i) < reach ? weight(Math.abs(at - i)) : 0));
    const total = row.reduce((a, b) => a + b, 0);
    row.forEach((w, i) => {
      weights[o * size + i] = w / total;
    });
  }
  const matrix = ops.cast(tensorFrom(weights, [size * times, size], "f32"), x.dtype);
  const last = x.shape.map((_, i) => i).filter((i) => i !== axis);
  const moved = ops.matmul(ops.transpose(x, [...last, axis]), ops.transpose(matrix));
  const back = x.shape.map((_, i) => (i === axis ? x.ndim - 1 : last.indexOf(i)));
  return ops.transpose(moved, back);
}

const interpolationField = oneOf("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
  .default("nearest")
  .doc("how new elements are made (bilinear in two dimensions only)");

const upSpec = (rank: number) =>
  defineSpec("keras.layers", `UpSampling${rank}D`, {
    ...layerFields,
    size: tuple(rank).default(2).doc("factor per dimension"),
    dataFormat: dataFormatField,
    interpolation: rank === 2 ? interpolationField : interpolationField.transient(),
  });
type UpSpec = ReturnType<typeof upSpec>;
export type UpSamplingOptions = OptionsOf<UpSpec>;

/** [N, …S, C] → [N, …S·size, C]. */
abstract class UpSampling extends Layer<UpSpec> {
  protected readonly rank: number;
  constructor(options: UpSamplingOptions, spec: UpSpec, rank: number) {
    super(options, spec);
    this.rank = rank;
    this.inputSpec = { ndim: rank + 2 };
  }
  call(x: Tensor): Tensor {
    const { size, interpolation, dataFormat } = this.options;
    if (interpolation !== "nearest") {
      const y = toChannelsLast(x, dataFormat);
      return fromChannelsLast(
        size.reduce((t, times, i) => interpolate(t, i + 1, times, interpolation), y),
        dataFormat,
      );
    }
    return spatialAxes(this.rank, dataFormat).reduce((t, axis, i) => repeat(t, axis, size[i]), x);
  }
}

const upSampling1dSpec = upSpec(1);
/** Enlarges 1 spatial dimension. */
export class UpSampling1D extends UpSampling {
  static readonly spec = upSampling1dSpec;
  constructor(options: UpSamplingOptions = {}) {
    super(options, upSampling1dSpec, 1);
  }
}
export const upSampling1d = (
  size: UpSamplingOptions["size"] = 2,
  options: Omit<UpSamplingOptions, "size"> = {},
): UpSampling1D => new UpSampling1D({ ...options, size });

const upSampling2dSpec = upSpec(2);
/** Enlarges 2 spatial dimensions. */
export class UpSampling2D extends UpSampling {
  static readonly spec = upSampling2dSpec;
  constructor(options: UpSamplingOptions = {}) {
    super(options, upSampling2dSpec, 2);
  }
}
export const upSampling2d = (
  size: UpSamplingOptions["size"] = 2,
  options: Omit<UpSamplingOptions, "size"> = {},
): UpSampling2D => new UpSampling2D({ ...options, size });

const upSampling3dSpec = upSpec(3);
/** Enlarges 3 spatial dimensions. */
export class UpSampling3D extends UpSampling {
  static readonly spec = upSampling3dSpec;
  constructor(options: UpSamplingOptions = {}) {
    super(options, upSampling3dSpec, 3);
  }
}
export const upSampling3d = (
  size: UpSamplingOptions["size"] = 2,
  options: Omit<UpSamplingOptions, "size"> = {},
): UpSampling3D => new UpSampling3D({ ...options, size });
