/** The base of layers: building, calling, weights, masks, dtypes, names and configuration. */
import {
  bool,
  type Configurable,
  defineSpec,
  type Json,
  type KerasObject,
  type OptionsOf,
  readOptions,
  type Spec,
  serialized,
  shape,
  string,
  toSnake,
  type ValuesOf,
  writeConfig,
} from "../config/index.ts";
import { formatShape, LayerwiseError } from "../errors.ts";
import { withScope } from "../graph/node.ts";
import { cast, scalar } from "../graph/ops/index.ts";
import { isFloat, type Shape, type TypedArray } from "../graph/types.ts";
import { initializerRegistry } from "../initializers/index.ts";
import { currentSettings } from "../tensor/config.ts";
import { Tensor } from "../tensor/tensor.ts";
import { currentTrace } from "../tensor/trace.ts";
import type { Tree } from "../tensor/tree.ts";
import { Variable } from "../tensor/variable.ts";
import {
  type ArgumentTree,
  asHostValues,
  asTensors,
  hostForm,
  isShape,
  isTensor,
  mapTree,
  type ShapeTree,
  shapesOf,
  type TensorTree,
  treeLeaves,
} from "./arguments.ts";
import { type DTypePolicy, policyField } from "./dtype-policy.ts";
import type { HostStage } from "./host-stage.ts";
import type { IndexTable } from "./index-table.ts";
import { inferOutputs, type Open } from "./infer.ts";
import { checkInputs, type InputSpec } from "./input-spec.ts";
import { maskOf, setMask } from "./mask.ts";
import { autoName } from "./names.ts";
import { type CallScope, currentScope, enterCall, inScope } from "./scope.ts";
import { setAllWeights, type WeightValue } from "./set-weights.ts";
import { SymbolicNode, SymbolicTensor, symbolicLeaves } from "./symbolic.ts";
import { regularizerOf, setWeightRules, type WeightOptions } from "./weights.ts";

/** Options of every layer. */
export const layerFields = {
  name: string().nullable().doc("name in summaries, files and errors; numbered automatically"),
  trainable: bool().default(true).doc("whether training changes the weights"),
  dtype: policyField(),
  inputShape: shape().nullable().transient().doc("shape of one sample, for the first layer of a sequential model"),
};
export const layerSpec = defineSpec("keras.layers", "Layer", layerFields);
export type LayerSpec = Spec<typeof layerFields>;

/** What a layer does with a mask on its input: hand it on, use it up, or refuse it with an error. */
export type Masking = "pass" | "consume" | "refuse";

/** What `call` learns besides its inputs. */
export interface CallContext {
  readonly training: boolean;
  /** Mask of the input (a tree like it for several inputs), or null. */
  readonly mask: MaskTree;
  // biome-ignore lint/suspicious/noExplicitAny: further call arguments differ by layer (initialState, attentionMask …).
  readonly [argument: string]: any;
}
export type MaskTree = Tree<Tensor | null> | null;

export interface CallOptions {
  /** The inputs are what the host stage gave, not what it takes. */
  readonly staged?: boolean | undefined;
  readonly training?: boolean | undefined;
  readonly mask?: MaskTree | undefined;
  readonly [argument: string]: unknown;
}

/**
 * A function with weights. A subclass writes `call(inputs, context)`, and `build(inputShape)` if it has weights:
 *
 *     class Scale extends Layer {
 *       build() { this.factor = this.addWeight({ name: "factor", shape: [], initializer: "ones" }); }
 *       call(x: Tensor) { return x.mul(this.factor.read()); }
 *     }
 *
 * Shapes in `build` have null for sizes that vary (the batch).
 */
