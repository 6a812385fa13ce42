/** Moves out of a scan's body what does not depend on the carry: products of inputs with weights become one product over all time steps. */
import { apply1, type Node, topological, type Value } from "../node.ts";
import { dependents, isSpreadConstant, Region, substitute } from "../region.ts";
import { sizeOf } from "../types.ts";
import { type DotAttrs, dotGeneral } from "./contract.ts";
import { type ConvAttrs, convOp } from "./conv.ts";
import type { ScanAttrs } from "./scan.ts";
import { inputValue } from "./source.ts";
import { broadcastTo, reshape, reverse, type SliceAttrs, slice, transpose } from "./view.ts";

interface Made {
  readonly inputs: readonly Value[];
  readonly attrs: ScanAttrs;
}

/** Drops xs and captures that no result uses. */
export function prune(inputs: readonly Value[], attrs: ScanAttrs): Made {
  const { region, carries, xs } = attrs;
  const used = new Set(topological(region.results));
  const keep = region.parameters.map((p, i) => i < carries || used.has(p.node));
  if (keep.every((k) => k)) return { inputs, attrs };
  const parameters = region.parameters.filter((_, i) => keep[i]);
  return {
    inputs: inputs.filter((_, i) => keep[i]),
    attrs: {
      ...attrs,
      region: new Region(parameters, region.results),
      xs: keep.slice(carries, carries + xs).filter((k) => k).length,
    },
  };
}

/** The scan with every hoistable value that is worth it (it holds a contraction) as a further x. */
export function hoist(inputs: readonly Value[], attrs: ScanAttrs): Made {
  const { region, carries, xs, length } = attrs;
  const { parameters, results } = region;
  const carried = dependents(results, parameters.slice(0, carries));
  const stepwise = dependents(results, parameters.slice(carries, carries + xs));
  const free = (v: Value) => stepwise.has(v.node) && !carried.has(v.node);
  const worth = new Set<Node>();
  const possible = new Set<Node>(parameters.map((p) => p.node));
  for (const node of topological(results)) {
    if (carried.has(node) || !stepwise.has(node) || parameters.some((p) => p.node === node)) continue;
    if (!canStack(node, (v) => stepwise.has(v.node))) continue;
    if (!node.inputs.every((v) => !stepwise.has(v.node) || possible.has(v.node))) continue;
    possible.add(node);
    if (node.op.kernel.kind === "lower" || node.inputs.some((v) => worth.has(v.node))) worth.add(node);
  }
  const frontier = new Set<Value>();
  const visit = (v: Value) => {
    if (free(v) && possible.has(v.node) && worth.has(v.node)) frontier.add(v);
  };
  for (const node of topological(results)) {
    if (node.outputs.every((o) => !free(o) || !worth.has(o.node))) for (const v of node.inputs) visit(v);
  }
  for (const r of results) visit(r);
  if (frontier.size === 0) return { inputs, attrs };

  const outer = new Map(parameters.map((p, i) => [p, inputs[i]]));
  const stacks = new Map<Value, Value>();
  const stackOf = (v: Value): Value => {
    let s = stacks.get(v);
    if (!s) {
      s = stepwise.has(v.node)
        ? parameters.indexOf(v) >= 0
          ? outer.get(v)!
          : stackNode(v.node, length, stackOf, outside, (x) => stepwise.has(x.node))
        : spread(outside(v), length);
      stacks.set(v, s);
    }
    return s;
  };
  const outside = (v: Value): Value => substitute([v], (x) => outer.get(x) ?? null)[0];
  const fresh = [...frontier].map((v, i) => ({ v, parameter: inputValue(`hoisted${i}`, v.type), stack: stackOf(v) }));
  const replaced = new Map(fresh.map((f) => [f.v, f.parameter]));
  const next = substitute(results, (v) => replaced.get(v) ?? null);
  const at = carries + xs;
  return {
    inputs: [...inputs.slice(0, at), ...fresh.map((f) => f.stack), ...inputs.slice(at)],
    attrs: {
      ...attrs,
      region: new Region([...parameters.slice(0, at), ...fresh.map((f) => f.parameter), ...parameters.slice(at)], next),
      xs: xs + fresh.length,
    },
  };
}

function spread(v: Value, length: number): Value {
  return broadcastTo(reshape(v, [1, ...v.shape]), [length, ...v.shape]);
}

/** Whether a node can be computed for all steps at once. `stepwise` tells which inputs differ from step to step. */
function canStack(node: Node, stepwise: (v: Value) => boolean): boolean {
  const { op } = node;
  const { kind } = op.kernel;
  if (sizeOf(node.types[0].shape) === 0) return false;
  if (kind === "map") return op.kernel.kind === "map" && !op.kernel.coordinates;
  if (kind === "view") return true;
  if (op.name === "dotGeneral") return true;
  return op === convOp && stepwise(node.inputs[0]) && !stepwise(node.inputs[1]);
}

const one = (list: readonly number[]) => list.map((a) => a + 1);

function stackNode(
  node: Node,
  length: number,
  stackOf: (v: Value) => Value,
  outside: (v: Value) => Value,
  stepwise: (v: Value) => boolean,
): Value {
  const { op, attrs, inputs, types } = node;
  const shape = [length, ...types[0].shape];
  if (op.kernel.kind === "map")
    return apply1(
      op,
      inputs.map((v) => (isSpreadConstant(v) ? broadcastTo(outside(v), [length, ...v.shape]) : stackOf(v))),
      attrs,
    );
  if (op.name === "dotGeneral") return stackDot(attrs as DotAttrs, inputs, stackOf, outside, stepwise);
  const x = stackOf(inputs[0]);
  switch (op.name) {
    case "reshape":
      return reshape(x, shape);
    case "transpose":
      return transpose(x, [0, ...one((attrs as { permutation: number[] }).permutation)]);
    case "broadcastTo": {
      const lead = types[0].shape.length - inputs[0].shape.length;
      return broadcastTo(reshape(x, [length, ...new Array(lead).fill(1), ...inputs[0].shape]), shape);
    }
    case "slice": {
      const { start, limit, step } = attrs as SliceAttrs;
      return slice(x, [0, ...start], [length, ...limit], [1, ...step]);
    }
    case "reverse":
      return reverse(x, one((attrs as { axes: number[] }).axes));
    default: {
      // A convolution: the steps are more images.
      const [n, ...rest] = inputs[0].shape;
      const y = apply1(op, [reshape(x, [length * n, ...rest]), outside(inputs[1])], attrs as ConvAttrs);
      return reshape(y, shape);
    }
  }
}

function stackDot(
  attrs: DotAttrs,
  [a, b]: readonly Value[],
  stackOf: (v: Value) => Value,
  outside: (v: Value) => Value,
  stepwise: (v: Value) => boolean,
): Value {
  const { batchA, batchB, contractA, contractB } = attrs;
  if (batchA.length === 0 && !stepwise(b))
    return dotGeneral(stackOf(a), outside(b), { batchA: [], batchB: [], contractA: one(contractA), contractB });
  return dotGeneral(stackOf(a), stackOf(b), {
    batchA: [0, ...one(batchA)],
    batchB: [0, ...one(batchB)],
    contractA: one(contractA),
    contractB: one(contractB),
  });
}
