/** Convolutions of any number of spatial dimensions, channels last, and the two products their gradients need. */
import { lowerConv, lowerConvInputGrad, lowerConvKernelGrad } from "../../compiler/contract/index.ts";
import type { ConvSpec } from "../../compiler/lowered.ts";
import { formatShape } from "../../errors.ts";
import { apply1, type OpRecord, type Value } from "../node.ts";
import { type RefArray, type Reference, refArray } from "../reference/array.ts";
import { isFloat, rowMajor, type Shape, sizeOf, type TensorType } from "../types.ts";
import { pad } from "./assemble.ts";
import { cast } from "./cast.ts";
import { formatType, opError, requireIntegers, requireRank, requireSameDType, shapeError } from "./common.ts";
import { floats, type Sample, type Samples } from "./sample.ts";
import { abs } from "./unary.ts";

/** One number per spatial dimension, except `groups`. Padding is of zeros; all numbers are at least 0. */
export interface ConvAttrs {
  readonly strides: readonly number[];
  readonly dilation: readonly number[];
  readonly padLow: readonly number[];
  readonly padHigh: readonly number[];
  readonly groups: number;
  /** Spatial sizes of x and of the kernel, which the gradients cannot infer from their operands. */
  readonly inputSpatial: readonly number[];
  readonly kernelSpatial: readonly number[];
}

/** Attributes of a call: the spatial sizes are needed only where no operand has them. */
export type ConvOptions = Omit<ConvAttrs, "inputSpatial" | "kernelSpatial"> &
  Partial<Pick<ConvAttrs, "inputSpatial" | "kernelSpatial">>;

/** Sizes of the result: floor((in + padLow + padHigh - ((kernel - 1)·dilation + 1)) / stride) + 1, at least 0. */
export function convOutputSpatial(a: ConvAttrs): number[] {
  return a.inputSpatial.map((size, i) => {
    const reach = (a.kernelSpatial[i] - 1) * a.dilation[i] + 1;
    return Math.max(0, Math.floor((size + a.padLow[i] + a.padHigh[i] - reach) / a.strides[i]) + 1);
  });
}

function spec(attrs: ConvAttrs, batch: number, inChannels: number, outChannels: number): ConvSpec {
  const out = convOutputSpatial(attrs);
  return {
    batch,
    inChannels,
    outChannels,
    groups: attrs.groups,
    spatial: out.map((size, i) => ({
      in: attrs.inputSpatial[i],
      out: size,
      kernel: attrs.kernelSpatial[i],
      stride: attrs.strides[i],
      dilation: attrs.dilation[i],
      padLow: attrs.padLow[i],
    })),
  };
}

function checkAttrs(op: string, attrs: ConvAttrs, types: readonly TensorType[]): void {
  const rank = attrs.strides.length;
  requireSameDType(op, types);
  for (const t of types) {
    if (t.dtype !== "f32") throw opError("E104", `${op} computes in f32`, types.map(formatType).join(" and "), "f32");
    requireRank(op, "an operand", t, rank + 2);
  }
  requireIntegers(op, "strides", attrs.strides, rank, 1);
  requireIntegers(op, "dilation", attrs.dilation, rank, 1);
  requireIntegers(op, "padLow", attrs.padLow, rank, 0);
  requireIntegers(op, "padHigh", attrs.padHigh, rank, 0);
  requireIntegers(op, "inputSpatial", attrs.inputSpatial, rank, 0);
  requireIntegers(op, "kernelSpatial", attrs.kernelSpatial, rank, 1);
}

function checkChannels(op: string, { groups }: ConvAttrs, inChannels: number, perGroup: number, filters: number): void {
  if (inChannels !== perGroup * groups || filters % groups !== 0) {
    throw shapeError(
      op,
      "channels do not fit the kernel",
      `${inChannels} input channels, ${perGroup} per kernel, ${filters} filters in ${groups} groups`,
      `${perGroup * groups} input channels and a number of filters divisible by ${groups}`,
    );
  }
}

