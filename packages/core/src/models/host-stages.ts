/** Which calls of a functional model run on the host, and running them. */
import { LayerwiseError } from "../errors.ts";
import { mapTree } from "../layers/arguments.ts";
import type { Layer } from "../layers/layer.ts";
import { isSymbolic, type SymbolicNode, type SymbolicTensor } from "../layers/symbolic.ts";
import type { ValueDType } from "../tensor/string-tensor.ts";
import type { Tree } from "../tensor/tree.ts";

export interface HostPart {
  /** Calls that run on the host alone, in order. */
  readonly nodes: ReadonlySet<SymbolicNode>;
  /** Calls of models that begin on the host. */
  readonly models: readonly SymbolicNode[];
  /** What the program takes of the values known on the host: inputs, and outputs of the calls above. */
  readonly handedOn: readonly SymbolicTensor[];
}

/** Splits a graph; null when nothing runs on the host. A call on the host may use inputs and other such calls alone. */
export function hostPart(
  order: readonly SymbolicNode[],
  inputs: readonly SymbolicTensor[],
  outputs: readonly SymbolicTensor[],
): HostPart | null {
  const known = new Set(inputs);
  const nodes = new Set<SymbolicNode>();
  const models: SymbolicNode[] = [];
  const wanted = new Set<SymbolicTensor>();
  for (const node of order) {
    if (node.outputList.every((t) => known.has(t))) continue;
    if (!node.layer.hostStage) {
      for (const t of node.parents) if (known.has(t)) wanted.add(t);
      continue;
    }
    const late = node.parents.find((t) => !known.has(t));
    if (late) throw hostAfterProgram(node.layer, late.layer);
    if (node.layer.runsOn === "program") models.push(node);
    else {
      nodes.add(node);
      for (const t of node.outputList) known.add(t);
    }
  }
  for (const t of outputs) if (known.has(t)) wanted.add(t);
  return nodes.size + models.length === 0 ? null : { nodes, models, handedOn: [...wanted] };
}

/** Runs the host part on values or on what is known of them: `{ values, models }`, what the program takes. */
export function runHostPart<V>(
  part: HostPart,
  inputs: readonly (readonly [SymbolicTensor, V])[],
  isValue: (x: unknown) => x is V,
  run: (layer: Layer, inputs: Tree<V>) => Tree<V>,
): Tree<V> {
  const values = new Map(inputs);
  const now = (t: SymbolicTensor) => values.get(t)!;
  const call = (node: SymbolicNode) => run(node.layer, mapTree(node.inputs, isSymbolic, now));
  for (const node of part.nodes) {
    const flat: V[] = [];
    mapTree(call(node), isValue, (v) => flat.push(v));
    node.outputList.forEach((t, i) => {
      values.set(t, flat[i]);
    });
  }
  return { values: part.handedOn.map(now), models: part.models.map(call) };
}

export function hostAfterProgram(layer: Layer, before: Layer): LayerwiseError {
  return new LayerwiseError(`${layer.describe()} begins on the host and cannot follow a layer of the program`, {
    code: "E209",
    layer: layer.name,
    received: `the output of ${before.describe()}`,
    expected: "a model input, or the output of another layer that runs on the host",
  });
}

/** Dtype of a host layer's input where nobody says it. */
export function hostInputDType(layer: Layer): ValueDType {
  return (layer as Layer & { readonly inputDType?: ValueDType }).inputDType ?? "string";
}
