/** Fusion: decides which values get memory, and groups them into kernels-to-be. */
import type { Access, KernelRule, Node, Value } from "../graph/node.ts";
import { topological } from "../graph/node.ts";
import { reshapeOp, transposeOp } from "../graph/ops/view.ts";
import { rowMajor, sameShape, sizeOf } from "../graph/types.ts";
import { type Chain, commonRefinement, contiguous, emptyChain, isContiguous, prepend, through } from "./access.ts";

/** Maps and row reductions over one iteration space of `rows × inner` elements, computed by one kernel. */
export interface LoopGroup {
  readonly kind: "loop";
  /** Values computed here that others (or later passes) need, in dependency order. */
  members: Value[];
  /** Members that only this group reads: they get no buffer. */
  internal: Set<Value>;
  rows: number;
  inner: number;
}
/** Reductions over leading or mixed axes of one input space. */
export interface ReduceGroup {
  readonly kind: "reduce";
  members: Value[];
}
/** An op with kernels of its own, and the elementwise chain that is fused into its stores. */
export interface LowerGroup {
  readonly kind: "lower";
  readonly node: Node;
  /** Maps applied to output 0 before it is stored, in order, and perhaps a transposition by the stores; the last one's value is what the group makes. */
  chain: Node[];
}
export interface AssembleGroup {
  readonly kind: "assemble";
  readonly node: Node;
}
export type Group = LoopGroup | ReduceGroup | LowerGroup | AssembleGroup;

export interface Fusion {
  readonly groups: Group[];
  /** Values with memory: sources that are not scalar constants, and everything groups make. */
  readonly buffers: Set<Value>;
}

/** More inlined nodes than this in one kernel are split, to keep functions small. */
const maxInlined = 96;
/** Most buffers of a merged kernel: engines limit the parameters of a function (V8: 1,000), registers much sooner. */
const maxBuffers = 128;
/** Rows of internal values live in thread scratch; longer rows are not fused. */
const maxInner = 16384;

export function outputsOf(group: Group): Value[] {
  switch (group.kind) {
    case "loop":
      return group.members.filter((m) => !group.internal.has(m));
    case "reduce":
      return group.members;
    case "lower": {
      const last = group.chain[group.chain.length - 1];
      return last ? [last.outputs[0]] : [...group.node.outputs];
    }
    case "assemble":
      return [...group.node.outputs];
  }
}

/** Follows views down to the value that holds the data. */
export function baseOf(v: Value): { base: Value; chain: Chain } {
  let chain = emptyChain;
  let at = v;
  while (at.node.op.kernel.kind === "view") {
    chain = prepend(at.node, chain);
    at = at.node.inputs[0];
  }
  return { base: at, chain };
}

/** A leaf of an inlined expression: a value with memory (or a coordinate) seen through views. */
export interface Leaf {
  readonly value: Value;
  readonly chain: Chain;
}

/** All leaves of the expression of `root` under `isBuffer`, each (value, chain) once; `visitMap` sees the inlined maps. */
export function leavesOf(
  root: Value,
  isBuffer: (v: Value) => boolean,
  visitMap?: (n: Node, chain: Chain) => void,
): Leaf[] {
  const leaves: Leaf[] = [];
  const seen = new Set<Value | string>();
  const visit = (v: Value, chain: Chain, top: boolean): void => {
    const key = chain.node ? `${v.node.id}.${v.index}|${chain.key}` : v;
    if (seen.has(key)) return;
    seen.add(key);
    if (!top && isBuffer(v)) {
      leaves.push({ value: v, chain });
      return;
    }
    const rule = v.node.op.kernel;
    if (rule.kind === "view") visit(v.node.inputs[0], prepend(v.node, chain), false);
    else if (rule.kind === "map" || (rule.kind === "reduce" && top)) {
      visitMap?.(v.node, chain);
      for (const i of v.node.inputs) visit(i, chain, false);
    } else leaves.push({ value: v, chain });
  };
  visit(root, emptyChain, true);
  return leaves;
}

