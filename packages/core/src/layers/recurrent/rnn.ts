/** rnn over any cell, and stackedRnnCells, which is one cell made of several. */
import { defineSpec, Field, type Json, list, type OptionsOf } from "../../config/index.ts";
import { LayerwiseError } from "../../errors.ts";
import type { DType, Shape } from "../../graph/types.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { ShapeTree, TensorTree } from "../arguments.ts";
import { type Layer, layerFields } from "../layer.ts";
import { layerField } from "../nested.ts";
import { type CellContext, RnnCell } from "./cell.ts";
import { Recurrent, recurrentFields } from "./recurrent.ts";

const stackedSpec = defineSpec("keras.layers", "StackedRNNCells", {
  ...layerFields,
  cells: list(layerField()).doc("cells, each taking the output of the one before"),
});

function asCell(layer: Layer, owner: string): RnnCell {
  if (layer instanceof RnnCell) return layer;
  throw new LayerwiseError(`${owner} needs cells`, {
    code: "E202",
    layer: layer.name,
    received: layer.describe(),
    expected: "a subclass of RnnCell, with a stateSize",
  });
}

/** Cells one above the other. The state is a list with the states of each cell. */
export class StackedRNNCells extends RnnCell<typeof stackedSpec> {
  static readonly spec = stackedSpec;
  readonly cells: readonly RnnCell[];
  constructor(options: OptionsOf<typeof stackedSpec>) {
    super(options, stackedSpec);
    this.cells = this.options.cells.map((c) => asCell(c, "stackedRnnCells"));
  }
  get stateSize(): readonly (readonly number[])[] {
    return this.cells.map((c) =>
      typeof c.stateSize === "number" ? [c.stateSize] : (c.stateSize as readonly number[]),
    );
  }
  override build(inputShape: ShapeTree): void {
    let shape = inputShape as readonly (number | null)[];
    for (const cell of this.cells) {
      cell.buildFor(shape);
      shape = [shape[0], ...cell.outputShape(1).slice(1)];
    }
  }
  override initialStates(batch: number): TensorTree {
    return this.cells.map((c) => c.initialStates(batch));
  }
  override outputShape(batch: number): Shape {
    return this.cells[this.cells.length - 1].outputShape(batch);
  }
  override get outputDType(): DType {
    return this.cells[this.cells.length - 1].outputDType;
  }
  override prepare(inputShape: Shape, states: TensorTree, training: boolean): void {
    let shape = inputShape;
    this.cells.forEach((cell, i) => {
      cell.prepare(shape, (states as readonly TensorTree[])[i], training);
      shape = cell.outputShape(inputShape[0]);
    });
  }
  override release(): void {
    for (const cell of this.cells) cell.release();
  }
  call(inputs: Tensor, { states, training }: CellContext): TensorTree {
    let x = inputs;
    const next = this.cells.map((cell, i) => {
      const [y, made] = cell.apply(x, { states: (states as readonly TensorTree[])[i], training }) as unknown as [
        Tensor,
        TensorTree,
      ];
      x = y;
      return made;
    });
    return [x, next];
  }
}
export const stackedRnnCells = (cells: readonly RnnCell[]): StackedRNNCells =>
  new StackedRNNCells({ cells: cells as never });

const cellField = new Field<Layer | readonly Layer[], Layer, false>({
  expected: "a cell, or a list of cells",
  read: (x, where) =>
    Array.isArray(x) ? new StackedRNNCells({ cells: x as never }) : layerField().parts.read(x, where),
  write: (x): Json => layerField().parts.write(x),
});
const spec = defineSpec("keras.layers", "RNN", { ...recurrentFields, cell: cellField.doc("what each step does") });
export type RnnOptions = OptionsOf<typeof spec>;

/** x [N, T, …] → the last output of the cell, or all with `returnSequences`. */
export class RNN extends Recurrent<typeof spec> {
  static readonly spec = spec;
  readonly cell: RnnCell;
  constructor(options: RnnOptions) {
    super(options, spec);
    this.cell = asCell(this.options.cell, "rnn");
  }
}
export const rnn = (cell: RnnCell | readonly RnnCell[], options: Omit<RnnOptions, "cell"> = {}): RNN =>
  new RNN({ ...options, cell: cell as never });
