/** gru: gated recurrent unit (Cho et al. 2014), gates in Keras' order: update, reset, candidate. */
import { bool, defineSpec, type OptionsOf } from "../../config/index.ts";
import * as ops from "../../tensor/ops/index.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Variable } from "../../tensor/variable.ts";
import { oneShape, type ShapeTree, type TensorTree } from "../arguments.ts";
import { knownSize } from "../input-spec.ts";
import {
  type CellContext,
  cellFields,
  cellOptions,
  gate,
  RnnCell,
  recurrentActivation,
  unitCellFields,
} from "./cell.ts";
import { Recurrent, recurrentFields } from "./recurrent.ts";

const own = {
  recurrentActivation,
  resetAfter: bool()
    .default(true)
    .doc("whether the reset gate acts on the product with the state (as cuDNN) or before it"),
};
const cellSpec = defineSpec("keras.layers", "GRUCell", { ...cellFields, ...own });
export type GruCellOptions = OptionsOf<typeof cellSpec>;

/** x [N, F], state h [N, units] → [h', [h']]. h' = z·h + (1 - z)·candidate. */
export class GRUCell extends RnnCell<typeof cellSpec> {
  static readonly spec = cellSpec;
  override readonly outputIsState = true;
  kernel!: Variable;
  recurrentKernel!: Variable;
  /** [2, 3·units] (for the input, for the state) with `resetAfter`, else [3·units]. */
  bias: Variable | null = null;
  constructor(options: GruCellOptions) {
    super(options, cellSpec);
  }
  get stateSize(): number {
    return this.options.units;
  }
  override build(inputShape: ShapeTree): void {
    const { units, useBias, resetAfter } = this.options;
    const features = knownSize(oneShape(inputShape, this.name), -1, this, "features");
    this.kernel = this.groupWeight("kernel", [features, 3 * units]);
    this.recurrentKernel = this.groupWeight("recurrent", [units, 3 * units]);
    if (useBias) this.bias = this.groupWeight("bias", resetAfter ? [2, 3 * units] : [3 * units]);
  }
  call(inputs: Tensor, { states, training }: CellContext): TensorTree {
    const { units, activation, recurrentActivation, resetAfter } = this.options;
    const [state] = states as readonly Tensor[];
    const [x, h] = this.dropped(inputs, state, training);
    const bias = this.bias && this.read(this.bias);
    const row = (i: number) => bias!.slice([i, 0], [1, 3 * units]).reshape([3 * units]);
    let fromInput = ops.matmul(x, this.read(this.kernel));
    if (bias) fromInput = fromInput.add(resetAfter ? row(0) : bias);
    const kernel = this.read(this.recurrentKernel);
    let z: Tensor;
    let candidate: Tensor;
    if (resetAfter) {
      let fromState = ops.matmul(h, kernel);
      if (bias) fromState = fromState.add(row(1));
      const gates = recurrentActivation.call(gate2(fromInput, units).add(gate2(fromState, units)));
      z = gate(gates, 0, units);
      candidate = gate(fromInput, 2, units).add(gate(gates, 1, units).mul(gate(fromState, 2, units)));
    } else {
      const gates = recurrentActivation.call(gate2(fromInput, units).add(ops.matmul(h, gate2(kernel, units))));
      z = gate(gates, 0, units);
      candidate = gate(fromInput, 2, units).add(ops.matmul(gate(gates, 1, units).mul(h), gate(kernel, 2, units)));
    }
    const y = z.mul(h).add(oneMinus(z).mul(activation.call(candidate)));
    return [y, [y]];
  }
}
export const gruCell = (units: number, options: Omit<GruCellOptions, "units"> = {}): GRUCell =>
  new GRUCell({ ...options, units });

/** The first two of three parts. */
function gate2(z: Tensor, units: number): Tensor {
  return gate(z, 0, 2 * units);
}
/** 1 - z. */
function oneMinus(z: Tensor): Tensor {
  return ops.subtract(1, z);
}

const spec = defineSpec("keras.layers", "GRU", { ...recurrentFields, ...unitCellFields, ...own });
export type GruOptions = OptionsOf<typeof spec>;

/** x [N, T, F] → [N, units], or [N, T, units] with `returnSequences`. */
export class GRU extends Recurrent<typeof spec> {
  static readonly spec = spec;
  readonly cell: GRUCell;
  constructor(options: GruOptions) {
    super(options, spec);
    this.inputSpec = { ndim: 3 };
    this.cell = new GRUCell(cellOptions(cellSpec, options));
  }
}
export const gru = (units: number, options: Omit<GruOptions, "units"> = {}): GRU => new GRU({ ...options, units });
