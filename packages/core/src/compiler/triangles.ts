/**
 * What a causal mask throws away: values that are zero, and values that nobody looks at, behind a diagonal. Products learn
 * of it (`DotAttrs.triangle`) and leave out the terms that do not count. The step's whole graph says it, so that gradients
 * need no rule of their own.
 *
 * Zeros are those of finite numbers: where a factor that the mask hides is infinite or NaN, 0 · ∞ may be left out too.
 */
import { Node, topological, type Value } from "../graph/node.ts";
import { divOp, greaterEqualOp, logicalAndOp, mulOp, subOp } from "../graph/ops/binary.ts";
import { castOp } from "../graph/ops/cast.ts";
import { type DotAttrs, dotGeneralOp } from "../graph/ops/contract.ts";
import { type IotaAttrs, iotaOp } from "../graph/ops/iota.ts";
import { type ReduceAttrs, reduceMaxOp } from "../graph/ops/reduce.ts";
import { selectOp } from "../graph/ops/select.ts";
import { constantNumber } from "../graph/ops/source.ts";
import { expOp } from "../graph/ops/unary.ts";
import { rowMajor } from "../graph/types.ts";
import { contiguous } from "./access.ts";
import type { DotAxis, Triangle } from "./lowered.ts";
import { plugPass } from "./simplify.ts";

/** Two axes of a value: what is said holds where the index along the first is greater than that along the second. */
type Behind = readonly [number, number];

/** Scores, as masks lower them to, that count for nothing in a softmax: no product of a program that works is near it. */
const low = { f16: -3e4, others: -1e9 };

/** Enables the compiler to leave out what causal masks throw away. */
export function plugTriangles(): void {
  plugPass(markTriangles);
}

/** The same graph, its products with the triangle of their terms, and choices of zeros where there are zeros dropped. */
function markTriangles(roots: readonly Value[]): Value[] {
  const order = topological(roots);
  const masks = new Map<Value, Behind>();
  const zeros = new Map<Value, Behind>();
  for (const n of order) {
    const mask = maskOf(n, masks);
    if (mask) masks.set(n.outputs[0], mask);
    const zero = mask ?? zerosOf(n, masks, zeros);
    if (zero) zeros.set(n.outputs[0], zero);
  }
  if (zeros.size === 0) return [...roots];
  const ignored = ignoredOf(order, roots, zeros);
  const replaced = new Map<Value, Value>();
  const at = (v: Value): Value => replaced.get(v) ?? v;
  for (const n of order) {
    if (n.inputs.length === 0) continue;
    const [condition, x, other] = n.inputs;
    if (n.op === selectOp && same(masks.get(condition), zeros.get(x)) && isZero(other)) {
      replaced.set(n.outputs[0], at(x));
      continue;
    }
    const triangle = n.op === dotGeneralOp ? triangleOf(n, zeros, ignored) : null;
    const inputs = n.inputs.map(at);
    if (!triangle && inputs.every((v, i) => v === n.inputs[i])) continue;
    const attrs = triangle ? { ...(n.attrs as DotAttrs), triangle } : n.attrs;
    const next = new Node(n.op, attrs, inputs, n.types, n.scope);
    n.outputs.forEach((o, i) => {
      replaced.set(o, next.outputs[i]);
    });
  }
  return roots.map(at);
}

const same = (a: Behind | undefined, b: Behind | undefined): boolean =>
  a !== undefined && a[0] === b?.[0] && a[1] === b[1];

/** 0 everywhere. */
const isZero = (v: Value): boolean => constantNumber(base(v)) === 0;

/** What lies under views and casts, or under casts alone. */
function base(v: Value, views = true): Value {
  let at = v;
  while (at.node.op === castOp || (views && at.node.op.kernel.kind === "view")) at = at.node.inputs[0];
  return at;
}

/** The axis of a view's result that walks along `axis` of what it views; -1 where none does. */
function axisOf({ op: { kernel }, attrs, inputs, types }: Node, axis: number): number {
  const { shape } = inputs[0];
  const seen = kernel.kind === "view" ? kernel.view(contiguous(shape), attrs, types[0]) : null;
  const stride = rowMajor(shape)[axis];
  return seen?.offset === 0 ? seen.shape.findIndex((n, i) => n === shape[axis] && seen.strides[i] === stride) : -1;
}

function throughView(view: Node, behind: Behind | undefined): Behind | null {
  const axes = behind?.map((axis) => axisOf(view, axis)) ?? [-1];
  return axes.includes(-1) ? null : [axes[0], axes[1]];
}

/** The axis along which an iota counts, seen through views; -1 for other values. */
function counts({ node }: Value): number {
  if (node.op === iotaOp) return (node.attrs as IotaAttrs).axis;
  const axis = node.op.kernel.kind === "view" ? counts(node.inputs[0]) : -1;
  return axis < 0 ? -1 : axisOf(node, axis);
}

/** Where a mask that is causal and nothing else is false: row ≥ column is not where the column is greater. */
function maskOf(n: Node, masks: ReadonlyMap<Value, Behind>): Behind | null {
  const [a, b] = n.inputs;
  if (n.op.kernel.kind === "view") return throughView(n, masks.get(a));
  if (n.op !== greaterEqualOp) return null;
  const [row, column] = [counts(a), counts(b)];
  return row < 0 || column < 0 || row === column ? null : [column, row];
}

