/** The gradient of a scan: a scan in the other direction over stored values, and products over all steps after it. */
import { apply1, type GradientContext, Node, topological, type Value } from "../node.ts";
import { closeRegion, isSpreadConstant, Region } from "../region.ts";
import { isFloat } from "../types.ts";
import { add } from "./binary.ts";
import { full, fullLike } from "./common.ts";
import { type DotAttrs, dotGeneral } from "./contract.ts";
import { convKernelGradOp } from "./conv.ts";
import { reduceSum } from "./reduce.ts";
import { Family, type ScanAttrs, scanRegion } from "./scan.ts";
import { inputValue } from "./source.ts";
import { reshape, transpose } from "./view.ts";

type Stack = () => Value;

/** The gradient of the body itself: which carries need one, and the body's gradient of every target. */
function bodyGradients(c: GradientContext<ScanAttrs>) {
  const { region, carries, xs } = c.attrs;
  const { parameters, results } = region;
  const floatCarry = parameters.slice(0, carries).map((p) => isFloat(p.dtype));
  const targets = parameters.map((p, i) => (i < carries ? floatCarry[i] : c.wants[i] && isFloat(p.dtype)));
  const live = new Set(c.grads.slice(0, carries).flatMap((g, i) => (g ? [i] : [])));
  const seeds = results.map((r, i) => inputValue(`d${i}`, r.type));
  for (;;) {
    const from = results.map((_, i) => i).filter((i) => (i < carries ? live.has(i) : c.grads[i] !== null));
    const at = parameters.map((_, i) => i).filter((i) => targets[i]);
    const found = c.gradients(
      from.map((i) => results[i]),
      from.map((i) => seeds[i]),
      at.map((i) => parameters[i]),
    );
    const grads = new Map(at.map((i, k) => [i, found[k]]));
    const grown = at.filter((i) => i < carries && grads.get(i) && !live.has(i));
    if (grown.length === 0) return { live: [...live].sort((a, b) => a - b), seeds, grads, carries, xs };
    for (const i of grown) live.add(i);
  }
}

export function scanGradient(c: GradientContext<ScanAttrs>): readonly (Value | null)[] {
  const { attrs, inputs, outputs } = c;
  const { region, carries, xs, length } = attrs;
  const { parameters, results } = region;
  const { live, seeds, grads } = bodyGradients(c);

  const forward = new Set(topological(results));
  const extras: Value[] = [];
  const xParameters: { parameter: Value; stack: Stack }[] = [];
  const stackParameters = new Map<Value, Value>();
  let augmented: readonly Value[] = outputs;
  /** The x parameter of the backward loop that holds a forward value at each step. */
  const stored = (v: Value): Value => {
    let p = stackParameters.get(v);
    if (!p) {
      const known = parameters.indexOf(v);
      const y = results.indexOf(v, carries);
      let stack: Stack;
      if (known >= carries) stack = () => inputs[known];
      else if (y >= 0) stack = () => augmented[y];
      else {
        const at = results.length + extras.push(v) - 1;
        stack = () => augmented[at];
      }
      p = inputValue(`stored${stackParameters.size}`, v.type);
      stackParameters.set(v, p);
      xParameters.push({ parameter: p, stack });
    }
    return p;
  };
  const varying = new Set(parameters.slice(0, carries + xs).map((p) => p.node));
  for (const node of topological(results)) if (node.inputs.some((v) => varying.has(v.node))) varying.add(node);

  const outer = new Set(inputs.slice(carries + xs));
  const fixed = (v: Value): boolean => outer.has(v);
  const converted = new Map<Value, Value>(seeds.map((s) => [s, s]));
  const convert = (v: Value): Value => {
    let to = converted.get(v);
    if (!to) {
      to = convertNew(v);
      converted.set(v, to);
    }
    return to;
  };
  const convertNew = (v: Value): Value => {
    const parameter = parameters.indexOf(v);
    if (parameter >= 0) return parameter < carries + xs ? stored(v) : inputs[parameter];
    const { node } = v;
    if (node.inputs.length === 0 || isSpreadConstant(v)) return v;
    if (forward.has(node) && varying.has(node) && !attrs.recompute && !isCheap(node)) return stored(v);
    const next = node.inputs.map(convert);
    const product = withRows(node, next, fixed);
    if (product) return product;
    if (next.every((x, i) => x === node.inputs[i])) return v;
    const copy = new Node(node.op, node.attrs, next, node.types, node.scope);
    node.outputs.forEach((o, i) => {
      if (!converted.has(o)) converted.set(o, copy.outputs[i]);
    });
    return copy.outputs[v.index];
  };

  // Gradients of captures: products and sums over rows are left until all steps are there.
  const ys: Value[] = [];
  let backward: readonly Value[] = [];
  const accumulated: { index: number; parameter: Value; next: Value }[] = [];
  const later = new Map<number, (() => Value)[]>();
  const firstY = () => live.length + accumulated.length;
  const stackOf = (v: Value): Stack => {
    const at = convert(v);
    const x = xParameters.find((p) => p.parameter === at);
    if (x) return x.stack;
    const seed = seeds.indexOf(at);
    if (seed >= carries) return () => c.grads[seed]!;
    let y = ys.indexOf(at);
    if (y < 0) y = ys.push(at) - 1;
    return () => backward[firstY() + y];
  };
  for (let i = carries + xs; i < parameters.length; i++) {
    const g = grads.get(i);
    if (!g) continue;
    const now: Value[] = [];
    for (const term of terms(g, forward)) {
      const late = deferred(term, stackOf);
      if (late) later.set(i, [...(later.get(i) ?? []), late]);
      else now.push(term);
    }
    if (now.length > 0) {
      const parameter = inputValue(`sum${i}`, parameters[i].type);
      const next = now.map(convert).reduce((a, b) => add(a, b), parameter);
      accumulated.push({ index: i, parameter, next });
    }
  }
  const xGradients = new Map<number, number>();
  for (let i = carries; i < carries + xs; i++) {
    const g = grads.get(i);
    if (!g) continue;
    const value = convert(g);
    const y = ys.indexOf(value);
    xGradients.set(i, y >= 0 ? y : ys.push(value) - 1);
  }
  const carryNext = live.map((i) => {
    const g = grads.get(i);
    return g ? convert(g) : fullLike(parameters[i], 0);
  });

  const given = results.map((_, i) => i).filter((i) => i >= carries && c.grads[i] !== null);
  if (extras.length > 0) {
    augmented = scanRegion(inputs, { ...attrs, region: new Region(parameters, [...results, ...extras]) });
  }
  const backwardCarries = [...live.map((i) => seeds[i]), ...accumulated.map((a) => a.parameter)];
  const backwardXs = [...given.map((i) => ({ parameter: seeds[i], stack: () => c.grads[i]! })), ...xParameters];
  const { region: closed, captures } = closeRegion(
    [...backwardCarries, ...backwardXs.map((x) => x.parameter)],
    [...carryNext, ...accumulated.map((a) => a.next), ...ys],
  );
  const init = [
    ...live.map((i) => c.grads[i] ?? full(parameters[i].shape, 0, parameters[i].dtype)),
    ...accumulated.map((a) => full(a.parameter.shape, 0, a.parameter.dtype)),
  ];
  if (init.length + ys.length > 0) {
    backward = scanRegion([...init, ...backwardXs.map((x) => x.stack()), ...captures], {
      region: closed,
      length,
      reverse: !attrs.reverse,
      carries: init.length,
      xs: backwardXs.length,
      family: new Family(),
      recompute: false,
    });
  }
  return parameters.map((_, i) => {
    if (!c.wants[i]) return null;
    if (i < carries) {
      const k = live.indexOf(i);
      return k >= 0 ? backward[k] : null;
    }
    if (i < carries + xs) {
      const y = xGradients.get(i);
      return y === undefined ? null : backward[firstY() + y];
    }
    const k = accumulated.findIndex((a) => a.index === i);
    const parts = [...(k >= 0 ? [backward[live.length + k]] : []), ...(later.get(i) ?? []).map((f) => f())];
    return parts.length === 0 ? null : parts.reduce((a, b) => add(a, b));
  });
}

