/** Operation: a function of `ops` as a node of a functional graph, as Keras saves `keras.ops` calls on symbolic tensors. */
import { type Json, type KerasObject, snakeClassName, toCamel, toSnake } from "../config/index.ts";
import { LayerwiseError, nearestName } from "../errors.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import { isTensor, type TensorTree } from "./arguments.ts";
import { parseDType } from "./dtype-policy.ts";
import { type CallContext, Layer, type LayerSpec } from "./layer.ts";
import { autoName } from "./names.ts";

type Config = { readonly [key: string]: Json };
/** What an operation is called with: tensors, and numbers or shapes among them. */
type Argument = Tensor | number | boolean | string | null | readonly Argument[] | { readonly [key: string]: Argument };

/**
 * Options that a class of `keras.ops` keeps in its config, in the order in which our function takes them after its tensors.
 * Classes without options are not listed.
 */
const optionsOf: { readonly [className: string]: string } = {
  ...Object.fromEntries(
    "All Any Amax Amin Max Min Sum Prod Mean Std Var Argmax Argmin Median Ptp Nanmax Nanmin Nanmean Nansum Nanprod Logsumexp"
      .split(" ")
      .map((name) => [name, "axis keepdims"]),
  ),
  ...Object.fromEntries("ZerosLike OnesLike Cast".split(" ").map((name) => [name, "dtype"])),
  ...Object.fromEntries(
    "Append Argsort Concatenate CountNonzero Cumprod Cumsum ExpandDims Flip Glu LogSoftmax Softmax Sort Sparsemax Squeeze Stack Take TakeAlongAxis"
      .split(" ")
      .map((name) => [name, "axis"]),
  ),
  Average: "axis weights",
  BroadcastTo: "shape",
  Celu: "alpha",
  Clip: "x_min x_max",
  Conv: "strides padding data_format dilation_rate",
  DepthwiseConv: "strides padding data_format dilation_rate",
  ConvTranspose: "strides padding output_padding data_format dilation_rate",
  MaxPool: "pool_size strides padding data_format",
  AveragePool: "pool_size strides padding data_format",
  Diag: "k",
  Diagonal: "offset axis1 axis2",
  Diff: "n axis",
  Elu: "alpha",
  FullLike: "dtype",
  Gelu: "approximate",
  HardShrink: "threshold",
  LeakyRelu: "negative_slope",
  Moveaxis: "source destination",
  Norm: "ord axis keepdims",
  Normalize: "axis order",
  OneHot: "num_classes axis dtype",
  MultiHot: "num_classes axis dtype",
  Pad: "pad_width mode",
  Quantile: "axis method keepdims",
  Repeat: "repeats axis",
  Reshape: "newshape",
  Roll: "shift axis",
  Rot90: "k axes",
  Round: "decimals",
  Slice: "shape",
  SoftShrink: "threshold",
  Split: "indices_or_sections axis",
  Squareplus: "b",
  Swapaxes: "axis1 axis2",
  Tensordot: "axes",
  Threshold: "threshold default_value",
  Tile: "repeats",
  TopK: "k sorted",
  Trace: "offset axis1 axis2",
  Transpose: "axes",
  Tril: "k",
  Triu: "k",
  Unstack: "num axis",
};
/** Functions whose name is not the class's in camelCase. */
const functionOf: { readonly [className: string]: string } = {
  Abs: "abs",
  BatchNorm: "batchNormalization",
  LayerNorm: "layerNormalization",
  RMSNorm: "rmsNormalization",
  PSNR: "psnr",
};

/**
 * A call of one function of `ops` inside a functional model: `operation("multiply").apply([x, 2])`,
 * `operation("mean", { axis: -1 }).apply(x)`. The result carries no mask, as in Keras.
 */
export class Operation extends Layer<LayerSpec> {
  override readonly masking = "consume";
  protected override readonly castsFloats = false;
  override readonly callArguments: readonly string[];
  /** Keras' class of the op, such as `NotEqual`, and the module it is saved under. */
  readonly op: string;
  private readonly module: string;
  private readonly config: Config;

