/** Runs a function of tensors as one program of the current device, with gradients of Σ outputs·cotangents. */
import { gradients } from "../../packages/core/src/autodiff/gradients.ts";
import type { Value } from "../../packages/core/src/graph/node.ts";
import { cast, inputValue } from "../../packages/core/src/graph/ops/index.ts";
import { isFloat } from "../../packages/core/src/graph/types.ts";
import { compileProgram, hostData } from "../../packages/core/src/tensor/engine.ts";
import { Tensor } from "../../packages/core/src/tensor/tensor.ts";
import { Trace, withTrace } from "../../packages/core/src/tensor/trace.ts";
import type { Variable } from "../../packages/core/src/tensor/variable.ts";
import { type GoldenTensor, goldenTensor, type Result, zerosLike } from "./cases.ts";

export interface Run {
  readonly outputs: Result[];
  readonly weightGrads: Result[];
  /** Of the float inputs, in order. */
  readonly inputGrads: Result[];
  readonly extra: Result[];
}

/**
 * `f` gives the outputs (compared and differentiated) and further values. `weights` are variables whose gradients are
 * wanted; without `cotangents` there are no gradients.
 */
export function evaluate(
  inputs: readonly Tensor[],
  f: (xs: Tensor[]) => { outputs: readonly Tensor[]; extra?: readonly Tensor[] },
  cotangents: readonly (GoldenTensor | null)[] | null,
  weights: readonly Variable[] = [],
  training = false,
): Run {
  const trace = new Trace({ training });
  const xs = inputs.map((t, i) => inputValue(`x${i}`, t.value.type));
  const built = withTrace(trace, () => {
    const { outputs, extra = [] } = f(xs.map((v) => new Tensor(v)));
    if (!cotangents) return { outputs, extra, targets: [] as Value[], grads: [] as (Value | null)[] };
    const targets = [...weights.map((v) => v.value()), ...xs.filter((v) => isFloat(v.dtype))];
    const seeds = outputs.map((t, j) => {
      const golden = cotangents[j];
      return golden && isFloat(t.dtype) ? cast(goldenTensor(golden).value, t.dtype) : null;
    });
    return { outputs, extra, targets, grads: gradients(outputs.map((t) => t.value), seeds, targets) };
  });
  const { outputs, extra, targets, grads } = built;
  const found = grads.filter((g) => g !== null);
  const all = [...outputs.map((t) => t.value), ...found, ...extra.map((t) => t.value)];
  // Half precision is read as f32.
  const read = all.map((v) => (v.dtype === "f16" || v.dtype === "bf16" ? cast(v, "f32") : v));
  const program = compileProgram({ name: "case", inputs: xs, outputs: read, trace });
  try {
    const results = program.run(inputs.map((t) => hostData(t.value)));
    const result = (v: Value, i: number): Result => ({ shape: v.shape, dtype: v.dtype, data: results[i] });
    let next = outputs.length;
    const gradResults = grads.map((g, i) => (g === null ? zerosLike(targets[i]) : result(g, next++)));
    return {
      outputs: outputs.map((t, i) => result(t.value, i)),
      weightGrads: gradResults.slice(0, weights.length),
      inputGrads: gradResults.slice(weights.length),
      extra: extra.map((t) => result(t.value, next++)),
    };
  } finally {
    program.release();
  }
}

/** Tensors of a tree, in order. */
export function tensorLeaves(x: unknown): Tensor[] {
  if (x instanceof Tensor) return [x];
  if (x === null || typeof x !== "object") return [];
  return (Array.isArray(x) ? x : Object.values(x)).flatMap(tensorLeaves);
}