/**
 * A product with a matrix that is the same at every step and lies the wrong way: it is turned once, outside the loop,
 * so that the loop reads its rows.
 */
function withRows(node: Node, [a, b]: readonly Value[], fixed: (v: Value) => boolean): Value | null {
  if (node.op.name !== "dotGeneral" || !fixed(b) || b.shape.length !== 2) return null;
  const { batchA, batchB, contractA, contractB } = node.attrs as DotAttrs;
  if (batchA.length > 0 || contractB.length !== 1 || contractB[0] !== 1) return null;
  return dotGeneral(a, transpose(b, [1, 0]), { batchA, batchB, contractA, contractB: [0] });
}

/** Light enough to compute again rather than store. */
function isCheap(node: Node): boolean {
  const rule = node.op.kernel;
  switch (rule.kind) {
    case "map":
      return !rule.heavy && rule.flops <= 4;
    case "view":
    case "alias":
    case "assemble":
      return true;
    default:
      return false;
  }
}

/** The summands of a gradient. */
function terms(g: Value, forward: Set<Node>): Value[] {
  const list: Value[] = [];
  const stack = [g];
  while (stack.length > 0) {
    const v = stack.pop()!;
    if (v.node.op.name === "add" && !forward.has(v.node)) stack.push(v.node.inputs[1], v.node.inputs[0]);
    else list.push(v);
  }
  return list;
}

/** A summand that is a contraction or a sum, seen through views: the same over the stacks of all steps, after the loop. */
function deferred(term: Value, stackOf: (v: Value) => Stack): (() => Value) | null {
  const { op, attrs, inputs } = term.node;
  if (op.kernel.kind === "view") {
    const inner = deferred(inputs[0], stackOf);
    const { node } = term;
    return inner && (() => new Node(op, attrs, [inner()], node.types, node.scope).outputs[0]);
  }
  const one = (list: readonly number[]) => list.map((a) => a + 1);
  if (op.name === "dotGeneral") {
    const { batchA, batchB, contractA, contractB } = attrs as DotAttrs;
    const [a, b] = inputs.map(stackOf);
    return () =>
      dotGeneral(a(), b(), {
        batchA: one(batchA),
        batchB: one(batchB),
        contractA: [0, ...one(contractA)],
        contractB: [0, ...one(contractB)],
      });
  }
  if (op === convKernelGradOp) {
    const [x, dy] = inputs.map(stackOf);
    // The steps are more images.
    const joined = (v: Value) => reshape(v, [v.shape[0] * v.shape[1], ...v.shape.slice(2)]);
    return () => apply1(op, [joined(x()), joined(dy())], attrs);
  }
  if (op.name === "reduceSum") {
    const a = stackOf(inputs[0]);
    return () => reduceSum(a(), [0, ...one((attrs as { axes: readonly number[] }).axes)]);
  }
  return null;
}
