/** Conversions between dtypes: by value (cast) and of the raw bits (bitcast). */
import type { KernelBuilder } from "../../compiler/builder.ts";
import type { Operand } from "../../compiler/loopir.ts";
import { apply1, type OpRecord, type Value } from "../node.ts";
import { type Reference, refArray } from "../reference/array.ts";
import { allocate, type DType, isFloat } from "../types.ts";
import { formatType, narrow, opError } from "./common.ts";
import { booleans, extremes, floats, integers, literal, type Samples } from "./sample.ts";

export interface CastAttrs {
  readonly dtype: DType;
}

/** The type a kernel computes with. */
function computeType(dtype: DType): "f32" | "i32" | "u32" | "mask" {
  return isFloat(dtype) ? "f32" : dtype === "u32" ? "u32" : dtype === "bool" ? "mask" : "i32";
}

function convert(b: KernelBuilder, x: Operand, dtype: DType): Operand {
  const type = computeType(dtype);
  if (type === x.type) return x;
  if (type === "mask") return b.compare("ne", x, b.const(x.type, 0, x.lanes));
  if (x.type === "mask") return b.select(x, b.const(type, 1, x.lanes), b.const(type, 0, x.lanes));
  return b.convert(x, type);
}

export const castOp: OpRecord<CastAttrs> = {
  name: "cast",
  infer: ([x], { dtype }) => [{ shape: x.shape, dtype }],
  gradient: ({ inputs: [x], grads, attrs }) => [
    isFloat(x.dtype) && isFloat(attrs.dtype) ? cast(grads[0]!, x.dtype) : null,
  ],
  kernel: { kind: "map", expr: (b, [x], { attrs }) => narrow(b, convert(b, x, attrs.dtype), attrs.dtype), flops: 1 },
};

/**
 * The same values in another dtype. Floats become i32 or u32 truncated towards zero and saturated, NaN becomes 0; narrower
 * integers take the low bits of that i32. Bool is "not zero".
 */
export function cast(x: Value, dtype: DType): Value {
  return x.dtype === dtype ? x : apply1(castOp, [x], { dtype });
}

export const bitcastOp: OpRecord<CastAttrs> = {
  name: "bitcast",
  infer: ([x], { dtype }) => {
    const wide = (d: DType) => d === "f32" || d === "i32" || d === "u32";
    if (!wide(x.dtype) || !wide(dtype)) {
      throw opError("E104", "bitcast works between 32-bit dtypes", `${formatType(x)} to ${dtype}`, "f32, i32 or u32");
    }
    return [{ shape: x.shape, dtype }];
  },
  gradient: "none",
  kernel: { kind: "map", expr: (b, [x], { attrs }) => b.bitcast(x, computeType(attrs.dtype)), flops: 0 },
};

/** The same 32 bits read as another of f32, i32, u32. */
export function bitcast(x: Value, dtype: DType): Value {
  return x.dtype === dtype ? x : apply1(bitcastOp, [x], { dtype });
}

// ---- beside the records

function castNumber(x: number, from: DType, to: DType): number {
  if (to === "bool") return x !== 0 ? 1 : 0;
  if (isFloat(to) || !isFloat(from)) return x;
  if (Number.isNaN(x)) return 0;
  const [low, high] = to === "u32" ? [0, 4294967295] : [-2147483648, 2147483647];
  return Math.min(high, Math.max(low, Math.trunc(x)));
}

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  cast: ([x], { dtype }: CastAttrs, _, [type]) => [refArray(x.shape, (i) => castNumber(x.data[i], type.dtype, dtype))],
  bitcast: ([x], { dtype }: CastAttrs, _, [type]) => {
    const from = allocate(type.dtype, x.data.length);
    from.set(x.data);
    return [{ shape: x.shape, data: Float64Array.from(bitsAs(from.buffer as ArrayBuffer, dtype)) }];
  },
};

function bitsAs(buffer: ArrayBuffer, dtype: DType): Float32Array | Int32Array | Uint32Array {
  return dtype === "f32"
    ? new Float32Array(buffer)
    : dtype === "i32"
      ? new Int32Array(buffer)
      : new Uint32Array(buffer);
}

export const docs: Record<string, string> = {
  cast: "x → x in another dtype; floats become integers truncated and saturated, NaN 0; bool is x ≠ 0.",
  bitcast: "x → the same 32 bits as f32, i32 or u32.",
};

const to = (dtype: DType) => (x: Value) => cast(x, dtype);
const edges = /* @__PURE__ */ extremes.concat([
  2147483648, -2147483648, -3e9, 3e9, 5e9, 255.5, 256.75, -129.5, 40000.5, 65504, 65519, 65520, 6e-8, 3e-5, 1e-7,
]);

export const samples: Samples = {
  cast: () => [
    { name: "f32 to i32", inputs: [literal(edges)], build: to("i32") },
    { name: "f32 to u32", inputs: [literal(edges)], build: to("u32") },
    { name: "f32 to u8", inputs: [floats([21], 0, 255)], build: to("u8") },
    { name: "f32 to i8", inputs: [literal(edges)], build: to("i8") },
    { name: "f32 to i16", inputs: [literal(edges)], build: to("i16") },
    { name: "f32 to bool", inputs: [literal(edges)], build: to("bool") },
    { name: "f32 to f16 and back", inputs: [literal(edges)], build: (x) => cast(cast(x, "f16"), "f32"), ulps: 0 },
    { name: "f32 to bf16 and back", inputs: [literal(edges)], build: (x) => cast(cast(x, "bf16"), "f32"), ulps: 0 },
    {
      name: "random to f16 and back",
      inputs: [floats([99], -9, 9)],
      build: (x) => cast(cast(x, "f16"), "f32"),
      ulps: 0,
    },
    {
      name: "random to bf16 and back",
      inputs: [floats([99], -9, 9)],
      build: (x) => cast(cast(x, "bf16"), "f32"),
      ulps: 0,
    },
    { name: "u8 to f32", inputs: [integers([19], 0, 256, 1, "u8")], build: to("f32") },
    { name: "i32 to f32", inputs: [literal([0, -5, 16777217, 2147483647], "i32")], build: to("f32") },
    { name: "i32 to u32", inputs: [literal([0, -5, 2147483647], "i32")], build: to("u32") },
    { name: "i32 to i8", inputs: [literal([0, -5, 128, 300, -129], "i32")], build: to("i8") },
    { name: "u32 to f32", inputs: [literal([0, 5, 4294967295, 2147483648], "u32")], build: to("f32") },
    { name: "u32 to i32", inputs: [literal([0, 5, 4294967295, 2147483648], "u32")], build: to("i32") },
    { name: "bool to f32", inputs: [booleans([9])], build: to("f32") },
    { name: "bool to u8", inputs: [booleans([9])], build: to("u8") },
    { name: "size 0", inputs: [floats([0])], build: to("i32") },
    { name: "rank 0", inputs: [floats([])], build: to("i32") },
  ],
  bitcast: () => [
    {
      name: "f32 to i32",
      inputs: [literal(extremes.filter((x) => !Number.isNaN(x)))],
      build: (x) => bitcast(x, "i32"),
    },
    { name: "f32 to u32", inputs: [floats([7])], build: (x) => bitcast(x, "u32") },
    {
      name: "i32 to f32",
      inputs: [literal([0, 1, 1065353216, -1082130432], "i32")],
      build: (x) => bitcast(x, "f32"),
      ulps: 0,
    },
    { name: "u32 to i32", inputs: [literal([0, 4294967295], "u32")], build: (x) => bitcast(x, "i32") },
  ],
};
