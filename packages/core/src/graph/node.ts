/** The graph: immutable nodes, values, and the op record that says everything about one operation. */
import type { KernelBuilder } from "../compiler/builder.ts";
import type { Operand, TargetProfile } from "../compiler/loopir.ts";
import type { Epilogue, Lowered } from "../compiler/lowered.ts";
import type { DType, Shape, TensorType } from "./types.ts";

/** One result of a node. */
export class Value {
  readonly node: Node;
  readonly index: number;
  constructor(node: Node, index: number) {
    this.node = node;
    this.index = index;
  }
  get type(): TensorType {
    return this.node.types[this.index];
  }
  get shape(): Shape {
    return this.node.types[this.index].shape;
  }
  get dtype(): DType {
    return this.node.types[this.index].dtype;
  }
}

let nextId = 1;
let currentScope = "";

/** An application of an op to values. Never changed after construction. */
export class Node {
  readonly id: number = nextId++;
  readonly op: OpRecord;
  readonly attrs: unknown;
  readonly inputs: readonly Value[];
  readonly types: readonly TensorType[];
  readonly outputs: readonly Value[];
  /** Path of the layer that made this node, for the profiler and error messages. */
  readonly scope: string;
  /** Longest way to a source, in nodes: how much has piled up uncomputed. Infinite below an input or a variable. */
  readonly depth: number;
  constructor(
    op: OpRecord,
    attrs: unknown,
    inputs: readonly Value[],
    types: readonly TensorType[],
    scope = currentScope,
  ) {
    this.op = op;
    this.attrs = attrs;
    this.inputs = inputs;
    this.types = types;
    this.outputs = types.map((_, i) => new Value(this, i));
    this.scope = scope;
    let depth = op.name === "input" || op.name === "variable" ? Number.POSITIVE_INFINITY : 0;
    for (const v of inputs) if (v.node.depth >= depth) depth = v.node.depth + 1;
    this.depth = depth;
  }
}

/** Nodes made while `body` runs carry the scope `name` (nested: `outer/name`). */
export function withScope<T>(name: string, body: () => T): T {
  const saved = currentScope;
  currentScope = saved === "" ? name : `${saved}/${name}`;
  try {
    return body();
  } finally {
    currentScope = saved;
  }
}

/** Nodes made while `body` runs carry exactly the scope `path` (a gradient takes the scope of its forward node). */
export function atScope<T>(path: string, body: () => T): T {
  const saved = currentScope;
  currentScope = path;
  try {
    return body();
  } finally {
    currentScope = saved;
  }
}

/** The scope that a node made now would carry. */
export function scopePath(): string {
  return currentScope;
}

/** How a view reads its input: element [i0, i1, …] lies at offset + Σ strides[j]·ij of a contiguous buffer. */
export interface Access {
  readonly shape: Shape;
  readonly strides: readonly number[];
  readonly offset: number;
}

export interface MapContext<A> {
  readonly attrs: A;
  readonly lanes: number;
  /** Dtypes of the node's inputs and output (the operands come widened: u8 as i32, bool as mask). */
  readonly inputs: readonly TensorType[];
  readonly output: TensorType;
  /** i32 coordinates along an output axis of the lanes' elements; the rule must list the axis in `coordinates`. */
  coordinate(axis: number): Operand;
}

export interface LowerContext<A> {
  readonly attrs: A;
  readonly inputs: readonly { readonly type: TensorType; readonly access: Access; readonly size: number }[];
  readonly outputs: readonly TensorType[];
  /** Which outputs somebody wants; the others have no memory. */
  readonly used: readonly boolean[];
  readonly profile: TargetProfile;
  /** Only for records with `epilogue: true`; null when there is nothing to fuse. */
  readonly epilogue: Epilogue | null;
  /** How result 0 lies in memory, only where `places` agreed to it; null when it is contiguous. */
  readonly layout: Access | null;
}

/**
 * How an op becomes kernels. Operands and results of `map` expressions have the compute type of the dtype: f32 for f32,
 * f16, bf16; i32 for i32, u8, i8, i16; u32 for u32; `mask` for bool. The compiler converts at loads and stores.
 */
