/** simpleRnn: h' = activation(x · kernel + bias + h · recurrentKernel). */
import { defineSpec, type OptionsOf } from "../../config/index.ts";
import * as ops from "../../tensor/ops/index.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Variable } from "../../tensor/variable.ts";
import { oneShape, type ShapeTree, type TensorTree } from "../arguments.ts";
import { knownSize } from "../input-spec.ts";
import { type CellContext, cellFields, cellOptions, RnnCell, unitCellFields } from "./cell.ts";
import { Recurrent, recurrentFields } from "./recurrent.ts";

const cellSpec = defineSpec("keras.layers", "SimpleRNNCell", cellFields);
export type SimpleRnnCellOptions = OptionsOf<typeof cellSpec>;

/** x [N, F], state [N, units] → [output, [state]]. */
export class SimpleRNNCell extends RnnCell<typeof cellSpec> {
  static readonly spec = cellSpec;
  override readonly outputIsState = true;
  kernel!: Variable;
  recurrentKernel!: Variable;
  bias: Variable | null = null;
  constructor(options: SimpleRnnCellOptions) {
    super(options, cellSpec);
  }
  get stateSize(): number {
    return this.options.units;
  }
  override build(inputShape: ShapeTree): void {
    const { units, useBias } = this.options;
    const features = knownSize(oneShape(inputShape, this.name), -1, this, "features");
    this.kernel = this.groupWeight("kernel", [features, units]);
    this.recurrentKernel = this.groupWeight("recurrent", [units, units]);
    if (useBias) this.bias = this.groupWeight("bias", [units]);
  }
  call(inputs: Tensor, { states, training }: CellContext): TensorTree {
    const [x, h] = this.dropped(inputs, (states as readonly Tensor[])[0], training);
    let z = ops.matmul(x, this.read(this.kernel));
    if (this.bias) z = z.add(this.read(this.bias));
    const y = this.options.activation.call(z.add(ops.matmul(h, this.read(this.recurrentKernel))));
    return [y, [y]];
  }
}
export const simpleRnnCell = (units: number, options: Omit<SimpleRnnCellOptions, "units"> = {}): SimpleRNNCell =>
  new SimpleRNNCell({ ...options, units });

const spec = defineSpec("keras.layers", "SimpleRNN", { ...recurrentFields, ...unitCellFields });
export type SimpleRnnOptions = OptionsOf<typeof spec>;

/** x [N, T, F] → [N, units], or [N, T, units] with `returnSequences`. */
export class SimpleRNN extends Recurrent<typeof spec> {
  static readonly spec = spec;
  readonly cell: SimpleRNNCell;
  constructor(options: SimpleRnnOptions) {
    super(options, spec);
    this.inputSpec = { ndim: 3 };
    this.cell = new SimpleRNNCell(cellOptions(cellSpec, options));
  }
}
export const simpleRnn = (units: number, options: Omit<SimpleRnnOptions, "units"> = {}): SimpleRNN =>
  new SimpleRNN({ ...options, units });
