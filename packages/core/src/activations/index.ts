/** Activations: named functions, and the option that takes them. */
import { Field, foldName, type Json, matchName, show, toSnake } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import * as f from "./functions.ts";

export * from "./functions.ts";

/** Names that take no further argument. */
export const activationTable = {
  linear: f.linear,
  relu: f.relu,
  relu6: f.relu6,
  leakyRelu: f.leakyRelu,
  elu: f.elu,
  selu: f.selu,
  celu: f.celu,
  gelu: f.gelu,
  silu: f.silu,
  sigmoid: f.sigmoid,
  tanh: f.tanh,
  softmax: f.softmax,
  logSoftmax: f.logSoftmax,
  softplus: f.softplus,
  softsign: f.softsign,
  exponential: f.exponential,
  hardSigmoid: f.hardSigmoid,
  hardSilu: f.hardSilu,
  hardTanh: f.hardTanh,
  hardShrink: f.hardShrink,
  softShrink: f.softShrink,
  tanhShrink: f.tanhShrink,
  logSigmoid: f.logSigmoid,
  mish: f.mish,
  sparsePlus: f.sparsePlus,
  sparseSigmoid: f.sparseSigmoid,
  sparsemax: f.sparsemax,
  squareplus: f.squareplus,
  glu: f.glu,
} as const;

export type ActivationName = keyof typeof activationTable | "swish" | "hardSwish";
const aliases: Record<string, keyof typeof activationTable> = { swish: "silu", hardswish: "hardSilu", none: "linear" };

/** An activation as a layer holds it. */
export interface Activation {
  /** camelCase name; for a function of one's own, its JavaScript name. */
  readonly name: string;
  readonly call: (x: Tensor) => Tensor;
  readonly saved: Json;
}

type Callable = (x: Tensor) => Tensor;
interface AppliedLayer {
  readonly name: string;
  apply(x: Tensor): Tensor;
  toConfig(): Json;
}
export type ActivationLike = ActivationName | Callable | AppliedLayer;

/** The activation of a name, function, layer or Keras config; null is linear. */
export function getActivation(id: unknown, owner = "activation"): Activation {
  if (id === null || id === undefined) return { name: "linear", call: f.linear, saved: "linear" };
  if (typeof id === "string") {
    const known =
      aliases[foldName(id)] ??
      matchName(id, Object.keys(activationTable) as (keyof typeof activationTable)[], "activation", owner);
    const call = activationTable[known];
    return { name: known, call: (x) => call(x), saved: toSnake(known) };
  }
  if (typeof id === "function") {
    const found = Object.entries(activationTable).find(([, g]) => g === id)?.[0];
    return { name: found ?? id.name, call: (x) => (id as Callable)(x), saved: found ? toSnake(found) : id.name };
  }
  if (typeof id === "object" && "saved" in id && "call" in id) return id as Activation;
  if (typeof id === "object" && "apply" in id) {
    const layer = id as AppliedLayer;
    return { name: layer.name, call: (x) => layer.apply(x), saved: layer.toConfig() };
  }
  const config = (id as { config?: unknown }).config;
  if (typeof config === "string") return getActivation(config, owner);
  throw new LayerwiseError(`${owner} got something that is not an activation`, {
    code: "E203",
    received: show(id),
    expected: "a name, a function of a tensor, or a layer",
  });
}

/** An option that takes an activation; null and absence mean linear. */
export function activationField(
  fallback: ActivationName | null = null,
): Field<ActivationLike | null, Activation, true> {
  return new Field<ActivationLike | null, Activation, true>({
    expected: "the name of an activation, a function of a tensor, a layer, or null",
    read: (x, where) => getActivation(x, where.owner),
    write: (x) => x.saved,
    fallback,
    docs: "applied to the output",
  });
}
