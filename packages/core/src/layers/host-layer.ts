/** The base of layers that run on the host: strings or integers in, numbers out; no weights, no gradient. */
import type { OptionsOf, Spec } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import type { Tree } from "../tensor/tree.ts";
import type { HostTree, TensorTree } from "./arguments.ts";
import type { HostStage } from "./host-stage.ts";
import type { Open } from "./infer.ts";
import { Layer } from "./layer.ts";

/**
 * In a model, host layers come before all others. They compute at once, not lazily:
 *
 *     class WordCount extends HostLayer {
 *       compute(texts: StringTensor) { return tensor(texts.data.map((t) => t.split(" ").length)); }
 *       infer({ shape }: Open) { return { shape, dtype: "f32", maskShape: null }; }
 *     }
 */
export abstract class HostLayer<S extends Spec> extends Layer<S> {
  override readonly runsOn: Layer["runsOn"] = "host";
  override readonly masking = "consume";
  private readonly stage: HostStage = {
    run: (inputs) => this.compute(inputs as never),
    infer: (inputs) => this.infer(inputs as never),
  };

  constructor(options: OptionsOf<S>, spec: S) {
    super(options, spec);
    this.built = true;
  }
  /** The outputs, from a tree of StringTensors and Tensors. */
  abstract compute(inputs: HostTree): HostTree;
  /** Shapes (null where they vary) and dtypes of the outputs. */
  abstract infer(inputs: Tree<Open>): Tree<Open>;

  override get hostStage(): HostStage {
    return this.stage;
  }
  call(_inputs: TensorTree): TensorTree {
    throw new LayerwiseError(`${this.describe()} runs on the host and cannot be part of a program`, {
      code: "E208",
      layer: this.name,
      received: "a call inside a compiled program",
      expected: "a place among the first layers of a model, or a call on data",
    });
  }
}
