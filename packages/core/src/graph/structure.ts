/** The structure of a graph as text: what tells whether two graphs can share a program. */
import { type Node, topological, type Value } from "./node.ts";
import { constant, input, type VariableRef, variable } from "./ops/source.ts";

/** Equal for attributes that mean the same; null where they hold a function, which nobody can compare. */
export function attrsKey(attrs: unknown): string | null {
  let comparable = true;
  const text = JSON.stringify(attrs, (_, v) => {
    if (typeof v === "function") comparable = false;
    return typeof v === "number" && (!Number.isFinite(v) || Object.is(v, -0)) ? `${Object.is(v, -0) ? "-0" : v}` : v;
  });
  return comparable ? `${text}` : null;
}

export interface Structure {
  /**
   * Equal for graphs that differ only in the contents of their constants and in which inputs and variables they name;
   * null where an op has attributes that cannot be compared.
   */
  readonly text: string | null;
  /** In the order of the text. */
  readonly inputs: readonly Value[];
  readonly constants: readonly Value[];
  readonly variables: readonly VariableRef[];
}

/** `scopes`: whether nodes that belong to different layers are different. */
export function structureOf(roots: readonly Value[], { scopes }: { readonly scopes: boolean }): Structure {
  const numbers = new Map<Node, number>();
  const inputs: Value[] = [];
  const constants: Value[] = [];
  const variables: VariableRef[] = [];
  const parts: string[] = [];
  let comparable = true;
  const reference = (v: Value) => `${numbers.get(v.node)}.${v.index}`;
  const attrsOf = ({ op, attrs, outputs }: Node): string => {
    if (op === constant) {
      constants.push(outputs[0]);
      return "";
    }
    if (op === variable) {
      const ref = (attrs as { readonly variable: VariableRef }).variable;
      const known = variables.indexOf(ref);
      return `${known < 0 ? variables.push(ref) - 1 : known}`;
    }
    if (op === input) {
      inputs.push(outputs[0]);
      return "";
    }
    // What an alias keeps for its gradient does not matter.
    if (op.kernel.kind === "alias") return "";
    const key = attrsKey(attrs);
    if (key === null) comparable = false;
    return key ?? "";
  };
  for (const node of topological(roots)) {
    const types = node.types.map((t) => `${t.dtype}[${t.shape}]`).join();
    numbers.set(node, numbers.size);
    parts.push(
      `${node.op.name}${scopes ? `@${node.scope}` : ""}(${node.inputs.map(reference).join()})${attrsOf(node)}:${types}`,
    );
  }
  parts.push(roots.map(reference).join());
  return { text: comparable ? parts.join(";") : null, inputs, constants, variables };
}