export function fuse(roots: readonly Value[]): Fusion {
  const nodes = topological(roots);
  const users = usersOf(nodes);
  const buffers = chooseBuffers(nodes, roots, users);
  const order = new Map(nodes.map((n, i) => [n, i]));
  const groups = mergeGroups(initialGroups(nodes, buffers, users, new Set(roots)), buffers, new Set(roots), order);
  return { groups, buffers };
}

/** The nodes in an order that has what needs fewer kernels one after the other first. */
function earlyOrder(nodes: readonly Node[]): Node[] {
  const kernelsBefore = new Map<Node, number>();
  const through = ({ node }: Value) => {
    const { kind } = node.op.kernel;
    const own = kind === "source" || kind === "map" || kind === "view" ? 0 : 1;
    return kernelsBefore.get(node)! + own;
  };
  for (const n of nodes) kernelsBefore.set(n, Math.max(0, ...n.inputs.map(through)));
  return [...nodes].sort((a, b) => kernelsBefore.get(a)! - kernelsBefore.get(b)!);
}

/** Direct users of each value. */
function usersOf(nodes: readonly Node[]): Map<Value, Node[]> {
  const users = new Map<Value, Node[]>();
  for (const n of nodes) {
    for (const v of n.inputs) {
      const list = users.get(v);
      if (!list) users.set(v, [n]);
      else if (!list.includes(n)) list.push(n);
    }
  }
  return users;
}

/** Nodes that use a value, looking through views. */
function kernelUsers(v: Value, users: Map<Value, Node[]>, out: Set<Node> = new Set()): Set<Node> {
  for (const n of users.get(v) ?? []) {
    if (n.op.kernel.kind === "view") kernelUsers(n.outputs[0], users, out);
    else out.add(n);
  }
  return out;
}

function chooseBuffers(nodes: readonly Node[], roots: readonly Value[], users: Map<Value, Node[]>): Set<Value> {
  const buffers = new Set<Value>();
  const isScalarConstant = (v: Value) => v.node.op.name === "constant" && sizeOf(v.shape) === 1;
  for (const n of nodes) {
    const kind = n.op.kernel.kind;
    for (const o of n.outputs) {
      if (
        kind === "source"
          ? !isScalarConstant(o)
          : kind === "reduce" || kind === "lower" || kind === "region" || kind === "assemble"
      )
        buffers.add(o);
    }
  }
  for (const r of roots) buffers.add(r);
  // What kernels of their own read must lie in memory, in a layout they can take.
  for (const n of nodes) {
    const rule = n.op.kernel;
    if (rule.kind !== "lower" && rule.kind !== "region" && rule.kind !== "assemble") continue;
    n.inputs.forEach((v, i) => {
      if (buffers.has(v)) return;
      const { base, chain } = baseOf(v);
      if (chain.node) {
        const access = through(contiguous(base.shape), chain);
        if (!("blocked" in access)) {
          const fits = isContiguous(access) || (rule.kind === "lower" && (rule.accepts?.(i, access, n.attrs) ?? false));
          // A view of something that is anyway in memory, or that keeps the order, costs nothing.
          if (fits && !isScalarConstant(base)) {
            buffers.add(base);
            return;
          }
        }
      }
      buffers.add(v);
    });
  }
  // Maps: keep what is expensive and used more than once, and cut expressions that grow too large.
  const inlined = new Map<Value, number>();
  for (const n of nodes) {
    const rule = n.op.kernel;
    if (rule.kind !== "map" && rule.kind !== "view") continue;
    const v = n.outputs[0];
    if (rule.kind === "view") {
      inlined.set(v, buffers.has(v) ? 0 : (inlined.get(n.inputs[0]) ?? 0));
      continue;
    }
    let size = 1;
    for (const i of n.inputs) size += buffers.has(i) ? 0 : (inlined.get(i) ?? 0);
    if (!buffers.has(v)) {
      const users_ = kernelUsers(v, users);
      const several = users_.size > 1 && sizeOf(v.shape) > 1 && !cheap(v, buffers, inlined);
      if (several) for (const kept of keptFor(v, buffers, users)) buffers.add(kept);
      else if (size > maxInlined) buffers.add(v);
    }
    inlined.set(v, buffers.has(v) ? 0 : size);
  }
  // Views that an inlined expression cannot express as strides need their input in memory.
  for (let again = true; again; ) {
    again = false;
    for (const n of nodes) {
      for (const o of n.outputs) {
        const kind = n.op.kernel.kind;
        if (!buffers.has(o) || kind === "source" || kind === "lower" || kind === "region" || kind === "assemble")
          continue;
        const need = (access: ReturnType<typeof through>): void => {
          if (!("blocked" in access) || buffers.has(access.blocked)) return;
          buffers.add(access.blocked);
          again = true;
        };
        // Coordinates are read through views as memory is.
        const coordinates = (map: Node, chain: Chain): void => {
          const rule = map.op.kernel;
          const { shape } = map.types[0];
          for (const axis of (rule.kind === "map" ? rule.coordinates?.(map.attrs) : undefined) ?? [])
            need(through({ shape, strides: shape.map((_, i) => (i === axis ? 1 : 0)), offset: 0 }, chain));
        };
        for (const leaf of leavesOf(o, (v) => buffers.has(v), coordinates))
          need(through(contiguous(leaf.value.shape), leaf.chain));
      }
    }
  }
  return buffers;
}