export abstract class Layer<S extends Spec = LayerSpec> implements Configurable {
  readonly spec: S;
  readonly options: ValuesOf<S>;
  readonly name: string;
  readonly dtypePolicy: DTypePolicy;
  readonly masking: Masking = "refuse";
  /** Where the layer computes: in the compiled program, or before it on the host (strings, tables). */
  readonly runsOn: "program" | "host" = "program";
  /** Whether integer inputs are converted to the compute dtype too (floats always are). */
  readonly castsIntegers: boolean = false;
  /** Whether float inputs are converted to the compute dtype. */
  protected readonly castsFloats: boolean = true;
  /** Names of the call's inputs where there are several, as saved models may name them instead of listing them. */
  readonly callArguments: readonly string[] = ["inputs"];
  built = false;
  /** Shape (tree) the layer was built for. */
  buildShape: ShapeTree | null = null;
  /** Conditions on inputs that are checked before each call; usually set by `build`. */
  inputSpec: InputSpec | null = null;
  /** Calls on symbolic tensors, in order. */
  readonly inboundNodes: SymbolicNode[] = [];

  private trainableFlag: boolean;
  private readonly ownWeights: Variable[] = [];
  private lastLosses: readonly Tensor[] = [];
  private eagerCalls = 0;

  constructor(options: OptionsOf<S> = {} as OptionsOf<S>, spec: S = layerSpec as unknown as S) {
    this.spec = spec;
    this.options = readOptions(spec, options);
    const own = this.options as unknown as ValuesOf<LayerSpec>;
    this.name = own.name ?? autoName(this.className);
    this.trainableFlag = own.trainable ?? true;
    this.dtypePolicy = own.dtype ?? { compute: "f32", variable: "f32" };
  }

  /** Keras' class name; for a class of one's own, its JavaScript name. */
  get className(): string {
    return (this.spec as Spec) === layerSpec ? this.constructor.name : this.spec.className;
  }

  // What subclasses write.

  /** Makes the weights for inputs of a shape. Called once, before the first call. */
  build(_inputShape: ShapeTree): void {}
  /** Computes the outputs. */
  abstract call(inputs: TensorTree, context: CallContext): TensorTree;
  /** The mask of the outputs. Default: the input's mask for a layer that passes masks, none otherwise. */
  computeMask(_inputs: TensorTree, mask: MaskTree): MaskTree {
    return this.masking === "pass" ? mask : null;
  }

  /** Whether each time step (axis 1) of the output depends on the same step of the inputs alone, outside training. */
  get timewise(): boolean {
    return false;
  }
  /** The table whose rows the layer's input numbers, where it does. */
  get indexTable(): IndexTable | null {
    return null;
  }
  /** What runs on the host before the program: all of a host layer, the first layers of some models, usually nothing. */
  get hostStage(): HostStage | null {
    return null;
  }

  // Using a layer.

  /** The layer on tensors (computes lazily) or symbolic tensors (adds a call to the functional graph). */
  apply<Out = SymbolicTensor>(inputs: Tree<SymbolicTensor>, options?: CallOptions): Out;
  apply<Out = Tensor>(inputs: ArgumentTree, options?: CallOptions): Out;
  apply(inputs: unknown, options: CallOptions = {}): unknown {
    if (symbolicLeaves(inputs).length > 0) return this.applySymbolic(inputs as Tree<SymbolicTensor>, options);
    if (!options.staged && this.hostStage) {
      const staged = this.hostStage.run(asHostValues(inputs));
      return this.runsOn === "host" ? staged : this.apply(staged as TensorTree, { ...options, staged: true });
    }
    const tensors = this.castInputs(this.readArguments(inputs));
    const shapes = shapesOf(tensors);
    const outer = currentScope();
    const scope = outer ?? this.eagerScope(options.training ?? false);
    const training = options.training ?? scope.training;
    return inScope(scope, () =>
      enterCall(scope, training, () =>
        withScope(this.name, () => {
          if (!this.built) this.buildFor(openBatch(shapes));
          checkInputs(this, this.inputSpec, shapes);
          const mask = this.incomingMask(tensors, options.mask);
          const outputs = this.call(tensors, { ...options, training, mask });
          this.addActivityLoss(outputs, scope);
          this.attachMasks(outputs, this.computeMask(tensors, mask));
          if (!outer && !currentTrace()) this.lastLosses = scope.losses;
          return outputs;
        }),
      ),
    );
  }

