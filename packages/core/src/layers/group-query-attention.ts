/** GroupQueryAttention (Ainslie et al. 2023): several query heads share one head of keys and values. */
import { defineSpec, int, type OptionsOf } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import type { ShapeTree } from "./arguments.ts";
import { knownSize } from "./input-spec.ts";
import type { Layer } from "./layer.ts";
import { attentionShapes, ProjectedAttention, projectionFields } from "./projected-attention.ts";

const spec = defineSpec("keras.layers", "GroupQueryAttention", {
  ...projectionFields,
  headDim: int({ min: 1 }).doc("width of a head"),
  numQueryHeads: int({ min: 1 }).doc("number of query heads; a multiple of numKeyValueHeads"),
  numKeyValueHeads: int({ min: 1 }).doc("number of heads of keys and values"),
});
export type GroupQueryAttentionOptions = OptionsOf<typeof spec>;

/** query [N, T, D], value and key [N, S, D] → [N, T, D]; see `ProjectedAttention` for calls, options and masks. */
export class GroupQueryAttention extends ProjectedAttention<typeof spec> {
  static readonly spec = spec;

  constructor(options: GroupQueryAttentionOptions) {
    super(options, spec);
    const { numQueryHeads, numKeyValueHeads } = this.options;
    if (numQueryHeads % numKeyValueHeads !== 0) {
      throw new LayerwiseError(`${this.describe()} cannot share its heads evenly`, {
        code: "E202",
        layer: this.name,
        received: `${numQueryHeads} query heads and ${numKeyValueHeads} heads of keys and values`,
        expected: "a multiple of numKeyValueHeads",
      });
    }
  }
  protected override get keyWidth(): number {
    return this.options.headDim;
  }
  override build(inputShape: ShapeTree): void {
    const { headDim, numQueryHeads, numKeyValueHeads, useGate } = this.options;
    const [query, value, key] = attentionShapes(inputShape);
    const features = knownSize(query, -1, this as unknown as Layer, "features");
    const queries = [null, numQueryHeads, headDim];
    const shared = [null, numKeyValueHeads, headDim];
    this.queryDense = this.projection("query", "bqm,muh->bquh", queries, "uh");
    this.keyDense = this.projection("key", "bkm,mvh->bkvh", shared, "vh");
    if (useGate) this.gateDense = this.projection("gate", "bqm,muh->bquh", queries, "uh", true);
    this.valueDense = this.projection("value", "bkm,mvh->bkvh", shared, "vh");
    this.outputDense = this.projection("attention_output", "bquh,uhm->bqm", [null, features], "m");
    this.queryDense.buildFor(query);
    this.keyDense.buildFor(key);
    this.gateDense?.buildFor(query);
    this.valueDense.buildFor(value);
    this.outputDense.buildFor([null, null, numQueryHeads, headDim]);
  }
}
export const groupQueryAttention = (
  headDim: number,
  numQueryHeads: number,
  numKeyValueHeads: number,
  options: Omit<GroupQueryAttentionOptions, "headDim" | "numQueryHeads" | "numKeyValueHeads"> = {},
): GroupQueryAttention => new GroupQueryAttention({ ...options, headDim, numQueryHeads, numKeyValueHeads });
