/** Pooling over 1 to 3 spatial dimensions, channels last: maximum and average, their gradients, and the gradients' adjoints. */
import { apply1, type OpRecord, type Value } from "../node.ts";
import { type RefArray, type Reference, refArray } from "../reference/array.ts";
import { type Shape, sizeOf, type TensorType } from "../types.ts";
import { cast } from "./cast.ts";
import { formatType, opError, requireDType, requireIntegers, requireSameShape, shapeError } from "./common.ts";
import {
  lowerAvgPool,
  lowerAvgPoolGrad,
  lowerMaxPool,
  lowerMaxPoolGrad,
  lowerMaxPoolSelect,
  type PoolDim,
  type PoolSpec,
} from "./lower/pool.ts";
import { distinct, floats, integers, literal, type Sample, type Samples } from "./sample.ts";
import { abs } from "./unary.ts";

/** One number per spatial dimension. Padding never counts as an element, and no window may lie wholly in it. */
export interface PoolAttrs {
  readonly window: readonly number[];
  readonly strides: readonly number[];
  readonly padLow: readonly number[];
  readonly padHigh: readonly number[];
}
/** The spatial sizes of the pooled tensor, which the gradient of an average cannot infer. */
export interface AvgPoolGradAttrs extends PoolAttrs {
  readonly inputSpatial: readonly number[];
}

/** Sizes of the result: floor((in + padLow + padHigh - window) / stride) + 1, at least 0. */
export function poolOutputSpatial(attrs: PoolAttrs, spatial: Shape): number[] {
  return spatial.map((size, i) => {
    const space = size + attrs.padLow[i] + attrs.padHigh[i] - attrs.window[i];
    return Math.max(0, Math.floor(space / attrs.strides[i]) + 1);
  });
}

function poolShape(op: string, x: TensorType, attrs: PoolAttrs): number[] {
  const rank = x.shape.length - 2;
  if (rank < 1 || rank > 3) {
    throw shapeError(op, `x has rank ${x.shape.length}`, formatType(x), "[N, …S, C] with 1 to 3 spatial dimensions");
  }
  requireIntegers(op, "window", attrs.window, rank, 1);
  requireIntegers(op, "strides", attrs.strides, rank, 1);
  requireIntegers(op, "padLow", attrs.padLow, rank, 0);
  requireIntegers(op, "padHigh", attrs.padHigh, rank, 0);
  const spatial = x.shape.slice(1, -1);
  const out = poolOutputSpatial(attrs, spatial);
  spatial.forEach((size, i) => {
    const lastStart = (out[i] - 1) * attrs.strides[i] - attrs.padLow[i];
    if (out[i] > 0 && (attrs.padLow[i] >= attrs.window[i] || lastStart >= size)) {
      throw shapeError(
        op,
        "a window would lie wholly in the padding",
        `window [${attrs.window.join(", ")}], padLow [${attrs.padLow.join(", ")}], padHigh [${attrs.padHigh.join(", ")}] over ${formatType(x)}`,
        "padding smaller than the window",
      );
    }
  });
  return [x.shape[0], ...out, x.shape[rank + 1]];
}

function spec(x: Shape, attrs: PoolAttrs): PoolSpec {
  const spatial = x.slice(1, -1);
  const out = poolOutputSpatial(attrs, spatial);
  const dims: PoolDim[] = spatial.map((size, i) => ({
    in: size,
    out: out[i],
    window: attrs.window[i],
    stride: attrs.strides[i],
    padLow: attrs.padLow[i],
  }));
  while (dims.length < 3) dims.unshift({ in: 1, out: 1, window: 1, stride: 1, padLow: 0 });
  return { batch: x[0], channels: x[x.length - 1], dims: dims as unknown as PoolSpec["dims"] };
}

function requireFloat(op: string, ...types: TensorType[]): void {
  requireDType(op, "float", ...types);
}

/** Operands of one dtype in the shape of the pooled result. */
function requireResult(op: string, what: string, type: TensorType, shape: Shape): void {
  if (type.shape.length !== shape.length || type.shape.some((d, i) => d !== shape[i])) {
    throw shapeError(op, `${what} does not have the shape of the result`, formatType(type), `[${shape.join(", ")}]`);
  }
}

