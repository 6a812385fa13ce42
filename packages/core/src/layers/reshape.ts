/** Reshape, Permute and RepeatVector: layers that only move data. */
import { defineSpec, int, list, type OptionsOf } from "../config/index.ts";
import { formatShape, LayerwiseError } from "../errors.ts";
import { broadcastTo, reshape as reshapeValue, transpose } from "../graph/ops/index.ts";
import { sizeOf } from "../graph/types.ts";
import { Tensor } from "../tensor/tensor.ts";
import { Layer, layerFields } from "./layer.ts";

const reshapeSpec = defineSpec("keras.layers", "Reshape", {
  ...layerFields,
  targetShape: list(int({ min: -1 })).doc("shape of one sample; -1 stands for the size that is left"),
});
/** [N, …] → [N, …targetShape]. */
export class Reshape extends Layer<typeof reshapeSpec> {
  static readonly spec = reshapeSpec;
  constructor(options: OptionsOf<typeof reshapeSpec>) {
    super(options, reshapeSpec);
  }
  call(x: Tensor): Tensor {
    const { targetShape } = this.options;
    const size = sizeOf(x.shape.slice(1));
    const known = targetShape.reduce((n, d) => (d === -1 ? n : n * d), 1);
    const target = targetShape.map((d) => (d === -1 ? size / known : d));
    const ok =
      targetShape.filter((d) => d === -1).length <= 1 && target.every(Number.isInteger) && sizeOf(target) === size;
    if (!ok) {
      throw new LayerwiseError(`${this.describe()} cannot give its input this shape`, {
        code: "E103",
        layer: this.name,
        received: `samples ${formatShape(x.shape.slice(1))} (${size} elements)`,
        expected: `a multiple that fills ${formatShape(targetShape)}`,
      });
    }
    return new Tensor(reshapeValue(x.value, [x.shape[0], ...target]));
  }
}
export const reshape = (
  targetShape: readonly number[],
  options: Omit<OptionsOf<typeof reshapeSpec>, "targetShape"> = {},
): Reshape => new Reshape({ ...options, targetShape });

const permuteSpec = defineSpec("keras.layers", "Permute", {
  ...layerFields,
  dims: list(int({ min: 1 })).doc("axis i of the output is axis dims[i] of the input, counted from 1"),
});
/** Reorders the axes of each sample. */
export class Permute extends Layer<typeof permuteSpec> {
  static readonly spec = permuteSpec;
  constructor(options: OptionsOf<typeof permuteSpec>) {
    super(options, permuteSpec);
    const { dims } = this.options;
    if ([...dims].sort((a, b) => a - b).some((d, i) => d !== i + 1)) {
      throw new LayerwiseError(`${this.describe()} needs each axis once`, {
        code: "E202",
        layer: this.name,
        received: formatShape(dims),
        expected: `1 to ${dims.length} in some order`,
      });
    }
    this.inputSpec = { ndim: dims.length + 1 };
  }
  call(x: Tensor): Tensor {
    return new Tensor(transpose(x.value, [0, ...this.options.dims]));
  }
}
export const permute = (dims: readonly number[], options: Omit<OptionsOf<typeof permuteSpec>, "dims"> = {}): Permute =>
  new Permute({ ...options, dims });

const repeatSpec = defineSpec("keras.layers", "RepeatVector", {
  ...layerFields,
  n: int({ min: 1 }).doc("number of copies"),
});
/** [N, D] → [N, n, D]. */
export class RepeatVector extends Layer<typeof repeatSpec> {
  static readonly spec = repeatSpec;
  constructor(options: OptionsOf<typeof repeatSpec>) {
    super(options, repeatSpec);
    this.inputSpec = { ndim: 2 };
  }
  call(x: Tensor): Tensor {
    const [n, d] = x.shape;
    return new Tensor(broadcastTo(reshapeValue(x.value, [n, 1, d]), [n, this.options.n, d]));
  }
}
export const repeatVector = (n: number, options: Omit<OptionsOf<typeof repeatSpec>, "n"> = {}): RepeatVector =>
  new RepeatVector({ ...options, n });
