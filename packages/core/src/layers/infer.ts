/** Shape inference: what a layer gives for inputs of open shapes, found by tracing its `call` with stand-in sizes. */
import { LayerwiseError } from "../errors.ts";
import { constantValue, inputValue } from "../graph/ops/index.ts";
import type { DType } from "../graph/types.ts";
import type { ValueDType } from "../tensor/string-tensor.ts";
import { Tensor } from "../tensor/tensor.ts";
import { Trace, withTrace } from "../tensor/trace.ts";
import type { Tree } from "../tensor/tree.ts";
import { isTensor, mapTree, type ShapeTree, type TensorTree, treeLeaves } from "./arguments.ts";
import type { CallOptions, Layer } from "./layer.ts";
import { maskOf, setMask } from "./mask.ts";
import { type CallScope, inScope } from "./scope.ts";
import type { OpenShape } from "./symbolic.ts";

/** What is known of a value that does not exist yet. */
export interface Open {
  readonly shape: OpenShape;
  readonly dtype: ValueDType;
  readonly maskShape: OpenShape | null;
}

/** Stand-ins for unknown sizes. An output size that differs between the two depends on them, and so is unknown. */
const standIns = [83, 359] as const;

export const isOpen = (x: unknown): x is Open => x !== null && typeof x === "object" && "shape" in x && "dtype" in x;

/** Shapes, dtypes and masks of a layer's outputs. Builds the layer. */
export function inferOutputs(
  layer: Pick<Layer, "apply" | "buildFor" | "describe"> & Partial<Pick<Layer, "hostStage" | "runsOn">>,
  inputs: unknown,
  options: CallOptions,
): Tree<Open> {
  layer.buildFor(mapTree(inputs, isOpen, (o) => o.shape) as ShapeTree);
  const stage = options.staged ? null : (layer.hostStage ?? null);
  if (stage !== null) {
    const staged = stage.infer(inputs as Tree<Open>);
    return layer.runsOn === "host" ? staged : inferOutputs(layer, staged, { ...options, staged: true });
  }
  const leaves = treeLeaves([inputs, options], isOpen);
  if (leaves.some((o) => o.dtype === "string")) {
    throw new LayerwiseError(`${layer.describe()} takes numbers`, {
      code: "E104",
      received: "strings",
      expected: "numbers",
      hint: "put textVectorization, stringLookup or hashing before it",
    });
  }
  const varies = leaves.some((o) => o.shape.includes(null) || o.maskShape?.includes(null));
  const first = probe(layer, inputs, options, standIns[0]);
  const second = varies ? probe(layer, inputs, options, standIns[1]) : first;
  const others = treeLeaves(second, isTensor);
  let next = 0;
  return mapTree(first, isTensor, (a): Open => {
    const b = others[next++];
    if (b === undefined || a.ndim !== b.ndim) {
      throw new LayerwiseError(`the rank of the outputs of ${layer.describe()} depends on unknown sizes`, {
        code: "E103",
      });
    }
    const maskA = maskOf(a);
    const maskB = maskOf(b);
    return {
      shape: common(a.shape, b.shape),
      dtype: a.dtype,
      maskShape: maskA && maskB ? common(maskA.shape, maskB.shape) : null,
    };
  });
}

function common(a: readonly number[], b: readonly number[]): OpenShape {
  return a.map((d, i) => (d === b[i] ? d : null));
}

function probe(layer: Pick<Layer, "apply">, inputs: unknown, options: CallOptions, standIn: number): TensorTree {
  const close = (shape: OpenShape) => shape.map((d) => d ?? standIn);
  const scope: CallScope = {
    training: false,
    probing: true,
    losses: [],
    path: "",
    calls: 0,
    seed: 0,
    probe: true,
    step: () => constantValue(Uint32Array.of(0), { shape: [], dtype: "u32" }),
  };
  return withTrace(new Trace(), () =>
    inScope(scope, () => {
      const stand = (x: unknown) =>
        mapTree(x, isOpen, (o) => {
          const t = new Tensor(inputValue("open", { shape: close(o.shape), dtype: o.dtype as DType }));
          return o.maskShape
            ? setMask(t, new Tensor(inputValue("mask", { shape: close(o.maskShape), dtype: "bool" })))
            : t;
        });
      return layer.apply<TensorTree>(stand(inputs) as TensorTree, stand(options) as CallOptions);
    }),
  );
}