const windowSize = (attrs: PoolAttrs): number => attrs.window.reduce((p, d) => p * d, 1);

// ---- records

export const maxPoolOp: OpRecord<PoolAttrs> = {
  name: "maxPool",
  infer: ([x], attrs) => {
    if (x.dtype === "bool") throw opError("E104", "maxPool does not take bool", formatType(x), "a numeric dtype");
    return [{ shape: poolShape("maxPool", x, attrs), dtype: x.dtype }];
  },
  gradient: ({ inputs: [x], grads: [dy], attrs }) => [maxPoolGrad(x, dy!, attrs)],
  kernel: {
    kind: "lower",
    lower: ({ attrs, inputs: [x], profile }) => lowerMaxPool(spec(x.type.shape, attrs), x.type.dtype, profile.lanes),
  },
  flops: (_, [y], attrs) => sizeOf(y.shape) * windowSize(attrs),
};

export const maxPoolGradOp: OpRecord<PoolAttrs> = {
  name: "maxPoolGrad",
  infer: ([x, dy], attrs) => {
    requireFloat("maxPoolGrad", x, dy);
    requireResult("maxPoolGrad", "dy", dy, poolShape("maxPoolGrad", x, attrs));
    return [{ shape: x.shape, dtype: dy.dtype }];
  },
  gradient: ({ inputs: [x], grads: [g], attrs }) => [null, maxPoolSelect(x, g!, attrs)],
  kernel: {
    kind: "lower",
    lower: ({ attrs, inputs: [x, dy], profile }) =>
      lowerMaxPoolGrad(spec(x.type.shape, attrs), x.type.dtype, dy.type.dtype, profile.lanes),
  },
  flops: ([, dy], _, attrs) => 2 * sizeOf(dy.shape) * windowSize(attrs),
};

export const maxPoolSelectOp: OpRecord<PoolAttrs> = {
  name: "maxPoolSelect",
  infer: ([x, t], attrs) => {
    requireFloat("maxPoolSelect", x, t);
    requireSameShape("maxPoolSelect", [x, t]);
    return [{ shape: poolShape("maxPoolSelect", x, attrs), dtype: t.dtype }];
  },
  gradient: ({ inputs: [x], grads: [g], attrs }) => [null, maxPoolGrad(x, g!, attrs)],
  kernel: {
    kind: "lower",
    lower: ({ attrs, inputs: [x, t], profile }) =>
      lowerMaxPoolSelect(spec(x.type.shape, attrs), x.type.dtype, t.type.dtype, profile.lanes),
  },
  flops: (_, [y], attrs) => 2 * sizeOf(y.shape) * windowSize(attrs),
};

export const avgPoolOp: OpRecord<PoolAttrs> = {
  name: "avgPool",
  infer: ([x], attrs) => {
    requireFloat("avgPool", x);
    return [{ shape: poolShape("avgPool", x, attrs), dtype: x.dtype }];
  },
  gradient: ({ inputs: [x], grads: [dy], attrs }) => [
    avgPoolGrad(dy!, { ...attrs, inputSpatial: x.shape.slice(1, -1) }),
  ],
  kernel: {
    kind: "lower",
    lower: ({ attrs, inputs: [x], profile }) => lowerAvgPool(spec(x.type.shape, attrs), x.type.dtype, profile.lanes),
  },
  flops: (_, [y], attrs) => sizeOf(y.shape) * windowSize(attrs),
};

export const avgPoolGradOp: OpRecord<AvgPoolGradAttrs> = {
  name: "avgPoolGrad",
  infer: ([dy], attrs) => {
    requireFloat("avgPoolGrad", dy);
    const shape = [dy.shape[0], ...attrs.inputSpatial, dy.shape[dy.shape.length - 1]];
    const x: TensorType = { shape, dtype: dy.dtype };
    requireResult("avgPoolGrad", "dy", dy, poolShape("avgPoolGrad", x, attrs));
    return [x];
  },
  gradient: ({ grads: [g], attrs }) => [avgPool(g!, attrs)],
  kernel: {
    kind: "lower",
    lower: ({ attrs, inputs: [dy], outputs: [dx], profile }) =>
      lowerAvgPoolGrad(spec(dx.shape, attrs), dy.type.dtype, profile.lanes),
  },
  flops: ([dy], _, attrs) => sizeOf(dy.shape) * windowSize(attrs),
};

