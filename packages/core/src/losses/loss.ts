/** The base of losses. */
import { Configured, defineSpec, json, type OptionsOf, oneOf, type Spec, string } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import type { DType } from "../graph/types.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor, type TensorLike } from "../tensor/tensor.ts";
import { alignTargets } from "./align.ts";
import { type Reduction, reduceWeighted } from "./reduction.ts";

/** Options of every loss. `name` is the class's default. */
export function lossFields(name: string) {
  return {
    reduction: oneOf("sumOverBatchSize", "mean", "sum", "none", "meanWithSampleWeight")
      .nullable()
      .default("sumOverBatchSize")
      .doc("how the values of samples become one number; null is none"),
    name: string().default(name),
    dtype: json().nullable().doc("dtype of the computation, float32 by default"),
  };
}
interface BaseOptions {
  readonly reduction: Reduction | null;
  readonly name: string;
  readonly dtype: unknown;
}

/** Values per sample, and which of them count. */
export interface MaskedValues {
  readonly values: Tensor;
  readonly mask: Tensor;
}

/** Targets and predictions become values per sample in `call`; `apply` weighs and reduces them. */
export abstract class Loss<S extends Spec = Spec> extends Configured<S> {
  readonly name: string;
  readonly reduction: Reduction;
  protected readonly dtype: DType;

  constructor(spec: S, options: OptionsOf<S>) {
    super(spec, options);
    const base = this.options as unknown as BaseOptions;
    this.name = base.name;
    this.reduction = base.reduction ?? "none";
    this.dtype = computeDtype(base.dtype, this.name);
  }
  /** Values per sample: predictions without their last axis, unless the loss says otherwise. */
  abstract call(yTrue: Tensor, yPred: Tensor): Tensor | MaskedValues;

  /**
   * The loss of a batch, [] unless `reduction` is "none". `sampleWeight`: one weight per value (or sample); `mask`: which
   * values count.
   */
  apply(
    yTrue: TensorLike,
    yPred: TensorLike,
    sampleWeight: TensorLike | null = null,
    mask: TensorLike | null = null,
  ): Tensor {
    const result = this.call(Tensor.of(yTrue), Tensor.of(yPred));
    const [values, own] = result instanceof Tensor ? [result, null] : [result.values, result.mask];
    const given = mask === null ? null : Tensor.of(mask);
    const both = own !== null && given !== null ? ops.logicalAnd(own, given) : (own ?? given);
    const weight = sampleWeight === null ? null : Tensor.of(sampleWeight);
    return reduceWeighted(ops.cast(values, this.dtype), weight, both, this.reduction, this.name);
  }
  /** Both in the dtype of the computation, with equal shapes. */
  protected pair(yTrue: Tensor, yPred: Tensor): [Tensor, Tensor] {
    return alignTargets(ops.cast(yTrue, this.dtype), ops.cast(yPred, this.dtype), this.name);
  }
}

const dtypes: Record<string, DType> = { float32: "f32", float16: "f16", bfloat16: "bf16", float64: "f32" };

/** A dtype name, or a policy's name or config, as Keras saves it. */
function computeDtype(given: unknown, owner: string): DType {
  if (given === null) return "f32";
  const name =
    typeof given === "object" ? (given as { config?: { name?: unknown } }).config?.name : (given as string | undefined);
  const plain = String(name).replace(/^mixed_/, "");
  const found = dtypes[plain] ?? Object.values(dtypes).find((d) => d === plain);
  if (found) return found;
  throw new LayerwiseError("unknown dtype of a loss", {
    code: "E203",
    layer: owner,
    received: String(name),
    expected: Object.keys(dtypes).join(", "),
  });
}

const functionSpec = defineSpec("keras.losses", "LossFunctionWrapper", lossFields("loss"));

/** A loss from a function of one's own: (yTrue, yPred) → values per sample (or one number). */
export class FunctionLoss extends Loss<typeof functionSpec> {
  static readonly spec = functionSpec;
  private readonly fn: (yTrue: Tensor, yPred: Tensor) => Tensor;
  constructor(
    fn: (yTrue: Tensor, yPred: Tensor) => Tensor,
    options: { name?: string; reduction?: Reduction | null } = {},
  ) {
    super(functionSpec, { name: options.name ?? (fn.name || "loss"), reduction: options.reduction ?? undefined });
    this.fn = fn;
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor {
    const values = this.fn(yTrue, yPred);
    if (values instanceof Tensor) return values;
    throw new LayerwiseError(`the loss function "${this.name}" must return a tensor`, {
      code: "E304",
      layer: this.name,
      received: typeof values,
      expected: "a tensor: one value per sample, or one number",
    });
  }
}
