/** The CTC loss, for labels without alignment: speech, handwriting. */
import { defineSpec, type OptionsOf } from "../config/index.ts";
import * as g from "../graph/ops/index.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import { Loss, lossFields } from "./loss.ts";

const spec = defineSpec("keras.losses", "CTC", lossFields("ctc"));
/**
 * -log of the probability of the labels over all alignments (Graves et al. 2006): yTrue [N, L] class numbers, 0 where a row is
 * shorter (0 is the blank); yPred [N, T, K] logits → [N].
 */
export class CTC extends Loss<typeof spec> {
  static readonly spec = spec;
  constructor(options: OptionsOf<typeof spec> = {}) {
    super(spec, options);
  }
  call(yTrue: Tensor, yPred: Tensor): Tensor {
    const labels = ops.cast(yTrue, "i32");
    const lengths = ops.sum(ops.cast(ops.notEqual(labels, 0), "i32"), -1);
    const steps = new Tensor(g.full([yPred.shape[0]], yPred.shape[1], "i32"));
    return ops.ctcLoss(labels, ops.cast(yPred, this.dtype), lengths, steps);
  }
}