// ---- functions

/** The largest element of each window, NaN if it holds one: x [N, …S, C] → [N, …S', C]. */
export function maxPool(x: Value, attrs: PoolAttrs): Value {
  return apply1(maxPoolOp, [x], attrs);
}
/** The gradient of maxPool: dy [N, …S', C] goes to the first maximum (or NaN) of each window, row-major; → [N, …S, C]. */
export function maxPoolGrad(x: Value, dy: Value, attrs: PoolAttrs): Value {
  return apply1(maxPoolGradOp, [x, dy], attrs);
}
/** The element of `t` where `x` has the first maximum of each window: x, t [N, …S, C] → [N, …S', C]. */
export function maxPoolSelect(x: Value, t: Value, attrs: PoolAttrs): Value {
  return apply1(maxPoolSelectOp, [x, t], attrs);
}
/** The mean of each window's elements inside the input: x [N, …S, C] → [N, …S', C]. */
export function avgPool(x: Value, attrs: PoolAttrs): Value {
  return apply1(avgPoolOp, [x], attrs);
}
/** The gradient of avgPool: dy [N, …S', C] → [N, …inputSpatial, C]. */
export function avgPoolGrad(dy: Value, attrs: AvgPoolGradAttrs): Value {
  return apply1(avgPoolGradOp, [dy], attrs);
}

// ---- beside the records

/** Calls `visit` for every window element inside the input, with their places in output and input, windows in order. */
function walk(s: PoolSpec, visit: (out: number, input: number, first: boolean) => void): void {
  const [a, h, w] = s.dims;
  for (let n = 0; n < s.batch; n++)
    for (let oa = 0; oa < a.out; oa++)
      for (let oh = 0; oh < h.out; oh++)
        for (let ow = 0; ow < w.out; ow++)
          for (let c = 0; c < s.channels; c++) {
            const out = (((n * a.out + oa) * h.out + oh) * w.out + ow) * s.channels + c;
            let first = true;
            for (let ka = 0; ka < a.window; ka++)
              for (let kh = 0; kh < h.window; kh++)
                for (let kw = 0; kw < w.window; kw++) {
                  const ia = oa * a.stride - a.padLow + ka;
                  const ih = oh * h.stride - h.padLow + kh;
                  const iw = ow * w.stride - w.padLow + kw;
                  if (ia < 0 || ia >= a.in || ih < 0 || ih >= h.in || iw < 0 || iw >= w.in) continue;
                  visit(out, (((n * a.in + ia) * h.in + ih) * w.in + iw) * s.channels + c, first);
                  first = false;
                }
          }
}

/** For each window the place of its first maximum. */
function places(x: RefArray, s: PoolSpec, out: TensorType): Int32Array {
  const at = new Int32Array(sizeOf(out.shape));
  walk(s, (o, i, first) => {
    const best = x.data[at[o]];
    if (first || x.data[i] > best || (Number.isNaN(x.data[i]) && !Number.isNaN(best))) at[o] = i;
  });
  return at;
}

function counts(s: PoolSpec, size: number): Float64Array {
  const n = new Float64Array(size);
  walk(s, (o) => n[o]++);
  return n;
}

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  maxPool: ([x], attrs: PoolAttrs, [y]) => {
    const at = places(x, spec(x.shape, attrs), y);
    return [refArray(y.shape, (i) => x.data[at[i]])];
  },
  maxPoolGrad: ([x, dy], attrs: PoolAttrs) => {
    const dx = refArray(x.shape);
    places(x, spec(x.shape, attrs), { shape: dy.shape, dtype: "f32" }).forEach((at, o) => {
      dx.data[at] += dy.data[o];
    });
    return [dx];
  },
  maxPoolSelect: ([x, t], attrs: PoolAttrs, [y]) => {
    const at = places(x, spec(x.shape, attrs), y);
    return [refArray(y.shape, (i) => t.data[at[i]])];
  },
  avgPool: ([x], attrs: PoolAttrs, [y]) => {
    const s = spec(x.shape, attrs);
    const sum = refArray(y.shape);
    walk(s, (o, i) => {
      sum.data[o] += x.data[i];
    });
    const n = counts(s, sum.data.length);
    return [refArray(y.shape, (i) => sum.data[i] / n[i])];
  },
  avgPoolGrad: ([dy], attrs: AvgPoolGradAttrs, [x]) => {
    const s = spec(x.shape, attrs);
    const dx = refArray(x.shape);
    const n = counts(s, dy.data.length);
    walk(s, (o, i) => {
      dx.data[i] += dy.data[o] / n[o];
    });
    return [dx];
  },
};

