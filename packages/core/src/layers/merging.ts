/** Merging layers: add, subtract, multiply, average, maximum, minimum, concatenate, dot. */
import { bool, defineSpec, either, int, list, type OptionsOf } from "../config/index.ts";
import { formatShape, LayerwiseError } from "../errors.ts";
import { concat, dotGeneral } from "../graph/ops/index.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import { isTensor } from "./arguments.ts";
import { type CallContext, Layer, type LayerSpec, layerFields, type MaskTree } from "./layer.ts";

const mergeSpec = (className: string): LayerSpec => defineSpec("keras.layers", className, layerFields);
export type MergeOptions = OptionsOf<LayerSpec>;

/** The inputs of a merging layer. */
function inputsOf(layer: Layer<never>, inputs: unknown): readonly Tensor[] {
  const found = Array.isArray(inputs) ? inputs.filter(isTensor) : [];
  if (found.length < 2 || found.length !== (inputs as unknown[]).length) {
    throw new LayerwiseError(`${layer.describe()} takes a list of two or more tensors`, {
      code: "E103",
      layer: layer.name,
      received: `${found.length} tensors`,
      expected: "[a, b, …]",
    });
  }
  return found;
}

/** Masks of all inputs combined: a step counts where it counts in any input; null unless all have masks. */
function commonMask(mask: MaskTree): MaskTree {
  const masks = Array.isArray(mask) ? mask : [];
  return masks.length > 0 && masks.every(isTensor) ? masks.reduce((a, b) => ops.logicalOr(a, b)) : null;
}

/** Elementwise, with broadcasting; inputs of lower rank get axes of size 1 after the batch. */
abstract class Merge extends Layer<LayerSpec> {
  override readonly masking = "pass";
  override get timewise(): boolean {
    return true;
  }
  /** `masks` are of the shape of each input, null where it has none. */
  protected abstract merge(inputs: readonly Tensor[], masks: readonly (Tensor | null)[]): Tensor;

  constructor(options: MergeOptions, spec: LayerSpec) {
    super(options, spec);
  }
  call(inputs: readonly Tensor[], { mask }: CallContext): Tensor {
    const list = inputsOf(this as unknown as Layer<never>, inputs);
    const rank = Math.max(...list.map((t) => t.ndim));
    const level = list.map((t) =>
      t.ndim === rank ? t : t.reshape([t.shape[0], ...new Array(rank - t.ndim).fill(1), ...t.shape.slice(1)]),
    );
    const masks = Array.isArray(mask) ? (mask as (Tensor | null)[]) : [];
    return this.merge(
      level,
      level.map((t, i) => {
        const m = masks[i] ?? null;
        return m && ops.broadcastTo(m.reshape([...m.shape, ...new Array(t.ndim - m.ndim).fill(1)]), t.shape);
      }),
    );
  }
  override computeMask(_inputs: unknown, mask: MaskTree): MaskTree {
    return commonMask(mask);
  }
}

const addSpec = mergeSpec("Add");
/** Sum of the inputs. */
export class Add extends Merge {
  static readonly spec = addSpec;
  constructor(options: MergeOptions = {}) {
    super(options, addSpec);
  }
  protected override merge(inputs: readonly Tensor[]): Tensor {
    return inputs.reduce((a, b) => a.add(b));
  }
}
export const add = (options: MergeOptions = {}): Add => new Add(options);

const multiplySpec = mergeSpec("Multiply");
/** Product of the inputs; a masked step counts as 1, and as 0 where all are masked. */
export class Multiply extends Merge {
  static readonly spec = multiplySpec;
  constructor(options: MergeOptions = {}) {
    super(options, multiplySpec);
  }
  protected override merge(inputs: readonly Tensor[], masks: readonly (Tensor | null)[]): Tensor {
    const product = inputs
      .map((x, i) => {
        const m = masks[i];
        return m ? ops.where(m, x, Tensor.of(1, x.dtype)) : x;
      })
      .reduce((a, b) => a.mul(b));
    if (!masks.every(isTensor)) return product;
    return ops.where(
      masks.reduce((a, b) => ops.logicalOr(a, b)),
      product,
      Tensor.of(0, product.dtype),
    );
  }
}
export const multiply = (options: MergeOptions = {}): Multiply => new Multiply(options);

const averageSpec = mergeSpec("Average");
/** Mean of the inputs. */
export class Average extends Merge {
  static readonly spec = averageSpec;
  constructor(options: MergeOptions = {}) {
    super(options, averageSpec);
  }
  protected override merge(inputs: readonly Tensor[]): Tensor {
    return inputs.reduce((a, b) => a.add(b)).div(inputs.length);
  }
}
export const average = (options: MergeOptions = {}): Average => new Average(options);

/** A masked input gives way to the others. */
function extreme(
  pick: (a: Tensor, b: Tensor) => Tensor,
  inputs: readonly Tensor[],
  masks: readonly (Tensor | null)[],
): Tensor {
  let result = inputs[0];
  let counts = masks[0];
  for (let i = 1; i < inputs.length; i++) {
    const mask = masks[i];
    const x = mask ? ops.where(mask, inputs[i], result) : inputs[i];
    if (counts) result = ops.where(counts, result, x);
    counts = counts && mask ? ops.logicalOr(counts, mask) : null;
    result = pick(result, x);
  }
  return result;
}

const maximumSpec = mergeSpec("Maximum");
/** Elementwise maximum of the inputs that are not masked. */
export class Maximum extends Merge {
  static readonly spec = maximumSpec;
  constructor(options: MergeOptions = {}) {
    super(options, maximumSpec);
  }
  protected override merge(inputs: readonly Tensor[], masks: readonly (Tensor | null)[]): Tensor {
    return extreme(ops.maximum, inputs, masks);
  }
}
export const maximum = (options: MergeOptions = {}): Maximum => new Maximum(options);

