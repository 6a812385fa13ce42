/** Crossentropy of class probabilities against class numbers. */
import { bool, defineSpec, int, type OptionsOf } from "../config/index.ts";
import * as g from "../graph/ops/index.ts";
import { normalizeAxis, sameShape } from "../graph/types.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import { shapeMismatch } from "./align.ts";
import { Loss, lossFields, type MaskedValues } from "./loss.ts";
import { classScores, logProbabilities } from "./probabilities.ts";

const spec = defineSpec("keras.losses", "SparseCategoricalCrossentropy", {
  ...lossFields("sparse_categorical_crossentropy"),
  fromLogits: bool().default(false).doc("whether predictions are scores before the softmax"),
  ignoreClass: int().nullable().doc("samples of this class do not count"),
  axis: int().default(-1).doc("the axis of classes"),
});

/** -log p[class]. Targets: class numbers of the predictions' shape without the axis of classes (or with 1 there). */
export class SparseCategoricalCrossentropy extends Loss<typeof spec> {
  static readonly spec = spec;
  constructor(options: OptionsOf<typeof spec> = {}) {
    super(spec, options);
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor | MaskedValues {
    const { fromLogits, ignoreClass } = this.options;
    const axis = normalizeAxis(this.options.axis, yPred.ndim, this.name);
    const classes = ops.cast(yTrue, "i32");
    const rows = yPred.shape.filter((_, i) => i !== axis);
    const oneThere = yPred.shape.map((d, i) => (i === axis ? 1 : d));
    if (!sameShape(classes.shape, rows) && !sameShape(classes.shape, oneThere))
      throw shapeMismatch(yTrue, yPred, rows, this.name);
    const labels = ops.reshape(classes, oneThere);
    const scores = classScores(yPred, fromLogits, axis);
    const logs = logProbabilities({ ...scores, x: ops.cast(scores.x, this.dtype) }, axis);
    // Picking by comparison keeps it in one pass over the row, and out-of-range labels give 0 as one-hot rows would.
    const chosen = ops.equal(new Tensor(g.iota(yPred.shape, axis, "i32")), labels);
    const values = ops.negative(ops.sum(ops.where(chosen, logs, 0), axis));
    if (ignoreClass === null) return values;
    const mask = ops.reshape(ops.notEqual(classes, ignoreClass), rows);
    return { values: ops.where(mask, values, 0), mask };
  }
}
