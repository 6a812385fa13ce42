/** Functional: a model from symbolic inputs to symbolic outputs, with shared layers and several of each. */
import { defineSpec, type Json, type SavedObject } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import {
  type HostTree,
  type HostValue,
  isHostValue,
  isTensor,
  mapTree,
  type ShapeTree,
  type TensorTree,
} from "../layers/arguments.ts";
import type { HostStage } from "../layers/host-stage.ts";
import type { IndexInput } from "../layers/index-table.ts";
import { isOpen } from "../layers/infer.ts";
import { type CallOptions, type Layer, type LayerSpec, layerFields, type MaskTree } from "../layers/layer.ts";
import { maskOf, setMask } from "../layers/mask.ts";
import { isSymbolic, type SymbolicTensor, symbolicLeaves } from "../layers/symbolic.ts";
import { StringTensor } from "../tensor/string-tensor.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Tree } from "../tensor/tree.ts";
import { alignHostInput, alignInput } from "./align-inputs.ts";
import { functionalConfig, functionalParts } from "./functional-config.ts";
import { type ModelGraph, mapGraph } from "./graph.ts";
import { type HostPart, hostPart, runHostPart } from "./host-stages.ts";
import { Model } from "./model.ts";

const spec = defineSpec("keras", "Functional", layerFields);

export interface FunctionalOptions {
  readonly inputs: Tree<SymbolicTensor>;
  readonly outputs: Tree<SymbolicTensor>;
  readonly name?: string | null | undefined;
}

export class Functional extends Model<LayerSpec> {
  static readonly spec = spec;
  override readonly masking = "pass";
  readonly inputs: Tree<SymbolicTensor>;
  readonly outputs: Tree<SymbolicTensor>;
  readonly graph: ModelGraph;
  private readonly hostPart: HostPart | null;

  constructor(options: FunctionalOptions) {
    super({ name: options.name ?? null }, spec);
    this.inputs = options.inputs;
    this.outputs = options.outputs;
    for (const t of symbolicLeaves(this.inputs)) {
      if (t.node.parents.length > 0)
        throw new LayerwiseError("the inputs of a functional model come from input()", {
          code: "E205",
          layer: this.name,
          received: `the output of ${t.layer.describe()}`,
          expected: "input([…])",
        });
    }
    this.graph = mapGraph(symbolicLeaves(this.inputs), symbolicLeaves(this.outputs));
    const names = new Set<string>();
    for (const layer of this.graph.layers) {
      if (names.has(layer.name))
        throw new LayerwiseError(`two layers are named "${layer.name}"`, {
          code: "E205",
          layer: this.name,
          received: `"${layer.name}" twice`,
          expected: "a name of its own for each layer",
        });
      names.add(layer.name);
    }
    this.inferred = this.graph.layers.map(
      (layer) => layer.inboundNodes.find((n) => this.graph.nodes.includes(n))?.outputList[0] ?? null,
    );
    this.hostPart = hostPart(this.graph.nodes, symbolicLeaves(this.inputs), symbolicLeaves(this.outputs));
    this.buildShape = mapTree(this.inputs, isSymbolic, (t) => t.shape) as ShapeTree;
    this.built = true;
  }
  override get layers(): Layer[] {
    return [...this.graph.layers];
  }
  override get subLayers(): Layer[] {
    return [...this.graph.layers];
  }
  /** Names under which losses and metrics of each output are given and logged. */
  override get outputNames(): string[] {
    if (isSymbolic(this.outputs) || Array.isArray(this.outputs))
      return symbolicLeaves(this.outputs).map((t) => t.layer.name);
    return Object.keys(this.outputs);
  }
  override get inputNames(): string[] {
    return symbolicLeaves(this.inputs).map((t) => t.layer.name);
  }
  override get indexInputs(): readonly IndexInput[] {
    const given = this.hostPart?.handedOn ?? symbolicLeaves(this.inputs);
    return this.graph.nodes.flatMap(({ layer, inputs, options }): IndexInput[] => {
      const input = isSymbolic(inputs) ? given.indexOf(inputs) : -1;
      if (input < 0 || !layer.indexTable || options["reverse"] === true) return [];
      return [{ input, table: layer.indexTable }];
    });
  }
  call(given: TensorTree): TensorTree {
    const values = new Map<SymbolicTensor, Tensor>();
    const { hostPart } = this;
    const staged = hostPart ? (given as { values: Tensor[]; models: TensorTree[] }) : null;
    const inputs = staged
      ? hostPart!.handedOn.map((t, i) => [t, staged.values[i]] as const)
      : this.match(given, isTensor);
    for (const [symbol, x] of inputs) {
      values.set(symbol, setMask(alignInput(x, symbol.shape, symbol.dtype, this.describe()), maskOf(x)));
    }
    const now = (t: SymbolicTensor) => values.get(t)!;
    for (const node of this.graph.nodes) {
      if (hostPart?.nodes.has(node) || node.outputList.every((t) => values.has(t))) continue;
      const model = hostPart?.models.indexOf(node) ?? -1;
      const outputs = node.layer.apply<TensorTree>(
        model >= 0 ? staged!.models[model] : (mapTree(node.inputs, isSymbolic, now) as Tensor),
        { ...(mapTree(node.options, isSymbolic, now) as CallOptions), staged: model >= 0 },
      );
      const flat: Tensor[] = [];
      mapTree(outputs, isTensor, (t) => flat.push(t));
      node.outputList.forEach((symbol, i) => {
        values.set(symbol, flat[i]);
      });
    }
    return mapTree(this.outputs, isSymbolic, now);
  }
  /** What the layers that run on the host give to the others. */
  override get hostStage(): HostStage | null {
    return this.hostPart ? this.stage : null;
  }
  private readonly stage: HostStage = {
    run: (inputs) => {
      const given = this.match(listOfStrings(inputs, symbolicLeaves(this.inputs).length), isHostValue).map(
        ([t, x]) => [t, alignHostInput(x, t.shape, t.dtype, this.describe())] as const,
      );
      return runHostPart<HostValue>(this.hostPart!, given, isHostValue, (layer, x) => layer.hostStage!.run(x));
    },
    infer: (inputs) =>
      runHostPart(this.hostPart!, this.match(inputs, isOpen), isOpen, (layer, x) => layer.hostStage!.infer(x)),
  };
  override computeMask(_inputs: TensorTree, _mask: MaskTree): MaskTree {
    return null; // the layers inside have set the masks of the outputs
  }
  override getConfig(): Record<string, Json> {
    return functionalConfig(this);
  }
  protected override buildConfig(): Record<string, Json> | null {
    return { input_shape: null };
  }
  /** `make` makes the layers from their saved form. */
  static fromConfig(config: { readonly [key: string]: Json }, make: (saved: SavedObject) => Layer): Functional {
    const model = new Functional(functionalParts(config, make));
    if (config["trainable"] === false) model.trainable = false;
    return model;
  }

