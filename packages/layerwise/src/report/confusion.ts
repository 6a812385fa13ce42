/** Confusion matrices: counted from labels, drawn as text. */
import { LayerwiseError } from "@layerwise/core";

/** `matrix[label][prediction]`: how often. Both arrays hold class indices below `classes`. */
export function confusionMatrix(
  labels: ArrayLike<number>,
  predictions: ArrayLike<number>,
  classes: number,
): number[][] {
  if (labels.length !== predictions.length) {
    throw new LayerwiseError("a confusion matrix needs one prediction for each label", {
      code: "E103",
      layer: "confusionMatrix",
      received: `${predictions.length} predictions`,
      expected: `${labels.length}`,
    });
  }
  const matrix = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < labels.length; i++) {
    const row = matrix[labels[i]];
    if (row?.[predictions[i]] === undefined) {
      throw new LayerwiseError("a class is outside the confusion matrix", {
        code: "L104",
        layer: "confusionMatrix",
        received: `label ${labels[i]}, prediction ${predictions[i]} at row ${i}`,
        expected: `integers in [0, ${classes})`,
      });
    }
    row[predictions[i]]++;
  }
  return matrix;
}

/** The matrix as lines of text: a row for each label, `·` for zero, the share of right answers at the end. */
export function drawConfusion(
  matrix: readonly (readonly number[])[],
  names: readonly string[] = matrix.map((_, i) => String(i)),
): string {
  const cells = matrix.map((row) => row.map((n) => (n === 0 ? "·" : String(n))));
  const width = Math.max(...names.map((n) => n.length), ...cells.flat().map((c) => c.length)) + 1;
  const side = Math.max("label".length, ...names.map((n) => n.length));
  const lines = [`${"label".padStart(side)} │${names.map((n) => n.padStart(width)).join("")}   right`];
  lines.push(`${"─".repeat(side + 1)}┼${"─".repeat(names.length * width + 8)}`);
  cells.forEach((row, i) => {
    const total = matrix[i].reduce((a, b) => a + b, 0);
    const right = total === 0 ? "–" : `${((100 * matrix[i][i]) / total).toFixed(1)} %`;
    lines.push(`${names[i].padStart(side)} │${row.map((c) => c.padStart(width)).join("")}${right.padStart(8)}`);
  });
  return lines.join("\n");
}
