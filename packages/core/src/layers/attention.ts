/** Attention and AdditiveAttention: queries look at keys and take means of values, without projections. */
import { bool, defineSpec, type Fields, int, number, type OptionsOf, oneOf, type Spec } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import { causalMask } from "../tensor/causal-mask.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { isTensor, type ShapeTree, type TensorTree } from "./arguments.ts";
import { asBool, both, ofKeys } from "./attention-mask.ts";
import { dropped } from "./dropout.ts";
import { knownSize } from "./input-spec.ts";
import { type CallContext, Layer, layerFields, type MaskTree } from "./layer.ts";
import type { OpenShape } from "./symbolic.ts";

const commonFields = {
  ...layerFields,
  dropout: number({ min: 0, max: 1 }).default(0).doc("share of the attention scores that is dropped in training"),
  seed: int().nullable().doc("makes the dropout depend on this number and the step alone"),
};

interface CommonOptions {
  readonly dropout: number;
  readonly seed: number | null;
}

/**
 * [query, value] or [query, value, key] (key = value by default): query [N, T, D], value [N, S, V], key [N, S, D] →
 * softmax(scores(query, key)) · value, [N, T, V].
 *
 * Masks [N, T] of the query and [N, S] of the value: masked values get no weight, and the outputs of masked queries are 0.
 * A query that may look at no value at all (everything is masked) gets the mean that the bare scores give, as in Keras: the
 * scores of all values are lowered alike. Call options: `useCausalMask`, `returnAttentionScores` ([output, scores [N, T, S]]).
 */
abstract class ScoredAttention<F extends Fields & typeof commonFields> extends Layer<Spec<F>> {
  override readonly masking = "pass";

  /** Scores [N, T, S] of query [N, T, D] and key [N, S, D]. */
  protected abstract scores(query: Tensor, key: Tensor): Tensor;

  call(inputs: TensorTree, context: CallContext): TensorTree {
    const { dropout, seed } = this.options as unknown as CommonOptions;
    const [query, value, key = value] = this.parts(inputs);
    const masks = Array.isArray(context.mask) ? (context.mask as (Tensor | null)[]) : [];
    const [queryMask = null, valueMask = null] = masks;
    let scores = this.scores(query, key);
    const [t, s] = scores.shape.slice(-2);
    const seen = both(valueMask && ofKeys(valueMask), context["useCausalMask"] ? causalMask(t, s) : null);
    const low = scores.dtype === "f16" ? 65504 : 1e9;
    // A causal mask alone leaves every query the first value: then the scores of the others do not matter.
    if (seen) scores = ops.where(seen, scores, valueMask ? scores.sub(low) : -low);
    const weights = ops.softmax(scores, -1);
    const kept =
      context.training && dropout > 0
        ? dropped(this as unknown as Layer, weights, weights.shape, dropout, seed)
        : weights;
    let output = ops.matmul(kept, value);
    if (queryMask) output = ops.where(ops.expandDims(asBool(queryMask), -1), output, Tensor.of(0, output.dtype));
    return context["returnAttentionScores"] ? [output, weights] : output;
  }
  override computeMask(_inputs: TensorTree, mask: MaskTree): MaskTree {
    return Array.isArray(mask) ? ((mask[0] as Tensor | null) ?? null) : null;
  }

  protected parts(inputs: TensorTree): readonly Tensor[] {
    const found = Array.isArray(inputs) ? inputs.filter(isTensor) : [];
    if (found.length >= 2 && found.length <= 3 && found.length === (inputs as readonly unknown[]).length) return found;
    throw new LayerwiseError(`${this.describe()} takes two or three tensors`, {
      code: "E103",
      layer: this.name,
      received: isTensor(inputs) ? "one tensor" : `${found.length} tensors`,
      expected: "[query, value] or [query, value, key]",
    });
  }
}

const attentionSpec = defineSpec("keras.layers", "Attention", {
  ...commonFields,
  useScale: bool().default(false).doc("whether the scores are multiplied by a trained number"),
  scoreMode: oneOf("dot", "concat").default("dot").doc('"dot": query · key; "concat": Σ tanh(query + key)'),
});
/** Dot-product attention (Luong et al. 2015): query and key of one width D. */
export class Attention extends ScoredAttention<(typeof attentionSpec)["fields"]> {
  static readonly spec = attentionSpec;
  scale: Variable | null = null;
  concatScoreWeight: Variable | null = null;

  constructor(options: OptionsOf<typeof attentionSpec> = {}) {
    super(options, attentionSpec);
  }
  override build(): void {
    const one = { shape: [], initializer: "ones" } as const;
    if (this.options.useScale) this.scale = this.addWeight({ name: "scale", ...one });
    if (this.options.scoreMode === "concat")
      this.concatScoreWeight = this.addWeight({ name: "concat_score_weight", ...one });
  }
  protected override scores(query: Tensor, key: Tensor): Tensor {
    const scaled = (x: Tensor) => (this.scale ? x.mul(this.read(this.scale)) : x);
    if (!this.concatScoreWeight) return scaled(ops.matmul(query, ops.swapaxes(key, -2, -1)));
    const sum = scaled(ops.expandDims(query, -2).add(ops.expandDims(key, -3))); // [N, T, S, D]
    return ops.tanh(sum).sum(-1).mul(this.read(this.concatScoreWeight));
  }
}
export const attention = (options: OptionsOf<typeof attentionSpec> = {}): Attention => new Attention(options);

const additiveSpec = defineSpec("keras.layers", "AdditiveAttention", {
  ...commonFields,
  useScale: bool().default(true).doc("whether each feature has a trained weight in the scores"),
});
/** Additive attention (Bahdanau et al. 2015): scores Σ scale · tanh(query + key). */
export class AdditiveAttention extends ScoredAttention<(typeof additiveSpec)["fields"]> {
  static readonly spec = additiveSpec;
  scale: Variable | null = null;

  constructor(options: OptionsOf<typeof additiveSpec> = {}) {
    super(options, additiveSpec);
  }
  override build(inputShape: ShapeTree): void {
    if (!this.options.useScale) return;
    const features = knownSize((inputShape as readonly OpenShape[])[0], -1, this as unknown as Layer, "features");
    this.scale = this.addWeight({ name: "scale", shape: [features], initializer: "glorotUniform" });
  }
  protected override scores(query: Tensor, key: Tensor): Tensor {
    const sum = ops.tanh(ops.expandDims(query, -2).add(ops.expandDims(key, -3))); // [N, T, S, D]
    return (this.scale ? sum.mul(this.read(this.scale)) : sum).sum(-1);
  }
}
export const additiveAttention = (options: OptionsOf<typeof additiveSpec> = {}): AdditiveAttention =>
  new AdditiveAttention(options);
