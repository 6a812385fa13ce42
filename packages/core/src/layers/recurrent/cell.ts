/** Cells: one step of a recurrent layer. */
import { activationField } from "../../activations/index.ts";
import { bool, int, number, type OptionsOf, type Spec } from "../../config/index.ts";
import type { DType, Shape } from "../../graph/types.ts";
import * as ops from "../../tensor/ops/index.ts";
import { Tensor, tensorFrom } from "../../tensor/tensor.ts";
import type { Variable } from "../../tensor/variable.ts";
import type { TensorTree } from "../arguments.ts";
import { weightFields } from "../fields.ts";
import { type CallContext, Layer, layerFields } from "../layer.ts";
import { bernoulli } from "../random.ts";
import { currentScope } from "../scope.ts";
import type { WeightOptions } from "../weights.ts";

/** Options of all cells and of the layers made of them. */
export const cellWeightFields = {
  ...weightFields("kernel", "glorotUniform"),
  ...weightFields("recurrent", "orthogonal"),
  ...weightFields("bias", "zeros"),
  dropout: number({ min: 0, max: 1 }).default(0).doc("share of the inputs that is dropped, the same at every step"),
  recurrentDropout: number({ min: 0, max: 1 }).default(0).doc("share of the state that is dropped"),
  seed: int().nullable().doc("makes the dropout depend on this number and the step alone"),
};
export const recurrentActivation = activationField().default("sigmoid").doc("activation of the gates");
export const unitCellFields = {
  units: int({ min: 1 }).doc("size of the state and the output"),
  activation: activationField().default("tanh"),
  useBias: bool().default(true).doc("whether a bias is added"),
  ...cellWeightFields,
};
export const cellFields = { ...layerFields, ...unitCellFields };

/** Masks of one call: 0 or 1 / (1 - rate) for each element, or null where nothing is dropped. */
interface DropMasks {
  readonly input: Tensor | null;
  readonly state: Tensor | null;
}

interface CellOptions {
  readonly dropout?: number;
  readonly recurrentDropout?: number;
  readonly seed?: number | null;
}

/** What the recurrent layer passes to a cell's `call`. */
export interface CellContext extends CallContext {
  readonly states: TensorTree;
}

/**
 * One step: `call(x, { states, training })` gives `[output, newStates]`, states in a list. A cell of one's own sets
 * `stateSize` and reads everything that changes from step to step from `states`.
 */
export abstract class RnnCell<S extends Spec = Spec> extends Layer<S> {
  /** Size of each state; a list when there are several. */
  abstract readonly stateSize: number | readonly (number | readonly number[])[];
  /** Size of the output, when it is not that of the first state. */
  readonly outputSize: number | null = null;
  /** Whether the output is the first new state. */
  readonly outputIsState: boolean = false;
  #masks: DropMasks | null = null;

  /** Zeros for every state of `batch` rows. */
  initialStates(batch: number): TensorTree {
    const sizes = typeof this.stateSize === "number" ? [this.stateSize] : this.stateSize;
    const zeros = (size: number | readonly number[]): TensorTree =>
      typeof size === "number" ? this.zeros([batch, size]) : size.map(zeros);
    return sizes.map(zeros);
  }
  protected zeros(shape: Shape): Tensor {
    return ops.zeros(shape, this.dtypePolicy.compute);
  }
  /** Shape of the output for `batch` rows. */
  outputShape(batch: number): Shape {
    const first = typeof this.stateSize === "number" ? this.stateSize : this.stateSize[0];
    return [batch, this.outputSize ?? (typeof first === "number" ? first : first[0])];
  }

  get outputDType(): DType {
    return this.dtypePolicy.compute;
  }

  /** Draws the dropout masks that all steps of one call share. */
  prepare(inputShape: Shape, states: TensorTree, training: boolean): void {
    this.#masks = this.draw(inputShape, firstState(states).shape, training);
  }
  release(): void {
    this.#masks = null;
  }
  /** Input and first state after dropout. */
  protected dropped(x: Tensor, state: Tensor, training: boolean): [Tensor, Tensor] {
    const masks = this.#masks ?? this.draw(x.shape, state.shape, training);
    return [masks.input ? x.mul(masks.input) : x, masks.state ? state.mul(masks.state) : state];
  }
  private draw(inputShape: Shape, stateShape: Shape, training: boolean): DropMasks {
    const { dropout = 0, recurrentDropout = 0, seed = null } = this.options as CellOptions;
    const mask = (shape: Shape, rate: number): Tensor | null => {
      if (!training || rate === 0 || currentScope() === null) return null;
      if (rate === 1) return this.zeros(shape);
      return ops.cast(bernoulli(shape, 1 - rate, seed), this.dtypePolicy.compute).div(1 - rate);
    };
    return { input: mask(inputShape, dropout), state: mask(stateShape, recurrentDropout) };
  }

  /** A weight of the group `kernel`, `recurrent` or `bias`, whose rules are options. */
  protected groupWeight(group: "kernel" | "recurrent" | "bias", shape: Shape): Variable {
    const o = this.options as { readonly [option: string]: unknown };
    return this.addWeight({
      name: group === "recurrent" ? "recurrent_kernel" : group,
      shape,
      initializer: o[`${group}Initializer`] as WeightOptions["initializer"],
      regularizer: o[`${group}Regularizer`] as WeightOptions["regularizer"],
      constraint: o[`${group}Constraint`] as WeightOptions["constraint"],
    });
  }
  /** Sets elements `from … to` of a bias to 1: the forget gate starts open (Jozefowicz et al. 2015). */
  protected openForgetGate(bias: Variable, from: number, to: number): void {
    const values = bias.snapshot() as Float32Array;
    const one =
      bias.dtype === "f32" ? 1 : ops.cast(tensorFrom(Float32Array.of(1), [1], "f32"), bias.dtype).dataSync()[0];
    values.fill(one, from, to);
    bias.overwrite(values);
  }
}

export function firstState(states: TensorTree): Tensor {
  let at = states;
  while (!(at instanceof Tensor)) at = Object.values(at)[0];
  return at;
}

/** Part i of `parts` of the last axis. */
export function gate(z: Tensor, i: number, units: number): Tensor {
  const start = z.shape.map(() => 0);
  start[z.ndim - 1] = i * units;
  return z.slice(start, [...z.shape.slice(0, -1), units]);
}

/** Options of a layer that its cell has too. */
export function cellOptions<S extends Spec>(spec: S, options: object): OptionsOf<S> {
  const own = new Set(["name", "inputShape"]);
  return Object.fromEntries(
    Object.entries(options).filter(([key]) => key in spec.fields && !own.has(key)),
  ) as OptionsOf<S>;
}
