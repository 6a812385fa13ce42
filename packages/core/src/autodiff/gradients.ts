/** Reverse-mode differentiation: builds the graph of gradients from the gradient rules of the ops. */
import { formatShape, LayerwiseError } from "../errors.ts";
import { atScope, type Node, type OpRecord, topological, type Value } from "../graph/node.ts";
import { add } from "../graph/ops/binary.ts";
import { isFloat, sameShape } from "../graph/types.ts";

/**
 * The gradients of Σ outputs·outputGrads in each of `inputs`, as new nodes of the same graph (so that they can be
 * differentiated again). An output gradient of null counts as zero. A result is null where no path of float values leads
 * from the input to an output with a gradient, and for integer and bool inputs.
 *
 * Only nodes on such paths are visited. Gradients of a value that is used several times are added in the reverse order of
 * the uses. Each gradient node carries the scope of the node it belongs to.
 */
export function gradients(
  outputs: readonly Value[],
  outputGrads: readonly (Value | null)[],
  inputs: readonly Value[],
): (Value | null)[] {
  if (outputGrads.length !== outputs.length) {
    throw new LayerwiseError("gradients need one gradient for each output", {
      code: "E105",
      received: `${outputGrads.length} gradients for ${outputs.length} outputs`,
      expected: "a gradient or null for each",
    });
  }
  const order = topological(outputs);
  const active = reached(order, inputs);
  const sums = new Map<Value, Value>();
  const accumulate = (v: Value, grad: Value, from: OpRecord | null) => {
    if (!sameShape(v.shape, grad.shape) || v.dtype !== grad.dtype) {
      throw new LayerwiseError(
        from ? `the gradient rule of ${from.name} is wrong` : "an output's gradient does not fit it",
        {
          code: "E105",
          received: `${grad.dtype}${formatShape(grad.shape)}`,
          expected: `${v.dtype}${formatShape(v.shape)}, as the value`,
        },
      );
    }
    const sum = sums.get(v);
    sums.set(v, sum ? add(sum, grad) : grad);
  };
  outputs.forEach((v, i) => {
    const grad = outputGrads[i];
    if (grad && active.has(v)) accumulate(v, grad, null);
  });
  for (let i = order.length - 1; i >= 0; i--) {
    const node = order[i];
    const { gradient } = node.op;
    const wants = node.inputs.map((v) => active.has(v));
    if (gradient === "none" || !wants.includes(true)) continue;
    const grads = node.outputs.map((v) => sums.get(v) ?? null);
    if (grads.every((g) => g === null)) continue;
    atScope(node.scope, () => {
      const results = gradient({
        attrs: node.attrs,
        inputs: node.inputs,
        outputs: node.outputs,
        grads,
        wants,
        gradients,
      });
      results.forEach((grad, k) => {
        if (grad && wants[k]) accumulate(node.inputs[k], grad, node.op);
      });
    });
  }
  return inputs.map((v) => (active.has(v) ? (sums.get(v) ?? null) : null));
}

/** The float values that depend on `inputs` through differentiable ops, `inputs` themselves included. */
function reached(order: readonly Node[], inputs: readonly Value[]): Set<Value> {
  const active = new Set(inputs.filter((v) => isFloat(v.dtype)));
  for (const node of order) {
    if (node.op.gradient === "none" || !node.inputs.some((v) => active.has(v))) continue;
    for (const v of node.outputs) if (isFloat(v.dtype)) active.add(v);
  }
  return active;
}
