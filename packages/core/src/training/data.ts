/** Data for training: rows of tensors and arrays, gathered batch by batch without converting the whole. */
import { show } from "../config/index.ts";
import { formatShape, LayerwiseError } from "../errors.ts";
import { apply1, type Node, topological, type Value } from "../graph/node.ts";
import { inputValue } from "../graph/ops/index.ts";
import { type DType, type Shape, sizeOf, type TypedArray } from "../graph/types.ts";
import { type ArgumentTree, asTensors, isTensor, mapTree, treeLeaves } from "../layers/arguments.ts";
import { evaluateSync, hostData } from "../tensor/engine.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Tree } from "../tensor/tree.ts";

/** Tensors, typed or nested arrays; alone, or in lists and records. */
export type DataTree = ArgumentTree;

/** Stored rows: row i is the `rowSize` elements from i · rowSize. */
export interface StoredRows {
  readonly data: TypedArray;
  readonly rowSize: number;
  readonly rowShape: Shape;
  readonly dtype: DType;
}

/**
 * One leaf of a data set: rows that are computed from stored rows by elementwise operations, or are stored themselves.
 * The computation happens in the step, so u8 images stay u8 until then.
 */
export interface RowSource {
  readonly rows: number;
  /** Shape of one row after the computation. */
  readonly rowShape: Shape;
  readonly dtype: DType;
  readonly stored: readonly StoredRows[];
  /** Equal for sources that lead to the same program. */
  readonly key: string;
  /** The batch, from batches of the stored rows. */
  readonly build: (batches: readonly Value[], rows: number) => Value;
}

export const isRowSource = (x: unknown): x is RowSource =>
  x !== null && typeof x === "object" && "rowShape" in x && "build" in x;

/** Row sources of a tree of data. `what` names it in errors: "x", "y". */
export function rowSources(data: DataTree, what: string): Tree<RowSource> {
  const tree = mapTree(asTensors(data), isTensor, (t) => rowSource(t, what));
  const leaves = treeLeaves(tree, isRowSource);
  if (leaves.length === 0) {
    throw new LayerwiseError(`${what} holds no data`, {
      code: "E301",
      received: show(data),
      expected: "a tensor or array, or a tree of them",
    });
  }
  for (const leaf of leaves) {
    if (leaf.rows !== leaves[0].rows) {
      throw new LayerwiseError(`the parts of ${what} have different numbers of rows`, {
        code: "E302",
        received: leaves.map((l) => l.rows).join(", "),
        expected: "the same number in each",
      });
    }
  }
  return tree;
}

/** The number of rows of a tree of sources. */
export function rowCount(tree: Tree<RowSource>): number {
  return treeLeaves(tree, isRowSource)[0].rows;
}

function rowSource(t: Tensor, what: string): RowSource {
  if (t.ndim === 0) {
    throw new LayerwiseError(`${what} has no rows`, {
      code: "E301",
      received: "a single number",
      expected: "an array whose first axis counts samples",
    });
  }
  return lazyRows(t) ?? storedTensor(t);
}

function storedTensor(t: Tensor): RowSource {
  evaluateSync([t]);
  const rowShape = t.shape.slice(1);
  const dtype = t.dtype;
  const stored = { data: hostData(t.value), rowSize: sizeOf(rowShape), rowShape, dtype };
  return {
    rows: t.shape[0],
    rowShape,
    dtype,
    stored: [stored],
    key: `${dtype}[${rowShape}]`,
    build: (batches) => batches[0],
  };
}

/** A part of the rows, without copying. */
export function sliceRows(tree: Tree<RowSource>, start: number, end: number): Tree<RowSource> {
  return mapTree(
    tree,
    isRowSource,
    (s): RowSource => ({
      ...s,
      rows: end - start,
      stored: s.stored.map((r) => ({ ...r, data: r.data.subarray(start * r.rowSize, end * r.rowSize) as TypedArray })),
    }),
  );
}

/**
 * An unevaluated expression as a row source: constants with the same first axis are its stored rows, and every operation
 * works row by row. Null when some operation mixes rows or the tensor is computed already.
 */
