/** Symbolic tensors: what `input()` and layers applied to it return; the edges of a functional model. */
import type { ValueDType } from "../tensor/string-tensor.ts";
import type { Tree } from "../tensor/tree.ts";
import type { Layer } from "./layer.ts";

/** A shape whose unknown sizes (the batch, usually) are null. */
export type OpenShape = readonly (number | null)[];

let nextId = 1;

/** A value that will exist when the model is called. It has a shape and dtype, and no data. */
export class SymbolicTensor {
  readonly id: number = nextId++;
  readonly shape: OpenShape;
  readonly dtype: ValueDType;
  /** Shape of the mask that will come with it, or null. */
  readonly maskShape: OpenShape | null;
  /** The call that makes it, and which of its outputs it is. */
  readonly node: SymbolicNode;
  readonly index: number;

  constructor(
    shape: OpenShape,
    dtype: ValueDType,
    node: SymbolicNode,
    index: number,
    maskShape: OpenShape | null = null,
  ) {
    this.shape = shape;
    this.dtype = dtype;
    this.node = node;
    this.index = index;
    this.maskShape = maskShape;
  }
  get layer(): Layer {
    return this.node.layer;
  }
}

export function isSymbolic(x: unknown): x is SymbolicTensor {
  return x instanceof SymbolicTensor;
}

/** One call of a layer on symbolic tensors. */
export class SymbolicNode {
  readonly layer: Layer;
  /** Arguments as given; leaves are symbolic tensors. */
  readonly inputs: Tree<SymbolicTensor>;
  /** Call options other than masks and mode, for saving (may hold symbolic tensors). */
  readonly options: { readonly [name: string]: unknown };
  outputs: Tree<SymbolicTensor> = [];

  constructor(layer: Layer, inputs: Tree<SymbolicTensor>, options: { readonly [name: string]: unknown }) {
    this.layer = layer;
    this.inputs = inputs;
    this.options = options;
  }
  /** All symbolic tensors this call depends on: inputs, then those among the options. */
  get parents(): SymbolicTensor[] {
    return [...symbolicLeaves(this.inputs), ...Object.values(this.options).flatMap(symbolicLeaves)];
  }
  get outputList(): SymbolicTensor[] {
    return symbolicLeaves(this.outputs);
  }
}

/** The symbolic tensors in any value: itself, or in arrays and plain records. */
export function symbolicLeaves(x: unknown): SymbolicTensor[] {
  if (isSymbolic(x)) return [x];
  if (Array.isArray(x)) return x.every((y) => typeof y === "number") ? [] : x.flatMap(symbolicLeaves);
  const plain = x !== null && typeof x === "object" && Object.getPrototypeOf(x) === Object.prototype;
  return plain ? Object.values(x).flatMap(symbolicLeaves) : [];
}