  constructor(op: string, config: Config = {}, module = "keras.src.ops.numpy") {
    super({ name: (config["name"] as string | undefined) ?? autoName(op) });
    this.op = op;
    this.callArguments = this.takesList ? ["xs"] : ["x1", "x2", "x3"];
    this.module = module;
    this.config = Object.fromEntries(Object.entries(config).filter(([key]) => key !== "name"));
    this.functionOf(); // refuses an unknown op now, not when it is called
  }
  override get className(): string {
    return this.op;
  }
  protected override readArguments(inputs: unknown): TensorTree {
    return inputs as TensorTree;
  }
  call(inputs: TensorTree, context: CallContext): TensorTree {
    const given =
      isList(inputs as Argument) && !this.takesList ? (inputs as unknown as Argument[]) : [inputs as Argument];
    const { training: _training, mask: _mask, ...named } = context;
    return this.functionOf()(given, named) as TensorTree;
  }
  /** Ops whose one argument is a list of tensors. */
  private get takesList(): boolean {
    return ["Concatenate", "Stack", "Hstack", "Vstack", "Meshgrid"].includes(this.op);
  }
  private functionOf(): (given: readonly Argument[], named: Config) => unknown {
    const options = (optionsOf[this.op] ?? "").split(" ").filter((name) => name !== "");
    const option = (key: string, named: Config): unknown => {
      const value = named[toCamel(key)] ?? named[key] ?? this.config[key] ?? this.config[toCamel(key)];
      if (key === "dtype" && typeof value === "string") return parseDType(value);
      if (key === "newshape" && Array.isArray(value)) return value.map((d) => d ?? -1);
      if (
        key === "pad_width" &&
        Array.isArray(value) &&
        Array.isArray(value[0]) &&
        value.every((p) => String(p) === String(value[0]))
      )
        return value[0];
      return value;
    };
    switch (this.op) {
      case "Einsum":
        return (given) => ops.einsum(String(this.config["subscripts"]), ...(given.flat() as Tensor[]));
      case "GetItem":
        return ([x, key]) => getItem(x as Tensor, key);
      case "ConvertToTensor":
      case "Copy":
        return ([x]) => {
          const dtype = this.config["dtype"];
          return typeof dtype === "string" ? ops.cast(x as Tensor, parseDType(dtype)) : Tensor.of(x as Tensor);
        };
      default: {
        const name = functionOf[this.op] ?? toCamel(snakeClassName(this.op));
        // biome-ignore lint/suspicious/noExplicitAny: looked up by name.
        const f = (ops as any)[name] as ((...xs: unknown[]) => unknown) | undefined;
        if (typeof f !== "function") this.unknown(name);
        return (given, named) => f!(...given, ...trimmed(options.map((key) => option(key, named))));
      }
    }
  }
  private unknown(name: string): never {
    const near = nearestName(name, Object.keys(ops));
    throw new LayerwiseError(`there is no operation "${this.op}"`, {
      code: "E203",
      layer: this.name,
      received: `"${this.op}"`,
      expected: "the name of a function of ops",
      hint: near === undefined ? undefined : `did you mean "${near}"?`,
    });
  }
  override getConfig(): Record<string, Json> {
    return { ...this.config, name: this.name };
  }
  override toConfig(): KerasObject {
    return { module: this.module, class_name: this.op, config: this.getConfig(), registered_name: this.op };
  }
  /** Whether a saved object is a call of an op, not a layer. */
  static isSaved(saved: { readonly module?: unknown }): boolean {
    return typeof saved.module === "string" && /^keras\.(src\.)?ops\b/.test(saved.module);
  }
  static fromSaved(saved: { readonly [key: string]: Json }): Operation {
    return new Operation(String(saved["class_name"]), (saved["config"] ?? {}) as Config, String(saved["module"]));
  }
}

/** `operation("notEqual").apply([x, 0])`: a function of `ops` in a functional model; options under their names in Keras. */
export function operation(name: string, config: { readonly [option: string]: Json } = {}): Operation {
  const camel = toCamel(name);
  const known = [...Object.keys(optionsOf), ...Object.keys(functionOf)].find(
    (c) => toCamel(snakeClassName(c)) === camel,
  );
  const saved = Object.fromEntries(Object.entries(config).map(([key, value]) => [toSnake(key), value]));
  return new Operation(known ?? camel.charAt(0).toUpperCase() + camel.slice(1), saved);
}

const isList = (x: Argument): x is readonly Argument[] => Array.isArray(x);
/** Without trailing arguments that are not given, so that the function's defaults count. */
function trimmed(list: readonly unknown[]): unknown[] {
  let n = list.length;
  while (n > 0 && list[n - 1] === undefined) n--;
  return list.slice(0, n);
}

/** `x[key]` with Keras' saved slices: an integer, a slice, an ellipsis (as a string), null for a new axis, or a list of them. */
function getItem(x: Tensor, key: Argument | undefined): Tensor {
  const parts = isList(key ?? null) ? [...(key as readonly Argument[])] : [key ?? null];
  const isEllipsis = (p: Argument) => p === "..." || (isRecord(p) && p["class_name"] === "__ellipsis__");
  const at = parts.findIndex(isEllipsis);
  const named = parts.filter((p) => p !== null && !isEllipsis(p)).length;
  const fill = new Array<Argument>(Math.max(0, x.ndim - named)).fill({ start: null, stop: null, step: null });
  if (at >= 0) parts.splice(at, 1, ...fill);
  let y = x;
  let axis = 0;
  for (const part of parts) {
    if (part === null) y = ops.expandDims(y, axis++);
    else if (typeof part === "number") y = ops.squeeze(cut(y, axis, part, part === -1 ? null : part + 1, 1), axis);
    else if (isRecord(part)) {
      const s = (isRecord(part["config"] ?? null) ? part["config"] : part) as { readonly [key: string]: number | null };
      y = cut(y, axis++, s["start"] ?? null, s["stop"] ?? null, s["step"] ?? 1);
    } else if (isTensor(part)) y = ops.take(y, part, axis++);
  }
  return y;
}
const isRecord = (x: Argument): x is { readonly [key: string]: Argument } =>
  x !== null && typeof x === "object" && !Array.isArray(x) && !isTensor(x);
function cut(x: Tensor, axis: number, start: number | null, stop: number | null, step: number): Tensor {
  const n = x.shape[axis];
  const wrap = (i: number) => Math.min(n, Math.max(0, i < 0 ? i + n : i));
  if (step < 0)
    return cut(
      ops.reverse(x, [axis]),
      axis,
      start === null ? null : n - 1 - wrap(start),
      stop === null ? null : n - 1 - wrap(stop),
      -step,
    );
  return ops.sliceAxis(x, axis, wrap(start ?? 0), wrap(stop ?? n), step);
}
