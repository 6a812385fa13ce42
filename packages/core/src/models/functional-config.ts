/** Saving and reading functional models: Keras 3 and Keras 2 node formats. */
import type { Json, KerasObject, SavedObject } from "../config/index.ts";
import { toCamel, toSnake } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import { kerasDType } from "../layers/dtype-policy.ts";
import { InputLayer } from "../layers/input-layer.ts";
import type { Layer } from "../layers/layer.ts";
import { isSymbolic, type SymbolicNode, type SymbolicTensor } from "../layers/symbolic.ts";
import type { Tree } from "../tensor/tree.ts";
import type { Functional } from "./functional.ts";

type Config = { readonly [key: string]: Json };

/** The `config` of a functional model. Node indices count only calls that belong to the model. */
export function functionalConfig(model: Functional): Record<string, Json> {
  const inModel = new Set(model.graph.nodes);
  for (const t of model.graph.layers) if (t instanceof InputLayer) inModel.add(t.inboundNodes[0]);
  const nodesOf = (layer: Layer) => layer.inboundNodes.filter((n) => inModel.has(n));
  const history = (t: SymbolicTensor): Json => [t.layer.name, nodesOf(t.layer).indexOf(t.node), t.index];
  const write = (x: unknown): Json => {
    if (isSymbolic(x)) {
      return {
        class_name: "__keras_tensor__",
        config: { shape: [...x.shape], dtype: kerasDType(x.dtype), keras_history: history(x) },
      };
    }
    if (Array.isArray(x)) return x.map(write);
    if (x !== null && typeof x === "object")
      return Object.fromEntries(Object.entries(x).map(([k, v]) => [k, write(v)]));
    return (x ?? null) as Json;
  };
  const writeNode = (node: SymbolicNode): Json => ({
    // Several inputs are several arguments where the layer names them, and one list of tensors elsewhere.
    args:
      node.layer.callArguments.length > 1 && Array.isArray(node.inputs) ? node.inputs.map(write) : [write(node.inputs)],
    kwargs: Object.fromEntries(Object.entries(node.options).map(([k, v]) => [toSnake(k), write(v)])),
  });
  const ends = (tree: Tree<SymbolicTensor>): Json => {
    if (isSymbolic(tree)) return history(tree);
    if (Array.isArray(tree)) return tree.map(ends);
    return Object.fromEntries(Object.entries(tree).map(([k, v]) => [k, ends(v)]));
  };
  return {
    name: model.name,
    trainable: model.trainable,
    layers: model.graph.layers.map((layer) => ({
      ...layer.toConfig(),
      name: layer.name,
      inbound_nodes: layer instanceof InputLayer ? [] : nodesOf(layer).map(writeNode),
    })),
    input_layers: ends(model.inputs),
    output_layers: ends(model.outputs),
  };
}

interface PendingNode {
  readonly layer: string;
  readonly index: number;
  readonly data: Json;
}