  /** Builds the layer for a shape (tree), unless it is built. */
  buildFor(shape: ShapeTree): void {
    if (this.built) return;
    this.buildShape = shape;
    this.build(shape);
    this.built = true;
  }

  /** Shape of the outputs for inputs of a shape, found by tracing `call`; builds the layer if need be. */
  computeOutputShape(inputShape: ShapeTree): ShapeTree {
    const dtype = this.dtypePolicy.compute;
    const open = mapTree(inputShape, isShape, (shape): Open => ({ shape, dtype, maskShape: null }));
    return mapTree(inferOutputs(this, open, {}), isInferred, (o) => o.shape) as ShapeTree;
  }

  // Weights.

  /** Adds a variable to the layer's weights. */
  protected addWeight(options: WeightOptions): Variable {
    const { name, shape, dtype = this.dtypePolicy.variable, trainable = true } = options;
    const initializer = initializerRegistry.get(options.initializer ?? (isFloat(dtype) ? "glorotUniform" : "zeros"));
    const bad = shape.find((d) => !Number.isInteger(d) || d < 0);
    if (bad !== undefined) {
      throw new LayerwiseError(`the weight "${name}" of ${this.describe()} cannot have this shape`, {
        code: "E103",
        layer: this.name,
        received: formatShape(shape),
        expected: "sizes that are integers ≥ 0",
      });
    }
    const values = initializer.values(shape);
    const data: TypedArray = dtype === "f32" ? values : hostForm(values, dtype);
    const variable = new Variable(data, shape, dtype, { name, trainable: trainable && this.trainableFlag });
    frozenWeights.set(variable, !trainable);
    setWeightRules(variable, { regularizer: options.regularizer ?? null, constraint: options.constraint ?? null });
    this.ownWeights.push(variable);
    return variable;
  }
  /** Adds a weight whose initializer, regularizer and constraint are options of the layer (`kernelInitializer` …). */
  protected addOptionWeight(name: string, shape: Shape, trainable = true): Variable {
    const o = this.options as { readonly [option: string]: unknown };
    return this.addWeight({
      name: toSnake(name),
      shape,
      trainable,
      initializer: o[`${name}Initializer`] as WeightOptions["initializer"],
      regularizer: o[`${name}Regularizer`] as WeightOptions["regularizer"],
      constraint: o[`${name}Constraint`] as WeightOptions["constraint"],
    });
  }
  /** A weight in the compute dtype. */
  protected read(weight: Variable): Tensor {
    return this.toCompute(weight.read());
  }
  /** Adds a scalar to the loss of the model that is being called. */
  protected addLoss(loss: Tensor): void {
    currentScope()?.losses.push(loss);
  }

  /** Divides a penalty on outputs by the batch size, so that its strength does not depend on it. */
  protected perSample(penalty: Tensor, output: Tensor): Tensor {
    return output.ndim > 0 && output.shape[0] > 0 ? penalty.div(output.shape[0]) : penalty;
  }

