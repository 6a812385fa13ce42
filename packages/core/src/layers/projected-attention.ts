/** What multi-head and grouped-query attention share: projections, masks, the cache of keys and values. */
import { bool, int, number } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import * as g from "../graph/ops/index.ts";
import type { DType } from "../graph/types.ts";
import { causalMask } from "../tensor/causal-mask.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import { isShape, isTensor, type ShapeTree, type TensorTree } from "./arguments.ts";
import { asBool, both, causalMaskFrom, ofKeys, ofQueries, windowMask } from "./attention-mask.ts";
import { dropped } from "./dropout.ts";
import { EinsumDense, type EinsumDenseOptions } from "./einsum-dense.ts";
import { activityFields, weightFields } from "./fields.ts";
import { type CallContext, Layer, type LayerSpec, layerFields, type MaskTree } from "./layer.ts";
import { setMask } from "./mask.ts";
import { maskedSoftmax } from "./softmax.ts";
import type { OpenShape } from "./symbolic.ts";

export const projectionFields = {
  ...layerFields,
  dropout: number({ min: 0, max: 1 }).default(0).doc("share of the attention scores that is dropped in training"),
  useBias: bool().default(true).doc("whether the projections have a bias"),
  useGate: bool()
    .default(false)
    .doc("whether a sigmoid of a projection of the query multiplies the output of each head (Qiu et al. 2025)"),
  slidingWindow: int({ min: 1 }).nullable().doc("keys this far away or farther are not looked at"),
  flashAttention: bool()
    .nullable()
    .transient()
    .doc("kept for Keras; how attention is computed is the compiler's choice"),
  ...weightFields("kernel", "glorotUniform"),
  ...weightFields("bias", "zeros"),
  ...activityFields,
  seed: int().nullable().doc("makes the dropout depend on this number and the step alone"),
};

/** Keys and values of the steps seen so far, [N, heads, maxLength, width] each. */
export interface AttentionCache {
  readonly key: Tensor;
  readonly value: Tensor;
  readonly [name: string]: Tensor;
}

interface Common {
  readonly dropout: number;
  readonly useBias: boolean;
  readonly useGate: boolean;
  readonly slidingWindow: number | null;
  readonly seed: number | null;
}

/** Shapes of query, value and key from what the layer is built for; one shape stands for all three. */
export function attentionShapes(shape: ShapeTree): readonly [OpenShape, OpenShape, OpenShape] {
  if (isShape(shape)) return [shape, shape, shape];
  const [query, value = query, key = value] = shape as readonly OpenShape[];
  return [query, value, key];
}

/**
 * Calls: `apply(x)` (self-attention), `apply([query, value])` or `apply([query, value, key])`, each [N, T or S, D].
 * Call options: `attentionMask` (bool, broadcast to [N, T, S] or [N, heads, T, S]), `useCausalMask`, `queryMask`,
 * `valueMask`, `keyMask` (else those that the inputs carry), `returnAttentionScores` ([output, scores [N, heads, T, S]]).
 *
 * A query that may look at no key gets the plain mean of the values where scores are neither dropped nor returned, and 0
 * (before the output projection) where they are; both as in Keras.
 */
export abstract class ProjectedAttention<S extends LayerSpec> extends Layer<S> {
  override readonly masking = "pass";
  override readonly callArguments = ["query", "value", "key"];

  // In the order of Keras' weights.
  queryDense!: EinsumDense;
  keyDense!: EinsumDense;
  gateDense: EinsumDense | null = null;
  valueDense!: EinsumDense;
  outputDense!: EinsumDense;

  /** Width of a head's queries and keys. */
  protected abstract readonly keyWidth: number;
  /** Axes of a rank 4 projection [N, T, heads, width] that attention runs over; more than one only for higher ranks. */
  protected attentionAxes: readonly number[] = [1];

  private get common(): Common {
    return this.options as unknown as Common;
  }

  protected projection(
    name: string,
    equation: string,
    outputShape: OpenShape,
    biasAxes: string,
    gate = false,
  ): EinsumDense {
    const o = this.options as unknown as EinsumDenseOptions & Common;
    return new EinsumDense({
      equation,
      outputShape,
      biasAxes: o.useBias ? biasAxes : null,
      name,
      dtype: this.dtypePolicy as unknown as string,
      kernelInitializer: o.kernelInitializer,
      biasInitializer: o.biasInitializer,
      kernelRegularizer: o.kernelRegularizer,
      biasRegularizer: o.biasRegularizer,
      kernelConstraint: o.kernelConstraint,
      biasConstraint: o.biasConstraint,
      activityRegularizer: o.activityRegularizer,
      ...(gate ? { activation: "sigmoid" } : {}),
    });
  }
  /** The projections carry the activity regularizer, as in Keras; the layer's own output has no further penalty. */
  protected override addActivityLoss(): void {}