/** Rebuilds inputs and outputs: all layers first, then calls as soon as their arguments exist. */
export function functionalParts(
  config: Config,
  make: (saved: SavedObject) => Layer,
): {
  inputs: Tree<SymbolicTensor>;
  outputs: Tree<SymbolicTensor>;
  name: string | null;
} {
  const layers = new Map<string, Layer>();
  /** Outputs of call k of a layer, flattened. */
  const made = new Map<string, SymbolicTensor[]>();
  let pending: PendingNode[] = [];
  for (const saved of config["layers"] as unknown as (KerasObject & { name: string; inbound_nodes: Json[] })[]) {
    const layer = make(saved);
    const name = saved.name ?? layer.name;
    layers.set(name, layer);
    if (layer instanceof InputLayer) made.set(`${name}/0`, [layer.output]);
    else (saved.inbound_nodes ?? []).forEach((data, index) => pending.push({ layer: name, index, data }));
  }
  // A functional model nested in another one numbers its own calls from 1 in older files: node 0 is its definition.
  const find = (history: Json): SymbolicTensor | undefined => {
    const [name, node, tensor] = history as [string, number, number];
    const first = pending.find((p) => p.layer === name)?.index ?? 0;
    const exact = made.get(`${name}/${node}`);
    const shifted = exact ?? (first >= 0 && !hasNode(node, name) ? made.get(`${name}/${node - 1}`) : undefined);
    return shifted?.[tensor];
  };
  const counts = new Map<string, number>();
  for (const p of pending) counts.set(p.layer, Math.max(counts.get(p.layer) ?? 0, p.index + 1));
  const hasNode = (node: number, name: string) => node < (counts.get(name) ?? 1);
  while (pending.length > 0) {
    const waiting: PendingNode[] = [];
    for (const p of pending) {
      const layer = layers.get(p.layer)!;
      const call = readCall(p.data, find, layer.callArguments);
      if (!call) {
        waiting.push(p);
        continue;
      }
      const before = layer.inboundNodes.length;
      layer.apply(call.inputs, call.options);
      made.set(`${p.layer}/${p.index}`, layer.inboundNodes[before].outputList);
    }
    if (waiting.length === pending.length) {
      throw new LayerwiseError("a saved model's graph has a loop or lacks layers", {
        code: "E206",
        received: waiting.map((p) => p.layer).join(", "),
        expected: "calls whose inputs exist",
      });
    }
    pending = waiting;
  }
  const ends = (x: Json): Tree<SymbolicTensor> => {
    if (Array.isArray(x) && typeof x[0] === "string") {
      const t = find(x);
      if (!t)
        throw new LayerwiseError("a saved model refers to an output that does not exist", {
          code: "E206",
          received: JSON.stringify(x),
        });
      return t;
    }
    if (Array.isArray(x))
      return x.length === 1 && config["input_layers"] === x && isKeras2(config) ? ends(x[0]) : x.map(ends);
    return Object.fromEntries(Object.entries(x as Config).map(([k, v]) => [k, ends(v)]));
  };
  return {
    inputs: ends(config["input_layers"]),
    outputs: unwrap(ends(config["output_layers"]), config),
    name: (config["name"] ?? null) as string | null,
  };
}

/** Keras 2 wraps a single input or output in a list. */
function isKeras2(config: Config): boolean {
  const layers = config["layers"] as readonly { inbound_nodes?: readonly Json[] }[];
  return layers.some((l) => Array.isArray(l.inbound_nodes?.[0]));
}
function unwrap(x: Tree<SymbolicTensor>, config: Config): Tree<SymbolicTensor> {
  return isKeras2(config) && Array.isArray(x) && x.length === 1 ? x[0] : x;
}

/** Arguments of a saved call; null while some do not exist yet. */
function readCall(
  data: Json,
  find: (history: Json) => SymbolicTensor | undefined,
  names: readonly string[],
): { inputs: Tree<SymbolicTensor>; options: Record<string, unknown> } | null {
  let missing = false;
  const read = (x: Json): unknown => {
    if (Array.isArray(x)) return x.map(read);
    if (x !== null && typeof x === "object") {
      const o = x as Config;
      if (o["class_name"] === "__keras_tensor__") {
        const t = find((o["config"] as Config)["keras_history"]);
        if (!t) missing = true;
        return t;
      }
      return Object.fromEntries(Object.entries(o).map(([k, v]) => [k, read(v)]));
    }
    return x;
  };
  const camel = (kwargs: Config) =>
    Object.fromEntries(
      Object.entries(kwargs)
        .filter(([k, v]) => v !== null && k !== "training")
        .map(([k, v]) => [toCamel(k), read(v)]),
    );
  if (Array.isArray(data)) {
    // Keras 2: [[layer, node, tensor, kwargs], …]
    const parts = data as readonly (readonly [string, number, number, Config?])[];
    const inputs = parts.map((p) => find(p.slice(0, 3) as unknown as Json));
    if (inputs.includes(undefined)) return null;
    const options = camel(parts[0][3] ?? {});
    return missing ? null : { inputs: (inputs.length === 1 ? inputs[0] : inputs) as Tree<SymbolicTensor>, options };
  }
  const { args, kwargs } = data as { args: Json[]; kwargs: Config };
  const read0 = args.map(read);
  const options: Record<string, unknown> = camel(kwargs ?? {});
  if (missing) return null;
  // Inputs given by name stand behind those in order.
  for (let i = read0.length; i < names.length && names[i] in options; i++) {
    read0.push(options[names[i]]);
    delete options[names[i]];
  }
  return { inputs: (read0.length === 1 ? read0[0] : read0) as Tree<SymbolicTensor>, options };
}
