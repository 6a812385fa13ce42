/** timeDistributed: one layer on every step of a sequence. */
import { defineSpec, type OptionsOf } from "../config/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { isTensor, mapTree, oneShape, type ShapeTree, type TensorTree, treeLeaves } from "./arguments.ts";
import { type CallContext, Layer, layerFields } from "./layer.ts";
import { layerField } from "./nested.ts";

const spec = defineSpec("keras.layers", "TimeDistributed", {
  ...layerFields,
  layer: layerField().doc("the layer, which sees one step at a time"),
});

/** x [N, T, …] → [N, T, …]: the steps are more samples of one batch. */
export class TimeDistributed extends Layer<typeof spec> {
  static readonly spec = spec;
  override readonly masking = "pass";
  override get timewise(): boolean {
    return true;
  }
  readonly layer: Layer;
  constructor(options: OptionsOf<typeof spec>) {
    super(options, spec);
    this.layer = this.options.layer;
  }
  override build(inputShape: ShapeTree): void {
    this.inputSpec = { minNdim: 3 };
    const [batch, , ...rest] = oneShape(inputShape, this.name);
    this.layer.buildFor([batch, ...rest]);
  }
  call(x: Tensor, { training, mask }: CallContext): TensorTree {
    const [n, t, ...rest] = x.shape;
    const steps = treeLeaves(mask, isTensor)[0] ?? null;
    const inner = steps && this.layer.masking !== "refuse" && steps.ndim > 2 ? steps : null;
    const y = this.layer.apply<TensorTree>(x.reshape([n * t, ...rest]), {
      training,
      ...(inner ? { mask: inner.reshape([n * t, ...inner.shape.slice(2)]) } : {}),
    });
    return mapTree(y, isTensor, (out): Tensor => ops.reshape(out, [n, t, ...out.shape.slice(1)])) as TensorTree;
  }
}
export const timeDistributed = (layer: Layer, options: Omit<OptionsOf<typeof spec>, "layer"> = {}): TimeDistributed =>
  new TimeDistributed({ ...options, layer });
