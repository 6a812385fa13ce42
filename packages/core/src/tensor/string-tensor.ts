/** Arrays of strings. They live on the host alone: layers that run there turn them into tensors of numbers. */
import { formatShape, LayerwiseError } from "../errors.ts";
import { type DType, type Shape, sizeOf } from "../graph/types.ts";

export type NestedStrings = string | readonly NestedStrings[];
/** Dtypes of values outside programs. */
export type ValueDType = DType | "string";

/** Strings in row-major order with a shape. `["a", "b"]` is [2], `[["a"], ["b"]]` is [2, 1]. */
export class StringTensor {
  readonly shape: Shape;
  readonly data: readonly string[];
  readonly dtype = "string";

  constructor(data: readonly string[], shape: Shape = [data.length]) {
    if (sizeOf(shape) !== data.length) {
      throw new LayerwiseError("the strings do not fit the shape", {
        code: "E103",
        received: `${data.length} strings`,
        expected: `${sizeOf(shape)} for ${formatShape(shape)}`,
      });
    }
    this.data = data;
    this.shape = shape;
  }
  static of(x: NestedStrings | StringTensor): StringTensor {
    if (x instanceof StringTensor) return x;
    if (typeof x === "string") return new StringTensor([x], []);
    if (x.every((s) => typeof s === "string")) return new StringTensor(x as readonly string[]);
    const rows = x.map((row) => StringTensor.of(row));
    for (const row of rows) {
      if (row.shape.length === rows[0].shape.length && row.shape.every((d, i) => d === rows[0].shape[i])) continue;
      throw new LayerwiseError("the rows of an array of strings have different shapes", {
        code: "E103",
        received: `${formatShape(rows[0].shape)} and ${formatShape(row.shape)}`,
        expected: "rows of the same shape",
        hint: "join the words of a text to one string each: textVectorization splits them",
      });
    }
    return new StringTensor(
      rows.flatMap((r) => r.data),
      [x.length, ...rows[0].shape],
    );
  }
  get ndim(): number {
    return this.shape.length;
  }
  get size(): number {
    return this.data.length;
  }
  reshape(shape: Shape): StringTensor {
    return new StringTensor(this.data, shape);
  }
  /** Nested arrays of strings; a string for a scalar. */
  arraySync(): NestedStrings {
    let next = 0;
    const build = (axis: number): NestedStrings =>
      axis === this.ndim ? this.data[next++] : Array.from({ length: this.shape[axis] }, () => build(axis + 1));
    return build(0);
  }
  async array(): Promise<NestedStrings> {
    return this.arraySync();
  }
}
