/** Evaluates a graph in float64: the oracle of values and, through finite differences, of gradients. */
import { LayerwiseError } from "../../errors.ts";
import { decodeBf16, decodeF16, encodeBf16, encodeF16 } from "../half.ts";
import type { Node, Value } from "../node.ts";
import { constant } from "../ops/source.ts";
import { type DType, sameShape, sizeOf, type TensorType, type TypedArray } from "../types.ts";
import type { RefArray } from "./array.ts";
import { wrap } from "./elementwise.ts";
import { references } from "./registry.ts";

/** A host array (see `allocate`) as float64. */
export function fromHost(data: ArrayLike<number>, type: TensorType): RefArray {
  const decode = type.dtype === "f16" ? decodeF16 : type.dtype === "bf16" ? decodeBf16 : null;
  return { shape: type.shape, data: Float64Array.from(data, decode ?? ((v) => v)) };
}

/** Rounds to what the dtype can hold; f32 is left in double precision. */
function coerce(x: RefArray, dtype: DType): RefArray {
  const round = rounding(dtype);
  return round ? { shape: x.shape, data: x.data.map(round) } : x;
}
function rounding(dtype: DType): ((v: number) => number) | null {
  switch (dtype) {
    case "f32":
      return null;
    case "f16":
      return (v) => decodeF16(encodeF16(v));
    case "bf16":
      return (v) => decodeBf16(encodeBf16(v));
    case "bool":
      return (v) => (v === 0 ? 0 : 1);
    case "i32":
    case "u32":
    case "u8":
    case "i8":
    case "i16":
      return (v) => wrap(v, dtype);
    default:
      return dtype satisfies never;
  }
}

/**
 * The values of `roots`. `feed` supplies inputs and variables (by their node or value); it may also replace the value of
 * any other node, whose own inputs are then not needed. Iterative, so depth does not matter.
 */
export function evaluate(roots: readonly Value[], feed: ReadonlyMap<Node | Value, RefArray> = new Map()): RefArray[] {
  const results = new Map<Node, (RefArray | undefined)[]>();
  const fed = (v: Value) => feed.get(v) ?? feed.get(v.node);
  const at = (v: Value) => fed(v) ?? results.get(v.node)?.[v.index];
  const stack: Value[] = [];
  for (const root of roots) {
    stack.push(root);
    while (stack.length > 0) {
      const v = stack[stack.length - 1];
      if (at(v)) {
        stack.pop();
        continue;
      }
      const missing = v.node.inputs.filter((input) => !at(input));
      if (missing.length > 0) stack.push(...missing);
      else {
        results.set(v.node, run(v.node, v.node.inputs.map(at) as RefArray[]));
        stack.pop();
      }
    }
  }
  return roots.map((r) => at(r)!);
}

function run(node: Node, inputs: readonly RefArray[]): RefArray[] {
  if (node.op === constant) {
    const { data, type } = node.attrs as { data: TypedArray; type: TensorType };
    return [fromHost(data, type)];
  }
  const reference = references.get(node.op.name);
  if (!reference) {
    const source = node.op.kernel.kind === "source";
    throw new LayerwiseError(
      source ? `nothing was fed for ${node.op.name} "${nameOf(node)}"` : `${node.op.name} has no reference semantics`,
      {
        code: "E001",
        layer: node.scope || undefined,
        expected: source ? "an array in `feed`" : "an entry in the `references` of its family",
      },
    );
  }
  const outputs = reference(
    inputs,
    node.attrs,
    node.types,
    node.inputs.map((v) => v.type),
    evaluate,
  );
  return outputs.map((x, i) => {
    const type = node.types[i];
    if (x.data.length !== sizeOf(type.shape) || !sameShape(x.shape, type.shape)) {
      throw new Error(
        `reference of ${node.op.name}: output ${i} is ${x.shape.join("×")}, expected ${type.shape.join("×")}`,
      );
    }
    return coerce(x, type.dtype);
  });
}

function nameOf(node: Node): string {
  const attrs = node.attrs as { name?: string; variable?: { name: string } };
  return attrs.name ?? attrs.variable?.name ?? String(node.id);
}
