/** The one table from keras.ops names to ours: the function, and the order of its parameters in Keras' names. */
import { ops, type Tensor } from "@layerwise/core";
import { camel, dtypeOf, isDtypeName, type Json, revive, Skip } from "./cases.ts";

const reduction = "x axis keepdims";
/** Parameters after the first ones that are positional anyway; ops that are absent here take positional arguments only. */
const parameters: Record<string, string> = {
  all: reduction,
  any: reduction,
  amax: reduction,
  amin: reduction,
  max: reduction,
  min: reduction,
  sum: reduction,
  prod: reduction,
  mean: reduction,
  std: reduction,
  var: reduction,
  argmax: reduction,
  argmin: reduction,
  logsumexp: reduction,
  median: reduction,
  nanmax: reduction,
  nanmin: reduction,
  nanmean: reduction,
  nansum: reduction,
  ptp: reduction,
  append: "x1 x2 axis",
  argsort: "x axis",
  sort: "x axis",
  arraySplit: "x indices_or_sections axis",
  average: "x axis weights",
  averagePool: "inputs pool_size strides padding data_format",
  maxPool: "inputs pool_size strides padding data_format",
  batchNormalization: "x mean variance axis offset scale epsilon",
  layerNormalization: "x gamma beta axis epsilon",
  rmsNormalization: "x scale axis epsilon",
  categoricalCrossentropy: "target output from_logits axis",
  sparseCategoricalCrossentropy: "target output from_logits axis",
  celu: "x alpha",
  elu: "x alpha",
  concatenate: "xs axis",
  conv: "inputs kernel strides padding data_format dilation_rate",
  depthwiseConv: "inputs kernel strides padding data_format dilation_rate",
  separableConv: "inputs depthwise_kernel pointwise_kernel strides padding data_format dilation_rate",
  convTranspose: "inputs kernel strides padding output_padding data_format dilation_rate",
  bincount: "x weights length minlength",
  ctcLoss: "target output target_length output_length mask_index",
  histogram: "x bins range",
  logspace: "start stop num endpoint base",
  searchsorted: "sorted_sequence values side",
  segmentMax: "data segment_ids num_segments sorted",
  segmentSum: "data segment_ids num_segments sorted",
  solveTriangular: "a b lower",
  svd: "x full_matrices compute_uv",
  unfold: "x kernel_size dilation padding stride",
  countNonzero: "x axis",
  cumsum: "x axis",
  cumprod: "x axis",
  diag: "x k",
  tril: "x k",
  triu: "x k",
  diagonal: "x offset axis1 axis2",
  trace: "x offset axis1 axis2",
  diff: "a n axis",
  flip: "x axis",
  gelu: "x approximate",
  glu: "x axis",
  hardShrink: "x threshold",
  softShrink: "x threshold",
  leakyRelu: "x negative_slope",
  linspace: "start stop num endpoint",
  logSoftmax: "x axis",
  softmax: "x axis",
  meshgrid: "xs indexing",
  moments: "x axes",
  norm: "x ord axis keepdims",
  normalize: "x axis order",
  oneHot: "x num_classes axis",
  pad: "x pad_width mode constant_values",
  quantile: "x q axis method keepdims",
  repeat: "x repeats axis",
  roll: "x shift axis",
  rot90: "array k axes",
  round: "x decimals",
  split: "x indices_or_sections axis",
  squareplus: "x b",
  squeeze: "x axis",
  stack: "x axis",
  take: "x indices axis",
  takeAlongAxis: "x indices axis",
  tensordot: "x1 x2 axes",
  transpose: "x axes",
  unstack: "x num axis",
  dotProductAttention: "query key value bias mask scale is_causal",
};

/** Calls an op of Keras with its arguments; tensors `{ "$": i }` are taken from `inputs`. */
export function callOp(
  name: string,
  args: readonly Json[],
  kwargs: { readonly [key: string]: Json },
  inputs: readonly Tensor[],
): unknown {
  const own = renamed[name] ?? camel(name);
  const f = own
    .split(".")
    // biome-ignore lint/suspicious/noExplicitAny: looked up by name.
    .reduce((at: any, part) => at?.[part], ops) as ((...xs: unknown[]) => unknown) | undefined;
  if (!f) throw new Skip(`op ${name}`);
  const fill = (x: Json): unknown => {
    if (x !== null && typeof x === "object" && !Array.isArray(x) && "$" in x) return inputs[x["$"] as number];
    if (Array.isArray(x)) return x.map((y) => fill(y as Json));
    if (typeof x === "string" && isDtypeName(x)) return dtypeOf(x);
    if (typeof x === "string" && (x === "channels_last" || x === "channels_first")) return camel(x);
    return revive(x);
  };
  const positional = args.map(fill);
  if (own === "meshgrid") return f(positional, kwargs["indexing"]);
  if (variadic.has(own)) return f(...positional);
  // Two of Keras' backends take images without a data format for channels first here; the case comes from them.
  if (name === "image.gaussian_blur" && !("data_format" in kwargs)) return f(...positional, "channelsFirst");
  if (optional.has(own)) {
    const options = Object.fromEntries(Object.entries(kwargs).map(([k, v]) => [camel(k), fill(v)]));
    return f(...positional, options);
  }
  const names = (parameters[own] ?? "").split(" ");
  const tail: unknown[] = [];
  for (const [key, value] of Object.entries(kwargs)) {
    const at = names.indexOf(key);
    if (at < 0) throw new Skip(`op ${name} with ${key}`);
    tail[at] = fill(value);
  }
  const all: unknown[] = [];
  for (let i = 0; i < Math.max(positional.length, tail.length); i++)
    all[i] = i < positional.length ? positional[i] : tail[i];
  return f(...all);
}

/** Where the camelCase of Keras' name is not our name. */
const renamed: Record<string, string> = {};
const variadic = new Set(["einsum"]);
/** Functions whose keyword arguments are one object. */
const optional = new Set(
  "resize padImages cropImages mapCoordinates affineTransform perspectiveTransform extractPatches"
    .split(" ")
    .map((f) => `image.${f}`)
    .concat("ctcDecode"),
);
