/** Splitting labelled data into parts, with the same share of each class in every part. */
import { LayerwiseError } from "../errors.ts";
import { Generator } from "../initializers/generator.ts";
import * as ops from "../tensor/ops/index.ts";
import { StringTensor } from "../tensor/string-tensor.ts";
import { Tensor, tensorFrom } from "../tensor/tensor.ts";

/** What can be split: rows of tensors, strings, or any array. */
export type Rows = Tensor | StringTensor | readonly unknown[];

export interface SplitOptions {
  readonly seed?: number;
  /** Whether each part has the classes of `y` in the same shares (default true; `y` must hold integers). */
  readonly stratify?: boolean;
}

/** Rows of `x` in an order of one's own. */
export function takeRows<X extends Rows>(x: X, rows: ArrayLike<number>): X {
  if (x instanceof Tensor) return ops.take(x, tensorFrom(Int32Array.from(rows), [rows.length], "i32"), 0) as X;
  if (x instanceof StringTensor) {
    const width = x.size / Math.max(1, x.shape[0]);
    const data = Array.from(rows).flatMap((r) => x.data.slice(r * width, (r + 1) * width));
    return new StringTensor(data, [rows.length, ...x.shape.slice(1)]) as X;
  }
  return Array.from(rows, (r) => (x as readonly unknown[])[r]) as unknown as X;
}

/** Random parts of rows 0 … classes.length - 1 with the given shares; rows of each part keep their order. */
export function splitRows(
  classes: ArrayLike<number>,
  shares: readonly number[],
  { seed = 0, stratify = true }: SplitOptions = {},
): Int32Array[] {
  const total = shares.reduce((s, x) => s + x, 0);
  if (shares.length < 2 || shares.some((s) => !(s > 0)) || Math.abs(total - 1) > 1e-6) {
    throw new LayerwiseError("the shares of a split are not valid", {
      code: "E306",
      received: `[${shares.join(", ")}]`,
      expected: "two or more positive numbers whose sum is 1",
    });
  }
  const byClass = new Map<number, number[]>();
  for (let row = 0; row < classes.length; row++) {
    const key = stratify ? classes[row] : 0;
    const rows = byClass.get(key);
    if (rows) rows.push(row);
    else byClass.set(key, [row]);
  }
  const random = new Generator("split", seed);
  const parts = shares.map((): number[] => []);
  for (const key of [...byClass.keys()].sort((a, b) => a - b)) {
    const rows = random.shuffle(Uint32Array.from(byClass.get(key)!));
    let from = 0;
    let share = 0;
    shares.forEach((s, i) => {
      share += s;
      const to = i === shares.length - 1 ? rows.length : Math.round(share * rows.length);
      for (; from < to; from++) parts[i].push(rows[from]);
    });
  }
  if (parts.some((p) => p.length === 0)) {
    throw new LayerwiseError("a split leaves a part without rows", {
      code: "E306",
      received: `${classes.length} rows in shares of [${shares.join(", ")}]`,
      expected: "at least one row in each part",
    });
  }
  return parts.map((p) => Int32Array.from(p.sort((a, b) => a - b)));
}

/**
 * Parts of a data set: `const [train, dev, test] = data.split({ x, y }, [0.8, 0.1, 0.1], { seed: 0 })`. The classes of `y`
 * (integers [N]) are in each part in the same shares.
 */
export function split<X extends Rows>(
  { x, y }: { readonly x: X; readonly y: Tensor },
  shares: readonly number[],
  options: SplitOptions = {},
): { x: X; y: Tensor }[] {
  const n = Array.isArray(x) ? x.length : (x as Tensor | StringTensor).shape[0];
  if (n !== y.shape[0]) {
    throw new LayerwiseError("x and y have different numbers of rows", {
      code: "E302",
      received: `x has ${n}, y has ${y.shape[0]}`,
      expected: "one row of each per sample",
    });
  }
  return splitRows(y.dataSync(), shares, options).map((rows) => ({ x: takeRows(x, rows), y: takeRows(y, rows) }));
}
