/** Pooling over 1 to 3 spatial dimensions, channels last: maximum and average, their gradients, and the gradients' adjoints. */
import { apply, apply1, type OpRecord, type Value } from "../node.ts";
import { type RefArray, type Reference, refArray } from "../reference/array.ts";
import { type DType, type Shape, sizeOf, type TensorType } from "../types.ts";
import { cast } from "./cast.ts";
import { formatType, opError, requireDType, requireIntegers, shapeError } from "./common.ts";
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
/** The spatial sizes of the pooled tensor, which a gradient cannot infer. */
export interface PoolGradAttrs extends PoolAttrs {
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

/** Numbers of the elements of a window, row-major. */
const placeType = (attrs: PoolAttrs): DType => (windowSize(attrs) <= 256 ? "u8" : "i32");

function requirePlaces(op: string, place: TensorType, shape: Shape): void {
  requireResult(op, "place", place, shape);
  requireDType(op, "integer", place);
}

/** The tensor that was pooled. */
function pooledType(attrs: PoolGradAttrs, y: TensorType): TensorType {
  return { shape: [y.shape[0], ...attrs.inputSpatial, y.shape[y.shape.length - 1]], dtype: y.dtype };
}

// ---- records

/** Two results: the largest elements and, for gradients, their places in the windows. */
export const maxPoolOp: OpRecord<PoolAttrs> = {
  name: "maxPool",
  infer: ([x], attrs) => {
    if (x.dtype === "bool") throw opError("E104", "maxPool does not take bool", formatType(x), "a numeric dtype");
    const shape = poolShape("maxPool", x, attrs);
    return [
      { shape, dtype: x.dtype },
      { shape, dtype: placeType(attrs) },
    ];
  },
  gradient: ({ inputs: [x], outputs: [, place], grads: [dy], attrs }) => [
    dy && maxPoolGrad(place, dy, { ...attrs, inputSpatial: x.shape.slice(1, -1) }),
  ],
  kernel: {
    kind: "lower",
    lower: ({ attrs, inputs: [x], outputs, used, profile }) =>
      lowerMaxPool(spec(x.type.shape, attrs), x.type.dtype, used[0], used[1] ? outputs[1].dtype : null, profile.lanes),
  },
  flops: (_, [y], attrs) => sizeOf(y.shape) * windowSize(attrs),
};

export const maxPoolGradOp: OpRecord<PoolGradAttrs> = {
  name: "maxPoolGrad",
  infer: ([place, dy], attrs) => {
    requireFloat("maxPoolGrad", dy);
    const x = pooledType(attrs, dy);
    const shape = poolShape("maxPoolGrad", x, attrs);
    requireResult("maxPoolGrad", "dy", dy, shape);
    requirePlaces("maxPoolGrad", place, shape);
    return [x];
  },
  gradient: ({ inputs: [place], grads: [g], attrs }) => [null, maxPoolSelect(place, g!, attrs)],
  kernel: {
    kind: "lower",
    lower: ({ attrs, inputs: [place, dy], outputs: [dx], profile }) =>
      lowerMaxPoolGrad(spec(dx.shape, attrs), place.type.dtype, dy.type.dtype, profile.lanes),
  },
  flops: ([, dy], _, attrs) => 2 * sizeOf(dy.shape) * windowSize(attrs),
};

export const maxPoolSelectOp: OpRecord<PoolAttrs> = {
  name: "maxPoolSelect",
  infer: ([place, t], attrs) => {
    requireFloat("maxPoolSelect", t);
    const shape = poolShape("maxPoolSelect", t, attrs);
    requirePlaces("maxPoolSelect", place, shape);
    return [{ shape, dtype: t.dtype }];
  },
  gradient: ({ inputs: [place, t], grads: [g], attrs }) => [
    null,
    maxPoolGrad(place, g!, { ...attrs, inputSpatial: t.shape.slice(1, -1) }),
  ],
  kernel: {
    kind: "lower",
    lower: ({ attrs, inputs: [place, t], profile }) =>
      lowerMaxPoolSelect(spec(t.type.shape, attrs), place.type.dtype, t.type.dtype, profile.lanes),
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

export const avgPoolGradOp: OpRecord<PoolGradAttrs> = {
  name: "avgPoolGrad",
  infer: ([dy], attrs) => {
    requireFloat("avgPoolGrad", dy);
    const x = pooledType(attrs, dy);
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
/** The number in its window, row-major, of each first maximum (or NaN): x [N, …S, C] → [N, …S', C], u8 (i32 for windows above 256). */
export function maxPoolPlaces(x: Value, attrs: PoolAttrs): Value {
  return apply(maxPoolOp, [x], attrs)[1];
}
/** The gradient of maxPool: dy [N, …S', C] goes to the place in each window; → [N, …inputSpatial, C]. */
export function maxPoolGrad(place: Value, dy: Value, attrs: PoolGradAttrs): Value {
  return apply1(maxPoolGradOp, [place, dy], attrs);
}
/** The element of t [N, …S, C] at the place in each window; → [N, …S', C]. */
export function maxPoolSelect(place: Value, t: Value, attrs: PoolAttrs): Value {
  return apply1(maxPoolSelectOp, [place, t], attrs);
}
/** The mean of each window's elements inside the input: x [N, …S, C] → [N, …S', C]. */
export function avgPool(x: Value, attrs: PoolAttrs): Value {
  return apply1(avgPoolOp, [x], attrs);
}
/** The gradient of avgPool: dy [N, …S', C] → [N, …inputSpatial, C]. */
export function avgPoolGrad(dy: Value, attrs: PoolGradAttrs): Value {
  return apply1(avgPoolGradOp, [dy], attrs);
}

// ---- beside the records

/** Calls `visit` for every window element inside the input: elements of output and input, number in the window; in order. */
function walk(s: PoolSpec, visit: (out: number, input: number, tap: number) => void): void {
  const [a, h, w] = s.dims;
  for (let n = 0; n < s.batch; n++)
    for (let oa = 0; oa < a.out; oa++)
      for (let oh = 0; oh < h.out; oh++)
        for (let ow = 0; ow < w.out; ow++)
          for (let c = 0; c < s.channels; c++) {
            const out = (((n * a.out + oa) * h.out + oh) * w.out + ow) * s.channels + c;
            for (let ka = 0; ka < a.window; ka++)
              for (let kh = 0; kh < h.window; kh++)
                for (let kw = 0; kw < w.window; kw++) {
                  const ia = oa * a.stride - a.padLow + ka;
                  const ih = oh * h.stride - h.padLow + kh;
                  const iw = ow * w.stride - w.padLow + kw;
                  if (ia < 0 || ia >= a.in || ih < 0 || ih >= h.in || iw < 0 || iw >= w.in) continue;
                  const input = (((n * a.in + ia) * h.in + ih) * w.in + iw) * s.channels + c;
                  visit(out, input, (ka * h.window + kh) * w.window + kw);
                }
          }
}

/** For each window its maximum and the place of the first of them. */
function maxima(x: RefArray, s: PoolSpec, out: TensorType): RefArray[] {
  const best = refArray(out.shape);
  const place = refArray(out.shape, () => -1);
  walk(s, (o, i, tap) => {
    const value = x.data[i];
    const largest = best.data[o];
    if (place.data[o] >= 0 && !(value > largest || (Number.isNaN(value) && !Number.isNaN(largest)))) return;
    best.data[o] = value;
    place.data[o] = tap;
  });
  return [best, place];
}

function counts(s: PoolSpec, size: number): Float64Array {
  const n = new Float64Array(size);
  walk(s, (o) => n[o]++);
  return n;
}

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  maxPool: ([x], attrs: PoolAttrs, [y]) => maxima(x, spec(x.shape, attrs), y),
  maxPoolGrad: ([place, dy], attrs: PoolGradAttrs, [x]) => {
    const dx = refArray(x.shape);
    walk(spec(x.shape, attrs), (o, i, tap) => {
      if (place.data[o] === tap) dx.data[i] += dy.data[o];
    });
    return [dx];
  },
  maxPoolSelect: ([place, t], attrs: PoolAttrs, [y]) => {
    const chosen = refArray(y.shape);
    walk(spec(t.shape, attrs), (o, i, tap) => {
      if (place.data[o] === tap) chosen.data[o] = t.data[i];
    });
    return [chosen];
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
  avgPoolGrad: ([dy], attrs: PoolGradAttrs, [x]) => {
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
  maxPool:
    "x [N, …S, C] → the largest element of each window, NaN if it holds one, and the place of the first of them. Padding does not take part.",
  maxPoolGrad: "place, dy → gradient of maxPool: dy goes to the place in each window.",
  maxPoolSelect: "place, t → the element of t at the place in each window.",
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

const forms = (): readonly Form[] => [
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
const special = () =>
  literal(
    [1, Number.NaN, 3, Number.NaN, 5, 5, 5, -0, -Infinity, -Infinity, 0, -1, Infinity, 2, 2, 2],
    "f32",
    [1, 4, 4, 1],
  );
/** The gradient of maxPool(x) and its adjoint as functions of x. */
const gradOf = (x: Value, dy: Value, attrs: PoolAttrs): Value =>
  maxPoolGrad(maxPoolPlaces(x, attrs), dy, { ...attrs, inputSpatial: x.shape.slice(1, -1) });
const selectOf = (x: Value, t: Value, attrs: PoolAttrs): Value => maxPoolSelect(maxPoolPlaces(x, attrs), t, attrs);
const twoByTwo: PoolAttrs = { window: [2, 2], strides: [2, 2], padLow: [0, 0], padHigh: [0, 0] };
const threeByThree: PoolAttrs = { window: [3, 3], strides: [1, 1], padLow: [1, 1], padHigh: [1, 1] };
const tied = /* @__PURE__ */ integers([1, 6, 6, 3], 0, 3, 5);

function each(make: (f: Form, seed: number) => Omit<Sample, "name">): Sample[] {
  return forms().map((f, i) => ({ name: f.name, ...(f.second ? { second: true } : {}), ...make(f, i + 1) }));
}

export const samples: Samples = {
  maxPool: () => [
    ...each((f, seed) => ({
      inputs: [distinct(f.shape, 0.25, seed)],
      build: (x) => maxPool(x, f.attrs),
      gradient: true,
    })),
    { name: "NaN and infinities", inputs: [special()], build: (x) => maxPool(x, twoByTwo) },
    { name: "places alone", inputs: [tied], build: (x) => maxPoolPlaces(x, threeByThree) },
    { name: "places with NaN", inputs: [special()], build: (x) => [maxPoolPlaces(x, twoByTwo), maxPool(x, twoByTwo)] },
    { name: "places in padded windows", inputs: [special()], build: (x) => maxPoolPlaces(x, threeByThree) },
    {
      name: "places in a window of more than 256",
      inputs: [distinct([1, 20, 18, 2], 0.25, 3)],
      build: (x) => apply(maxPoolOp, [x], { ...twoByTwo, window: [17, 16], strides: [3, 2] }),
      gradient: true,
    },
    { name: "NaN in the padded form", inputs: [special()], build: (x) => maxPool(x, threeByThree) },
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
      build: (x, dy) => gradOf(x, dy, f.attrs),
      gradient: true,
      sum: { terms: windowSize(f.attrs), magnitude: (x: Value, dy: Value) => gradOf(x, abs(dy), f.attrs) },
    })),
    {
      name: "ties go to the first",
      inputs: [tied, floats([1, 3, 3, 3])],
      build: (x, dy) => gradOf(cast(x, "f32"), dy, twoByTwo),
    },
    {
      name: "ties in overlapping windows",
      inputs: [tied, floats([1, 6, 6, 3])],
      build: (x, dy) => gradOf(cast(x, "f32"), dy, threeByThree),
    },
    {
      name: "NaN and infinities",
      inputs: [special(), floats([1, 2, 2, 1])],
      build: (x, dy) => gradOf(x, dy, twoByTwo),
    },
    {
      name: "NaN in the padded form",
      inputs: [special(), floats([1, 4, 4, 1])],
      build: (x, dy) => gradOf(x, dy, threeByThree),
    },
  ],
  maxPoolSelect: () => [
    ...each((f, seed) => ({
      inputs: [distinct(f.shape, 0.25, seed), floats(f.shape, -1, 1, seed + 40)],
      build: (x, t) => selectOf(x, t, f.attrs),
      gradient: true,
    })),
    {
      name: "NaN and infinities",
      inputs: [special(), floats([1, 4, 4, 1])],
      build: (x, t) => selectOf(x, t, threeByThree),
    },
  ],
  avgPool: () => [
    ...each((f, seed) => ({
      inputs: [floats(f.shape, -2, 2, seed)],
      build: (x) => avgPool(x, f.attrs),
      gradient: true,
      sum: { terms: windowSize(f.attrs), magnitude: (x: Value) => avgPool(abs(x), f.attrs) },
    })),
    { name: "NaN and infinities", inputs: [special()], build: (x) => avgPool(x, threeByThree) },
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