const spatialOf = (shape: Shape): Shape => shape.slice(1, -1);
const kernelSpatialOf = (shape: Shape): Shape => shape.slice(0, -2);
const last = (shape: Shape): number => shape[shape.length - 1];

function checkSpatial(op: string, what: string, received: Shape, expected: Shape): void {
  if (received.some((d, i) => d !== expected[i])) {
    throw shapeError(op, `${what} has the wrong spatial size`, formatShape(received), formatShape(expected));
  }
}

export const convOp: OpRecord<ConvAttrs> = {
  name: "conv",
  infer: ([x, kernel], attrs) => {
    checkAttrs("conv", attrs, [x, kernel]);
    checkSpatial("conv", "x", spatialOf(x.shape), attrs.inputSpatial);
    checkSpatial("conv", "the kernel", kernelSpatialOf(kernel.shape), attrs.kernelSpatial);
    checkChannels("conv", attrs, last(x.shape), kernel.shape[kernel.shape.length - 2], last(kernel.shape));
    return [{ shape: [x.shape[0], ...convOutputSpatial(attrs), last(kernel.shape)], dtype: x.dtype }];
  },
  gradient: ({ inputs: [x, kernel], grads: [dy], attrs, wants }) => [
    wants[0] ? convInputGrad(dy!, kernel, attrs) : null,
    wants[1] ? convKernelGrad(x, dy!, attrs) : null,
  ],
  kernel: {
    kind: "lower",
    epilogue: true,
    lower: ({ attrs, inputs: [x], outputs: [y], profile, epilogue }) =>
      lowerConv(spec(attrs, x.type.shape[0], last(x.type.shape), last(y.shape)), profile, epilogue),
  },
  flops: ([, kernel], [y]) => convFlops(y.shape, kernel.shape),
};

/** 2 · elements of y · spatial size of the kernel · channels per group. */
function convFlops(y: Shape, kernel: Shape): number {
  return 2 * sizeOf(y) * sizeOf(kernel.slice(0, -1));
}

export const convInputGradOp: OpRecord<ConvAttrs> = {
  name: "convInputGrad",
  infer: ([dy, kernel], attrs) => {
    checkAttrs("convInputGrad", attrs, [dy, kernel]);
    checkSpatial("convInputGrad", "dy", spatialOf(dy.shape), convOutputSpatial(attrs));
    checkSpatial("convInputGrad", "the kernel", kernelSpatialOf(kernel.shape), attrs.kernelSpatial);
    const channels = kernel.shape[kernel.shape.length - 2] * attrs.groups;
    checkChannels("convInputGrad", attrs, channels, channels / attrs.groups, last(dy.shape));
    if (last(dy.shape) !== last(kernel.shape)) {
      throw shapeError(
        "convInputGrad",
        "dy and the kernel differ in filters",
        `${formatType(dy)} and ${formatType(kernel)}`,
        "equal last sizes",
      );
    }
    return [{ shape: [dy.shape[0], ...attrs.inputSpatial, channels], dtype: dy.dtype }];
  },
  gradient: ({ inputs: [dy, kernel], grads: [g], attrs, wants }) => [
    wants[0] ? conv(g!, kernel, attrs) : null,
    wants[1] ? convKernelGrad(g!, dy, attrs) : null,
  ],
  kernel: {
    kind: "lower",
    epilogue: true,
    lower: ({ attrs, inputs: [dy], outputs: [x], profile, epilogue }) =>
      lowerConvInputGrad(spec(attrs, x.shape[0], last(x.shape), last(dy.type.shape)), profile, epilogue),
  },
  flops: ([dy, kernel]) => convFlops(dy.shape, kernel.shape),
};