/** Where a value is zero, or false. */
function zerosOf(n: Node, masks: ReadonlyMap<Value, Behind>, zeros: ReadonlyMap<Value, Behind>): Behind | null {
  const [a, b, c] = n.inputs;
  const of = (v: Value) => zeros.get(v) ?? null;
  if (n.op.kernel.kind === "view") return throughView(n, zeros.get(a));
  switch (n.op) {
    case mulOp:
    case logicalAndOp:
      return of(a) ?? of(b);
    case divOp:
    case castOp:
      return of(a);
    case selectOp:
      return isZero(c) ? (of(a) ?? of(b)) : null;
    case expOp:
      return hiddenIn(base(a, false).node, masks);
    default:
      return null;
  }
}

/**
 * Where exp(scores - max) is zero: a row of a softmax in which a causal mask, alone, has lowered the scores behind the
 * diagonal. It leaves one of every row, the first. The others must be products of factors: a bias, or a choice, could be
 * a mask itself, and where that hides all that is left the lowered ones are the greatest.
 */
function hiddenIn({ op, inputs: [a, most] }: Node, masks: ReadonlyMap<Value, Behind>): Behind | null {
  const scores = op === subOp ? base(a, false) : null;
  if (scores?.node.op !== selectOp) return null;
  const [condition, x, lowered] = scores.node.inputs;
  const behind = masks.get(condition);
  const number = constantNumber(base(lowered)) ?? 0;
  if (!behind || number > (x.dtype === "f16" ? low.f16 : low.others) || !isProduct(x)) return null;
  const { op: fold, inputs, attrs } = base(most).node;
  const axes = fold === reduceMaxOp && base(inputs[0], false) === scores ? (attrs as ReduceAttrs).axes : [];
  return axes.length === 1 && axes[0] === behind[0] ? behind : null;
}

/** A product of matrices, perhaps times numbers and weights. */
function isProduct(x: Value): boolean {
  const isFactor = (v: Value) => base(v).node.op.kernel.kind === "source";
  let at = base(x);
  while (at.node.op !== dotGeneralOp) {
    const { op, inputs } = at.node;
    if ((op === mulOp || op === divOp) && isFactor(inputs[1])) at = base(inputs[0]);
    else if (op === mulOp && isFactor(inputs[0])) at = base(inputs[1]);
    else return false;
  }
  return true;
}

/** Where nobody looks at a value; without entry somebody may look everywhere. */
function ignoredOf(
  order: readonly Node[],
  roots: readonly Value[],
  zeros: ReadonlyMap<Value, Behind>,
): ReadonlyMap<Value, Behind> {
  const ignored = new Map<Value, Behind>();
  const wanted = new Set(roots);
  for (const n of [...order].reverse())
    n.inputs.forEach((v, i) => {
      if (wanted.has(v)) return;
      const use = ignoredBy(n, i, ignored, zeros);
      const known = ignored.get(v);
      if (use && (!known || same(use, known))) ignored.set(v, use);
      else {
        wanted.add(v);
        ignored.delete(v);
      }
    });
  return ignored;
}

/** Where a node does not look at its input: what is hidden, multiplied by zero, or goes where nobody looks. */
function ignoredBy(
  n: Node,
  input: number,
  ignored: ReadonlyMap<Value, Behind>,
  zeros: ReadonlyMap<Value, Behind>,
): Behind | null {
  const { kind } = n.op.kernel;
  const after = ignored.get(n.outputs[0]);
  if (kind === "view") {
    const axes = after?.map((axis) => n.inputs[0].shape.findIndex((_, i) => axisOf(n, i) === axis)) ?? [-1];
    return axes.includes(-1) ? null : [axes[0], axes[1]];
  }
  if (kind !== "map") return null;
  const hidden =
    n.op === mulOp ? zeros.get(n.inputs[1 - input]) : n.op === selectOp && input === 1 ? zeros.get(n.inputs[0]) : null;
  return hidden ?? after ?? null;
}

/** Which terms of a product count. */
function triangleOf(n: Node, zeros: ReadonlyMap<Value, Behind>, ignored: ReadonlyMap<Value, Behind>): Triangle | null {
  const { batchA, batchB, contractA, contractB } = n.attrs as DotAttrs;
  const [a, b] = n.inputs;
  const [y] = n.outputs;
  const isLong = (v: Value) => (axis: number) => v.shape[axis] !== 1;
  const rows = a.shape.filter((size, i) => size !== 1 && !batchA.includes(i) && !contractA.includes(i));
  if (y.dtype !== "f32" || rows.length > 1 || contractA.filter(isLong(a)).length > 1) return null;
  const named = (behind: Behind | undefined, name: (axis: number) => DotAxis | null): Triangle | null => {
    const [first, second] = behind?.map(name) ?? [null, null];
    return first && second && first !== second ? [first, second] : null;
  };
  const inFactor = (batch: readonly number[], contract: readonly number[], free: DotAxis) => (axis: number) =>
    batch.includes(axis) ? null : contract.includes(axis) ? "k" : free;
  return (
    named(zeros.get(a), inFactor(batchA, contractA, "m")) ??
    named(zeros.get(b), inFactor(batchB, contractB, "n")) ??
    named(ignored.get(y), (axis) => (axis < batchA.length ? null : axis === y.shape.length - 1 ? "n" : "m"))
  );
}
