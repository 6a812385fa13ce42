/** Fitting given inputs to a model's declared ones: dtype, and a missing or extra last axis of size 1, as Keras does. */
import { formatShape, LayerwiseError } from "../errors.ts";
import { cast, reshape } from "../graph/ops/index.ts";
import type { DType } from "../graph/types.ts";
import type { OpenShape } from "../layers/symbolic.ts";
import { Tensor } from "../tensor/tensor.ts";

/** `x` as an input of `shape` (batch first) and `dtype` (null: as it is). */
export function alignInput(x: Tensor, shape: OpenShape | null, dtype: DType | null, owner: string): Tensor {
  let value = x.value;
  if (shape !== null) {
    const got = x.shape;
    const rank = shape.length;
    if (got.length === rank + 1 && got[rank] === 1) value = reshape(value, got.slice(0, -1));
    else if (got.length === rank - 1 && shape[rank - 1] === 1) value = reshape(value, [...got, 1]);
    const fits = value.shape.length === rank && value.shape.every((d, i) => shape[i] === null || shape[i] === d);
    if (!fits) {
      throw new LayerwiseError(`${owner} got an input of another shape than it was built for`, {
        code: "E103",
        layer: owner,
        received: `input ${formatShape(got)}`,
        expected: formatShape(shape),
        hint: reshapeHint(got, shape),
      });
    }
  }
  if (dtype !== null && value.dtype !== dtype) value = cast(value, dtype);
  return value === x.value ? x : new Tensor(value);
}

function reshapeHint(got: readonly number[], shape: OpenShape): string | undefined {
  const size = (s: readonly (number | null)[]) => s.slice(1).reduce<number>((n, d) => n * (d ?? 1), 1);
  if (got.length > 0 && size(got) === size(shape))
    return `x.reshape(${formatShape([-1, ...shape.slice(1)])}) would fit`;
  if (got.length + 1 === shape.length && size([1, ...got]) === size(shape))
    return "a batch axis is missing: one sample is [1, …]";
  return undefined;
}
