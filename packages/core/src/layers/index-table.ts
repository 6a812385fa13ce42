/** Row numbers of tables, checked on the host. */
import { LayerwiseError } from "../errors.ts";
import type { TypedArray } from "../graph/types.ts";

/** The rows 0 … size - 1 of the table of a layer. */
export interface IndexTable {
  readonly size: number;
  readonly layer: string;
}

/** An input of a model that holds row numbers of a table. */
export interface IndexInput {
  /** Which leaf of the model's inputs. */
  readonly input: number;
  readonly table: IndexTable;
}

/** Arrays whose numbers were found to be rows of a table of this size; data is often used again. */
const checked = new WeakMap<ArrayLike<number>, number>();

/** Refuses indices outside 0 … size - 1 in data on the host, with row and value (E308). */
export function checkIndices(data: TypedArray, rowSize: number, { size, layer }: IndexTable): void {
  if ((checked.get(data) ?? Number.POSITIVE_INFINITY) <= size) return;
  for (let i = 0; i < data.length; i++) {
    const index = data[i];
    if (index >= 0 && index < size) continue;
    const row = Math.floor(i / rowSize);
    throw new LayerwiseError(`an index is outside the table of ${layer}`, {
      code: "E308",
      layer,
      received: `${index} in row ${row}, element ${i - row * rowSize}`,
      expected: `0 … ${size - 1}`,
      hint: "inputDim is the largest index plus 1",
    });
  }
  checked.set(data, size);
}