export const convKernelGradOp: OpRecord<ConvAttrs> = {
  name: "convKernelGrad",
  infer: ([x, dy], attrs) => {
    checkAttrs("convKernelGrad", attrs, [x, dy]);
    checkSpatial("convKernelGrad", "x", spatialOf(x.shape), attrs.inputSpatial);
    checkSpatial("convKernelGrad", "dy", spatialOf(dy.shape), convOutputSpatial(attrs));
    const perGroup = last(x.shape) / attrs.groups;
    checkChannels("convKernelGrad", attrs, last(x.shape), Math.floor(perGroup), last(dy.shape));
    if (x.shape[0] !== dy.shape[0]) {
      throw shapeError(
        "convKernelGrad",
        "batch sizes differ",
        `${formatType(x)} and ${formatType(dy)}`,
        "equal first sizes",
      );
    }
    return [{ shape: [...attrs.kernelSpatial, perGroup, last(dy.shape)], dtype: x.dtype }];
  },
  gradient: ({ inputs: [x, dy], grads: [g], attrs, wants }) => [
    wants[0] ? convInputGrad(dy, g!, attrs) : null,
    wants[1] ? conv(x, g!, attrs) : null,
  ],
  kernel: {
    kind: "lower",
    epilogue: true,
    lower: ({ attrs, inputs: [x, dy], profile, epilogue }) =>
      lowerConvKernelGrad(spec(attrs, x.type.shape[0], last(x.type.shape), last(dy.type.shape)), profile, epilogue),
  },
  flops: ([, dy], [kernel]) => convFlops(dy.shape, kernel.shape),
};

// ---- functions

/** Runs `f` on f32 operands and casts its result back, so that f16 and bf16 work too. */
function inF32(a: Value, b: Value, f: (a: Value, b: Value) => Value): Value {
  if (!isFloat(a.dtype) || a.dtype === "f32" || a.dtype !== b.dtype) return f(a, b);
  return cast(f(cast(a, "f32"), cast(b, "f32")), a.dtype);
}

const negativePart = (list: readonly number[]) => list.map((v) => Math.min(0, v));
const positivePart = (list: readonly number[]) => list.map((v) => Math.max(0, v));

/** Negative padding is cut off x first: the attributes of the cut tensor, and by how much to cut (numbers ≤ 0). */
function cut(attrs: ConvAttrs): { attrs: ConvAttrs; low: number[]; high: number[] } {
  const low = negativePart(attrs.padLow);
  const high = negativePart(attrs.padHigh);
  return {
    low: [0, ...low, 0],
    high: [0, ...high, 0],
    attrs: {
      ...attrs,
      padLow: positivePart(attrs.padLow),
      padHigh: positivePart(attrs.padHigh),
      inputSpatial: attrs.inputSpatial.map((d, i) => d + low[i] + high[i]),
    },
  };
}

/** The attributes with the spatial sizes filled in: each from the operand that has it, else from the options. */
function complete(
  op: string,
  options: ConvOptions,
  x: Value | null,
  kernel: Value | null,
  dy: Value | null,
): ConvAttrs {
  const { strides, dilation, padLow, padHigh, groups } = options;
  const rank = strides.length;
  for (const v of [x, kernel, dy]) if (v) requireRank(op, "an operand", v.type, rank + 2);
  requireIntegers(op, "padLow", padLow, rank, Number.NEGATIVE_INFINITY);
  requireIntegers(op, "padHigh", padHigh, rank, Number.NEGATIVE_INFINITY);
  const inputSpatial = x ? spatialOf(x.shape) : options.inputSpatial;
  const kernelSpatial = kernel ? kernelSpatialOf(kernel.shape) : options.kernelSpatial;
  if (!inputSpatial || !kernelSpatial) {
    throw shapeError(
      op,
      "a spatial size is missing",
      `no ${inputSpatial ? "kernelSpatial" : "inputSpatial"}`,
      "the spatial size that no operand has",
    );
  }
  return {
    strides,
    dilation,
    padLow,
    padHigh,
    groups,
    inputSpatial: [...inputSpatial],
    kernelSpatial: [...kernelSpatial],
  };
}

/**
 * x [N, …S, C] and kernel [...K, C/groups, F] → y [N, …S', F]:
 * `y[n, o, f] = Σ x[n, o·stride + k·dilation - padLow, c]·kernel[k, c, f]`, x being 0 outside. A cross-correlation.
 */
export function conv(x: Value, kernel: Value, options: ConvOptions): Value {
  const c = cut(complete("conv", options, x, kernel, null));
  return inF32(pad(x, c.low, c.high), kernel, (a, b) => apply1(convOp, [a, b], c.attrs));
}

