/** Checks of data before training: sizes, NaN, labels. Everything is said with the row, and nothing has changed yet. */
import { formatShape, LayerwiseError } from "../errors.ts";
import type { TypedArray } from "../graph/types.ts";
import { treeLeaves } from "../layers/arguments.ts";
import type { OpenShape } from "../layers/symbolic.ts";
import type { Tree } from "../tensor/tree.ts";
import { describeSource, isRowSource, type RowSource, rowCount } from "./data.ts";

/** Equal numbers of rows, and at least one. */
export function checkRows(x: Tree<RowSource>, y: Tree<RowSource> | null, weight: Tree<RowSource> | null): number {
  const rows = rowCount(x);
  if (rows === 0) {
    throw new LayerwiseError("there is no data", {
      code: "E301",
      received: describeSource(treeLeaves(x, isRowSource)[0]),
      expected: "at least one row",
    });
  }
  for (const [name, other] of [
    ["y", y],
    ["sampleWeight", weight],
  ] as const) {
    if (other === null) continue;
    const n = rowCount(other);
    if (n !== rows) {
      throw new LayerwiseError(`x and ${name} have different numbers of rows`, {
        code: "E302",
        received: `x has ${rows}, ${name} has ${n}`,
        expected: "one row of each per sample",
      });
    }
  }
  return rows;
}

export function checkBatchSize(batchSize: unknown): number {
  if (typeof batchSize === "number" && Number.isInteger(batchSize) && batchSize >= 1) return batchSize;
  throw new LayerwiseError("the batch size is not valid", {
    code: "E303",
    received: String(batchSize),
    expected: "an integer ≥ 1",
  });
}

export function checkCount(value: unknown, name: string, min = 0): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= min) return value;
  throw new LayerwiseError(`"${name}" is not valid`, {
    code: "E303",
    received: String(value),
    expected: `an integer ≥ ${min}`,
  });
}

/** Arrays found free of NaN and Inf; data is often used again, and arrays of training data do not change. */
const finite = new WeakSet<TypedArray>();

/** Refuses NaN and Inf in float data, with the row (L110). */
export function checkFinite(tree: Tree<RowSource>, what: string): void {
  const leaves = treeLeaves(tree, isRowSource);
  leaves.forEach((leaf, k) => {
    for (const { data, rowSize } of leaf.stored) {
      if (!(data instanceof Float32Array) || finite.has(data)) continue;
      const at = firstNotFinite(data);
      if (at >= 0) {
        const row = Math.floor(at / rowSize);
        const name = leaves.length === 1 ? what : `part ${k} of ${what}`;
        throw new LayerwiseError(`${name} holds ${data[at]}`, {
          code: "L110",
          received: `${data[at]} in row ${row}, element ${at - row * rowSize}`,
          expected: "finite numbers",
          hint: "remove or replace these values; training was not started",
        });
      }
      finite.add(data);
    }
  });
}

/** The first element that is NaN or infinite, or -1. A sum of products with zero finds whether there is one. */
function firstNotFinite(data: Float32Array): number {
  const block = 4096;
  for (let start = 0; start < data.length; start += block) {
    const end = Math.min(start + block, data.length);
    let poison = 0;
    for (let i = start; i < end; i++) poison += data[i] * 0;
    if (poison === 0) continue;
    for (let i = start; i < end; i++) if (!Number.isFinite(data[i])) return i;
  }
  return -1;
}

/** Integer labels against an output of `classes` scores: range, and one-hot rows where integers are expected (L104). */
export function checkSparseLabels(y: RowSource, output: OpenShape, layer: string): void {
  const classes = output[output.length - 1];
  if (classes === null) return;
  const rank = output.length;
  const shape = [null, ...y.rowShape];
  const aligned = shape.length === rank - 1 || (shape.length === rank && shape[rank - 1] === 1);
  if (!aligned) {
    const oneHot = shape.length === rank && shape[rank - 1] === classes;
    throw new LayerwiseError(
      oneHot ? "one-hot labels were given to a loss that takes class numbers" : "labels do not fit the output",
      {
        code: oneHot ? "L104" : "L105",
        layer,
        received: `labels ${formatShape(shape)}`,
        expected: `${formatShape(output.slice(0, -1))} (one class number each) for the output ${formatShape(output)}`,
        hint: oneHot ? 'use the loss "categoricalCrossentropy"' : undefined,
      },
    );
  }
  if (y.stored.length !== 1 || y.stored[0].dtype !== y.dtype) return;
  const { data, rowSize } = y.stored[0];
  for (let i = 0; i < data.length; i++) {
    const label = data[i];
    if (label >= 0 && label < classes && label === Math.floor(label)) continue;
    const row = Math.floor(i / rowSize);
    throw new LayerwiseError(`a label is not a class number of ${layer}`, {
      code: "L104",
      layer,
      received: `label ${label} in row ${row}`,
      expected: `integers from 0 to ${classes - 1}: ${layer} gives ${classes} scores`,
    });
  }
}

/** Dense targets against an output: equal shapes; only a trailing axis of 1 may be missing or extra (L105). */
export function checkDenseTargets(y: RowSource, output: OpenShape, layer: string, lossName: string): void {
  const shape: (number | null)[] = [null, ...y.rowShape];
  const trim = (s: readonly (number | null)[]) => (s.length > 1 && s[s.length - 1] === 1 ? s.slice(0, -1) : s);
  const a = trim(shape);
  const b = trim(output);
  const fits = a.length === b.length && a.every((d, i) => d === null || b[i] === null || d === b[i]);
  if (fits) return;
  const classes = output[output.length - 1];
  const sparse = /categorical/i.test(lossName) && (shape.length === output.length - 1 || shape[shape.length - 1] === 1);
  throw new LayerwiseError(`targets do not fit the output of ${layer}; losses never broadcast`, {
    code: sparse ? "L104" : "L105",
    layer,
    received: `targets ${formatShape(shape)}, output ${formatShape(output)}`,
    expected: `targets ${formatShape(output)}`,
    hint: sparse
      ? `use the loss "sparseCategoricalCrossentropy" for class numbers, or one-hot rows of ${classes}`
      : undefined,
  });
}