/**
 * What to keep of a value that is expensive and used more than once: the one value that is made of it from nothing else in
 * memory than itself is, so that only this is read again (of gelu its derivative, not Φ), or else the value itself. What
 * other kernels want anyway, such as gelu's result, is computed beside it.
 */
function keptFor(v: Value, buffers: Set<Value>, users: Map<Value, Node[]>): readonly Value[] {
  const sources = leavesIn(v, buffers);
  const ends = new Set<Value>();
  const followed = new Map<Value, boolean>();
  /** Whether all users of `x` need no other source; the last such values are ends. */
  const follow = (x: Value): boolean => {
    const known = followed.get(x);
    if (known !== undefined) return known;
    const all = (users.get(x) ?? []).every(({ op, outputs: [y] }) => {
      if (op.kernel.kind !== "map" || sizeOf(y.shape) !== sizeOf(v.shape)) return false;
      for (const leaf of leavesIn(y, buffers)) if (!sources.has(leaf)) return false;
      if (buffers.has(y) || !follow(y)) ends.add(y);
      return true;
    });
    followed.set(x, all);
    return all;
  };
  if (!follow(v)) return [v];
  const kept = [...ends].filter((x) => !buffers.has(x));
  return kept.length <= 1 ? kept : [v];
}

/** Values in memory, of more than one element, that an expression is computed from. */
function leavesIn(v: Value, buffers: Set<Value>): Set<Value> {
  const leaves = leavesOf(v, (x) => buffers.has(x)).map((l) => l.value);
  return new Set(leaves.filter((x) => sizeOf(x.shape) > 1));
}

/** Few light operations on at most two tensors in memory: recomputing costs no more than loading the result. */
function cheap(v: Value, buffers: Set<Value>, inlined: Map<Value, number>): boolean {
  if ((inlined.get(v) ?? 1) > 4) return false;
  let flops = 0;
  let heavy = false;
  const leaves = leavesOf(
    v,
    (x) => buffers.has(x),
    (n) => {
      const rule = n.op.kernel;
      if (rule.kind === "map") {
        flops += rule.flops;
        heavy ||= rule.heavy ?? false;
      }
    },
  );
  const full = leaves.filter((l) => sizeOf(l.value.shape) > 1).length;
  return !heavy && flops <= 3 && full <= 1;
}

type LowerRule = Extract<KernelRule<unknown>, { kind: "lower" }>;

