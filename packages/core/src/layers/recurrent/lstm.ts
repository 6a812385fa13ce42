/** lstm: long short-term memory (Hochreiter & Schmidhuber 1997), gates in Keras' order: input, forget, cell, output. */
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
  unitForgetBias: bool().default(true).doc("whether the forget gate's bias starts at 1"),
};
const cellSpec = defineSpec("keras.layers", "LSTMCell", { ...cellFields, ...own });
export type LstmCellOptions = OptionsOf<typeof cellSpec>;

/** x [N, F], states h, c [N, units] → [h', [h', c']]. c' = f·c + i·g, h' = o·activation(c'). */
export class LSTMCell extends RnnCell<typeof cellSpec> {
  static readonly spec = cellSpec;
  override readonly outputIsState = true;
  kernel!: Variable;
  recurrentKernel!: Variable;
  bias: Variable | null = null;
  constructor(options: LstmCellOptions) {
    super(options, cellSpec);
  }
  get stateSize(): readonly number[] {
    return [this.options.units, this.options.units];
  }
  override build(inputShape: ShapeTree): void {
    const { units, useBias, unitForgetBias } = this.options;
    const features = knownSize(oneShape(inputShape, this.name), -1, this, "features");
    this.kernel = this.groupWeight("kernel", [features, 4 * units]);
    this.recurrentKernel = this.groupWeight("recurrent", [units, 4 * units]);
    if (!useBias) return;
    this.bias = this.groupWeight("bias", [4 * units]);
    if (unitForgetBias) this.openForgetGate(this.bias, units, 2 * units);
  }
  call(inputs: Tensor, { states, training }: CellContext): TensorTree {
    const { units, activation, recurrentActivation } = this.options;
    const [state, c] = states as readonly Tensor[];
    const [x, h] = this.dropped(inputs, state, training);
    let z = ops.matmul(x, this.read(this.kernel));
    if (this.bias) z = z.add(this.read(this.bias));
    z = z.add(ops.matmul(h, this.read(this.recurrentKernel)));
    const i = recurrentActivation.call(gate(z, 0, units));
    const f = recurrentActivation.call(gate(z, 1, units));
    const next = f.mul(c).add(i.mul(activation.call(gate(z, 2, units))));
    const y = recurrentActivation.call(gate(z, 3, units)).mul(activation.call(next));
    return [y, [y, next]];
  }
}
export const lstmCell = (units: number, options: Omit<LstmCellOptions, "units"> = {}): LSTMCell =>
  new LSTMCell({ ...options, units });

const spec = defineSpec("keras.layers", "LSTM", { ...recurrentFields, ...unitCellFields, ...own });
export type LstmOptions = OptionsOf<typeof spec>;

/** x [N, T, F] → [N, units], or [N, T, units] with `returnSequences`; states h and c. */
export class LSTM extends Recurrent<typeof spec> {
  static readonly spec = spec;
  readonly cell: LSTMCell;
  constructor(options: LstmOptions) {
    super(options, spec);
    this.inputSpec = { ndim: 3 };
    this.cell = new LSTMCell(cellOptions(cellSpec, options));
  }
}
export const lstm = (units: number, options: Omit<LstmOptions, "units"> = {}): LSTM => new LSTM({ ...options, units });