  /** Layers held by this one, in order of their properties. */
  get subLayers(): Layer[] {
    const found = new Set<Layer>();
    for (const [key, value] of Object.entries(this)) if (!ignoredProperties.has(key)) collectLayers(value, found, 0);
    found.delete(this as unknown as Layer);
    return [...found];
  }
  /** All weights: this layer's trainable ones, its others, then those of the layers inside. */
  get weights(): Variable[] {
    const own = new Set(this.ownWeights);
    for (const value of Object.values(this)) if (value instanceof Variable) own.add(value);
    const isFrozen = (v: Variable) => frozenWeights.get(v) ?? !v.trainable;
    const list = [...own];
    const all = new Set([...list.filter((v) => !isFrozen(v)), ...list.filter(isFrozen)]);
    for (const layer of this.subLayers) for (const v of layer.weights) all.add(v);
    return [...all];
  }
  get trainableWeights(): Variable[] {
    return this.trainableFlag ? this.weights.filter((v) => v.trainable) : [];
  }
  get nonTrainableWeights(): Variable[] {
    const trainable = new Set(this.trainableWeights);
    return this.weights.filter((v) => !trainable.has(v));
  }
  /** Path of each weight below this layer, in the order of `weights`: `kernel`, `cell/kernel`. */
  get weightPaths(): string[] {
    const paths = new Map<Variable, string>();
    const visit = (layer: Layer, prefix: string) => {
      const below = layer.subLayers;
      const inner = new Set(below.flatMap((l) => l.weights));
      for (const v of layer.weights) if (!inner.has(v) && !paths.has(v)) paths.set(v, prefix + v.name);
      for (const l of below) visit(l, `${prefix}${l.name}/`);
    };
    visit(this as unknown as Layer, "");
    return this.weights.map((v) => paths.get(v)!);
  }
  /** Whether training changes the weights; setting it reaches the layers inside. */
  get trainable(): boolean {
    return this.trainableFlag;
  }
  set trainable(value: boolean) {
    this.trainableFlag = value;
    for (const v of this.ownWeights) v.trainable = value && !frozenWeights.get(v);
    for (const layer of this.subLayers) layer.trainable = value;
  }
  /** Number of weights' elements. */
  countParams(): number {
    if (!this.built && this.weights.length === 0) this.requireBuilt("countParams");
    return this.weights.reduce((n, v) => n + v.size, 0);
  }
  /** Values of the weights, in the order of `weights`. */
  getWeights(): Tensor[] {
    this.requireBuilt("getWeights");
    return this.weights.map((v) => v.read());
  }
  /** Replaces the weights; counts and shapes are checked before any is changed. */
  setWeights(values: readonly WeightValue[]): void {
    this.requireBuilt("setWeights");
    setAllWeights(this.describe(), this.name, this.weights, values);
  }

  /** Losses of the last eager call: those that layers added, then weight penalties. */
  get losses(): Tensor[] {
    return [...this.lastLosses, ...this.weightLosses()];
  }
  /** Penalties of the trainable weights' regularizers. */
  weightLosses(): Tensor[] {
    return this.trainableWeights.flatMap((v) => regularizerOf(v)?.call(v.read()) ?? []);
  }

  // Configuration.

  getConfig(): Record<string, Json> {
    const config = writeConfig(this.spec, this.options);
    return { ...config, name: this.name, trainable: this.trainableFlag };
  }
  toConfig(): KerasObject {
    const saved = serialized(this.spec, this.getConfig(), this.constructor);
    const build_config = this.buildConfig();
    return { ...saved, class_name: this.className, ...(build_config && { build_config }) };
  }
  /** `build_config` of the saved form; null when not built. */
  protected buildConfig(): Record<string, Json> | null {
    return this.built && isShape(this.buildShape) ? { input_shape: [...this.buildShape] } : null;
  }

  /** `dense "dense_2"`, for messages. */
  describe(): string {
    const kind = this.className.charAt(0).toLowerCase() + this.className.slice(1);
    return `${kind} "${this.name}"`;
  }

  /** An error unless the layer is built. */
  requireBuilt(what: string): void {
    if (this.built) return;
    throw new LayerwiseError(`${what} of ${this.describe()} needs its weights, and its input shape is not known yet`, {
      code: "E204",
      layer: this.name,
      received: "a layer that is not built",
      expected: "a known input shape",
      hint: "give inputShape to the first layer, call build([null, …]), or fit first",
    });
  }

  // How it works inside.