  call(inputs: TensorTree, context: CallContext): TensorTree {
    const [query, value, key] = this.parts(inputs).map((t) => plain(t));
    const mask = this.combinedMask(context, query.shape[1], value.shape[1]);
    const gate = this.gateDense?.apply<Tensor>(query) ?? null;
    const q = this.queryDense.apply<Tensor>(query);
    const k = this.keyDense.apply<Tensor>(key);
    const v = this.valueDense.apply<Tensor>(value);
    const wantsScores = context["returnAttentionScores"] === true;
    const { dropout } = this.common;
    const causal = context["useCausalMask"] === true;
    let output: Tensor;
    let scores: Tensor | null = null;
    if (dropout > 0 || wantsScores || q.ndim !== 4) {
      [output, scores] = this.explicit(q, k, v, mask, causal, context.training);
    } else {
      output = ops.dotProductAttention(q, k, v, null, mask && heads4(mask), 1 / Math.sqrt(this.keyWidth), causal);
    }
    const y = this.outputDense.apply<Tensor>(gate ? output.mul(gate) : output);
    return wantsScores ? [y, scores!] : y;
  }
  override computeMask(_inputs: TensorTree, mask: MaskTree): MaskTree {
    if (isTensor(mask)) return mask;
    return Array.isArray(mask) ? ((mask[0] as Tensor | null) ?? null) : null;
  }

  /** Attention with scores that somebody sees: [output [N, T, heads, V], scores before dropout]. */
  protected explicit(
    q: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | null,
    causal: boolean,
    training: boolean,
  ): [Tensor, Tensor] {
    const groups = q.shape[q.ndim - 2] / key.shape[key.ndim - 2];
    const many = (x: Tensor) => (groups === 1 ? x : ops.repeat(x, groups, x.ndim - 2));
    const { product, combine, rank } = attentionEquations(q.ndim, this.attentionAxes);
    const n = this.attentionAxes.length;
    let seen = mask;
    if (causal) seen = both(seen, ops.expandDims(causalMask(q.shape[1], key.shape[1]), 0));
    let scores = ops.einsum(product, many(key), q.mul(1 / Math.sqrt(this.keyWidth)));
    const axes = Array.from({ length: n }, (_, i) => rank - n + i);
    if (seen) {
      while (seen.ndim < scores.ndim) seen = ops.expandDims(seen, -2 * n - 1);
      scores = maskedSoftmax(scores, ops.broadcastTo(seen, scores.shape), axes);
    } else scores = ops.softmax(scores, axes);
    const { dropout, seed } = this.common;
    const kept =
      training && dropout > 0 ? dropped(this as unknown as Layer, scores, scores.shape, dropout, seed) : scores;
    return [ops.einsum(combine, kept, many(value)), scores];
  }

  private combinedMask(context: CallContext, t: number, s: number): Tensor | null {
    const given = (name: string): Tensor | null => {
      const m = context[name] as Tensor | null | undefined;
      return m === null || m === undefined ? null : Tensor.of(m);
    };
    const carried = isTensor(context.mask)
      ? [context.mask, context.mask]
      : Array.isArray(context.mask)
        ? context.mask
        : [];
    const [ofQuery = null, ofValue = null, ofKey = null] = carried as (Tensor | null)[];
    const queryMask = this.queryMask(ofQuery, given("queryMask"));
    const valueMask = given("valueMask") ?? ofValue;
    const keyMask = given("keyMask") ?? ofKey;
    const { slidingWindow } = this.common;
    let mask = queryMask && ofQueries(queryMask);
    mask = both(mask, valueMask && ofKeys(valueMask));
    mask = both(mask, keyMask && ofKeys(keyMask));
    if (slidingWindow !== null) mask = both(mask, ops.expandDims(windowMask(t, s, slidingWindow), 0));
    const attentionMask = given("attentionMask");
    return both(attentionMask && asBool(attentionMask), mask);
  }
  /** Which mask of the queries counts. */
  protected queryMask(carried: Tensor | null, given: Tensor | null): Tensor | null {
    return given ?? carried;
  }

