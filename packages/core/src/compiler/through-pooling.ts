/**
 * Gradients of maximum pooling are mostly zeros: what is done to all of their elements can be done to the pooled side,
 * which is a quarter of the size. Both rules are exact, up to the order of a sum.
 */
import { apply1, atScope, Node, type Value } from "../graph/node.ts";
import { maxPoolGradOp, maxPoolOp, type PoolAttrs } from "../graph/ops/pool.ts";
import { type ReduceAttrs, reduceSumOp } from "../graph/ops/reduce.ts";
import { select, selectOp } from "../graph/ops/select.ts";
import { scalar } from "../graph/ops/source.ts";
import { broadcastTo } from "../graph/ops/view.ts";
import { constantNumber } from "./simplify.ts";

/** The same value computed on the pooled side, or null. `known` finds the node of the graph that equals a new one. */
export function throughPooling(node: Node, inputs: readonly Value[], known: (n: Node) => Node): Value | null {
  return atScope(node.scope, () => {
    if (node.op === selectOp) return chosenWindows(inputs, known);
    if (node.op === reduceSumOp) return sumOfWindows(inputs[0], node.attrs as ReduceAttrs);
    return null;
  });
}

/**
 * `p(x) ? maxPoolGrad(x, dy) : 0` is `maxPoolGrad(x, p(maxPool(x)) ? dy : 0)` for every elementwise p: a window's gradient
 * lies where x is its maximum, and all else is zero either way. So is the gradient of a relu before its pooling.
 */
function chosenWindows([condition, gradient, other]: readonly Value[], known: (n: Node) => Node): Value | null {
  const { op, inputs, attrs } = gradient.node;
  if (op !== maxPoolGradOp || !Object.is(constantNumber(other), 0)) return null;
  const [x, dy] = inputs;
  if (!dependsOn(condition, x)) return null;
  const y = known(new Node(maxPoolOp, attrs, [x], maxPoolOp.infer([x.type], attrs as PoolAttrs))).outputs[0];
  const chosen = select(onPooled(condition, x, y), dy, scalar(0, dy.dtype));
  return atScope(gradient.node.scope, () => apply1(maxPoolGradOp, [x, chosen], attrs as PoolAttrs));
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

/** The sum of maxPoolGrad(x, dy) over all places is the sum of dy: every window has its maximum inside x. */
function sumOfWindows(gradient: Value, { axes }: ReduceAttrs): Value | null {
  if (gradient.node.op !== maxPoolGradOp) return null;
  const [x, dy] = gradient.node.inputs;
  const summed = (_: number, i: number) => axes.includes(i + 1) || (x.shape[i + 1] === 1 && dy.shape[i + 1] === 1);
  return x.shape.slice(1, -1).every(summed) ? apply1(reduceSumOp, [dy], { axes }) : null;
}