function initialGroups(
  nodes: readonly Node[],
  buffers: Set<Value>,
  users: Map<Value, Node[]>,
  roots: Set<Value>,
): Group[] {
  const groups: Group[] = [];
  const chains = epilogueChains(nodes, buffers, users, roots);
  const absorbed = new Set<Value>([...chains.values()].flat().map((c) => c.outputs[0]));
  for (const n of nodes) {
    const rule = n.op.kernel;
    if (rule.kind === "lower") groups.push({ kind: "lower", node: n, chain: chains.get(n) ?? [] });
    else if (rule.kind === "region") groups.push({ kind: "lower", node: n, chain: [] });
    else if (rule.kind === "assemble") groups.push({ kind: "assemble", node: n });
    else if (rule.kind === "reduce") groups.push(reduceGroup(n));
  }
  for (const n of nodes) {
    const rule = n.op.kernel;
    if (rule.kind !== "map" && rule.kind !== "view") continue;
    const v = n.outputs[0];
    if (buffers.has(v) && !absorbed.has(v)) {
      groups.push({ kind: "loop", members: [v], internal: new Set(), rows: 1, inner: sizeOf(v.shape) });
    }
  }
  return groups;
}

/** Where what a chain's transposition moves lies in its result; null where there is none. */
export function layoutOf(chain: readonly Node[]): Access | null {
  const node = chain.find((c) => c.op === transposeOp);
  if (!node) return null;
  const { permutation } = node.attrs as { permutation: readonly number[] };
  const own = rowMajor(node.types[0].shape);
  return { shape: node.inputs[0].shape, strides: own.map((_, i) => own[permutation.indexOf(i)]), offset: 0 };
}

/** A reduction over trailing axes is a row loop; others get kernels of their own kind. */
function reduceGroup(n: Node): Group {
  const rule = n.op.kernel;
  if (rule.kind !== "reduce") throw new Error("not a reduction");
  const axes = [...rule.axes(n.attrs)].sort((a, b) => a - b);
  const shape = n.inputs[0].shape;
  const firstReal = axes.find((a) => shape[a] !== 1) ?? shape.length;
  let trailing = true;
  for (let a = firstReal; a < shape.length; a++) if (shape[a] !== 1 && !axes.includes(a)) trailing = false;
  const inner = axes.reduce((p, a) => p * shape[a], 1);
  const rows = sizeOf(n.types[0].shape);
  const v = n.outputs[0];
  if (trailing && inner <= maxInner && inner * rows > 0)
    return { kind: "loop", members: [v], internal: new Set(), rows, inner };
  return { kind: "reduce", members: [v] };
}

/**
 * The chains behind contractions, which leave the buffers but for their ends. All groups read only what comes before them in
 * one order, in which a chain stands where its contraction does, so that no two of them wait for each other.
 */
function epilogueChains(
  nodes: readonly Node[],
  buffers: Set<Value>,
  users: Map<Value, Node[]>,
  roots: Set<Value>,
): Map<Node, Node[]> {
  const chains = new Map<Node, Node[]>();
  const early = earlyOrder(nodes);
  const position = new Map(early.map((n, i) => [n, i]));
  for (const n of early) {
    const rule = n.op.kernel;
    if (rule.kind !== "lower" || !rule.epilogue) continue;
    const before = (x: Node): boolean => position.get(x)! < position.get(n)!;
    const chain = epilogueChain(n, rule, buffers, users, roots, before);
    if (chain.length === 0) continue;
    chains.set(n, chain);
    for (const x of [n, ...chain]) {
      position.set(x, position.get(n)!);
      buffers.delete(x.outputs[0]);
    }
    buffers.add(chain[chain.length - 1].outputs[0]);
  }
  return chains;
}

