/** convLstm1d, 2d and 3d: long short-term memory whose products are convolutions (Shi et al. 2015). */
import { activationField } from "../../activations/index.ts";
import { bool, defineSpec, int, type OptionsOf, oneOf, tuple } from "../../config/index.ts";
import type { Shape } from "../../graph/types.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Variable } from "../../tensor/variable.ts";
import { oneShape, type ShapeTree, type TensorTree } from "../arguments.ts";
import { convolve } from "../conv.ts";
import { dataFormatField } from "../fields.ts";
import { knownSize } from "../input-spec.ts";
import { layerFields } from "../layer.ts";
import { fromChannelsLast, toChannelsLast } from "../spatial.ts";
import { type CellContext, cellOptions, cellWeightFields, gate, RnnCell, recurrentActivation } from "./cell.ts";
import { Recurrent, recurrentFields } from "./recurrent.ts";

const fields = (rank: number) => ({
  filters: int({ min: 1 }).doc("number of channels of the state and the output"),
  kernelSize: tuple(rank).doc("size of the window"),
  strides: tuple(rank).default(1).doc("step of the window over the input"),
  padding: oneOf("valid", "same").default("valid").doc('"same": output size = ceil(size / stride)'),
  dataFormat: dataFormatField,
  dilationRate: tuple(rank).default(1).doc("distance between the window's elements"),
  activation: activationField().default("tanh"),
  recurrentActivation,
  useBias: bool().default(true).doc("whether a bias is added"),
  unitForgetBias: bool().default(true).doc("whether the forget gate's bias starts at 1"),
  ...cellWeightFields,
});
const cellSpecs = [1, 2, 3].map((rank) =>
  defineSpec("keras.layers", "ConvLSTMCell", { ...layerFields, ...fields(rank) }),
);
type CellSpec = (typeof cellSpecs)[number];

/** x [N, …S, C], states h, c [N, …S', filters] → [h', [h', c']]. */
export class ConvLSTMCell extends RnnCell<CellSpec> {
  override readonly outputIsState = true;
  kernel!: Variable;
  recurrentKernel!: Variable;
  bias: Variable | null = null;
  /** Spatial sizes of the state; known once built for known sizes. */
  #space: Shape = [];

  constructor(options: OptionsOf<CellSpec>, rank: number) {
    super(options, cellSpecs[rank - 1]);
  }
  get stateSize(): readonly number[] {
    return [this.options.filters, this.options.filters];
  }
  override build(inputShape: ShapeTree): void {
    const { filters, kernelSize, useBias, unitForgetBias, dataFormat } = this.options;
    const axis = dataFormat === "channelsFirst" ? 1 : -1;
    const shape = oneShape(inputShape, this.name);
    const channels = knownSize(shape, axis, this, "channels");
    this.kernel = this.groupWeight("kernel", [...kernelSize, channels, 4 * filters]);
    this.recurrentKernel = this.groupWeight("recurrent", [...kernelSize, filters, 4 * filters]);
    if (!useBias) return;
    this.bias = this.groupWeight("bias", [4 * filters]);
    if (unitForgetBias) this.openForgetGate(this.bias, filters, 2 * filters);
  }
  /** Notes the size of the input's space, on which the state's depends. */
  setSpace(inputShape: Shape): void {
    const { kernelSize, strides, padding, dilationRate, dataFormat } = this.options;
    const first = dataFormat === "channelsFirst" ? 2 : 1;
    this.#space = kernelSize.map((k, i) => {
      const size = inputShape[first + i];
      const reach = (k - 1) * dilationRate[i] + 1;
      return padding === "same" ? Math.ceil(size / strides[i]) : Math.floor((size - reach) / strides[i]) + 1;
    });
  }
  override initialStates(batch: number): TensorTree {
    return [this.zeros(this.outputShape(batch)), this.zeros(this.outputShape(batch))];
  }
  override outputShape(batch: number): Shape {
    const { filters, dataFormat } = this.options;
    return dataFormat === "channelsFirst" ? [batch, filters, ...this.#space] : [batch, ...this.#space, filters];
  }
  call(inputs: Tensor, { states, training }: CellContext): TensorTree {
    const { filters, padding, strides, dilationRate, dataFormat, activation, recurrentActivation } = this.options;
    const [state, before] = states as readonly Tensor[];
    const [x, h] = this.dropped(inputs, state, training).map((t) => toChannelsLast(t, dataFormat));
    const c = toChannelsLast(before, dataFormat);
    const ones = this.options.kernelSize.map(() => 1);
    let z = convolve(x, this.read(this.kernel), { padding, strides, dilation: dilationRate, groups: 1 });
    if (this.bias) z = z.add(this.read(this.bias));
    const recurrent = this.read(this.recurrentKernel);
    z = z.add(convolve(h, recurrent, { padding: "same", strides: ones, dilation: ones, groups: 1 }));
    const i = recurrentActivation.call(gate(z, 0, filters));
    const f = recurrentActivation.call(gate(z, 1, filters));
    const next = f.mul(c).add(i.mul(activation.call(gate(z, 2, filters))));
    const y = recurrentActivation.call(gate(z, 3, filters)).mul(activation.call(next));
    const out = fromChannelsLast(y, dataFormat);
    return [out, [out, fromChannelsLast(next, dataFormat)]];
  }
}

