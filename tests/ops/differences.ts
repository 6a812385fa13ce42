/** Runs samples on the float64 reference, and checks gradients against central finite differences. */
import { gradients } from "../../packages/core/src/autodiff/gradients.ts";
import type { Value } from "../../packages/core/src/graph/node.ts";
import { constantValue, inputValue } from "../../packages/core/src/graph/ops/index.ts";
import { type Sample, uniform } from "../../packages/core/src/graph/ops/sample.ts";
import type { RefArray } from "../../packages/core/src/graph/reference/array.ts";
import { evaluate } from "../../packages/core/src/graph/reference/evaluate.ts";
import { isFloat, sizeOf } from "../../packages/core/src/graph/types.ts";

/** A sample as a graph: its input nodes, what is fed to them, and its outputs. */
export interface Built {
  readonly inputs: readonly Value[];
  readonly feed: Map<Value, RefArray>;
  readonly outputs: readonly Value[];
}

export function buildSample(sample: Sample): Built {
  const inputs = sample.inputs.map((s, i) => inputValue(`x${i}`, { shape: s.shape, dtype: s.dtype }));
  const feed = new Map(
    inputs.map((v, i) => [v, { shape: v.shape, data: Float64Array.from(sample.inputs[i].data) }] as const),
  );
  const outputs = sample.build(...inputs);
  return { inputs, feed, outputs: Array.isArray(outputs) ? outputs : [outputs as Value] };
}

/** Fixed weights in (-1, 1) of the shape of each float output. */
export function cotangents(outputs: readonly Value[], seed = 77): (Value | null)[] {
  return outputs.map((y, i) =>
    y.dtype === "f32"
      ? constantValue(Float32Array.from(uniform(sizeOf(y.shape), -1, 1, seed + i)), { shape: y.shape, dtype: "f32" })
      : null,
  );
}

/**
 * The first disagreement between the gradients of Σ outputs·weights and central differences in double precision, as
 * text; null when there is none. At most `limit` elements of each input are moved.
 */
export function compareGradients(
  inputs: readonly Value[],
  feed: ReadonlyMap<Value, RefArray>,
  outputs: readonly Value[],
  weights: readonly (Value | null)[],
  tolerance = 2e-6,
  limit = 40,
): string | null {
  const targets = inputs.filter((v) => isFloat(v.dtype));
  const symbolic = gradients(outputs, weights, targets);
  const found = symbolic.filter((g) => g !== null);
  const values = evaluate(found, feed);
  const weightArrays = evaluate(
    weights.filter((w) => w !== null),
    feed,
  );
  const used = outputs.filter((_, i) => weights[i] !== null);
  const objective = (at: ReadonlyMap<Value, RefArray>): number => {
    let sum = 0;
    evaluate(used, at).forEach((y, i) => {
      for (let j = 0; j < y.data.length; j++) sum += y.data[j] * weightArrays[i].data[j];
    });
    return sum;
  };
  for (let t = 0; t < targets.length; t++) {
    const grad = symbolic[t];
    const x = feed.get(targets[t])!;
    const analytic = grad ? values[found.indexOf(grad)].data : new Float64Array(x.data.length);
    const stride = Math.max(1, Math.floor(x.data.length / limit));
    for (let j = 0; j < x.data.length; j += stride) {
      const h = 1e-5 * Math.max(1, Math.abs(x.data[j]));
      const moved = (by: number): number => {
        const data = x.data.slice();
        data[j] += by;
        return objective(new Map([...feed, [targets[t], { shape: x.shape, data }]]));
      };
      const numeric = (moved(h) - moved(-h)) / (2 * h);
      const difference = Math.abs(analytic[j] - numeric);
      if (!(difference <= tolerance * Math.max(1, Math.abs(numeric)))) {
        return `input ${t}, element ${j}: gradient ${analytic[j]}, differences ${numeric}`;
      }
    }
  }
  return null;
}
