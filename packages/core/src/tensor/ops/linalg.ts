/** Products of tensors: matmul, dot, tensordot, einsum and their kin. */
import * as g from "../../graph/ops/index.ts";
import { broadcastShapes, isFloat, normalizeAxis } from "../../graph/types.ts";
import { Tensor, type TensorLike } from "../tensor.ts";
import { multiply, subtract } from "./elementwise.ts";
import { argumentError, castTo, promote, toNumber } from "./promote.ts";
import { broadcastTo, expandDims, ravel, reshape, sliceAxis, squeeze, stack, transpose } from "./shape.ts";

/** Operands of a product in a dtype that products exist in. */
function factors(a: TensorLike, b: TensorLike): [Tensor, Tensor, (y: Tensor) => Tensor] {
  const [x, y] = promote(a, b).map(toNumber);
  const { dtype } = x;
  if (dtype === "f32" || dtype === "i32" || dtype === "u32") return [x, y, (r) => r];
  const wide = isFloat(dtype) ? "f32" : "i32";
  // Keras widens int8 products to int32 and keeps half precision.
  return [castTo(x, wide), castTo(y, wide), (r) => (isFloat(dtype) ? castTo(r, dtype) : r)];
}

/** Matrix product of the last two axes, batched over the others with broadcasting; vectors as in numpy. */
export function matmul(a: TensorLike, b: TensorLike): Tensor {
  let [x, y, back] = factors(a, b);
  if (x.ndim === 0 || y.ndim === 0)
    throw argumentError("matmul", "scalars have no matrix product", `ranks ${x.ndim} and ${y.ndim}`, "rank 1 or more");
  const xVector = x.ndim === 1;
  const yVector = y.ndim === 1;
  if (xVector) x = expandDims(x, 0);
  if (yVector) y = expandDims(y, 1);
  const [n, k] = x.shape.slice(-2);
  const [k2, m] = y.shape.slice(-2);
  if (k !== k2)
    throw argumentError(
      "matmul",
      "the inner sizes differ",
      `[${x.shape}] and [${y.shape}]`,
      `${k} rows in the second factor`,
    );
  let result: Tensor;
  if (y.ndim === 2) result = dot2(x, x.ndim - 1, y, 0);
  else {
    const batch = broadcastShapes("matmul", x.shape.slice(0, -2), y.shape.slice(0, -2));
    const xb = broadcastTo(x, [...batch, n, k]);
    const yb = broadcastTo(y, [...batch, k, m]);
    const axes = batch.map((_, i) => i);
    result = new Tensor(
      g.dotGeneral(xb.value, yb.value, {
        batchA: axes,
        batchB: axes,
        contractA: [batch.length + 1],
        contractB: [batch.length],
      }),
    );
  }
  const shape = [...result.shape];
  if (yVector) shape.splice(-1, 1);
  if (xVector) shape.splice(yVector ? shape.length - 1 : shape.length - 2, 1);
  return back(reshape(result, shape));
}
function dot2(x: Tensor, axisX: number, y: Tensor, axisY: number): Tensor {
  return new Tensor(g.dotGeneral(x.value, y.value, { batchA: [], batchB: [], contractA: [axisX], contractB: [axisY] }));
}
/** numpy.dot: the last axis of a with the second to last of b. */
export function dot(a: TensorLike, b: TensorLike): Tensor {
  const [x, y, back] = factors(a, b);
  if (x.ndim === 0 || y.ndim === 0) return multiply(x, y);
  return back(dot2(x, x.ndim - 1, y, y.ndim === 1 ? 0 : y.ndim - 2));
}
export function vdot(a: TensorLike, b: TensorLike): Tensor {
  return dot(ravel(a), ravel(b));
}
export function inner(a: TensorLike, b: TensorLike): Tensor {
  const [x, y, back] = factors(a, b);
  if (x.ndim === 0 || y.ndim === 0) return multiply(x, y);
  return back(dot2(x, x.ndim - 1, y, y.ndim - 1));
}
export function outer(a: TensorLike, b: TensorLike): Tensor {
  const [x, y] = promote(a, b).map(ravel);
  return multiply(expandDims(x, 1), expandDims(y, 0));
}
export function tensordot(
  a: TensorLike,
  b: TensorLike,
  axes: number | readonly (number | readonly number[])[] = 2,
): Tensor {
  const [x, y, back] = factors(a, b);
  let ax: number[];
  let ay: number[];
  if (typeof axes === "number") {
    ax = Array.from({ length: axes }, (_, i) => x.ndim - axes + i);
    ay = Array.from({ length: axes }, (_, i) => i);
  } else {
    ax = ([axes[0]].flat() as number[]).map((i) => normalizeAxis(i, x.ndim, "tensordot"));
    ay = ([axes[1]].flat() as number[]).map((i) => normalizeAxis(i, y.ndim, "tensordot"));
  }
  if (ax.length === 0) {
    return multiply(
      reshape(x, [...x.shape, ...y.shape.map(() => 1)]),
      reshape(y, [...x.shape.map(() => 1), ...y.shape]),
    );
  }
  return back(new Tensor(g.dotGeneral(x.value, y.value, { batchA: [], batchB: [], contractA: ax, contractB: ay })));
}
/** a × b over the last axis of size 3 (or 2, with a third component of 0). */
export function cross(a: TensorLike, b: TensorLike): Tensor {
  const [x, y] = promote(a, b);
  const part = (v: Tensor, i: number): Tensor | null =>
    i < v.shape[v.ndim - 1] ? squeeze(sliceAxis(v, v.ndim - 1, i, i + 1), -1) : null;
  const n = [x.shape[x.ndim - 1], y.shape[y.ndim - 1]];
  if (n.some((d) => d !== 2 && d !== 3))
    throw argumentError("cross", "the last axis must be of size 2 or 3", n.join(" and "), "2 or 3");
  const term = (i: number, j: number): Tensor | null => {
    const [p, q, r, s] = [part(x, i), part(y, j), part(x, j), part(y, i)];
    if (p && q && r && s) return subtract(multiply(p, q), multiply(r, s));
    if (p && q) return multiply(p, q);
    return r && s ? subtract(0, multiply(r, s)) : null;
  };
  if (n[0] === 2 && n[1] === 2) return term(0, 1)!;
  return stack([term(1, 2)!, term(2, 0)!, term(0, 1)!], -1);
}
export function kron(a: TensorLike, b: TensorLike): Tensor {
  let [x, y] = promote(a, b);
  const rank = Math.max(x.ndim, y.ndim);
  x = reshape(x, [...new Array(rank - x.ndim).fill(1), ...x.shape]);
  y = reshape(y, [...new Array(rank - y.ndim).fill(1), ...y.shape]);
  const product = multiply(
    reshape(
      x,
      x.shape.flatMap((d) => [d, 1]),
    ),
    reshape(
      y,
      y.shape.flatMap((d) => [1, d]),
    ),
  );
  return reshape(
    product,
    x.shape.map((d, i) => d * y.shape[i]),
  );
}

