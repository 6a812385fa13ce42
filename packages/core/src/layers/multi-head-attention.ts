/** MultiHeadAttention (Vaswani et al. 2017). */
import { axes, defineSpec, either, int, list, type OptionsOf } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { ShapeTree } from "./arguments.ts";
import { attentionShapes, ProjectedAttention, projectionFields } from "./projected-attention.ts";

const spec = defineSpec("keras.layers", "MultiHeadAttention", {
  ...projectionFields,
  numHeads: int({ min: 1 }).doc("number of heads"),
  keyDim: int({ min: 1 }).doc("width of a head's queries and keys"),
  valueDim: int({ min: 1 }).nullable().doc("width of a head's values; by default keyDim"),
  outputShape: either(int({ min: 1 }), list(int({ min: 1 })))
    .nullable()
    .doc("sizes of the output's features; by default the query's"),
  attentionAxes: axes().nullable().doc("axes that attention runs over; by default all but batch and features"),
});
export type MultiHeadAttentionOptions = OptionsOf<typeof spec>;

/** query [N, T, D], value and key [N, S, …] → [N, T, D]; see `ProjectedAttention` for calls, options and masks. */
export class MultiHeadAttention extends ProjectedAttention<typeof spec> {
  static readonly spec = spec;

  constructor(options: MultiHeadAttentionOptions) {
    super(options, spec);
  }
  protected override get keyWidth(): number {
    return this.options.keyDim;
  }
  override build(inputShape: ShapeTree): void {
    const { numHeads, keyDim, outputShape, attentionAxes, useGate } = this.options;
    const valueDim = this.options.valueDim ?? keyDim;
    const [query, value, key] = attentionShapes(inputShape);
    if (value.slice(1, -1).join() !== key.slice(1, -1).join()) {
      throw new LayerwiseError(`${this.describe()} needs as many keys as values`, {
        code: "E103",
        layer: this.name,
        received: `value [${value}] and key [${key}]`,
        expected: "equal sizes in all axes but the first and last",
      });
    }
    const project = (name: string, rank: number, width: number, gate = false) => {
      const { equation, biasAxes, free } = projectionEquation(rank - 1, 1, 2);
      return this.projection(
        name,
        equation,
        [...new Array<null>(free - 1).fill(null), numHeads, width],
        biasAxes,
        gate,
      );
    };
    this.queryDense = project("query", query.length, keyDim);
    this.keyDense = project("key", key.length, keyDim);
    if (useGate) this.gateDense = project("gate", query.length, valueDim, true);
    this.valueDense = project("value", value.length, valueDim);
    const out = outputShape === null ? query.slice(-1) : typeof outputShape === "number" ? [outputShape] : outputShape;
    const back = projectionEquation(query.length - 1, 2, out.length);
    this.outputDense = this.projection(
      "attention_output",
      back.equation,
      [...new Array<null>(back.free - 1).fill(null), ...out],
      back.biasAxes,
    );
    const rank = query.length + 1;
    const chosen = typeof attentionAxes === "number" ? [attentionAxes] : attentionAxes;
    this.attentionAxes =
      chosen?.map((a) => (a < 0 ? a + rank - 1 : a)) ?? Array.from({ length: rank - 3 }, (_, i) => i + 1);
    this.queryDense.buildFor(query);
    this.keyDense.buildFor(key);
    this.gateDense?.buildFor(query);
    this.valueDense.buildFor(value);
    this.outputDense.buildFor([...query.slice(0, -1), numHeads, valueDim]);
  }
  /** Only the mask that the query carries counts: Keras replaces a `queryMask` by it. */
  protected override queryMask(carried: Tensor | null): Tensor | null {
    return carried;
  }
}
export const multiHeadAttention = (
  numHeads: number,
  keyDim: number,
  options: Omit<MultiHeadAttentionOptions, "numHeads" | "keyDim"> = {},
): MultiHeadAttention => new MultiHeadAttention({ ...options, numHeads, keyDim });

/** "abc,cde->abde": `free` axes stay, `bound` ones are summed, `made` new ones come. */
function projectionEquation(
  free: number,
  bound: number,
  made: number,
): { equation: string; biasAxes: string; free: number } {
  const letters = "abcdefghijklmnopqrstuvwxyz";
  const stay = letters.slice(0, free);
  const sum = letters.slice(free, free + bound);
  const come = letters.slice(free + bound, free + bound + made);
  return { equation: `${stay}${sum},${sum}${come}->${stay}${come}`, biasAxes: come, free };
}