export type KernelRule<A> =
  /** Inputs, constants, variables: no kernel. */
  | { readonly kind: "source" }
  /** Element by element; all inputs have the output's shape. `flops` per element, `heavy` when recomputing it is a loss. */
  | {
      readonly kind: "map";
      readonly expr: (b: KernelBuilder, args: readonly Operand[], context: MapContext<A>) => Operand;
      readonly flops: number;
      readonly heavy?: boolean;
      /** The result is 0 where input 0 does not hold, and then nobody needs input 1, which may be undefined there. */
      readonly guards?: boolean;
      /** Axes whose coordinates the expression asks for (iota). */
      readonly coordinates?: (attrs: A) => readonly number[];
    }
  /** Another way to read input 0; null when this access cannot express it (then the input is made contiguous first). */
  | { readonly kind: "view"; readonly view: (access: Access, attrs: A, output: TensorType) => Access | null }
  /** Output i is input i. */
  | { readonly kind: "alias" }
  /** The output is filled with `fill` (if given), then each part is copied to its place (`start` per axis, `step` default 1). */
  | {
      readonly kind: "assemble";
      readonly parts: (
        inputs: readonly TensorType[],
        attrs: A,
      ) => readonly { readonly input: number; readonly start: readonly number[]; readonly step?: readonly number[] }[];
      readonly fill?: (attrs: A) => number;
    }
  /** Folds the axes of the input (kept axes in order; the output has them removed). */
  | {
      readonly kind: "reduce";
      readonly reducer: "sum" | "prod" | "max" | "min";
      readonly axes: (attrs: A) => readonly number[];
    }
  /** Its own kernels. Inputs are contiguous unless `accepts` says that a strided access of that input will do. */
  | {
      readonly kind: "lower";
      readonly lower: (context: LowerContext<A>) => Lowered;
      readonly accepts?: (input: number, access: Access, attrs: A) => boolean;
      /** Whether result 0 may lie like this: then a transposition after the op needs no copy. */
      readonly places?: (layout: Access, inputs: readonly TensorType[], attrs: A) => boolean;
      readonly epilogue?: boolean;
    }
  /** A loop or branch over regions, which the compiler lowers. Inputs and outputs are contiguous. */
  | { readonly kind: "region" };

export interface GradientContext<A> {
  readonly attrs: A;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  /** Gradient of each output; null where none flows. At least one is not null. */
  readonly grads: readonly (Value | null)[];
  /** Which inputs a gradient is asked for; others may be returned as null. */
  readonly wants: readonly boolean[];
  /** Differentiates a region: gradients of Σ outputs·outputGrads in each of `inputs`. */
  readonly gradients: (
    outputs: readonly Value[],
    outputGrads: readonly (Value | null)[],
    inputs: readonly Value[],
  ) => (Value | null)[];
}

/** Everything about one operation. Beside it, in the same file: reference semantics, documentation, samples. */
// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op; records of all ops share tables.
export interface OpRecord<A = any> {
  readonly name: string;
  readonly infer: (inputs: readonly TensorType[], attrs: A) => readonly TensorType[];
  /** One gradient (or null) per input; "none" where mathematics has none (integers, comparisons, floor …). */
  readonly gradient: "none" | ((context: GradientContext<A>) => readonly (Value | null)[]);
  readonly kernel: KernelRule<A>;
  /** FLOPs of the whole node, for ops other than maps and reductions. */
  readonly flops?: (inputs: readonly TensorType[], outputs: readonly TensorType[], attrs: A) => number;
}

/** Applies an op: infers types (which throws on bad shapes) and makes the node. */
export function apply<A>(op: OpRecord<A>, inputs: readonly Value[], attrs: A): readonly Value[] {
  const types = op.infer(
    inputs.map((v) => v.type),
    attrs,
  );
  return new Node(op, attrs, inputs, types).outputs;
}

/** Applies an op with one result. */
export function apply1<A>(op: OpRecord<A>, inputs: readonly Value[], attrs: A): Value {
  return apply(op, inputs, attrs)[0];
}

/** All nodes that `roots` depend on, inputs before users. Iterative, so depth does not matter. */
export function topological(roots: readonly Value[]): Node[] {
  const order: Node[] = [];
  const state = new Map<Node, number>();
  const stack: Node[] = [];
  for (const r of roots) {
    stack.push(r.node);
    while (stack.length > 0) {
      const node = stack[stack.length - 1];
      const next = state.get(node) ?? 0;
      if (next < node.inputs.length) {
        state.set(node, next + 1);
        const input = node.inputs[next].node;
        if (!state.has(input)) stack.push(input);
      } else {
        stack.pop();
        if (next !== Number.POSITIVE_INFINITY) order.push(node);
        state.set(node, Number.POSITIVE_INFINITY);
      }
    }
  }
  return order;
}