/** The maps that only this contraction's result flows through: same elements, other operands ready and easy to address. */
function epilogueChain(
  n: Node,
  { places }: LowerRule,
  buffers: Set<Value>,
  users: Map<Value, Node[]>,
  roots: Set<Value>,
  before: (x: Node) => boolean,
): Node[] {
  const chain: Node[] = [];
  const shape = n.types[0].shape;
  const size = sizeOf(shape);
  const columns = shape[shape.length - 1] ?? 1;
  let at = n.outputs[0];
  for (;;) {
    if (roots.has(at)) break;
    // Look through views that keep the order of elements.
    let next: Node[] = users.get(at) ?? [];
    let seen = at;
    while (next.length === 1 && next[0].op.kernel.kind === "view" && !roots.has(seen)) {
      const view = next[0];
      const access = through(contiguous(view.inputs[0].shape), prepend(view, emptyChain));
      if ("blocked" in access || !isContiguous(access) || sizeOf(view.types[0].shape) !== size) break;
      seen = view.outputs[0];
      next = users.get(seen) ?? [];
    }
    if (roots.has(seen) || next.length !== 1) break;
    const map = next[0];
    if (map.op.kernel.kind !== "map" || sizeOf(map.types[0].shape) !== size || map.op.kernel.coordinates) break;
    const ok = map.inputs.every((v) => {
      if (baseOf(v).base === at || v === at) return sizeOf(v.shape) === size;
      return (
        leavesOf(v, (x) => buffers.has(x)).concat(buffers.has(v) ? [{ value: v, chain: emptyChain }] : []).length > 0 &&
        epilogueOperand(v, size, columns, buffers, before)
      );
    });
    if (!ok || chain.length >= 12) break;
    chain.push(map);
    at = map.outputs[0];
  }
  // A transposition that alone wants the result may be how the stores walk; it may be seen in another shape.
  const views: Node[] = [];
  for (let v = at; places; ) {
    const [view, another] = users.get(v) ?? [];
    if (another || roots.has(v) || view?.op !== (views.length === 0 ? transposeOp : reshapeOp)) break;
    views.push(view);
    v = view.outputs[0];
    if (!buffers.has(v)) continue;
    const types = n.inputs.map((i) => i.type);
    return sameShape(at.shape, shape) && places(layoutOf(views)!, types, n.attrs) ? [...chain, ...views] : chain;
  }
  return chain;
}

/** Operands an epilogue can address: scalars, vectors over the columns, or tensors of the same elements, made before. */
function epilogueOperand(
  v: Value,
  size: number,
  columns: number,
  buffers: Set<Value>,
  before: (x: Node) => boolean,
): boolean {
  const { base, chain } = baseOf(v);
  const scalarConstant = base.node.op.name === "constant" && sizeOf(base.shape) === 1;
  if (scalarConstant) return true;
  if (!buffers.has(base)) {
    if (base.node.op.kernel.kind !== "map" || base.node.op.kernel.coordinates) return false;
    if (chain.node) return false;
    return base.node.inputs.every((i) => epilogueOperand(i, size, columns, buffers, before));
  }
  if (base.node.op.kernel.kind !== "source" && !before(base.node)) return false;
  const access = through(contiguous(base.shape), chain);
  if ("blocked" in access) return false;
  return epilogueIndex(access, columns) !== null;
}

/** How an epilogue addresses an access: the whole matrix, its columns, or one element. */
export function epilogueIndex(
  access: { shape: readonly number[]; strides: readonly number[]; offset: number },
  columns: number,
): { kind: "full" | "columns" | "scalar"; offset: number } | null {
  const { shape, strides, offset } = access;
  if (shape.every((d, i) => d === 1 || strides[i] === 0)) return { kind: "scalar", offset };
  if (isContiguous(access)) return { kind: "full", offset };
  // A row of the product may be seen as several axes, such as [heads, width].
  let run = 1;
  let axis = shape.length - 1;
  for (; axis >= 0 && run < columns; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== run) return null;
    run *= shape[axis];
  }
  const repeats = shape.slice(0, axis + 1).every((d, i) => d === 1 || strides[i] === 0);
  return run === columns && repeats ? { kind: "columns", offset } : null;
}