  private parts(inputs: TensorTree): readonly [Tensor, Tensor, Tensor] {
    if (isTensor(inputs)) return [inputs, inputs, inputs];
    const found = Array.isArray(inputs) ? inputs.filter(isTensor) : [];
    if (found.length < 1 || found.length > 3 || found.length !== (inputs as readonly unknown[]).length) {
      throw new LayerwiseError(`${this.describe()} takes one to three tensors`, {
        code: "E103",
        layer: this.name,
        received: `${found.length} tensors`,
        expected: "x, [query, value] or [query, value, key]",
      });
    }
    const [query, value = query, key = value] = found;
    return [query, value, key];
  }

  // One step at a time, for generation.

  readonly stepsWithMask = false;
  /** Causal self-attention can; masks and scores are for whole sequences. */
  canStep(options: { readonly [option: string]: unknown }, numInputs: number): boolean {
    const { useCausalMask, ...others } = options;
    return (
      useCausalMask === true && numInputs === 1 && Object.values(others).every((o) => o === undefined || o === null)
    );
  }
  /** Empty room for the keys and values of `maxLength` steps of `batch` sequences. */
  initialCache(batch: number, maxLength: number, dtype: DType = this.dtypePolicy.compute): AttentionCache {
    this.requireBuilt("initialCache");
    const shape = (dense: EinsumDense) => {
      const [heads, width] = dense.kernel.shape.slice(-2);
      return [batch, heads, maxLength, width];
    };
    return { key: ops.zeros(shape(this.keyDense), dtype), value: ops.zeros(shape(this.valueDense), dtype) };
  }
  /**
   * Causal self-attention of new steps x [N, T, D] that follow `position` (i32 []) earlier ones, whose keys and values are
   * in the cache: [y [N, T, D], the cache with the new ones in place]. Positions behind the cache's end are clamped to it.
   */
  step(x: Tensor, cache: AttentionCache, position: Tensor): [Tensor, AttentionCache] {
    this.requireBuilt("step");
    const put = (dense: EinsumDense, room: Tensor): Tensor => {
      const fresh = ops.transpose(dense.apply<Tensor>(x), [0, 2, 1, 3]); // [N, heads, T, width]
      const zero = g.scalar(0, "i32");
      return new Tensor(g.dynamicUpdateSlice(room.value, fresh.value, [zero, zero, position.value, zero]));
    };
    const key = put(this.keyDense, cache.key);
    const value = put(this.valueDense, cache.value);
    const q = this.queryDense.apply<Tensor>(x);
    const [t, s] = [x.shape[1], key.shape[2]];
    const { slidingWindow } = this.common;
    const mask = both(
      causalMaskFrom(t, s, position),
      slidingWindow === null ? null : windowMask(t, s, slidingWindow, position),
    );
    let output = ops.attentionOfHeads(ops.transpose(q, [0, 2, 1, 3]), key, value, {
      mask,
      scale: 1 / Math.sqrt(this.keyWidth),
    });
    output = ops.transpose(output, [0, 2, 1, 3]);
    if (this.gateDense) output = output.mul(this.gateDense.apply<Tensor>(x));
    return [this.outputDense.apply<Tensor>(output), { key, value }];
  }
}

/** The tensor without its mask, which the layer has taken into account. */
const plain = (x: Tensor): Tensor => setMask(new Tensor(x.value), null);
/** [N, T, S] → [N, 1, T, S]; rank 4 as it is. */
const heads4 = (mask: Tensor): Tensor => {
  let m = mask;
  while (m.ndim < 4) m = ops.expandDims(m, -3);
  return m;
};

const letters = "abcdefghijklmnopqrstuvwxyz";

/** Keras' equations of scores and output for projections of a rank, with attention over `axes`. */
export function attentionEquations(
  rank: number,
  axes: readonly number[],
): { product: string; combine: string; rank: number } {
  const target = [...letters.slice(0, rank)];
  const batch = target.filter((_, i) => !axes.includes(i) && i !== rank - 1);
  const source = target.map((l, i) => (batch.includes(l) || i === rank - 1 ? l : letters[rank + i]));
  const scores = [...batch, ...axes.map((i) => target[i]), ...axes.map((i) => source[i])];
  return {
    product: `${source.join("")},${target.join("")}->${scores.join("")}`,
    combine: `${scores.join("")},${source.join("")}->${target.join("")}`,
    rank: scores.length,
  };
}
