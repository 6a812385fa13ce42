/**
 * Gradients of maximum pooling are mostly zeros: what is done to all of their elements can be done to the pooled side,
 * which is a quarter of the size. Both rules are exact, up to the order of a sum.
 */
import { apply1, atScope, type Node, type Value } from "../graph/node.ts";
import { maxPoolGradOp, maxPoolOp, type PoolGradAttrs } from "../graph/ops/pool.ts";
import { type ReduceAttrs, reduceSumOp } from "../graph/ops/reduce.ts";
import { select, selectOp } from "../graph/ops/select.ts";
import { scalar } from "../graph/ops/source.ts";
import { broadcastTo } from "../graph/ops/view.ts";
import { constantNumber } from "./simplify.ts";

/** The same value computed on the pooled side, or null. */
export function throughPooling(node: Node, inputs: readonly Value[]): Value | null {
  return atScope(node.scope, () => {
    if (node.op === selectOp) return chosenWindows(inputs);
    if (node.op === reduceSumOp) return sumOfWindows(inputs[0], node.attrs as ReduceAttrs);
    return null;
  });
}

/**
 * Where y and place are the results of maxPool(x): `p(x) ? maxPoolGrad(place, dy) : 0` is `maxPoolGrad(place, p(y) ? dy : 0)`
 * for every elementwise p, since a window's gradient lies where x is y, and all else is zero either way. So is the gradient
 * of a relu before its pooling.
 */
function chosenWindows([condition, gradient, other]: readonly Value[]): Value | null {
  const { op, inputs, attrs } = gradient.node;
  if (op !== maxPoolGradOp || !Object.is(constantNumber(other), 0)) return null;
  const [place, dy] = inputs;
  if (place.node.op !== maxPoolOp) return null;
  const [x] = place.node.inputs;
  const [y] = place.node.outputs;
  if (!dependsOn(condition, x)) return null;
  const chosen = select(onPooled(condition, x, y), dy, scalar(0, dy.dtype));
  return atScope(gradient.node.scope, () => apply1(maxPoolGradOp, [place, chosen], attrs as PoolGradAttrs));
}

/** Whether `v` is an elementwise function of x and numbers. */
function dependsOn(v: Value, x: Value): boolean {
  if (v === x || constantNumber(v) !== undefined) return true;
  const rule = v.node.op.kernel;
  return rule.kind === "map" && !rule.coordinates && v.node.inputs.every((i) => dependsOn(i, x));
}

function onPooled(v: Value, x: Value, y: Value): Value {
  if (v === x) return y;
  const number = constantNumber(v);
  if (number !== undefined) return broadcastTo(scalar(number, v.dtype), y.shape);
  const { op, inputs, attrs } = v.node;
  return apply1(
    op,
    inputs.map((i) => onPooled(i, x, y)),
    attrs,
  );
}

/** The sum of maxPoolGrad(place, dy) over all elements is the sum of dy: every window has its place inside. */
function sumOfWindows(gradient: Value, { axes }: ReduceAttrs): Value | null {
  if (gradient.node.op !== maxPoolGradOp) return null;
  const [, dy] = gradient.node.inputs;
  const summed = (_: number, i: number) =>
    axes.includes(i + 1) || (gradient.shape[i + 1] === 1 && dy.shape[i + 1] === 1);
  return dy.shape.slice(1, -1).every(summed) ? apply1(reduceSumOp, [dy], { axes }) : null;
}