export const docs: Record<string, string> = {
  maxPool: "x [N, …S, C] → the largest element of each window, NaN if it holds one. Padding does not take part.",
  maxPoolGrad: "x, dy → gradient of maxPool: dy goes to the first maximum of each window, row-major.",
  maxPoolSelect: "x, t → the element of t where x has the first maximum of each window.",
  avgPool: "x [N, …S, C] → the mean of each window's elements inside the input.",
  avgPoolGrad: "dy → gradient of avgPool, for inputs of spatial size `inputSpatial`.",
};

interface Form {
  readonly name: string;
  readonly shape: Shape;
  readonly attrs: PoolAttrs;
  readonly second?: boolean;
}

const none = [0, 0, 0];
function form(name: string, shape: Shape, window: number[], strides: number[], low?: number[], high?: number[]): Form {
  const rank = window.length;
  const padLow = low ?? none.slice(0, rank);
  return { name, shape, attrs: { window, strides, padLow, padHigh: high ?? padLow } };
}

const forms: readonly Form[] = [
  { ...form("2×2", [2, 4, 6, 3], [2, 2], [2, 2]), second: true },
  form("2×2 with a margin", [2, 5, 7, 3], [2, 2], [2, 2]),
  form("many channels", [1, 4, 4, 37], [2, 2], [2, 2]),
  form("one channel", [2, 5, 40, 1], [2, 2], [2, 2]),
  { ...form("overlapping", [1, 5, 5, 2], [3, 3], [2, 2]), second: true },
  form("overlapping, one channel", [2, 7, 41, 1], [3, 3], [1, 2]),
  form("overlapping, many channels", [2, 5, 6, 48], [3, 2], [1, 1]),
  form("padded", [2, 5, 6, 3], [3, 3], [1, 1], [1, 1]),
  form("padded on one side", [1, 5, 6, 2], [2, 2], [2, 2], [0, 0], [1, 1]),
  form("padded, one channel", [1, 6, 23, 1], [3, 3], [2, 1], [1, 1]),
  form("padding as wide as allowed", [1, 3, 2, 2], [3, 3], [1, 2], [2, 2]),
  form("gaps between windows", [1, 8, 7, 2], [2, 1], [3, 2]),
  form("a large window", [1, 9, 8, 2], [5, 5], [3, 2], [2, 1]),
  form("the whole", [2, 5, 4, 3], [5, 4], [5, 4]),
  form("a window larger than the input", [1, 2, 2, 2], [3, 3], [1, 1], [1, 1], [1, 0]),
  form("1D", [2, 11, 5], [3], [2], [1], [1]),
  form("1D windows side by side", [1, 11, 4], [2], [2]),
  form("3D", [1, 3, 4, 5, 2], [2, 2, 2], [2, 2, 2]),
  form("3D with margins", [1, 5, 3, 5, 2], [2, 2, 2], [2, 2, 2]),
  form("3D padded", [1, 3, 4, 3, 2], [2, 3, 2], [1, 2, 1], [1, 1, 0], [0, 1, 1]),
  form("no images", [0, 4, 4, 2], [2, 2], [2, 2]),
  form("no channels", [1, 4, 4, 0], [2, 2], [2, 2]),
  form("size 1", [1, 1, 1, 1], [1, 1], [1, 1]),
];
const resultShape = ({ shape, attrs }: Form): number[] => [
  shape[0],
  ...poolOutputSpatial(attrs, shape.slice(1, -1)),
  shape[shape.length - 1],
];
const nan = Number.NaN;
const special = literal(
  [1, nan, 3, nan, 5, 5, 5, -0, -Infinity, -Infinity, 0, -1, Infinity, 2, 2, 2],
  "f32",
  [1, 4, 4, 1],
);
const twoByTwo: PoolAttrs = { window: [2, 2], strides: [2, 2], padLow: [0, 0], padHigh: [0, 0] };
const threeByThree: PoolAttrs = { window: [3, 3], strides: [1, 1], padLow: [1, 1], padHigh: [1, 1] };
const tied = integers([1, 6, 6, 3], 0, 3, 5);