/** Values with memory that a group reads. */
export function readsOf(group: Group, buffers: Set<Value>): Set<Value> {
  const reads = new Set<Value>();
  const own = new Set<Value>(group.kind === "loop" || group.kind === "reduce" ? group.members : []);
  const add = (v: Value): void => {
    for (const leaf of leavesOf(v, (x) => buffers.has(x) || own.has(x))) {
      if (buffers.has(leaf.value) && !own.has(leaf.value)) reads.add(leaf.value);
    }
  };
  switch (group.kind) {
    case "loop":
    case "reduce":
      for (const m of group.members) add(m);
      break;
    case "assemble":
      for (const v of group.node.inputs) reads.add(buffers.has(v) ? v : baseOf(v).base);
      break;
    case "lower": {
      for (const v of group.node.inputs) reads.add(buffers.has(v) ? v : baseOf(v).base);
      const inside = new Set<Value>([group.node.outputs[0], ...group.chain.map((c) => c.outputs[0])]);
      const visit = (v: Value): void => {
        const { base } = baseOf(v);
        if (inside.has(base)) return;
        if (buffers.has(base)) reads.add(base);
        else for (const i of base.node.inputs) visit(i);
      };
      for (const c of group.chain) for (const v of c.inputs) visit(v);
    }
  }
  return reads;
}

/** Orders groups so that producers come first, keeping the given order where it is free. */
export function sortGroups(
  groups: readonly Group[],
  buffers: Set<Value>,
  extra: ReadonlyMap<Group, ReadonlySet<Group>> = new Map(),
): Group[] {
  const maker = new Map<Value, Group>();
  for (const g of groups) for (const v of outputsOf(g)) maker.set(v, g);
  const order: Group[] = [];
  const state = new Map<Group, 1 | 2>();
  const needs = (g: Group): Group[] => {
    const list = [...readsOf(g, buffers)]
      .map((v) => maker.get(v))
      .filter((x): x is Group => x !== undefined && x !== g);
    return [...list, ...(extra.get(g) ?? [])];
  };
  for (const start of groups) {
    const stack: { group: Group; pending: Group[] }[] = [];
    const push = (g: Group): void => {
      if (state.has(g)) return;
      state.set(g, 1);
      stack.push({ group: g, pending: needs(g) });
    };
    push(start);
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      const next = top.pending.pop();
      if (next) push(next);
      else {
        stack.pop();
        state.set(top.group, 2);
        order.push(top.group);
      }
    }
  }
  return order;
}

/** Row-compatible view of `v` inside a space of rows × inner: "full", "row", or null. */
export function levelOf(size: number, rows: number, inner: number): "full" | "row" | null {
  if (size === rows * inner) return "full";
  if (size === rows) return "row";
  return null;
}

/** Merges neighbours that walk the same rows, so that softmax, norms, cross-entropy and updates become one kernel each. */
function mergeGroups(
  groups: Group[],
  buffers: Set<Value>,
  roots: Set<Value>,
  order: ReadonlyMap<Node, number>,
): Group[] {
  let list = groups;
  const readCache = new Map<Group, Set<Value>>();
  const reads = (g: Group): Set<Value> => {
    let r = readCache.get(g);
    if (!r) {
      r = readsOf(g, buffers);
      readCache.set(g, r);
    }
    return r;
  };
  const joins = new Map<Group, Map<Group, Group | null>>();
  for (let merged = true; merged; ) {
    merged = false;
    const dependencies = groupDependencies(list, reads);
    for (const consumer of list) {
      if (consumer.kind === "lower" || consumer.kind === "assemble") continue;
      const partner = partnerOf(consumer, dependencies, (other) => {
        let tried = joins.get(consumer);
        if (!tried) {
          tried = new Map();
          joins.set(consumer, tried);
        }
        let joined = tried.get(other);
        if (joined === undefined) {
          joined = joinGroups(other, consumer, buffers, order);
          tried.set(other, joined);
        }
        return joined;
      });
      if (!partner) continue;
      list = list.filter((g) => g !== partner.other && g !== consumer).concat(partner.joined);
      merged = true;
      break;
    }
  }
  // Members nobody outside reads need no memory.
  const readElsewhere = new Map<Value, number>();
  for (const g of list) for (const v of reads(g)) readElsewhere.set(v, (readElsewhere.get(v) ?? 0) + 1);
  for (const g of list) {
    if (g.kind === "loop") {
      for (const m of g.members) {
        if (!roots.has(m) && !readElsewhere.has(m)) {
          g.internal.add(m);
          buffers.delete(m);
        }
      }
    } else if (g.kind === "lower" && g.node.op.kernel.kind === "lower")
      for (const v of g.node.outputs) if (!roots.has(v) && !readElsewhere.has(v)) buffers.delete(v);
  }
  return sortGroups(list, buffers);
}