/** Einstein summation, with "..." and implicit output. Several operands are combined from the left. */
export function einsum(equation: string, ...operands: readonly TensorLike[]): Tensor {
  const [left, right] = equation.replaceAll(" ", "").split("->");
  const terms = left.split(",");
  if (terms.length !== operands.length)
    throw argumentError(
      "einsum",
      "operands and equation do not agree",
      `${operands.length} operands`,
      `${terms.length} for "${equation}"`,
    );
  const values = promote(...operands).map(toNumber);
  // Ellipses become capital letters that stand for axes aligned at the right.
  const extra = Math.max(0, ...terms.map((s, i) => (s.includes("...") ? values[i].ndim - (s.length - 3) : 0)));
  const names = Array.from({ length: extra }, (_, i) => String.fromCharCode(0x4e00 + i));
  const labels = terms.map((s, i) => {
    const n = values[i].ndim - (s.length - 3);
    return [...s.replace("...", s.includes("...") ? names.slice(extra - n).join("") : "")];
  });
  let output: string[];
  if (right !== undefined) output = [...right.replace("...", names.join(""))];
  else {
    const counts = new Map<string, number>();
    for (const l of labels.flat()) counts.set(l, (counts.get(l) ?? 0) + 1);
    output = [
      ...names,
      ...[...counts]
        .filter(([l, c]) => c === 1 && !names.includes(l))
        .map(([l]) => l)
        .sort(),
    ];
  }
  let current = single(values[0], labels[0], keepFor(labels, 1, output));
  for (let i = 1; i < values.length; i++) {
    const next = single(values[i], labels[i], [...new Set([...keepFor(labels, i + 1, output), ...current.labels])]);
    current = pair(current, next, keepFor(labels, i + 1, output));
  }
  const final = single(current.value, current.labels, output);
  const order = output.map((l) => final.labels.indexOf(l));
  return transpose(final.value, order);
}
interface Labelled {
  readonly value: Tensor;
  readonly labels: readonly string[];
}
/** Labels still needed after operands 0 … from-1. */
function keepFor(labels: readonly (readonly string[])[], from: number, output: readonly string[]): string[] {
  return [...new Set([...output, ...labels.slice(from).flat()])];
}
/** Takes diagonals of repeated labels and sums labels that nobody needs. */
function single(value: Tensor, labels: readonly string[], needed: readonly string[]): Labelled {
  let x = value;
  let names = [...labels];
  for (let i = 0; i < names.length; i++) {
    const j = names.indexOf(names[i], i + 1);
    if (j < 0) continue;
    const mask = g.equal(g.iota(x.shape, i, "i32"), g.iota(x.shape, j, "i32"));
    x = new Tensor(g.reduceSum(g.select(mask, x.value, g.scalar(0, x.dtype)), [j]));
    names.splice(j, 1);
    i--;
  }
  const drop = names.flatMap((l, i) => (needed.includes(l) ? [] : [i]));
  if (drop.length > 0) {
    x = new Tensor(g.reduceSum(x.value, drop));
    names = names.filter((_, i) => !drop.includes(i));
  }
  return { value: x, labels: names };
}
function pair(a: Labelled, b: Labelled, needed: readonly string[]): Labelled {
  const shared = a.labels.filter((l) => b.labels.includes(l));
  // Sizes of 1 broadcast: such axes go before the product.
  let x = a;
  let y = b;
  for (const l of shared) {
    const [i, j] = [x.labels.indexOf(l), y.labels.indexOf(l)];
    const [n, m] = [x.value.shape[i], y.value.shape[j]];
    if (n === m) continue;
    if (n === 1)
      x = {
        value: reshape(
          x.value,
          x.value.shape.filter((_, k) => k !== i),
        ),
        labels: x.labels.filter((_, k) => k !== i),
      };
    else if (m === 1)
      y = {
        value: reshape(
          y.value,
          y.value.shape.filter((_, k) => k !== j),
        ),
        labels: y.labels.filter((_, k) => k !== j),
      };
    else throw argumentError("einsum", `the axis "${l}" has two sizes`, `${n} and ${m}`, "equal sizes");
  }
  const common = x.labels.filter((l) => y.labels.includes(l));
  const batch = common.filter((l) => needed.includes(l));
  const contract = common.filter((l) => !needed.includes(l));
  const at = (t: Labelled, l: string) => t.labels.indexOf(l);
  const freeX = x.labels.filter((l) => !common.includes(l));
  const freeY = y.labels.filter((l) => !common.includes(l));
  const value = new Tensor(
    g.dotGeneral(x.value.value, y.value.value, {
      batchA: batch.map((l) => at(x, l)),
      batchB: batch.map((l) => at(y, l)),
      contractA: contract.map((l) => at(x, l)),
      contractB: contract.map((l) => at(y, l)),
    }),
  );
  return { value, labels: [...batch, ...freeX, ...freeY] };
}
