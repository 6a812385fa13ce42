/** Regions: subgraphs over parameters of their own, held in the attributes of scan, cond and while. */
import { Node, type OpRecord, topological, type Value } from "./node.ts";
import { inputValue, isScalarConstant } from "./ops/source.ts";
import { broadcastOp } from "./ops/view.ts";
import type { TypedArray } from "./types.ts";

/**
 * Results as functions of parameters. Nothing else enters: whatever a body uses of its surroundings is a parameter too
 * (`closeRegion` finds it), except constants that are one number.
 */
export class Region {
  readonly parameters: readonly Value[];
  readonly results: readonly Value[];
  private key: unknown = null;
  constructor(parameters: readonly Value[], results: readonly Value[]) {
    this.parameters = parameters;
    this.results = results;
  }

  /** Equal for regions that compute the same: what structure keys and the merging of equal nodes compare. */
  toJSON(): unknown {
    this.key ??= describe(this);
    return this.key;
  }
}

function describe({ parameters, results }: Region): unknown {
  const number = new Map<Node, number | string>();
  parameters.forEach((p, i) => {
    number.set(p.node, `p${i}`);
  });
  const name = (v: Value) => `${number.get(v.node)}.${v.index}`;
  const parts: unknown[] = parameters.map((p) => `${p.dtype}[${p.shape}]`);
  for (const node of topological(results)) {
    if (number.has(node)) continue;
    number.set(node, number.size);
    if (node.op.name === "constant") {
      const { data, type } = node.attrs as { data: TypedArray; type: Value["type"] };
      parts.push(`${type.dtype}[${type.shape}]:${Array.from(data, (x) => (Object.is(x, -0) ? "-0" : String(x)))}`);
    } else parts.push(node.op.name, node.inputs.map(name).join(), node.attrs);
  }
  parts.push(results.map(name).join());
  return parts;
}

/** The number a value holds everywhere, seen through views; such values are made anew wherever they are used. */
export function isSpreadConstant(v: Value): boolean {
  let at = v;
  while (at.node.op.kernel.kind === "view") at = at.node.inputs[0];
  return isScalarConstant(at);
}

/** The same results with values replaced. `replace` is asked for every value from the results down; null keeps it. */
export function substitute(results: readonly Value[], replace: (v: Value) => Value | null): Value[] {
  const done = new Map<Value, Value>();
  const stack: Value[] = [];
  for (const root of results) {
    stack.push(root);
    while (stack.length > 0) {
      const v = stack[stack.length - 1];
      if (done.has(v)) {
        stack.pop();
        continue;
      }
      const given = replace(v);
      if (given) {
        done.set(v, given);
        stack.pop();
        continue;
      }
      const missing = v.node.inputs.filter((i) => !done.has(i));
      if (missing.length > 0) {
        stack.push(...missing);
        continue;
      }
      stack.pop();
      const inputs = v.node.inputs.map((i) => done.get(i)!);
      const same = inputs.every((x, i) => x === v.node.inputs[i]);
      const node = same ? v.node : new Node(v.node.op, v.node.attrs, inputs, v.node.types, v.node.scope);
      v.node.outputs.forEach((o, i) => {
        if (!done.has(o)) done.set(o, node.outputs[i]);
      });
    }
  }
  return results.map((r) => done.get(r)!);
}

/** The nodes that depend on any of `values`, those of `values` included. */
export function dependents(results: readonly Value[], values: readonly Value[]): Set<Node> {
  const found = new Set(values.map((v) => v.node));
  for (const node of topological(results)) if (node.inputs.some((v) => found.has(v.node))) found.add(node);
  return found;
}

/**
 * Makes a region of results: what they use that does not depend on the parameters is computed outside, once, and becomes
 * a further parameter. Returns those outer values in the order of their parameters.
 */
export function closeRegion(
  parameters: readonly Value[],
  results: readonly Value[],
  inside: ReadonlySet<Node> = dependents(results, parameters),
): { region: Region; captures: Value[] } {
  const captures: Value[] = [];
  const captured = new Map<Value, Value>();
  const capture = (v: Value): Value => {
    let p = captured.get(v);
    if (!p) {
      p = inputValue(`capture${captures.length}`, v.type);
      captures.push(v);
      captured.set(v, p);
    }
    return p;
  };
  const closed = substitute(results, (v) => {
    if (captured.has(v)) return captured.get(v)!;
    if (inside.has(v.node)) return parameters.includes(v) ? v : null;
    if (isSpreadConstant(v)) return v;
    // A row repeated along other axes is captured as the row.
    return v.node.op === broadcastOp ? null : capture(v);
  });
  return { region: new Region([...parameters, ...captures.map(capture)], closed), captures };
}

/** Makes a region of what `body` returns, without parameters of its own: inside is what is made while it runs. */
export function closeTraced(body: () => readonly Value[]): { region: Region; captures: Value[] } {
  const first = new Node(marker, null, [], []).id;
  const results = body();
  const inside = topological(results).filter((n) => n.id > first && n.op.kernel.kind !== "source");
  return closeRegion([], results, new Set(inside));
}
const marker: OpRecord<null> = { name: "marker", infer: () => [], gradient: "none", kernel: { kind: "source" } };
