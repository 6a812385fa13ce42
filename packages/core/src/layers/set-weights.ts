/** Replacing many weights at once: everything is checked before anything changes. */
import { formatShape, LayerwiseError } from "../errors.ts";
import { isFloat, sameShape, type TypedArray } from "../graph/types.ts";
import { type NestedNumbers, Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { hostForm } from "./arguments.ts";

export type WeightValue = Tensor | TypedArray | NestedNumbers;

export function setAllWeights(
  owner: string,
  layer: string,
  weights: readonly Variable[],
  values: readonly WeightValue[],
): void {
  if (values.length !== weights.length) {
    throw new LayerwiseError(`${owner} got another number of weights than it has`, {
      code: "E107",
      layer,
      received: `${values.length} arrays`,
      expected: `${weights.length}: ${weights.map((v) => `${v.name} ${formatShape(v.shape)}`).join(", ")}`.slice(
        0,
        300,
      ),
    });
  }
  const ready = values.map((value, i) => {
    const v = weights[i];
    const flat = ArrayBuffer.isView(value) ? (value as TypedArray) : null;
    const t = flat ? null : Tensor.of(value as Tensor | NestedNumbers, v.dtype);
    if (flat ? flat.length !== v.size : !sameShape(t!.shape, v.shape)) {
      throw new LayerwiseError(`weight ${i} ("${v.name}") of ${owner} cannot take this shape`, {
        code: "E107",
        layer,
        received: flat ? `${flat.length} values` : formatShape(t!.shape),
        expected: flat ? `${v.size} values for ${formatShape(v.shape)}` : formatShape(v.shape),
        hint: "no weight was changed",
      });
    }
    const data = flat ?? t!.dataSync();
    return t?.dtype === v.dtype || (flat && !isFloat(v.dtype)) ? data : hostForm(data, v.dtype);
  });
  ready.forEach((data, i) => {
    weights[i].overwrite(data);
  });
}
