/** How a model takes one step more: each layer on the new step alone, those that look back with what they keep. */
import { isTensor, mapTree, type TensorTree } from "../layers/arguments.ts";
import type { CallOptions, Layer } from "../layers/layer.ts";
import { isStepping, type SteppingLayer } from "../layers/stepping.ts";
import { isSymbolic, type SymbolicTensor, symbolicLeaves } from "../layers/symbolic.ts";
import { alignInput } from "../models/align-inputs.ts";
import { Functional } from "../models/functional.ts";
import { Sequential } from "../models/sequential.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Caches of one run through the model, in the order of the calls. */
export interface Caches {
  readonly position: Tensor;
  take(): TensorTree;
  put(next: TensorTree): void;
}
type StepFunction = (x: TensorTree, caches: Caches) => TensorTree;

export interface StepPlan {
  /** Layers that keep something, once for each call. */
  readonly keepers: readonly (Layer & SteppingLayer)[];
  readonly run: StepFunction;
}

/** The plan of a model, or null if some layer can only see sequences as a whole. */
export function planSteps(model: Layer): StepPlan | null {
  const keepers: (Layer & SteppingLayer)[] = [];
  const run = planLayer(model, {}, 1, keepers);
  // What is in a cache of keys cannot be masked any more.
  const unmasked = keepers.every((k) => k.stepsWithMask) || !makesMasks(model);
  return run && unmasked ? { keepers, run } : null;
}

/** Whether a layer inside marks steps as padding. */
function makesMasks(layer: Layer): boolean {
  const { maskZero, maskValue } = layer.options as { readonly maskZero?: boolean; readonly maskValue?: number };
  return maskZero === true || maskValue !== undefined || layer.subLayers.some(makesMasks);
}

function planLayer(
  layer: Layer,
  options: CallOptions,
  numInputs: number,
  keepers: (Layer & SteppingLayer)[],
): StepFunction | null {
  if (layer instanceof Sequential) return planSequential(layer, keepers);
  if (layer instanceof Functional) return planFunctional(layer, keepers);
  if (isStepping(layer)) {
    if (!layer.canStep(options, numInputs)) return null;
    keepers.push(layer);
    return (x, caches) => {
      const one = isTensor(x) ? x : (Object.values(x)[0] as Tensor);
      const [y, next] = layer.step(one, caches.take(), caches.position);
      caches.put(next);
      return y;
    };
  }
  if (!layer.timewise) return null;
  return (x, { position }) => layer.apply<TensorTree>(x, { ...options, startIndex: position });
}

function planSequential(model: Sequential, keepers: (Layer & SteppingLayer)[]): StepFunction | null {
  const steps = model.layers.map((layer) => planLayer(layer, {}, 1, keepers));
  if (steps.includes(null)) return null;
  const dtype = model.inputLayer?.dtype ?? null;
  return (x, caches) =>
    steps.reduce<TensorTree>(
      (y, step) => step!(y, caches),
      isTensor(x) ? alignInput(x, null, dtype, model.describe()) : x,
    );
}

function planFunctional(model: Functional, keepers: (Layer & SteppingLayer)[]): StepFunction | null {
  if (!isSymbolic(model.inputs) || !isSymbolic(model.outputs)) return null;
  const { inputs, outputs } = model;
  const steps: { run: StepFunction; inputs: unknown; outputs: readonly SymbolicTensor[] }[] = [];
  for (const node of model.graph.nodes) {
    if (node.outputList.includes(inputs)) continue;
    // Self-attention is called with one tensor, or with the same one as query, value and key.
    const distinct = new Set(symbolicLeaves(node.inputs)).size;
    if (Object.values(node.options).flatMap(symbolicLeaves).length > 0) return null;
    const run = planLayer(node.layer, node.options as CallOptions, distinct, keepers);
    if (!run) return null;
    steps.push({ run, inputs: node.inputs, outputs: node.outputList });
  }
  return (x, caches) => {
    const values = new Map<SymbolicTensor, Tensor>();
    values.set(inputs, alignInput(x as Tensor, null, inputs.dtype, model.describe()));
    for (const step of steps) {
      const y = step.run(mapTree(step.inputs, isSymbolic, (t) => values.get(t)!) as TensorTree, caches);
      const flat: Tensor[] = [];
      mapTree(y, isTensor, (t) => flat.push(t));
      step.outputs.forEach((t, i) => {
        values.set(t, flat[i]);
      });
    }
    return values.get(outputs)!;
  };
}