function each(make: (f: Form, seed: number) => Omit<Sample, "name">): Sample[] {
  return forms.map((f, i) => ({ name: f.name, ...(f.second ? { second: true } : {}), ...make(f, i + 1) }));
}

export const samples: Samples = {
  maxPool: () => [
    ...each((f, seed) => ({
      inputs: [distinct(f.shape, 0.25, seed)],
      build: (x) => maxPool(x, f.attrs),
      gradient: true,
    })),
    { name: "NaN and infinities", inputs: [special], build: (x) => maxPool(x, twoByTwo) },
    { name: "NaN in the padded form", inputs: [special], build: (x) => maxPool(x, threeByThree) },
    { name: "i32", inputs: [integers([1, 4, 4, 3], -9, 9)], build: (x) => maxPool(x, twoByTwo) },
    { name: "u8", inputs: [integers([1, 6, 4, 5], 0, 256, 1, "u8")], build: (x) => maxPool(x, threeByThree) },
    {
      name: "u32",
      inputs: [literal([1, 4294967295, 3, 2147483648], "u32", [1, 2, 2, 1])],
      build: (x) => maxPool(x, twoByTwo),
    },
  ],
  maxPoolGrad: () => [
    ...each((f, seed) => ({
      inputs: [distinct(f.shape, 0.25, seed), floats(resultShape(f), -1, 1, seed + 40)],
      build: (x, dy) => maxPoolGrad(x, dy, f.attrs),
      gradient: true,
      sum: { terms: windowSize(f.attrs), magnitude: (x: Value, dy: Value) => maxPoolGrad(x, abs(dy), f.attrs) },
    })),
    {
      name: "ties go to the first",
      inputs: [tied, floats([1, 3, 3, 3])],
      build: (x, dy) => maxPoolGrad(cast(x, "f32"), dy, twoByTwo),
    },
    {
      name: "ties in overlapping windows",
      inputs: [tied, floats([1, 6, 6, 3])],
      build: (x, dy) => maxPoolGrad(cast(x, "f32"), dy, threeByThree),
    },
    {
      name: "NaN and infinities",
      inputs: [special, floats([1, 2, 2, 1])],
      build: (x, dy) => maxPoolGrad(x, dy, twoByTwo),
    },
    {
      name: "NaN in the padded form",
      inputs: [special, floats([1, 4, 4, 1])],
      build: (x, dy) => maxPoolGrad(x, dy, threeByThree),
    },
  ],
  maxPoolSelect: () => [
    ...each((f, seed) => ({
      inputs: [distinct(f.shape, 0.25, seed), floats(f.shape, -1, 1, seed + 40)],
      build: (x, t) => maxPoolSelect(x, t, f.attrs),
      gradient: true,
    })),
    {
      name: "NaN and infinities",
      inputs: [special, floats([1, 4, 4, 1])],
      build: (x, t) => maxPoolSelect(x, t, threeByThree),
    },
  ],
  avgPool: () => [
    ...each((f, seed) => ({
      inputs: [floats(f.shape, -2, 2, seed)],
      build: (x) => avgPool(x, f.attrs),
      gradient: true,
      sum: { terms: windowSize(f.attrs), magnitude: (x: Value) => avgPool(abs(x), f.attrs) },
    })),
    { name: "NaN and infinities", inputs: [special], build: (x) => avgPool(x, threeByThree) },
  ],
  avgPoolGrad: () =>
    each((f, seed) => {
      const attrs = { ...f.attrs, inputSpatial: f.shape.slice(1, -1) };
      return {
        inputs: [floats(resultShape(f), -1, 1, seed)],
        build: (dy) => avgPoolGrad(dy, attrs),
        gradient: true,
        sum: { terms: windowSize(attrs), magnitude: (dy: Value) => avgPoolGrad(abs(dy), attrs) },
      };
    }),
};
