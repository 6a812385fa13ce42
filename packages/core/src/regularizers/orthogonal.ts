/** OrthogonalRegularizer: pushes the rows or columns of a matrix to be orthogonal. */
import { defineSpec, number, type OptionsOf, oneOf } from "../config/index.ts";
import { formatShape, LayerwiseError } from "../errors.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import { Regularizer } from "./regularizer.ts";

const spec = defineSpec("keras.regularizers", "OrthogonalRegularizer", {
  factor: number().default(0.01),
  mode: oneOf("rows", "columns").default("rows").doc("what is to be orthogonal"),
});

/** factor · ½ · Σ|off-diagonal of the normalised Gram matrix| / pairs */
export class OrthogonalRegularizer extends Regularizer<typeof spec> {
  static readonly spec = spec;
  constructor(options: OptionsOf<typeof spec> = {}) {
    super(spec, options);
  }
  call(x: Tensor): Tensor {
    if (x.ndim !== 2)
      throw new LayerwiseError("the orthogonal regularizer takes matrices", {
        code: "E103",
        received: formatShape(x.shape),
        expected: "rank 2",
      });
    const { factor, mode } = this.options;
    const rows = mode === "rows";
    const size = x.shape[rows ? 0 : 1];
    const unit = x.mul(ops.rsqrt(ops.maximum(ops.sum(ops.square(x), rows ? 1 : 0, true), 1e-12)));
    const gram = rows ? ops.matmul(unit, ops.transpose(unit)) : ops.matmul(ops.transpose(unit), unit);
    const offDiagonal = gram.mul(Tensor.of(1, x.dtype).sub(ops.eye(size, size, x.dtype)));
    const pairs = (size * (size - 1)) / 2;
    return ops.sum(ops.abs(offDiagonal)).mul((factor * 0.5) / pairs);
  }
}
