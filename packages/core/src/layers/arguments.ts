/** Arguments of layer calls: trees of tensors, and their shapes. */

import { show } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import { encodeBf16, encodeF16 } from "../graph/half.ts";
import { allocate, type DType, type TypedArray } from "../graph/types.ts";
import { type NestedStrings, StringTensor } from "../tensor/string-tensor.ts";
import { type NestedNumbers, Tensor, tensor } from "../tensor/tensor.ts";
import type { Tree } from "../tensor/tree.ts";
import type { OpenShape } from "./symbolic.ts";

export type TensorTree = Tree<Tensor>;
/** What users may pass: tensors, nested numbers or strings, or typed arrays, alone or in trees. */
export type Argument = Tensor | NestedNumbers | TypedArray | StringTensor | NestedStrings;
export type ArgumentTree = Argument | readonly ArgumentTree[] | { readonly [key: string]: ArgumentTree };
/** A tree of shapes; an array of sizes is a leaf. */
export type ShapeTree = OpenShape | readonly ShapeTree[] | { readonly [key: string]: ShapeTree };

/** What host layers see and give. */
export type HostValue = Tensor | StringTensor;
export type HostTree = Tree<HostValue>;

export const isHostValue = (x: unknown): x is HostValue => x instanceof Tensor || x instanceof StringTensor;
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
    if (typeof inner !== "string") return x.map(asTensors);
  }
  if (isStrings(x)) {
    throw new LayerwiseError("strings were given where numbers are needed", {
      code: "E104",
      received: show(x instanceof StringTensor ? x.data.slice(0, 3) : x),
      expected: "a tensor or numbers",
      hint: "a model whose first layer is textVectorization, stringLookup or hashing takes strings",
    });
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

/** Whether something is strings alone: one, nested arrays, or a StringTensor. */
function isStrings(x: unknown): x is NestedStrings | StringTensor {
  return typeof x === "string" || x instanceof StringTensor || (Array.isArray(x) && x.length > 0 && x.every(isStrings));
}

/** Like `asTensors`, for what runs on the host: strings stay strings. Arrays of strings are one StringTensor. */
export function asHostValues(x: unknown): HostTree {
  if (isStrings(x)) return StringTensor.of(x);
  if (Array.isArray(x) && x.some((y) => typeof y === "object")) {
    let inner: unknown = x;
    while (Array.isArray(inner)) inner = inner[0];
    if (typeof inner !== "number" && typeof inner !== "boolean") return x.map(asHostValues);
  }
  if (x !== null && typeof x === "object" && Object.getPrototypeOf(x) === Object.prototype)
    return Object.fromEntries(Object.entries(x).map(([k, v]) => [k, asHostValues(v)]));
  return asTensors(x as ArgumentTree);
}

/** Shapes of a tree of values. */
export function shapesOf(tree: HostTree): ShapeTree {
  return mapTree(tree, isHostValue, (t) => t.shape) as ShapeTree;
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
