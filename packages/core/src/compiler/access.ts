/** Strided accesses: composing views, re-viewing under another shape, and finding common loop dimensions. */
import type { Access, Node, Value } from "../graph/node.ts";
import { rowMajor, type Shape, sizeOf } from "../graph/types.ts";

/** The access of a whole contiguous buffer. */
export function contiguous(shape: Shape): Access {
  return { shape, strides: rowMajor(shape), offset: 0 };
}

/** True when the access reads consecutive elements in row-major order. */
export function isContiguous(a: Access): boolean {
  let expected = 1;
  for (let i = a.shape.length - 1; i >= 0; i--) {
    if (a.shape[i] !== 1 && a.strides[i] !== expected) return false;
    expected *= a.shape[i];
  }
  return true;
}

/** A chain of view nodes, innermost (next to the data) first. */
export interface Chain {
  readonly key: string;
  readonly node: Node | null;
  readonly next: Chain | null;
}
export const emptyChain: Chain = { key: "", node: null, next: null };
export function prepend(node: Node, chain: Chain): Chain {
  return { key: `${node.id},${chain.key}`, node, next: chain };
}

/** Applies a chain of views to an access; a failing view is reported as the value that must be made contiguous. */
export function through(start: Access, chain: Chain): Access | { readonly blocked: Value } {
  let access = start;
  for (let c: Chain | null = chain; c?.node; c = c.next) {
    const rule = c.node.op.kernel;
    if (rule.kind !== "view") throw new Error(`${c.node.op.name} is not a view`);
    const next = rule.view(access, c.node.attrs, c.node.types[0]);
    if (!next) return { blocked: c.node.inputs[0] };
    access = next;
  }
  return access;
}

/**
 * The coarsest list of sizes that refines all shapes (same number of elements, row-major): the union of their suffix
 * products. Null when these do not divide each other.
 */
export function commonRefinement(shapes: readonly Shape[]): number[] | null {
  const bounds = new Set<number>([1]);
  for (const s of shapes) {
    let p = 1;
    for (let i = s.length - 1; i >= 0; i--) {
      p *= s[i];
      bounds.add(p);
    }
  }
  const sorted = [...bounds].sort((a, b) => a - b);
  const dims: number[] = [];
  for (let i = 1; i < sorted.length; i++) {
    if (sorted[i - 1] === 0 || sorted[i] % sorted[i - 1] !== 0) return null;
    dims.unshift(sorted[i] / sorted[i - 1]);
  }
  return dims;
}

/** Strides of an access over `shape` when seen over `dims`, a refinement of `shape`. */
export function refine(access: Access, dims: readonly number[]): number[] {
  const strides = new Array<number>(dims.length).fill(0);
  let d = dims.length - 1;
  for (let i = access.shape.length - 1; i >= 0; i--) {
    let left = access.shape[i];
    let stride = access.strides[i];
    while (left > 1) {
      strides[d] = stride;
      stride *= dims[d];
      left /= dims[d];
      d--;
    }
  }
  return strides;
}

/** Groups of adjacent dimensions that every stride vector crosses evenly may be walked as one. `cuts` are never crossed. */
export function collapse(
  dims: readonly number[],
  accesses: readonly (readonly number[])[],
  cuts: readonly number[] = [],
): { dims: number[]; strides: number[][]; groupOf: number[] } {
  const outDims: number[] = [];
  const out: number[][] = accesses.map(() => []);
  const groupOf: number[] = [];
  for (let i = 0; i < dims.length; i++) {
    const last = outDims.length - 1;
    const joins = last >= 0 && !cuts.includes(i) && accesses.every((s, k) => out[k][last] === s[i] * dims[i]);
    if (joins) {
      outDims[last] *= dims[i];
      for (let k = 0; k < accesses.length; k++) out[k][last] = accesses[k][i];
      groupOf.push(last);
    } else {
      outDims.push(dims[i]);
      for (let k = 0; k < accesses.length; k++) out[k].push(accesses[k][i]);
      groupOf.push(last + 1);
    }
  }
  return { dims: outDims, strides: out, groupOf };
}

/** Number of elements an access spans in its buffer, for bounds. */
export function spanOf(access: Access): number {
  if (sizeOf(access.shape) === 0) return 0;
  return access.shape.reduce((s, d, i) => s + Math.max(0, (d - 1) * access.strides[i]), access.offset + 1);
}