/** The gradient of `conv` in x: dy [N, …S', F] and kernel [...K, C/groups, F] → [N, …S, C]. A transposed convolution. */
export function convInputGrad(dy: Value, kernel: Value, options: ConvOptions): Value {
  const c = cut(complete("convInputGrad", options, null, kernel, dy));
  const dx = inF32(dy, kernel, (a, b) => apply1(convInputGradOp, [a, b], c.attrs));
  const back = (list: readonly number[]) => list.map((v) => 0 - v);
  return pad(dx, back(c.low), back(c.high));
}

/** The gradient of `conv` in its kernel: x [N, …S, C] and dy [N, …S', F] → [...K, C/groups, F]. */
export function convKernelGrad(x: Value, dy: Value, options: ConvOptions): Value {
  const c = cut(complete("convKernelGrad", options, x, null, dy));
  return inF32(pad(x, c.low, c.high), dy, (a, b) => apply1(convKernelGradOp, [a, b], c.attrs));
}

// ---- beside the records

/** Calls `visit` with the row-major positions of x, kernel and y of every product of the sum. */
function products(
  attrs: ConvAttrs,
  x: Shape,
  kernel: Shape,
  y: Shape,
  visit: (x: number, kernel: number, y: number) => void,
): void {
  const sx = rowMajor(x);
  const sk = rowMajor(kernel);
  const rank = attrs.strides.length;
  const perGroup = kernel[rank];
  const filtersPerGroup = last(kernel) / attrs.groups;
  refArray(y, (atY, o) => {
    const group = Math.floor(o[rank + 1] / filtersPerGroup);
    refArray(kernel.slice(0, rank), (_, k) => {
      let atX = o[0] * sx[0];
      let atK = o[rank + 1];
      for (let i = 0; i < rank; i++) {
        const at = o[i + 1] * attrs.strides[i] + k[i] * attrs.dilation[i] - attrs.padLow[i];
        if (at < 0 || at >= x[i + 1]) return 0;
        atX += at * sx[i + 1];
        atK += k[i] * sk[i];
      }
      for (let c = 0; c < perGroup; c++) visit(atX + group * perGroup + c, atK + c * sk[rank], atY);
      return 0;
    });
    return 0;
  });
}

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  conv: ([x, kernel], attrs: ConvAttrs, [out]) => {
    const y: RefArray = refArray(out.shape);
    products(attrs, x.shape, kernel.shape, y.shape, (i, k, o) => {
      y.data[o] += x.data[i] * kernel.data[k];
    });
    return [y];
  },
  convInputGrad: ([dy, kernel], attrs: ConvAttrs, [out]) => {
    const dx = refArray(out.shape);
    products(attrs, dx.shape, kernel.shape, dy.shape, (i, k, o) => {
      dx.data[i] += dy.data[o] * kernel.data[k];
    });
    return [dx];
  },
  convKernelGrad: ([x, dy], attrs: ConvAttrs, [out]) => {
    const dKernel = refArray(out.shape);
    products(attrs, x.shape, dKernel.shape, dy.shape, (i, k, o) => {
      dKernel.data[k] += x.data[i] * dy.data[o];
    });
    return [dKernel];
  },
};

export const docs: Record<string, string> = {
  conv: "x [N, …S, C], kernel [...K, C/groups, F] → [N, …S', F]: y[n, o, f] = Σ x[n, o·stride + k·dilation - padLow, c]·kernel[k, c, f].",
  convInputGrad: "dy [N, …S', F], kernel [...K, C/groups, F] → [N, …S, C]: the gradient of conv in x.",
  convKernelGrad: "x [N, …S, C], dy [N, …S', F] → [...K, C/groups, F]: the gradient of conv in the kernel.",
};

