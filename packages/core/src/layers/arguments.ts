/** Arguments of layer calls: trees of tensors, and their shapes. */

import { show } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import { encodeBf16, encodeF16 } from "../graph/half.ts";
import { allocate, type DType, type TypedArray } from "../graph/types.ts";
import { type NestedNumbers, Tensor, tensor } from "../tensor/tensor.ts";
import type { Tree } from "../tensor/tree.ts";
import type { OpenShape } from "./symbolic.ts";

export type TensorTree = Tree<Tensor>;
/** What users may pass: tensors, nested numbers or typed arrays, alone or in trees. */
export type Argument = Tensor | NestedNumbers | TypedArray;
export type ArgumentTree = Argument | readonly ArgumentTree[] | { readonly [key: string]: ArgumentTree };
/** A tree of shapes; an array of sizes is a leaf. */
export type ShapeTree = OpenShape | readonly ShapeTree[] | { readonly [key: string]: ShapeTree };

export const isTensor = (x: unknown): x is Tensor => x instanceof Tensor;
export const isShape = (x: unknown): x is OpenShape =>
  Array.isArray(x) && x.every((d) => d === null || typeof d === "number");

/** The tree with every leaf replaced. */
export function mapTree<T, U>(tree: unknown, isLeaf: (x: unknown) => x is T, f: (leaf: T) => U): Tree<U> {
  if (isLeaf(tree)) return f(tree);
  if (Array.isArray(tree)) return tree.map((x) => mapTree(x, isLeaf, f));
  if (tree !== null && typeof tree === "object" && Object.getPrototypeOf(tree) === Object.prototype) {
    return Object.fromEntries(Object.entries(tree).map(([k, x]) => [k, mapTree(x, isLeaf, f)]));
  }
  return tree as Tree<U>;
}

/** The leaves of a tree, in order. */
export function treeLeaves<T>(tree: unknown, isLeaf: (x: unknown) => x is T): T[] {
  const out: T[] = [];
  mapTree(tree, isLeaf, (x) => out.push(x));
  return out;
}

/** Converts the leaves of a call's argument to tensors. Arrays of numbers are one tensor, arrays of tensors are a list. */
export function asTensors(x: ArgumentTree): TensorTree {
  if (isTensor(x)) return x;
  if (typeof x === "number" || typeof x === "boolean" || ArrayBuffer.isView(x)) {
    return ArrayBuffer.isView(x) ? tensor(x as TypedArray) : Tensor.of(x as number);
  }
  if (Array.isArray(x)) {
    let inner: unknown = x;
    while (Array.isArray(inner)) inner = inner[0];
    if (typeof inner === "number" || typeof inner === "boolean") return tensor(x as NestedNumbers);
    return x.map(asTensors);
  }
  if (x !== null && typeof x === "object") {
    return Object.fromEntries(Object.entries(x).map(([k, v]) => [k, asTensors(v as ArgumentTree)]));
  }
  throw new LayerwiseError("a layer was called with something that is not a tensor", {
    code: "E104",
    received: show(x),
    expected: "a tensor, numbers, or a list or record of them",
  });
}

/** Shapes of a tree of tensors. */
export function shapesOf(tree: TensorTree): ShapeTree {
  return mapTree(tree, isTensor, (t) => t.shape) as ShapeTree;
}

/** The one shape of a layer that takes one input. */
export function oneShape(shape: ShapeTree, layer: string): OpenShape {
  if (isShape(shape)) return shape;
  throw new LayerwiseError(`${layer} takes one input`, {
    code: "E103",
    layer,
    received: JSON.stringify(shape),
    expected: "one tensor",
  });
}

/** Numbers in the host form of a dtype. */
export function hostForm(values: ArrayLike<number>, dtype: DType): TypedArray {
  if (dtype === "f16") return Uint16Array.from(values, encodeF16);
  if (dtype === "bf16") return Uint16Array.from(values, encodeBf16);
  const out = allocate(dtype, values.length);
  out.set(values);
  return out;
}