function lazyRows(t: Tensor): RowSource | null {
  const root = t.value;
  const n = root.shape[0];
  if (root.node.op.name === "constant" || n === 0) return null;
  /** Nodes whose value has the rows of the data on its first axis; others do not depend on rows. */
  const rowwise = new Set<Node>();
  const stored: Node[] = [];
  const nodes = topological([root]);
  for (const node of nodes) {
    if (node.outputs.length !== 1) return null;
    const { op, inputs, outputs } = node;
    const out = outputs[0].shape;
    if (op.name === "constant") {
      if (out.length === 0 || out[0] !== n || (n === 1 && !isRow(node, root))) continue;
      rowwise.add(node);
      stored.push(node);
      continue;
    }
    const dependent = inputs.some((v) => rowwise.has(v.node));
    if (!dependent) {
      // Something spread over the rows, e.g. the 255 of x.div(255), is spread again for each batch.
      if (isSpread(node, n)) continue;
      if (out.length > 0 && out[0] === n) return null;
      continue;
    }
    const keepsRows = out.length > 0 && out[0] === n;
    if (op.kernel.kind === "map" && op.name !== "iota" && keepsRows) rowwise.add(node);
    else if (op.name === "reshape" && keepsRows) rowwise.add(node);
    else if (op.name === "broadcastTo" && keepsRows && out.length === inputs[0].shape.length) rowwise.add(node);
    else return null;
  }
  if (!rowwise.has(root.node) || stored.length === 0) return null;
  const key = expressionKey(nodes, n, rowwise);
  if (key === null) return null;
  return {
    rows: n,
    rowShape: root.shape.slice(1),
    dtype: root.dtype,
    key,
    stored: stored.map((node) => {
      const { shape, dtype } = node.types[0];
      return { data: hostData(node.outputs[0]), rowSize: sizeOf(shape.slice(1)), rowShape: shape.slice(1), dtype };
    }),
    build(batches, rows) {
      const now = new Map<Value, Value>();
      stored.forEach((node, i) => {
        now.set(node.outputs[0], batches[i]);
      });
      for (const node of nodes) {
        const out = node.outputs[0];
        if (now.has(out) || node.op.name === "constant") continue;
        const inputs = node.inputs.map((v) => now.get(v) ?? v);
        const spread = isSpread(node, n) || (node.op.name === "broadcastTo" && rowwise.has(node));
        const resized = spread || (node.op.name === "reshape" && rowwise.has(node));
        const attrs = resized ? { ...(node.attrs as object), shape: [rows, ...out.shape.slice(1)] } : node.attrs;
        now.set(out, apply1(node.op, inputs, attrs));
      }
      return now.get(root)!;
    },
  };
}

/** Whether a node repeats a value without rows for every row. */
function isSpread(node: Node, rows: number): boolean {
  if (node.op.name !== "broadcastTo" || node.types[0].shape[0] !== rows) return false;
  const from = node.inputs[0].shape;
  return from.length < node.types[0].shape.length || from[0] === 1;
}

/** With a single row, a constant counts as data only if it has the rank of the result (else [1] could be a scale). */
function isRow(node: Node, root: Value): boolean {
  return node.types[0].shape.length === root.shape.length;
}

/** Structure of an expression without its data and number of rows; null when attributes cannot be compared. */
function expressionKey(nodes: readonly Node[], rows: number, rowwise: ReadonlySet<Node>): string | null {
  const number = new Map<Node, number>();
  const parts: string[] = [];
  for (const node of nodes) {
    number.set(node, number.size);
    const [type] = node.types;
    if (node.op.name === "constant") {
      const values = rowwise.has(node) || sizeOf(type.shape) > 64 ? "" : `=${[...hostData(node.outputs[0])]}`;
      if (!rowwise.has(node) && values === "") return null;
      parts.push(`${type.dtype}[${rowwise.has(node) ? type.shape.slice(1) : type.shape}]${values}`);
      continue;
    }
    let comparable = true;
    const attrs = JSON.stringify(node.attrs, (k, v) => {
      if (typeof v === "function") comparable = false;
      return k === "shape" && Array.isArray(v) && v[0] === rows ? ["rows", ...v.slice(1)] : v;
    });
    if (!comparable) return null;
    parts.push(`${node.op.name}(${node.inputs.map((v) => number.get(v.node))})${attrs}`);
  }
  return parts.join(";");
}

/** Graph inputs for `rows` rows of each stored array. */
export function batchInputs(stored: readonly StoredRows[], rows: number): Value[] {
  return stored.map((s, i) => inputValue(`data${i}`, { shape: [rows, ...s.rowShape], dtype: s.dtype }));
}

/** Fills buffers with rows `order[start…]` (without an order: start, start + 1, …) of the stored arrays. */
export function gatherRows(
  stored: readonly StoredRows[],
  buffers: readonly TypedArray[],
  rows: number,
  order: Uint32Array | null,
  start: number,
): void {
  for (let k = 0; k < stored.length; k++) {
    const { data, rowSize } = stored[k];
    const buffer = buffers[k];
    if (order === null) {
      buffer.set(data.subarray(start * rowSize, (start + rows) * rowSize) as never);
    } else if (rowSize === 1) {
      for (let i = 0; i < rows; i++) buffer[i] = data[order[start + i]];
    } else if (rowSize <= 32) {
      // A view for each row would cost more than its elements.
      for (let i = 0, to = 0; i < rows; i++) {
        const from = order[start + i] * rowSize;
        for (let j = from; j < from + rowSize; j++) buffer[to++] = data[j];
      }
    } else {
      for (let i = 0; i < rows; i++) {
        const from = order[start + i] * rowSize;
        buffer.set(data.subarray(from, from + rowSize) as never, i * rowSize);
      }
    }
  }
}

/** `f32 [60000, 784]`, for messages. */
export function describeSource(s: RowSource): string {
  return `${s.dtype} ${formatShape([s.rows, ...s.rowShape])}`;
}