const minimumSpec = mergeSpec("Minimum");
/** Elementwise minimum of the inputs that are not masked. */
export class Minimum extends Merge {
  static readonly spec = minimumSpec;
  constructor(options: MergeOptions = {}) {
    super(options, minimumSpec);
  }
  protected override merge(inputs: readonly Tensor[], masks: readonly (Tensor | null)[]): Tensor {
    return extreme(ops.minimum, inputs, masks);
  }
}
export const minimum = (options: MergeOptions = {}): Minimum => new Minimum(options);

const subtractSpec = mergeSpec("Subtract");
/** First minus second input. */
export class Subtract extends Merge {
  static readonly spec = subtractSpec;
  constructor(options: MergeOptions = {}) {
    super(options, subtractSpec);
  }
  protected override merge(inputs: readonly Tensor[]): Tensor {
    if (inputs.length !== 2)
      throw new LayerwiseError(`${this.describe()} takes two inputs`, {
        code: "E103",
        layer: this.name,
        received: String(inputs.length),
        expected: "2",
      });
    return inputs[0].sub(inputs[1]);
  }
}
export const subtract = (options: MergeOptions = {}): Subtract => new Subtract(options);

const concatenateSpec = defineSpec("keras.layers", "Concatenate", {
  ...layerFields,
  axis: int().default(-1).doc("the axis that grows"),
});
/** The inputs one after another along `axis`. */
export class Concatenate extends Layer<typeof concatenateSpec> {
  static readonly spec = concatenateSpec;
  override readonly masking = "pass";
  override get timewise(): boolean {
    return this.options.axis === -1;
  }
  constructor(options: OptionsOf<typeof concatenateSpec> = {}) {
    super(options, concatenateSpec);
  }
  call(inputs: readonly Tensor[]): Tensor {
    const list = inputsOf(this as unknown as Layer<never>, inputs);
    const axis = this.options.axis < 0 ? this.options.axis + list[0].ndim : this.options.axis;
    const fits = list.every(
      (t) => t.ndim === list[0].ndim && t.shape.every((d, i) => i === axis || d === list[0].shape[i]),
    );
    if (!fits) {
      throw new LayerwiseError(`${this.describe()} cannot join its inputs`, {
        code: "E103",
        layer: this.name,
        received: list.map((t) => formatShape(t.shape)).join(", "),
        expected: `equal sizes in all axes but ${axis}`,
      });
    }
    return new Tensor(
      concat(
        list.map((t) => t.value),
        axis,
      ),
    );
  }
  override computeMask(inputs: unknown, mask: MaskTree): MaskTree {
    const masks = Array.isArray(mask) ? (mask as (Tensor | null)[]) : [];
    if (!masks.some(isTensor)) return null;
    const list = inputs as readonly Tensor[];
    const axis = this.options.axis < 0 ? this.options.axis + list[0].ndim : this.options.axis;
    const full = list.map((t, i) => {
      const m = masks[i];
      if (!isTensor(m)) return ops.ones(t.shape, "bool");
      return ops.broadcastTo(m.reshape([...m.shape, ...new Array(t.ndim - m.ndim).fill(1)]), t.shape);
    });
    const joined = new Tensor(
      concat(
        full.map((t) => t.value),
        axis,
      ),
    );
    return ops.all(joined, -1);
  }
}
export const concatenate = (options: OptionsOf<typeof concatenateSpec> = {}): Concatenate => new Concatenate(options);

const dotSpec = defineSpec("keras.layers", "Dot", {
  ...layerFields,
  axes: either(int(), list(int(), 2)).doc("the axis of each input that is summed over"),
  normalize: bool().default(false).doc("whether to divide by the norms first (cosine similarity)"),
});
/** Batched product over one axis of each input. */
export class Dot extends Layer<typeof dotSpec> {
  static readonly spec = dotSpec;
  override readonly masking = "consume";
  constructor(options: OptionsOf<typeof dotSpec>) {
    super(options, dotSpec);
  }
  call(inputs: readonly Tensor[]): Tensor {
    const [a, b] = inputsOf(this as unknown as Layer<never>, inputs);
    const { axes, normalize } = this.options;
    const [i, j] = typeof axes === "number" ? [axes, axes] : axes;
    const at = (axis: number, t: Tensor) => (axis < 0 ? axis + t.ndim : axis);
    const unit = (t: Tensor, axis: number) =>
      normalize ? t.mul(ops.rsqrt(ops.maximum(ops.sum(ops.square(t), axis, true), 1e-12))) : t;
    const [p, q] = [at(i, a), at(j, b)];
    if (a.shape[p] !== b.shape[q]) {
      throw new LayerwiseError(`${this.describe()} cannot multiply its inputs`, {
        code: "E103",
        layer: this.name,
        received: `${formatShape(a.shape)} and ${formatShape(b.shape)}`,
        expected: `equal sizes in axes ${p} and ${q}`,
      });
    }
    const y = new Tensor(
      dotGeneral(unit(a, p).value, unit(b, q).value, { batchA: [0], batchB: [0], contractA: [p], contractB: [q] }),
    );
    return y.ndim === 1 ? y.reshape([y.shape[0], 1]) : y;
  }
}
export const dot = (axes: number | readonly number[], options: Omit<OptionsOf<typeof dotSpec>, "axes"> = {}): Dot =>
  new Dot({ ...options, axes });