interface Dependencies {
  readonly needs: ReadonlyMap<Group, readonly Group[]>;
  readonly readers: ReadonlyMap<Group, readonly Group[]>;
  /** Groups that read a source value. */
  readonly sourceReaders: ReadonlyMap<Value, readonly Group[]>;
  readonly sources: ReadonlyMap<Group, readonly Value[]>;
}

function groupDependencies(list: readonly Group[], reads: (g: Group) => Set<Value>): Dependencies {
  const maker = new Map<Value, Group>();
  for (const g of list) for (const v of outputsOf(g)) maker.set(v, g);
  const readers = new Map<Group, Group[]>();
  const needs = new Map<Group, Group[]>();
  const sourceReaders = new Map<Value, Group[]>();
  const sources = new Map<Group, Value[]>();
  for (const g of list) {
    const made: Group[] = [];
    const own: Value[] = [];
    for (const v of reads(g)) {
      const m = maker.get(v);
      if (!m) {
        own.push(v);
        const r = sourceReaders.get(v);
        if (r) r.push(g);
        else sourceReaders.set(v, [g]);
      } else if (m !== g && !made.includes(m)) {
        made.push(m);
        const r = readers.get(m);
        if (r) r.push(g);
        else readers.set(m, [g]);
      }
    }
    needs.set(g, made);
    sources.set(g, own);
  }
  return { needs, readers, sourceReaders, sources };
}

/** A group that `consumer` may be merged with: a producer, or a sibling that reads the same tensors. */
function partnerOf(
  consumer: Group,
  d: Dependencies,
  join: (other: Group) => Group | null,
): { other: Group; joined: Group } | null {
  const candidates = new Set<Group>(d.needs.get(consumer));
  for (const p of d.needs.get(consumer) ?? []) for (const s of d.readers.get(p) ?? []) candidates.add(s);
  for (const v of d.sources.get(consumer) ?? []) {
    if (sizeOf(v.shape) > 1) for (const s of d.sourceReaders.get(v) ?? []) candidates.add(s);
  }
  candidates.delete(consumer);
  for (const other of candidates) {
    const joined = join(other);
    // Merging must not close a cycle: every path between the two is a direct edge.
    if (joined && !reachesBeyond(other, consumer, d) && !reachesBeyond(consumer, other, d)) return { other, joined };
  }
  return null;
}

/** Whether `to` depends on `from` through some third group. */
function reachesBeyond(from: Group, to: Group, d: Dependencies): boolean {
  const seen = new Set<Group>();
  const stack: Group[] = [];
  for (const r of d.readers.get(from) ?? []) {
    if (r !== to) {
      seen.add(r);
      stack.push(r);
    }
  }
  while (stack.length > 0) {
    const g = stack.pop()!;
    if (g === to) return true;
    for (const r of d.readers.get(g) ?? []) {
      if (!seen.has(r)) {
        seen.add(r);
        stack.push(r);
      }
    }
  }
  return false;
}

function joinGroups(a: Group, b: Group, buffers: Set<Value>, order: ReadonlyMap<Node, number>): Group | null {
  if (a.kind === "reduce" && b.kind === "reduce") return joinReduces(a, b, buffers);
  if (a.kind !== "loop" || b.kind !== "loop") return null;
  if (a.members.length + b.members.length > 24) return null;
  const space = commonSpace(a, b);
  if (!space) return null;
  const members = [...a.members, ...b.members].sort((x, y) => order.get(x.node)! - order.get(y.node)!);
  const joined: LoopGroup = { kind: "loop", members, internal: new Set(), rows: space.rows, inner: space.inner };
  if (readsOf(joined, buffers).size + members.length > maxBuffers) return null;
  return rowsFit(joined, buffers) ? joined : null;
}

const hasReduce = (g: LoopGroup) => g.members.some((m) => m.node.op.kernel.kind === "reduce");