  /** Pairs the declared inputs with what was given: one tensor, a list in order, or a record by name. */
  private match<T>(given: unknown, isLeaf: (x: unknown) => x is T): [SymbolicTensor, T][] {
    const declared = symbolicLeaves(this.inputs);
    const record = !isLeaf(given) && !Array.isArray(given) ? (given as { [name: string]: unknown }) : null;
    const byKey =
      isSymbolic(this.inputs) || Array.isArray(this.inputs)
        ? null
        : (this.inputs as { [name: string]: SymbolicTensor });
    if (record) {
      const keys = byKey
        ? Object.entries(byKey).map(([k, t]) => [k, t] as const)
        : declared.map((t) => [t.layer.name, t] as const);
      return keys.map(([key, t]) => {
        const x = record[key] ?? record[t.layer.name];
        if (!isLeaf(x)) this.wrongInputs(Object.keys(record).join(", "), keys.map(([k]) => k).join(", "));
        return [t, x as T];
      });
    }
    const list: T[] = [];
    mapTree(given, isLeaf, (t) => list.push(t));
    if (list.length !== declared.length)
      this.wrongInputs(`${list.length} tensors`, `${declared.length} (${this.inputNames.join(", ")})`);
    return declared.map((t, i) => [t, list[i]]);
  }
  private wrongInputs(received: string, expected: string): never {
    throw new LayerwiseError(`${this.describe()} got other inputs than it has`, {
      code: "E103",
      layer: this.name,
      received,
      expected,
    });
  }
}

/** Nested arrays of strings for several inputs are a list of them. */
function listOfStrings(x: HostTree, count: number): HostTree {
  if (count === 1 || !(x instanceof StringTensor) || x.shape[0] !== count) return x;
  const size = x.size / count;
  const part = (i: number) => new StringTensor(x.data.slice(i * size, (i + 1) * size), x.shape.slice(1));
  return Array.from({ length: count }, (_, i) => part(i));
}

/** A model from inputs to outputs (single, lists or records). */
export function functional(options: FunctionalOptions): Functional {
  return new Functional(options);
}