const convSpec = (rank: number) =>
  defineSpec("keras.layers", `ConvLSTM${rank}D`, { ...recurrentFields, ...fields(rank) });
type ConvSpec = ReturnType<typeof convSpec>;
export type ConvLstmOptions = OptionsOf<ConvSpec>;

/** x [N, T, …S, C] → [N, …S', filters], or [N, T, …S', filters] with `returnSequences`. */
abstract class ConvLstm extends Recurrent<ConvSpec> {
  readonly cell: ConvLSTMCell;
  constructor(options: ConvLstmOptions, spec: ConvSpec, rank: number) {
    super(options, spec);
    this.inputSpec = { ndim: rank + 3 };
    this.cell = new ConvLSTMCell(cellOptions(cellSpecs[rank - 1], options), rank);
  }
  override build(inputShape: ShapeTree): void {
    const [batch, , ...rest] = oneShape(inputShape, this.name);
    if (!rest.includes(null)) this.cell.setSpace([batch ?? 1, ...(rest as number[])]);
    super.build(inputShape);
  }
  override call(x: Tensor, context: Parameters<Recurrent["call"]>[1]): TensorTree {
    this.cell.setSpace([x.shape[0], ...x.shape.slice(2)]);
    return super.call(x, context);
  }
}
type Size = ConvLstmOptions["kernelSize"];
type Rest = Omit<ConvLstmOptions, "filters" | "kernelSize">;

const spec1 = convSpec(1);
/** Over sequences: [N, T, S, C] → [N, S', filters]. */
export class ConvLSTM1D extends ConvLstm {
  static readonly spec = spec1;
  constructor(options: ConvLstmOptions) {
    super(options, spec1, 1);
  }
}
export const convLstm1d = (filters: number, kernelSize: Size, options: Rest = {}): ConvLSTM1D =>
  new ConvLSTM1D({ ...options, filters, kernelSize });

const spec2 = convSpec(2);
/** Over images: [N, T, H, W, C] → [N, H', W', filters]. */
export class ConvLSTM2D extends ConvLstm {
  static readonly spec = spec2;
  constructor(options: ConvLstmOptions) {
    super(options, spec2, 2);
  }
}
export const convLstm2d = (filters: number, kernelSize: Size, options: Rest = {}): ConvLSTM2D =>
  new ConvLSTM2D({ ...options, filters, kernelSize });

const spec3 = convSpec(3);
/** Over volumes: [N, T, A, B, D, C] → [N, A', B', D', filters]. */
export class ConvLSTM3D extends ConvLstm {
  static readonly spec = spec3;
  constructor(options: ConvLstmOptions) {
    super(options, spec3, 3);
  }
}
export const convLstm3d = (filters: number, kernelSize: Size, options: Rest = {}): ConvLSTM3D =>
  new ConvLSTM3D({ ...options, filters, kernelSize });
