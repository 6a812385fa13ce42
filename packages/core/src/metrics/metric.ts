/** The base of metrics: state that batches are added to, and a result. */
import { Configured, json, type OptionsOf, type Spec, snakeClassName, string } from "../config/index.ts";
import { allocate, sizeOf } from "../graph/types.ts";
import type { Tensor, TensorLike } from "../tensor/tensor.ts";
import { Variable } from "../tensor/variable.ts";

/** Options of every metric; `name` is the class's default (null: the class's name in snake_case). */
export function metricFields(name: string | null = null) {
  return { name: string().nullable().default(name), dtype: json().nullable() };
}

/**
 * Base class. `updateState` and `result` work inside traced functions (the training step) and outside; the state is in
 * variables, made with `addState`.
 */
export abstract class Metric<S extends Spec = Spec> extends Configured<S> {
  readonly name: string;
  private readonly state: { readonly variable: Variable; readonly initial: number }[] = [];

  constructor(spec: S, options: OptionsOf<S>) {
    super(spec, options);
    const { name } = this.options as unknown as { name: string | null };
    this.name = name ?? snakeClassName(spec.className);
  }
  /** Adds a batch. Weights: one per value, or per sample. */
  abstract updateState(yTrue: TensorLike, yPred: TensorLike, sampleWeight?: TensorLike | null): void;
  /** The value over all batches since the last reset, [] unless the metric gives one per class. */
  abstract result(): Tensor;

  /** Forgets all batches. */
  resetState(): void {
    for (const { variable, initial } of this.state) {
      variable.overwrite(allocate(variable.dtype, variable.size).fill(initial));
    }
  }
  get variables(): readonly Variable[] {
    return this.state.map((s) => s.variable);
  }
  protected addState(name: string, shape: readonly number[] = [], initial = 0): Variable {
    const data = new Float32Array(sizeOf(shape)).fill(initial);
    const variable = new Variable(data, shape, "f32", { name: `${this.name}/${name}`, trainable: false });
    this.state.push({ variable, initial });
    return variable;
  }
}