/** The rows × inner space both groups can walk; groups of maps alone adapt to the other. */
function commonSpace(a: LoopGroup, b: LoopGroup): { rows: number; inner: number } | null {
  const ra = hasReduce(a);
  const rb = hasReduce(b);
  if (ra && rb) return a.rows === b.rows && a.inner === b.inner ? { rows: a.rows, inner: a.inner } : null;
  if (!ra && !rb) {
    const size = a.rows * a.inner;
    return size === b.rows * b.inner ? { rows: 1, inner: size } : null;
  }
  const fixed = ra ? a : b;
  const free = ra ? b : a;
  const size = free.rows * free.inner;
  if (size !== fixed.rows * fixed.inner && size !== fixed.rows) return null;
  return { rows: fixed.rows, inner: fixed.inner };
}

/** All uses of members inside the group are aligned with its rows, and the shapes have common loop dimensions. */
function rowsFit(g: LoopGroup, buffers: Set<Value>): boolean {
  const inside = new Set(g.members);
  const reduces = hasReduce(g);
  const shapes: (readonly number[])[] = [[g.rows, g.inner]];
  for (const m of g.members) {
    const kind = m.node.op.kernel.kind;
    const shape = kind === "reduce" ? reduceInputShape(m) : m.shape;
    const level = kind === "reduce" ? "full" : levelOf(sizeOf(m.shape), g.rows, g.inner);
    if (!level) return false;
    if (!reduces && level !== "full") return false;
    if (level === "full") shapes.push(shape);
    else shapes.push([...m.shape, g.inner]);
    for (const leaf of leavesOf(m, (v) => buffers.has(v) || inside.has(v))) {
      if (!inside.has(leaf.value)) continue;
      const access = through(contiguous(leaf.value.shape), leaf.chain);
      if ("blocked" in access) return false;
      if (!alignedUse(access, sizeOf(leaf.value.shape), level, g)) return false;
    }
  }
  return commonRefinement(shapes) !== null;
}

function reduceInputShape(m: Value): readonly number[] {
  return m.node.inputs[0].shape;
}

/** Whether a member of `leafSize` elements, read through `access`, is read exactly where it was computed. */
function alignedUse(
  access: { shape: readonly number[]; strides: readonly number[]; offset: number },
  leafSize: number,
  level: "full" | "row",
  g: LoopGroup,
): boolean {
  if (access.offset !== 0) return false;
  const total = sizeOf(access.shape);
  if (level === "row") return leafSize === g.rows && total === g.rows && isContiguous(access);
  if (leafSize === g.rows * g.inner && (leafSize !== g.rows || g.inner === 1))
    return total === leafSize && isContiguous(access);
  // A row value spread over its row: contiguous over the leading axes, constant over the trailing ones.
  let inner = 1;
  let i = access.shape.length - 1;
  for (; i >= 0 && inner < g.inner; i--) {
    if (access.shape[i] !== 1 && access.strides[i] !== 0) return false;
    inner *= access.shape[i];
  }
  if (inner !== g.inner) return false;
  let expected = 1;
  for (; i >= 0; i--) {
    if (access.shape[i] !== 1 && access.strides[i] !== expected) return false;
    expected *= access.shape[i];
  }
  return expected === g.rows;
}

/** Two reductions over the same axes of the same-shaped input, independent of each other. */
function joinReduces(a: ReduceGroup, b: ReduceGroup, buffers: Set<Value>): ReduceGroup | null {
  const first = a.members[0].node;
  const second = b.members[0].node;
  const ra = first.op.kernel;
  const rb = second.op.kernel;
  if (ra.kind !== "reduce" || rb.kind !== "reduce") return null;
  if (String(ra.axes(first.attrs)) !== String(rb.axes(second.attrs))) return null;
  if (String(first.inputs[0].shape) !== String(second.inputs[0].shape)) return null;
  if (a.members.length + b.members.length > 4) return null;
  const made = new Set<Value>([...a.members, ...b.members]);
  for (const m of made) {
    for (const leaf of leavesOf(m, (v) => buffers.has(v))) if (made.has(leaf.value)) return null;
  }
  return { kind: "reduce", members: [...a.members, ...b.members] };
}
