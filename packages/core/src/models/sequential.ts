/** Sequential: a chain of layers. */
import { defineSpec, type Json, type KerasObject, type OptionsOf, type SavedObject } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import {
  type HostTree,
  isHostValue,
  isShape,
  isTensor,
  oneShape,
  type ShapeTree,
  type TensorTree,
} from "../layers/arguments.ts";
import type { HostStage } from "../layers/host-stage.ts";
import type { IndexInput } from "../layers/index-table.ts";
import { inferOutputs, type Open } from "../layers/infer.ts";
import { InputLayer } from "../layers/input-layer.ts";
import { Layer, type LayerSpec, layerFields, type MaskTree } from "../layers/layer.ts";
import { maskOf } from "../layers/mask.ts";
import { type OpenShape, SymbolicTensor } from "../layers/symbolic.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { alignHostInput, alignInput } from "./align-inputs.ts";
import { hostAfterProgram, hostInputDType } from "./host-stages.ts";
import { Model } from "./model.ts";

const spec = defineSpec("keras", "Sequential", layerFields);

/** Layers one after another. Built at once when the first layer says its input shape, else on first use. */
export class Sequential extends Model<LayerSpec> {
  static readonly spec = spec;
  override readonly masking = "pass";
  private readonly chain: Layer[] = [];
  inputLayer: InputLayer | null = null;

  constructor(layers: readonly (Layer | SymbolicTensor)[] = [], options: OptionsOf<typeof spec> = {}) {
    super(options, spec);
    const shape = options.inputShape;
    if (shape) this.inputLayer = new InputLayer({ shape });
    for (const layer of layers) this.append(layer);
    this.buildIfKnown();
  }
  /** Adds a layer at the end. */
  add(layer: Layer | SymbolicTensor): void {
    this.append(layer);
    this.built = false;
    this.invalidate();
    this.buildIfKnown();
  }
  /** Removes and returns the last layer. */
  pop(): Layer | undefined {
    this.invalidate();
    return this.chain.pop();
  }
  override get indexInputs(): readonly IndexInput[] {
    const table = this.chain[this.numHostLayers]?.indexTable;
    return table ? [{ input: 0, table }] : [];
  }
  override get layers(): readonly Layer[] {
    return this.chain;
  }
  override get subLayers(): Layer[] {
    return this.chain;
  }
  override build(inputShape: ShapeTree): void {
    const shape = oneShape(inputShape, this.describe());
    if (this.layers.length === 0)
      throw new LayerwiseError("a sequential model needs at least one layer", {
        code: "E205",
        layer: this.name,
        received: "no layers",
        expected: "sequential([dense(10), …])",
      });
    this.inferred = [];
    const dtype = this.inputLayer?.dtype ?? (this.hostStage ? "string" : this.dtypePolicy.compute);
    let at: Open = { shape, dtype, maskShape: null };
    for (const layer of this.layers) {
      at = inferOutputs(layer, at, {}) as Open;
      this.inferred.push(at);
    }
    this.buildShape = shape;
    this.built = true;
  }
  call(inputs: TensorTree): TensorTree {
    const { hostStage } = this;
    let x: TensorTree = hostStage ? inputs : this.aligned(this.oneInput(inputs, isTensor));
    const mask = isTensor(inputs) ? maskOf(inputs) : null;
    const start = this.numHostLayers;
    for (let i = start; i < this.chain.length; i++) {
      const options = i > start ? {} : { ...(mask && { mask }), staged: hostStage !== null };
      x = this.chain[i].apply<Tensor>(x as Tensor, options);
    }
    return x;
  }
  /** The layers at the start that run on the host, and what the first of the others does there. */
  override get hostStage(): HostStage | null {
    return this.chain[0]?.hostStage ? this.stage : null;
  }
  private readonly stage: HostStage = {
    run: (inputs) => {
      const x = this.oneInput(inputs, isHostValue);
      const shape = isShape(this.buildShape) ? this.buildShape : x.shape;
      return this.hostLayers.reduce<HostTree>(
        (y, layer) => layer.hostStage!.run(y),
        alignHostInput(x, shape, x.dtype, this.describe()),
      );
    },
    infer: (inputs) => this.hostLayers.reduce((y, layer) => layer.hostStage!.infer(y), inputs),
  };
  private get numHostLayers(): number {
    const n = this.chain.findIndex((l) => l.runsOn === "program");
    return n < 0 ? this.chain.length : n;
  }
  /** Layers with a part on the host: those that run there, perhaps followed by one model that begins with such layers. */
  private get hostLayers(): Layer[] {
    const n = this.numHostLayers;
    return this.chain.slice(0, this.chain[n]?.hostStage ? n + 1 : n);
  }
  private oneInput<T>(inputs: unknown, isOne: (x: unknown) => x is T): T {
    if (isOne(inputs)) return inputs;
    throw new LayerwiseError("a sequential model takes one input", {
      code: "E103",
      layer: this.name,
      received: "a tree of tensors",
      expected: "one tensor",
      hint: "functional({ inputs, outputs }) takes several",
    });
  }
  private aligned(x: Tensor): Tensor {
    const first = this.layers[0];
    const dtype = this.inputLayer ? this.inputLayer.dtype : first.castsIntegers ? first.dtypePolicy.compute : null;
    return alignInput(x, isShape(this.buildShape) ? this.buildShape : null, dtype, this.describe());
  }
  override computeMask(_inputs: TensorTree, _mask: MaskTree): MaskTree {
    return null; // the last layer has set the mask of the output
  }
  override getConfig(): Record<string, Json> {
    const { dtype } = super.getConfig();
    const layers = [...(this.inputLayer ? [this.inputLayer] : []), ...this.layers].map((l) => l.toConfig());
    const shape = isShape(this.buildShape) ? [...this.buildShape] : null;
    return { name: this.name, trainable: this.trainable, dtype, layers, ...(shape && { build_input_shape: shape }) };
  }
  /** `make` makes the layers from their saved form. */
  static fromConfig(config: { readonly [key: string]: Json }, make: (saved: SavedObject) => Layer): Sequential {
    const saved = (config["layers"] ?? []) as readonly (KerasObject & { config: Record<string, Json> })[];
    const layers = saved.map(make);
    const first = saved[0]?.config as { batch_input_shape?: OpenShape; batch_shape?: OpenShape } | undefined;
    if (first?.batch_input_shape && !(layers[0] instanceof InputLayer))
      layers.unshift(new InputLayer({ batchShape: first.batch_input_shape }));
    const model = new Sequential(layers, { name: (config["name"] ?? null) as string | null });
    const shape = (config["build_input_shape"] ?? null) as OpenShape | null;
    if (!model.built && shape) model.buildFor(shape);
    if (config["trainable"] === false) model.trainable = false;
    return model;
  }

