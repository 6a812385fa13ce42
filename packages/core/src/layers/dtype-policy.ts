/** Dtype policies: what a layer computes in and what its weights are stored in. */
import { Field, type Json, matchName } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import type { DType } from "../graph/types.ts";
import type { ValueDType } from "../tensor/string-tensor.ts";

export interface DTypePolicy {
  /** Dtype of inputs, outputs and arithmetic. */
  readonly compute: DType;
  /** Dtype of the weights. */
  readonly variable: DType;
}

const kerasNames: Record<DType, string> = {
  f32: "float32",
  f16: "float16",
  bf16: "bfloat16",
  i32: "int32",
  u32: "uint32",
  i16: "int16",
  i8: "int8",
  u8: "uint8",
  bool: "bool",
};

/** `f32` → `float32`. */
export function kerasDType(dtype: ValueDType): string {
  return dtype === "string" ? dtype : kerasNames[dtype];
}

/** `float32`, `f32` → `f32`; int64 is stored as i32. */
export function parseDType(name: string): DType {
  if (name in kerasNames) return name as DType;
  if (name === "int64") return "i32";
  for (const [dtype, keras] of Object.entries(kerasNames)) if (keras === name) return dtype as DType;
  if (name === "float64" || name === "uint64" || name === "string") {
    throw new LayerwiseError(`dtype "${name}" is not supported`, {
      code: "E104",
      received: name,
      expected: Object.values(kerasNames).join(", "),
    });
  }
  const candidates = [...Object.keys(kerasNames), ...Object.values(kerasNames), "int64"];
  return parseDType(matchName(name, candidates, "dtype"));
}

function parsePolicy(x: unknown): DTypePolicy | undefined {
  if (typeof x === "string") {
    if (x === "mixed_float16" || x === "mixedFloat16") return { compute: "f16", variable: "f32" };
    if (x === "mixed_bfloat16" || x === "mixedBfloat16") return { compute: "bf16", variable: "f32" };
    const dtype = parseDType(x);
    return { compute: dtype, variable: dtype };
  }
  if (x === null || typeof x !== "object") return undefined;
  if ("compute" in x && "variable" in x) {
    return { compute: parseDType(String(x.compute)), variable: parseDType(String(x.variable)) };
  }
  const config = (x as { config?: { name?: unknown } }).config;
  return typeof config?.name === "string" ? parsePolicy(config.name) : undefined;
}

/** Keras' name of a policy. */
export function policyName(policy: DTypePolicy): string {
  const { compute, variable } = policy;
  return compute === variable ? kerasNames[compute] : `mixed_${kerasNames[compute]}`;
}

/** The option `dtype` of layers. */
export function policyField(): Field<string | DTypePolicy, DTypePolicy, true> {
  return new Field<string | DTypePolicy, DTypePolicy, true>({
    expected: 'a dtype ("float32"), a policy ("mixed_bfloat16"), or { compute, variable }',
    read: parsePolicy,
    write: (x): Json => ({
      module: "keras",
      class_name: "DTypePolicy",
      config: { name: policyName(x) },
      registered_name: null,
    }),
    fallback: "float32",
    docs: "what the layer computes in and stores its weights in",
  });
}

/** The same, for values that may be strings. */
export function valueDTypeField(): Field<string, ValueDType, false> {
  const { expected, read, write } = dtypeField().parts;
  return new Field<string, ValueDType, false>({
    expected: `${expected}, or "string"`,
    read: (x, where) => (x === "string" ? x : read(x, where)),
    write: (x) => (x === "string" ? x : write(x)),
  });
}

/** An option that takes one dtype, written as Keras' name. */
export function dtypeField(): Field<string, DType, false> {
  return new Field<string, DType, false>({
    expected: "a dtype",
    read: (x) => (typeof x === "string" ? parseDType(x) : parsePolicy(x)?.compute),
    write: (x) => kerasNames[x],
  });
}
