/** Fitting given inputs to a model's declared ones: dtype, and a missing or extra last axis of size 1, as Keras does. */
import { formatShape, LayerwiseError } from "../errors.ts";
import { cast, reshape } from "../graph/ops/index.ts";
import type { HostValue } from "../layers/arguments.ts";
import type { OpenShape } from "../layers/symbolic.ts";
import { StringTensor, type ValueDType } from "../tensor/string-tensor.ts";
import { Tensor } from "../tensor/tensor.ts";

/** `x` as an input of `shape` (batch first) and `dtype` (null: as it is). */
export function alignInput(x: Tensor, shape: OpenShape | null, dtype: ValueDType | null, owner: string): Tensor {
  let value = shape === null ? x.value : reshapedTo(x.shape, shape, owner, x.value, reshape);
  if (dtype === "string") throw wrongKind(owner, "numbers", "strings");
  if (dtype !== null && value.dtype !== dtype) value = cast(value, dtype);
  return value === x.value ? x : new Tensor(value);
}

/** The same for a value of the host stage. */
export function alignHostInput(x: HostValue, shape: OpenShape, dtype: ValueDType, owner: string): HostValue {
  if (!(x instanceof StringTensor)) return alignInput(x, shape, dtype, owner);
  if (dtype !== "string") throw wrongKind(owner, "strings", "numbers");
  return reshapedTo(x.shape, shape, owner, x, (t, s) => t.reshape(s));
}

function wrongKind(owner: string, received: string, expected: string): LayerwiseError {
  return new LayerwiseError(`${owner} got ${received}`, {
    code: "E104",
    layer: owner,
    received,
    expected,
    hint: expected === "numbers" ? 'input([…], { dtype: "string" }) takes strings' : undefined,
  });
}

function reshapedTo<V>(
  got: readonly number[],
  shape: OpenShape,
  owner: string,
  value: V,
  change: (value: V, shape: readonly number[]) => V,
): V {
  const rank = shape.length;
  const dropped = got.length === rank + 1 && got[rank] === 1;
  const added = got.length === rank - 1 && shape[rank - 1] === 1;
  const now = dropped ? got.slice(0, -1) : added ? [...got, 1] : got;
  if (now.length !== rank || !now.every((d, i) => shape[i] === null || shape[i] === d)) {
    throw new LayerwiseError(`${owner} got an input of another shape than it was built for`, {
      code: "E103",
      layer: owner,
      received: `input ${formatShape(got)}`,
      expected: formatShape(shape),
      hint: reshapeHint(got, shape),
    });
  }
  return now === got ? value : change(value, now);
}

function reshapeHint(got: readonly number[], shape: OpenShape): string | undefined {
  const size = (s: readonly (number | null)[]) => s.slice(1).reduce<number>((n, d) => n * (d ?? 1), 1);
  if (got.length > 0 && size(got) === size(shape))
    return `x.reshape(${formatShape([-1, ...shape.slice(1)])}) would fit`;
  if (got.length + 1 === shape.length && size([1, ...got]) === size(shape))
    return "a batch axis is missing: one sample is [1, …]";
  return undefined;
}
