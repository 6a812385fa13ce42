/** What the layers on images share: options, and images in one layout. */
import { either, Field, int, type Json, list, number, oneOf } from "../../config/index.ts";
import * as ops from "../../tensor/ops/index.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { fromChannelsLast, toChannelsLast } from "../spatial.ts";

export const seedField = int().nullable().doc("makes the random numbers depend on this number and the step alone");

export const imageFormat = oneOf("channelsLast", "channelsFirst")
  .default("channelsLast")
  .doc("whether channels are the last axis or come before height and width");

/** A range given as [low, high], or as one number f for [-f, f]; kept as it was given for the config. */
export type Factor = number | readonly number[];
export function factorField(low: number, high: number): Field<Factor, Factor, false> {
  const one = number({ min: low, max: high });
  const field = either(one, list(one, 2));
  return new Field<Factor, Factor, false>({
    expected: field.parts.expected,
    read: field.parts.read,
    write: (x: Factor): Json => (typeof x === "number" ? x : [...x]),
  });
}
/** The two ends, the lower first; one number stands for both sides of 0 (not below `least`). */
export function ends(factor: Factor, least = Number.NEGATIVE_INFINITY): readonly [number, number] {
  if (typeof factor === "number") return [Math.max(-Math.abs(factor), least), Math.abs(factor)];
  return factor[0] <= factor[1] ? [factor[0], factor[1]] : [factor[1], factor[0]];
}

export const valueRangeField = list(number(), 2).default([0, 255]).doc("lowest and highest value of a pixel");

/** `f` on [N, H, W, C], for images in either layout, with or without a batch. */
export function onBatch(
  x: Tensor,
  dataFormat: "channelsLast" | "channelsFirst",
  f: (images: Tensor) => Tensor,
): Tensor {
  const batch = x.ndim === 3 ? ops.expandDims(x, 0) : x;
  const y = fromChannelsLast(f(toChannelsLast(batch, dataFormat)), dataFormat);
  return x.ndim === 3 ? ops.squeeze(y, 0) : y;
}

/** A number between `low` and `high` for each u in [0, 1). */
export function between(u: Tensor, low: number, high: number): Tensor {
  return u.mul(high - low).add(low);
}
