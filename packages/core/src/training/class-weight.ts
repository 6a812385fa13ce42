/** Class weights: a factor of the loss per class, turned into weights of samples. */
import { LayerwiseError } from "../errors.ts";
import { treeLeaves } from "../layers/arguments.ts";
import { tensorFrom } from "../tensor/tensor.ts";
import type { Tree } from "../tensor/tree.ts";
import { isRowSource, type RowSource, rowSources } from "./data.ts";
import type { ClassWeight } from "./options.ts";

/** Sample weights from labels (class numbers, or one-hot rows) times given ones; classes without a weight count 1. */
export function withClassWeight(
  y: Tree<RowSource> | null,
  classWeight: ClassWeight,
  sampleWeight: Tree<RowSource> | null,
): Tree<RowSource> {
  const leaves = y === null ? [] : treeLeaves(y, isRowSource);
  const [labels] = leaves;
  const fail = (received: string, expected: string): never => {
    throw new LayerwiseError("class weights do not fit", { code: "E305", received, expected });
  };
  if (leaves.length !== 1 || labels.stored.length !== 1)
    return fail(`${leaves.length} outputs`, "one output with class labels");
  const { data, rowSize } = labels.stored[0];
  const { rows } = labels;
  const out = new Float32Array(rows);
  const factor = (c: number) => classWeight[String(c)] ?? 1;
  const oneHot = labels.rowShape.length > 0 && labels.rowShape[labels.rowShape.length - 1] > 1;
  if (labels.rowShape.length > 1) fail(`labels with rows of ${rowSize} elements`, "one class per sample");
  for (let i = 0; i < rows; i++) {
    if (!oneHot) {
      out[i] = factor(Math.round(data[i]));
      continue;
    }
    let best = 0;
    for (let k = 1; k < rowSize; k++) if (data[i * rowSize + k] > data[i * rowSize + best]) best = k;
    out[i] = factor(best);
  }
  if (sampleWeight) {
    const [given, ...others] = treeLeaves(sampleWeight, isRowSource);
    if (others.length > 0 || given.stored[0].rowSize !== 1)
      fail("sample weights of another form", "one weight per sample beside class weights");
    for (let i = 0; i < rows; i++) out[i] *= given.stored[0].data[i];
  }
  return rowSources(tensorFrom(out, [rows], "f32"), "classWeight");
}