  /** The tensors in what the layer is called with. */
  protected readArguments(inputs: unknown): TensorTree {
    return asTensors(inputs as ArgumentTree);
  }
  protected toCompute(x: Tensor): Tensor {
    const { compute } = this.dtypePolicy;
    return x.dtype === compute ? x : new Tensor(cast(x.value, compute));
  }
  private castInputs(inputs: TensorTree): TensorTree {
    const { compute } = this.dtypePolicy;
    if (!isFloat(compute) || !this.castsFloats) return inputs;
    return mapTree(inputs, isTensor, (x): Tensor => {
      if (x.dtype === compute || !(isFloat(x.dtype) || this.castsIntegers)) return x;
      return setMask(new Tensor(cast(x.value, compute)), maskOf(x));
    });
  }
  private eagerScope(training: boolean): CallScope {
    const step = this.eagerCalls++;
    return { training, losses: [], path: "", calls: 0, seed: currentSettings().seed, step: () => scalar(step, "u32") };
  }
  private incomingMask(inputs: TensorTree, given: MaskTree | undefined): MaskTree {
    const found = given ?? (mapTree(inputs, isTensor, maskOf) as MaskTree);
    const any = (m: MaskTree): boolean =>
      isTensor(m) || (m !== null && typeof m === "object" && Object.values(m).some(any));
    if (!any(found)) return null;
    if (this.masking === "refuse") {
      throw new LayerwiseError(`${this.describe()} cannot use a masked input`, {
        code: "E106",
        layer: this.name,
        received: "an input with a mask",
        expected: "no mask: this layer would treat padding as data",
        hint: "put a layer that consumes masks before it, or set masking in a layer of your own",
      });
    }
    return found;
  }
  private attachMasks(outputs: TensorTree, mask: MaskTree): void {
    if (mask === null) return;
    if (isTensor(outputs)) {
      if (isTensor(mask)) setMask(outputs, mask);
      return;
    }
    const many = mask as { [key: string]: MaskTree };
    for (const [key, out] of Object.entries(outputs)) {
      if (isTensor(mask)) continue;
      this.attachMasks(out, many[key] ?? null);
    }
  }
  /** Adds the penalty of the option `activityRegularizer` on the outputs, if the layer has one. */
  protected addActivityLoss(outputs: TensorTree, scope: CallScope): void {
    const { activityRegularizer } = this.options as { activityRegularizer?: { call(x: Tensor): Tensor } | null };
    if (!activityRegularizer) return;
    for (const out of treeLeaves(outputs, isTensor))
      scope.losses.push(this.perSample(activityRegularizer.call(out), out));
  }
  private applySymbolic(inputs: Tree<SymbolicTensor>, options: CallOptions): Tree<SymbolicTensor> {
    const { training: _training, mask, ...rest } = options;
    // A mask that another call computes is an argument of this one; the others come with the inputs.
    const computed = symbolicLeaves(mask).length > 0 ? { mask, ...rest } : rest;
    const node = new SymbolicNode(this as unknown as Layer, inputs, computed);
    let index = 0;
    const inferred = inferOutputs(this, inputs, options);
    node.outputs = mapTree(
      inferred,
      isInferred,
      (o) => new SymbolicTensor(o.shape, o.dtype, node, index++, o.maskShape),
    ) as Tree<SymbolicTensor>;
    this.inboundNodes.push(node);
    return node.outputs;
  }
}

/** Weights that were declared not trainable (moving averages), whatever the layer's switch says. */
const frozenWeights = new WeakMap<Variable, boolean>();
const ignoredProperties = new Set(["inboundNodes", "inputSpec", "spec", "stage"]);

function collectLayers(x: unknown, into: Set<Layer>, depth: number): void {
  if (x instanceof Layer) {
    into.add(x as unknown as Layer);
  } else if (depth < 3 && x !== null && typeof x === "object") {
    const plain = Array.isArray(x) || Object.getPrototypeOf(x) === Object.prototype;
    if (plain) for (const y of Object.values(x)) collectLayers(y, into, depth + 1);
  }
}

const isInferred = (x: unknown): x is Open => x !== null && typeof x === "object" && "shape" in x && "dtype" in x;

/** Known shapes with the batch left open, for building. */
function openBatch(shapes: ShapeTree): ShapeTree {
  return mapTree(shapes, isShape, (s) => (s.length === 0 ? s : [null, ...s.slice(1)])) as ShapeTree;
}
