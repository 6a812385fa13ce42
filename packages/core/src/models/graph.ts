/** The graph of a functional model: its nodes in an order to run them, and its layers in Keras' order. */
import { LayerwiseError } from "../errors.ts";
import { InputLayer } from "../layers/input-layer.ts";
import type { Layer } from "../layers/layer.ts";
import type { SymbolicNode, SymbolicTensor } from "../layers/symbolic.ts";

export interface ModelGraph {
  /** Calls, each after those it depends on. */
  readonly nodes: readonly SymbolicNode[];
  /** By decreasing depth, ties in order of traversal from the outputs, as Keras lists and saves them. */
  readonly layers: readonly Layer[];
}

/** Walks from the outputs back to the inputs. */
export function mapGraph(inputs: readonly SymbolicTensor[], outputs: readonly SymbolicTensor[]): ModelGraph {
  const given = new Set(inputs);
  const order: SymbolicNode[] = [];
  const seen = new Map<Layer, number>();
  const done = new Set<SymbolicNode>();
  for (const output of outputs) {
    const stack: { tensor: SymbolicTensor; next: number }[] = [{ tensor: output, next: 0 }];
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      const { node } = top.tensor;
      if (top.next === 0 && done.has(node)) {
        stack.pop();
        continue;
      }
      if (!seen.has(node.layer)) seen.set(node.layer, seen.size);
      const parents = given.has(top.tensor) ? [] : node.parents;
      if (parents.length === 0 && !given.has(top.tensor) && node.layer instanceof InputLayer) {
        throw new LayerwiseError("a functional model depends on an input that is not among its inputs", {
          code: "E205",
          layer: node.layer.name,
          received: `input "${node.layer.name}"`,
          expected: `one of ${inputs.map((t) => `"${t.layer.name}"`).join(", ")}`,
          hint: "list it in functional({ inputs, … })",
        });
      }
      if (top.next < parents.length) stack.push({ tensor: parents[top.next++], next: 0 });
      else {
        stack.pop();
        if (!done.has(node)) order.push(node);
        done.add(node);
      }
    }
  }
  const nodeDepth = new Map<SymbolicNode, number>();
  const layerDepth = new Map<Layer, number>();
  for (const node of [...order].reverse()) {
    const depth = Math.max(nodeDepth.get(node) ?? 0, layerDepth.get(node.layer) ?? 0);
    layerDepth.set(node.layer, depth);
    nodeDepth.set(node, depth);
    if (node.outputList.some((t) => given.has(t))) continue;
    for (const parent of node.parents) {
      nodeDepth.set(parent.node, Math.max(depth + 1, nodeDepth.get(parent.node) ?? 0));
    }
  }
  for (const t of inputs) {
    if (layerDepth.has(t.layer)) continue;
    layerDepth.set(t.layer, 0);
    seen.set(t.layer, -1);
  }
  const layers = [...layerDepth.keys()].sort(
    (a, b) => layerDepth.get(b)! - layerDepth.get(a)! || seen.get(a)! - seen.get(b)!,
  );
  return { nodes: order, layers };
}