interface ConvCase {
  readonly name: string;
  readonly x: Shape;
  readonly kernel: Shape;
  readonly options?: Partial<ConvOptions>;
  readonly extra?: Partial<Sample>;
}
const each = (rank: number, value: number) => new Array<number>(rank).fill(value);
const cases: readonly ConvCase[] = [
  { name: "1 dimension", x: [2, 7, 3], kernel: [3, 3, 2], extra: { second: true } },
  { name: "2 dimensions", x: [2, 5, 6, 2], kernel: [3, 3, 2, 3] },
  { name: "padded", x: [1, 5, 5, 2], kernel: [3, 3, 2, 3], options: { padLow: [1, 1], padHigh: [1, 1] } },
  {
    name: "uneven padding, even kernel",
    x: [1, 5, 6, 2],
    kernel: [2, 4, 2, 3],
    options: { padLow: [0, 1], padHigh: [1, 2] },
  },
  {
    name: "strides",
    x: [2, 7, 8, 2],
    kernel: [3, 3, 2, 3],
    options: { strides: [2, 3], padLow: [1, 1], padHigh: [1, 1] },
  },
  { name: "stride beyond the kernel", x: [1, 7, 7, 2], kernel: [1, 2, 2, 3], options: { strides: [2, 3] } },
  {
    name: "dilation",
    x: [1, 8, 9, 2],
    kernel: [3, 3, 2, 2],
    options: { dilation: [2, 3], padLow: [2, 0], padHigh: [2, 0] },
  },
  { name: "groups", x: [1, 4, 5, 6], kernel: [2, 2, 3, 4], options: { groups: 2 } },
  { name: "depthwise", x: [2, 4, 5, 3], kernel: [3, 3, 1, 6], options: { groups: 3, padLow: [1, 1], padHigh: [1, 1] } },
  { name: "negative padding", x: [1, 7, 6, 2], kernel: [3, 3, 2, 2], options: { padLow: [-1, 0], padHigh: [0, -2] } },
  { name: "1×1", x: [2, 3, 3, 4], kernel: [1, 1, 4, 5] },
  {
    name: "3 dimensions",
    x: [1, 4, 5, 4, 2],
    kernel: [2, 3, 2, 2, 3],
    options: { strides: [1, 2, 1], padLow: [0, 1, 1], padHigh: [1, 1, 0] },
  },
  { name: "one channel", x: [3, 9, 9, 1], kernel: [3, 3, 1, 5] },
  { name: "one filter", x: [2, 5, 5, 3], kernel: [3, 3, 3, 1] },
  { name: "wide", x: [2, 13, 14, 19], kernel: [3, 3, 19, 33], extra: { gradient: false } },
  { name: "no batch", x: [0, 5, 5, 2], kernel: [3, 3, 2, 3], extra: { gradient: false } },
];

function convSamples(
  operands: readonly ["x" | "kernel" | "dy", "x" | "kernel" | "dy"],
  f: (a: Value, b: Value, o: ConvOptions) => Value,
) {
  return cases.map(({ name, x, kernel, options, extra }): Sample => {
    const rank = x.length - 2;
    const attrs: ConvAttrs = {
      strides: each(rank, 1),
      dilation: each(rank, 1),
      padLow: each(rank, 0),
      padHigh: each(rank, 0),
      groups: 1,
      ...options,
      inputSpatial: spatialOf(x),
      kernelSpatial: kernelSpatialOf(kernel),
    };
    const shapes = { x, kernel, dy: [x[0], ...convOutputSpatial(attrs), last(kernel)] };
    // Each result of any of the three is a sum of at most this many products.
    const terms = Math.max(
      sizeOf(kernel.slice(0, -1)),
      sizeOf(kernel.slice(0, -2)) * last(kernel),
      sizeOf(shapes.dy.slice(0, -1)),
      1,
    );
    return {
      name,
      inputs: operands.map((o, i) => floats(shapes[o], -1, 1, 7 + i)),
      build: (a, b) => f(a, b, attrs),
      gradient: true,
      sum: { terms, magnitude: (a, b) => f(abs(a), abs(b), attrs) },
      ...extra,
    };
  });
}

export const samples: Samples = {
  conv: () => convSamples(["x", "kernel"], conv),
  convInputGrad: () => convSamples(["dy", "kernel"], convInputGrad),
  convKernelGrad: () => convSamples(["x", "dy"], convKernelGrad),
};
