/** ZeroPadding and Cropping in one, two and three dimensions. */
import { defineSpec, Field, type Json, type OptionsOf } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { dataFormatField } from "./fields.ts";
import { Layer, layerFields } from "./layer.ts";
import { padSpace } from "./spatial.ts";

type Sides = readonly (readonly [number, number])[];
type SidesInput = number | readonly number[] | readonly (readonly [number, number])[];

/** n (all sides), one number per dimension, or [low, high] per dimension; in one dimension [low, high]. */
function sidesField(rank: number, fallback: number): Field<SidesInput, Sides, true> {
  const size = (x: unknown): x is number => typeof x === "number" && Number.isInteger(x) && x >= 0;
  const pair = (x: unknown): x is [number, number] => Array.isArray(x) && x.length === 2 && x.every(size);
  return new Field<SidesInput, Sides, true>({
    expected:
      rank === 1 ? "an integer ≥ 0 or [low, high]" : `an integer ≥ 0, ${rank} of them, or ${rank} pairs [low, high]`,
    read: (x) => {
      if (size(x)) return Array.from({ length: rank }, () => [x, x] as const);
      if (rank === 1 && pair(x)) return [x];
      if (!Array.isArray(x) || x.length !== rank) return undefined;
      if (x.every(size)) return x.map((n) => [n, n] as const);
      return x.every(pair) ? (x as [number, number][]) : undefined;
    },
    write: (x): Json => (rank === 1 ? [...x[0]] : x.map((p) => [...p])),
    fallback,
  });
}

const paddingSpec = (rank: number) =>
  defineSpec("keras.layers", `ZeroPadding${rank}D`, {
    ...layerFields,
    padding: sidesField(rank, 1).doc("zeros on each side"),
    dataFormat: dataFormatField,
  });
type PaddingSpec = ReturnType<typeof paddingSpec>;
export type ZeroPaddingOptions = OptionsOf<PaddingSpec>;

/** Adds zeros around the spatial axes. */
abstract class ZeroPadding extends Layer<PaddingSpec> {
  constructor(options: ZeroPaddingOptions, spec: PaddingSpec, rank: number) {
    super(options, spec);
    this.inputSpec = { ndim: rank + 2 };
  }
  call(x: Tensor): Tensor {
    const { padding: sides, dataFormat } = this.options;
    return padSpace(
      x,
      sides.map((p) => p[0]),
      sides.map((p) => p[1]),
      dataFormat,
    );
  }
}

const croppingSpec = (rank: number) =>
  defineSpec("keras.layers", `Cropping${rank}D`, {
    ...layerFields,
    cropping: sidesField(rank, rank === 2 ? 0 : 1).doc("elements cut off each side"),
    dataFormat: dataFormatField,
  });
type CroppingSpec = ReturnType<typeof croppingSpec>;
export type CroppingOptions = OptionsOf<CroppingSpec>;

/** Cuts elements off the spatial axes. */
abstract class Cropping extends Layer<CroppingSpec> {
  constructor(options: CroppingOptions, spec: CroppingSpec, rank: number) {
    super(options, spec);
    this.inputSpec = { ndim: rank + 2 };
  }
  call(x: Tensor): Tensor {
    const { cropping: sides, dataFormat } = this.options;
    const space = dataFormat === "channelsFirst" ? x.shape.slice(2) : x.shape.slice(1, -1);
    if (space.some((d, i) => sides[i][0] + sides[i][1] >= d)) {
      throw new LayerwiseError(`${this.describe()} would cut everything away`, {
        code: "E103",
        layer: this.name,
        received: `space [${space}]`,
        expected: `more than [${sides.map((p) => p[0] + p[1])}]`,
      });
    }
    return padSpace(
      x,
      sides.map((p) => -p[0]),
      sides.map((p) => -p[1]),
      dataFormat,
    );
  }
}

const zeroPadding1dSpec = paddingSpec(1);
/** [N, T, C] → [N, T', C]. */
export class ZeroPadding1D extends ZeroPadding {
  static readonly spec = zeroPadding1dSpec;
  constructor(options: ZeroPaddingOptions = {}) {
    super(options, zeroPadding1dSpec, 1);
  }
}
export const zeroPadding1d = (
  sides: SidesInput = 1,
  options: Omit<ZeroPaddingOptions, "padding"> = {},
): ZeroPadding1D => new ZeroPadding1D({ ...options, padding: sides });

const zeroPadding2dSpec = paddingSpec(2);
/** [N, H, W, C] → [N, H', W', C]. */
export class ZeroPadding2D extends ZeroPadding {
  static readonly spec = zeroPadding2dSpec;
  constructor(options: ZeroPaddingOptions = {}) {
    super(options, zeroPadding2dSpec, 2);
  }
}
export const zeroPadding2d = (
  sides: SidesInput = 1,
  options: Omit<ZeroPaddingOptions, "padding"> = {},
): ZeroPadding2D => new ZeroPadding2D({ ...options, padding: sides });

const zeroPadding3dSpec = paddingSpec(3);
/** [N, A, B, D, C] → [N, A', B', D', C]. */
export class ZeroPadding3D extends ZeroPadding {
  static readonly spec = zeroPadding3dSpec;
  constructor(options: ZeroPaddingOptions = {}) {
    super(options, zeroPadding3dSpec, 3);
  }
}
export const zeroPadding3d = (
  sides: SidesInput = 1,
  options: Omit<ZeroPaddingOptions, "padding"> = {},
): ZeroPadding3D => new ZeroPadding3D({ ...options, padding: sides });

const cropping1dSpec = croppingSpec(1);
/** [N, T, C] → [N, T', C]. */
export class Cropping1D extends Cropping {
  static readonly spec = cropping1dSpec;
  constructor(options: CroppingOptions = {}) {
    super(options, cropping1dSpec, 1);
  }
}
export const cropping1d = (sides: SidesInput = 1, options: Omit<CroppingOptions, "cropping"> = {}): Cropping1D =>
  new Cropping1D({ ...options, cropping: sides });

const cropping2dSpec = croppingSpec(2);
/** [N, H, W, C] → [N, H', W', C]. */
export class Cropping2D extends Cropping {
  static readonly spec = cropping2dSpec;
  constructor(options: CroppingOptions = {}) {
    super(options, cropping2dSpec, 2);
  }
}
export const cropping2d = (sides: SidesInput = 0, options: Omit<CroppingOptions, "cropping"> = {}): Cropping2D =>
  new Cropping2D({ ...options, cropping: sides });

const cropping3dSpec = croppingSpec(3);
/** [N, A, B, D, C] → [N, A', B', D', C]. */
export class Cropping3D extends Cropping {
  static readonly spec = cropping3dSpec;
  constructor(options: CroppingOptions = {}) {
    super(options, cropping3dSpec, 3);
  }
}
export const cropping3d = (sides: SidesInput = 1, options: Omit<CroppingOptions, "cropping"> = {}): Cropping3D =>
  new Cropping3D({ ...options, cropping: sides });
