/** The base of models: a layer that can be compiled, trained, evaluated and asked for predictions. */

import type { History } from "../callbacks/history.ts";
import type { OptionsOf, Spec } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import { isShape, mapTree, type ShapeTree, treeLeaves } from "../layers/arguments.ts";
import type { IndexInput } from "../layers/index-table.ts";
import type { Open } from "../layers/infer.ts";
import { inferOutputs } from "../layers/infer.ts";
import { Layer, type LayerSpec, layerSpec } from "../layers/layer.ts";
import type { OpenShape, SymbolicTensor } from "../layers/symbolic.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { DataTree } from "../training/data.ts";
import type { CompileOptions, EvaluateOptions, FitOptions, Logs, PredictOptions } from "../training/options.ts";
import { Trainer } from "../training/trainer.ts";
import { modelSummary, type SummaryOptions } from "./summary.ts";

/**
 * A layer with training. Subclass it like a layer (`call`, layers as properties), or use `sequential` and `functional`.
 */
export abstract class Model<S extends Spec = LayerSpec> extends Layer<S> {
  /** What each of `layers` gives, once known: for the summary and the checks. */
  inferred: (Open | SymbolicTensor | null)[] = [];
  /** Set by a callback to end `fit` after the present batch or epoch. */
  stopTraining = false;
  /** Record of the last `fit`. */
  history: History | null = null;
  /** Everything about training; made by `compile`. */
  readonly trainer: Trainer = new Trainer(this as unknown as Model);

  constructor(options: OptionsOf<S> = {} as OptionsOf<S>, spec: S = layerSpec as unknown as S) {
    super(options, spec);
  }
  override readonly castsIntegers: boolean = false;
  /** The layers, in order. */
  get layers(): readonly Layer[] {
    return this.subLayers;
  }
  get outputNames(): string[] {
    return [];
  }
  get inputNames(): string[] {
    return [];
  }
  /** Inputs that go straight to an embedding, so that their data can be checked before a program runs. */
  get indexInputs(): readonly IndexInput[] {
    return [];
  }
  /** A layer by its name or its position (negative from the end). */
  getLayer(which: string | number): Layer {
    const { layers } = this;
    const found = typeof which === "number" ? layers.at(which) : layers.find((l) => l.name === which);
    if (found) return found;
    throw new LayerwiseError(`${this.describe()} has no layer ${typeof which === "number" ? which : `"${which}"`}`, {
      code: "E203",
      layer: this.name,
      received: String(which),
      expected: layers.map((l) => l.name).join(", "),
    });
  }
  /** Builds all layers for inputs of a shape (batch first, null where it varies). */
  override build(inputShape: ShapeTree): void {
    if (this.built || this.building) return;
    this.building = true;
    try {
      const dtype = this.dtypePolicy.compute;
      const open = mapTree(inputShape, isShape, (shape): Open => ({ shape, dtype, maskShape: null }));
      this.buildShape = inputShape;
      const layer = this as unknown as Layer;
      this.outputShapes = treeLeaves(
        inferOutputs({ apply: layer.apply.bind(layer), buildFor: () => {}, describe: () => this.describe() }, open, {}),
        isOpen,
      ).map((o) => o.shape);
      this.built = true;
    } finally {
      this.building = false;
    }
  }
  protected outputShapes: readonly OpenShape[] = [];
  private building = false;

  /** Forgets compiled programs; called when the layers change. */
  protected invalidate(): void {
    this.trainer.invalidate();
  }

  // Training.

  /** Chooses optimizer, losses and metrics. Call it again to change them (and after changing `trainable`). */
  compile(options: CompileOptions = {}): void {
    this.trainer.compile(options);
  }
  get optimizer() {
    return this.trainer.optimizer;
  }
  /** The loss tracker and all metrics. */
  get metrics() {
    return this.trainer.metrics;
  }
  /** Trains for a number of epochs. x, y: tensors, typed or nested arrays, or trees of them, with equal numbers of rows. */
  fit(x: DataTree, y?: DataTree | null, options: FitOptions = {}): Promise<History> {
    return this.trainer.fit(x, y ?? null, options);
  }
  /** Loss and metrics over a data set. */
  evaluate(x: DataTree, y?: DataTree | null, options: EvaluateOptions = {}): Promise<Logs> {
    return this.trainer.evaluate(x, y ?? null, options);
  }
  /** Outputs for all rows of x, computed batch by batch. */
  predict(x: DataTree, options: PredictOptions = {}): Promise<Tensor> {
    return this.trainer.predict(x, options) as Promise<Tensor>;
  }
  /** One update on one batch; the logs are of this batch alone unless `resetMetrics` is false. */
  trainOnBatch(x: DataTree, y?: DataTree | null, options: BatchOptions = {}): Promise<Logs> {
    return this.trainer.onBatch("train", x, y ?? null, options);
  }
  /** Loss and metrics of one batch. */
  testOnBatch(x: DataTree, y?: DataTree | null, options: BatchOptions = {}): Promise<Logs> {
    return this.trainer.onBatch("test", x, y ?? null, options);
  }
  /** Outputs for one batch. */
  predictOnBatch(x: DataTree): Promise<Tensor> {
    return this.trainer.predictOnBatch(x) as Promise<Tensor>;
  }
  /** A table of the layers; printed unless `print` is replaced. Returns the text. */
  summary(options: SummaryOptions = {}): string {
    return modelSummary(this as unknown as Model, options);
  }
}

export interface BatchOptions {
  readonly sampleWeight?: DataTree | null | undefined;
  readonly classWeight?: { readonly [label: string]: number } | null | undefined;
  /** Whether metrics start afresh (default true: the logs are of this batch alone). */
  readonly resetMetrics?: boolean | undefined;
}

const isOpen = (x: unknown): x is Open => x !== null && typeof x === "object" && "shape" in x && "dtype" in x;
