/** bidirectional: one layer over time in both directions. */
import { defineSpec, type Json, type OptionsOf, oneOf } from "../../config/index.ts";
import { LayerwiseError } from "../../errors.ts";
import * as ops from "../../tensor/ops/index.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { isTensor, type ShapeTree, type TensorTree, treeLeaves } from "../arguments.ts";
import { type CallContext, Layer, layerFields, type Masking, type MaskTree } from "../layer.ts";
import { copyLayer, layerField } from "../nested.ts";
import { Recurrent } from "./recurrent.ts";

const spec = defineSpec("keras.layers", "Bidirectional", {
  ...layerFields,
  layer: layerField().doc("the recurrent layer that runs forwards"),
  mergeMode: oneOf("sum", "mul", "concat", "ave")
    .nullable()
    .default("concat")
    .doc("how the outputs become one; null keeps both"),
  backwardLayer: layerField().nullable().doc("the layer that runs backwards; by default a copy"),
});
export type BidirectionalOptions = OptionsOf<typeof spec>;

/** x [N, T, F] → [N, (T,) 2·units] for "concat", [N, (T,) units] for the others, two such tensors for null. */
export class Bidirectional extends Layer<typeof spec> {
  static readonly spec = spec;
  override readonly masking: Masking;
  readonly forwardLayer: Recurrent;
  readonly backwardLayer: Recurrent;

  constructor(options: BidirectionalOptions) {
    super(options, spec);
    const { layer, backwardLayer } = this.options;
    const forward = asRecurrent(layer, this);
    const named = (l: Recurrent, changes: { readonly [option: string]: unknown }) =>
      copyLayer(l as unknown as Layer, changes) as unknown as Recurrent;
    // A saved wrapper holds both layers, which have their names already.
    this.forwardLayer = backwardLayer ? forward : named(forward, { name: `forward_${forward.name}` });
    this.backwardLayer = backwardLayer
      ? asRecurrent(backwardLayer, this)
      : named(forward, { name: `backward_${forward.name}`, goBackwards: !forward.recurrence.goBackwards });
    for (const l of [this.forwardLayer, this.backwardLayer]) l.zeroOutputForMask = l.recurrence.returnSequences;
    this.masking = this.forwardLayer.recurrence.returnSequences ? "pass" : "consume";
    const [a, b] = [this.forwardLayer, this.backwardLayer].map((l) => l.recurrence);
    if (a.goBackwards === b.goBackwards || a.returnSequences !== b.returnSequences || a.returnState !== b.returnState) {
      throw new LayerwiseError(`the two layers of ${this.describe()} do not fit`, {
        code: "E202",
        layer: this.name,
        received: `goBackwards ${a.goBackwards} and ${b.goBackwards}, returnSequences ${a.returnSequences} and ${b.returnSequences}, returnState ${a.returnState} and ${b.returnState}`,
        expected: "opposite directions and equal results",
      });
    }
  }
  override build(inputShape: ShapeTree): void {
    this.forwardLayer.buildFor(inputShape);
    this.backwardLayer.buildFor(inputShape);
  }
  resetState(): void {
    this.forwardLayer.resetState();
    this.backwardLayer.resetState();
  }
  call(x: Tensor, context: CallContext): TensorTree {
    const { training, mask } = context;
    const { returnSequences, returnState } = this.forwardLayer.recurrence;
    const given = (context["initialState"] ?? null) as readonly TensorTree[] | null;
    const half = given ? given.length / 2 : 0;
    const run = (layer: Recurrent, states: readonly TensorTree[] | null): { y: Tensor; states: TensorTree[] } => {
      const out = layer.apply<TensorTree>(x, { training, mask, ...(states ? { initialState: states } : {}) });
      if (!returnState) return { y: out as Tensor, states: [] };
      const [y, ...rest] = out as readonly TensorTree[];
      return { y: y as Tensor, states: rest };
    };
    const a = run(this.forwardLayer, given?.slice(0, half) ?? null);
    const b = run(this.backwardLayer, given?.slice(half) ?? null);
    const back = returnSequences ? ops.flip(b.y, 1) : b.y;
    const merged = merge(this.options.mergeMode, a.y, back);
    if (!returnState) return merged;
    const outputs = isTensor(merged) ? [merged] : (merged as Tensor[]);
    return [...outputs, ...a.states, ...b.states];
  }
  override computeMask(_inputs: TensorTree, mask: MaskTree): MaskTree {
    const { returnSequences, returnState } = this.forwardLayer.recurrence;
    const first = returnSequences ? (treeLeaves(mask, isTensor)[0] ?? null) : null;
    if (this.options.mergeMode === null) return [first, first];
    return returnState ? [first] : first;
  }
  override getConfig(): Record<string, Json> {
    return {
      ...super.getConfig(),
      layer: this.forwardLayer.toConfig() as unknown as Json,
      backward_layer: this.backwardLayer.toConfig() as unknown as Json,
    };
  }
}

function asRecurrent(layer: Layer, owner: Layer): Recurrent {
  if (layer instanceof Recurrent) return layer;
  throw new LayerwiseError(`${owner.describe()} needs a recurrent layer`, {
    code: "E202",
    layer: owner.name,
    received: layer.describe(),
    expected: "simpleRnn, lstm, gru, rnn or convLstm",
  });
}

function merge(mode: "sum" | "mul" | "concat" | "ave" | null, a: Tensor, b: Tensor): TensorTree {
  switch (mode) {
    case "concat":
      return ops.concatenate([a, b], -1);
    case "sum":
      return a.add(b);
    case "ave":
      return a.add(b).div(2);
    case "mul":
      return a.mul(b);
    case null:
      return [a, b];
    default:
      return mode satisfies never;
  }
}
export const bidirectional = (layer: Recurrent, options: Omit<BidirectionalOptions, "layer"> = {}): Bidirectional =>
  new Bidirectional({ ...options, layer: layer as never });