  private append(item: Layer | SymbolicTensor): void {
    const layer = (item instanceof SymbolicTensor ? item.layer : item) as Layer;
    if (!(layer instanceof Layer)) {
      throw new LayerwiseError("a sequential model is made of layers", {
        code: "E202",
        layer: this.name,
        received: typeof item,
        expected: "a layer, e.g. dense(10)",
      });
    }
    if (layer instanceof InputLayer) {
      if (this.layers.length > 0)
        throw new LayerwiseError("an input comes before all layers", {
          code: "E205",
          layer: this.name,
          received: `input after ${this.layers.length} layers`,
          expected: "the first place",
        });
      this.inputLayer = layer;
      return;
    }
    if (this.layers.some((l) => l !== layer && l.name === layer.name)) {
      throw new LayerwiseError(`two layers are named "${layer.name}"`, {
        code: "E205",
        layer: this.name,
        received: `"${layer.name}" twice`,
        expected: "a name of its own for each layer",
      });
    }
    const before = this.chain.at(-1);
    if (layer.hostStage && before && before.runsOn !== "host") throw hostAfterProgram(layer, before);
    const own = (layer.options as { inputShape?: OpenShape | null }).inputShape;
    if (this.layers.length === 0 && !this.inputLayer) {
      if (own)
        this.inputLayer = new InputLayer({
          shape: own,
          ...(layer.hostStage && { dtype: hostInputDType(layer) }),
        });
      else if (layer.built && isModel(layer) && isShape(layer.buildShape))
        this.inputLayer = new InputLayer({
          batchShape: layer.buildShape,
          ...(layer.hostStage && { dtype: hostInputDType(layer) }),
        });
    }
    this.chain.push(layer);
  }
  private buildIfKnown(): void {
    if (this.inputLayer && this.layers.length > 0) this.buildFor(this.inputLayer.batchShape);
  }
}

function isModel(layer: object): boolean {
  return layer instanceof Model;
}

/** A chain of layers. */
export function sequential(
  layers: readonly (Layer | SymbolicTensor)[] = [],
  options: { name?: string } = {},
): Sequential {
  return new Sequential(layers, options);
}
