/** Input: the entry of a model, which fixes the shape and dtype of a sample. */

import type { Json, KerasObject } from "../config/index.ts";
import { bool, defineSpec, json, type OptionsOf, readOptions, shape, string } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import type { ValueDType } from "../tensor/string-tensor.ts";
import type { TensorTree } from "./arguments.ts";
import { kerasDType, valueDTypeField } from "./dtype-policy.ts";
import { Layer, type LayerSpec } from "./layer.ts";
import { type OpenShape, SymbolicNode, SymbolicTensor } from "./symbolic.ts";

const spec = defineSpec("keras.layers", "InputLayer", {
  shape: shape().nullable().transient().doc("shape of one sample"),
  batchShape: shape().nullable().doc("shape with the batch first, instead of `shape`"),
  batchSize: json().nullable().transient().doc("the batch, if it is fixed"),
  dtype: valueDTypeField().default("float32").doc('dtype of the input; "string" for texts'),
  name: string().nullable(),
  sparse: bool().default(false).doc("kept for Keras configs; sparse inputs are not supported"),
  ragged: bool().default(false).doc("kept for Keras configs; ragged inputs are not supported"),
  optional: bool().default(false).doc("whether the input may be left out"),
});
export type InputOptions = OptionsOf<typeof spec>;

/** Passes its input on; [N, …shape]. */
export class InputLayer extends Layer<LayerSpec> {
  static readonly spec = spec;
  override readonly masking = "pass";
  readonly batchShape: OpenShape;
  readonly dtype: ValueDType;
  readonly output: SymbolicTensor;
  private readonly inputOptions;

  constructor(options: InputOptions) {
    const o = readOptions(spec, options);
    super({ name: o.name, dtype: o.dtype === "string" ? "float32" : kerasDType(o.dtype) });
    const sample = o.shape;
    if ((o.batchShape === null) === (sample === null)) {
      throw new LayerwiseError("an input needs either shape or batchShape", {
        code: "E202",
        layer: this.name,
        received: o.batchShape === null ? "neither" : "both",
        expected: "{ shape: [28, 28, 1] } (one sample), or { batchShape: [null, 28, 28, 1] }",
      });
    }
    this.batchShape = o.batchShape ?? [typeof o.batchSize === "number" ? o.batchSize : null, ...sample!];
    this.dtype = o.dtype;
    this.inputOptions = o;
    this.built = true;
    this.buildShape = this.batchShape;
    const node = new SymbolicNode(this, [], {});
    this.output = new SymbolicTensor(this.batchShape, this.dtype, node, 0);
    node.outputs = this.output;
    this.inboundNodes.push(node);
  }
  override get className(): string {
    return "InputLayer";
  }
  call(x: TensorTree): TensorTree {
    return x;
  }
  override getConfig(): Record<string, Json> {
    const { sparse, ragged, optional } = this.inputOptions;
    return {
      batch_shape: [...this.batchShape],
      dtype: kerasDType(this.dtype),
      sparse,
      ragged,
      name: this.name,
      optional,
    };
  }
  override toConfig(): KerasObject {
    return { module: "keras.layers", class_name: "InputLayer", config: this.getConfig(), registered_name: null };
  }
  static fromConfig(config: { readonly [key: string]: Json }): InputLayer {
    const batchShape = (config["batch_shape"] ?? config["batch_input_shape"] ?? null) as OpenShape | null;
    const dtype = config["dtype"] as string | undefined;
    return new InputLayer({
      ...(batchShape ? { batchShape } : { shape: (config["shape"] ?? config["input_shape"]) as OpenShape }),
      ...(dtype ? { dtype } : {}),
      name: (config["name"] ?? null) as string | null,
    });
  }
}

/**
 * The start of a functional model: a symbolic tensor for samples of `shape`. In `sequential` it may stand first.
 */
export function input(shape: OpenShape, options: Omit<InputOptions, "shape" | "batchShape"> = {}): SymbolicTensor {
  return new InputLayer({ ...options, shape }).output;
}
