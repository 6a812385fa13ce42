/** Direct passes over the graph before fusion: aliases removed, equal nodes merged, neutral arithmetic and views dropped. */
import { Node, topological, type Value } from "../graph/node.ts";
import { concat, type PadAttrs, padOp } from "../graph/ops/assemble.ts";
import { castOp } from "../graph/ops/cast.ts";
import { constantNumber as numberOf } from "../graph/ops/source.ts";
import { Region } from "../graph/region.ts";
import { attrsKey } from "../graph/structure.ts";
import { sameShape, type TypedArray } from "../graph/types.ts";
import { byteQuotient } from "./quotients.ts";
import { regionCompiler } from "./regions.ts";
import { throughPooling } from "./through-pooling.ts";

type Pass = (roots: readonly Value[]) => Value[];
let plugged: Pass | null = null;

/** A last pass, plugged in by whoever makes graphs that it is for, so that a page without them does not carry it. */
export function plugPass(pass: Pass): void {
  plugged = pass;
}

/** Replacement for each root. The graph reachable from the result has no alias nodes and no two equal nodes. */
export function simplify(given: readonly Value[]): Value[] {
  const roots = regionCompiler()?.merge(given) ?? given;
  const replaced = new Map<Value, Value>();
  const seen = new Map<string, Node>();
  const at = (v: Value): Value => replaced.get(v) ?? v;
  for (const node of topological(roots)) {
    const inputs = node.inputs.map(at);
    if (node.op.kernel.kind === "alias") {
      node.outputs.forEach((o, i) => {
        replaced.set(o, inputs[i]);
      });
      continue;
    }
    const same =
      neutral(node, inputs) ?? joinPads(node, inputs) ?? throughPooling(node, inputs) ?? byteQuotient(node, inputs);
    if (same) {
      replaced.set(node.outputs[0], same);
      continue;
    }
    const attrs = simplifyRegions(node.attrs);
    const changed = attrs !== node.attrs || inputs.some((v, i) => v !== node.inputs[i]);
    const next = changed ? new Node(node.op, attrs, inputs, node.types, node.scope) : node;
    const key = nodeKey(next);
    const known = key === null ? undefined : seen.get(key);
    const final = known ?? next;
    if (!known && key !== null) seen.set(key, next);
    if (final !== node) {
      node.outputs.forEach((o, i) => {
        replaced.set(o, final.outputs[i]);
      });
    }
  }
  const simple = roots.map(at);
  return plugged ? plugged(simple) : simple;
}

/** Attributes with every region in them simplified. */
function simplifyRegions(attrs: unknown): unknown {
  if (attrs === null || typeof attrs !== "object") return attrs;
  const regions = Object.entries(attrs).filter(([, v]) => v instanceof Region) as [string, Region][];
  if (regions.length === 0) return attrs;
  return {
    ...attrs,
    ...Object.fromEntries(regions.map(([k, r]) => [k, new Region(r.parameters, simplify(r.results))])),
  };
}

/**
 * The single number a value holds everywhere, through broadcasts, reshapes and casts to f32; undefined when it is not a
 * constant.
 */
export function constantNumber(v: Value): number | undefined {
  let at = v;
  while (at.node.op.kernel.kind === "view" || isCast(at)) at = at.node.inputs[0];
  const x = numberOf(at);
  return x !== undefined && v.dtype === "f32" ? Math.fround(x) : x;
}

function isCast(v: Value): boolean {
  return (
    v.node.op === castOp && v.dtype === "f32" && ["i32", "u32", "u8", "i8", "i16"].includes(v.node.inputs[0].dtype)
  );
}

/** x when the node computes x: x+0 (not -0 sensitive: x-0), x·1, x/1, views that change nothing, casts to the same dtype. */
function neutral(node: Node, inputs: readonly Value[]): Value | null {
  const [a, b] = inputs;
  switch (node.op.kernel.kind) {
    case "view":
      if (!sameShape(a.shape, node.types[0].shape)) return null;
      return isIdentityView(node) ? a : null;
    case "map":
      break;
    default:
      return null;
  }
  const name = node.op.name;
  if (name === "cast") return a.dtype === node.types[0].dtype ? a : null;
  if (name === "mul") {
    if (constantNumber(b) === 1) return a;
    if (constantNumber(a) === 1) return b;
  } else if ((name === "div" && constantNumber(b) === 1) || (name === "sub" && Object.is(constantNumber(b), 0)))
    return a;
  return null;
}

/** Σ of tensors padded with zeros that fill one axis without gaps or overlaps (gradients of slices): their concatenation. */
function joinPads(node: Node, inputs: readonly Value[]): Value | null {
  if (node.op.name !== "add") return null;
  const parts: { value: Value; low: number; high: number }[] = [];
  const stack = [...inputs];
  let axis = -1;
  while (stack.length > 0) {
    const { op, attrs, inputs: under } = stack.pop()!.node;
    if (op.name === "add") stack.push(...under);
    else {
      if (op !== padOp || parts.length > 64) return null;
      const { low, high, step, value } = attrs as PadAttrs;
      if (value !== 0 || step.some((s) => s !== 1)) return null;
      const padded = low.flatMap((l, i) => (l > 0 || high[i] > 0 ? [i] : []));
      if (padded.length !== 1 || (axis >= 0 && axis !== padded[0])) return null;
      axis = padded[0];
      parts.push({ value: under[0], low: low[axis], high: high[axis] });
    }
  }
  parts.sort((a, b) => a.low - b.low);
  let end = 0;
  for (const p of parts) {
    if (p.low !== end) return null;
    end += p.value.shape[axis];
  }
  if (end !== node.types[0].shape[axis]) return null;
  return concat(
    parts.map((p) => p.value),
    axis,
  );
}

function isIdentityView(node: Node): boolean {
  const rule = node.op.kernel;
  if (rule.kind !== "view") return false;
  const shape = node.inputs[0].shape;
  const strides = new Array<number>(shape.length);
  let s = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = s;
    s *= Math.max(1, shape[i]);
  }
  const out = rule.view({ shape, strides, offset: 0 }, node.attrs, node.types[0]);
  return (
    out !== null &&
    out.offset === 0 &&
    sameShape(out.shape, shape) &&
    out.strides.every((x, i) => x === strides[i] || shape[i] <= 1)
  );
}

/** A key equal for equal computations; null for nodes that must stay apart. */
function nodeKey(node: Node): string | null {
  const { op, attrs, inputs } = node;
  if (op.kernel.kind === "source") {
    if (op.name !== "constant") return null;
    const { data } = attrs as { data: TypedArray };
    return data.length === 1
      ? `c:${node.types[0].dtype}[${node.types[0].shape}]:${Object.is(data[0], -0) ? "-0" : data[0]}`
      : null;
  }
  const key = attrsKey(attrs);
  if (key === null) return null;
  return `${op.name}(${inputs.map((v) => `${v.node.id}.${v.index}`).join(",")})${key}`;
}
