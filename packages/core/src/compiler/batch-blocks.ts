/**
 * Blocks of a batch: operations with kernels of their own and what lies between them run for a few rows of the batch at a
 * time (images, or sequences with all their heads), so that the tensor between, the largest of a network, stays in the
 * caches: convolution and pooling, a pooling's gradient and the convolution's, and the products around a softmax.
 */
import { apply, atScope, type Node, type OpRecord, topological, type Value } from "../graph/node.ts";
import { type DotAttrs, dotGeneralOp } from "../graph/ops/contract.ts";
import { convInputGradOp, convKernelGradOp, convOp } from "../graph/ops/conv.ts";
import { maxPoolGradOp, maxPoolOp } from "../graph/ops/pool.ts";
import { reduceSum } from "../graph/ops/reduce.ts";
import { broadcastOp } from "../graph/ops/view.ts";
import { closeRegion, isSpreadConstant, type Region, substitute } from "../graph/region.ts";
import { dtypeBytes, sizeOf } from "../graph/types.ts";
import { baseOf } from "./fuse.ts";
import { spreadsRows, staysInRows } from "./row-blocks.ts";

export interface BlocksAttrs {
  /** What is computed, for the whole batch. */
  readonly region: Region;
  /** Which parameters have a row for each of the batch; the others are the same for all. */
  readonly rowed: readonly boolean[];
  /** Rows in all, and of one block (a divisor). */
  readonly rows: number;
  readonly block: number;
}

/** Results with a row for each of the batch are whole; of sums over rows there is one for each block: [blocks, …]. */
export const blocksOp: OpRecord<BlocksAttrs> = {
  name: "batchBlocks",
  infer: (_, { region, rows, block }) =>
    region.results.map((r) => (isSum(r) ? { shape: [rows / block, ...r.shape], dtype: r.dtype } : r.type)),
  gradient: "none",
  kernel: { kind: "region" },
};

export function isSum(result: Value): boolean {
  return result.node.op === convKernelGradOp;
}

/** What begins a block: what may end it, and what may still follow the ends inside. */
const kinds = new Map<OpRecord, { readonly ends: readonly OpRecord[]; readonly behind?: "map" | "view" }>([
  [convOp, { ends: [maxPoolOp] }],
  [maxPoolGradOp, { ends: [convKernelGradOp, convInputGradOp], behind: "map" }],
  [dotGeneralOp, { ends: [dotGeneralOp], behind: "view" }],
]);

/** Tasks that a block operation has at least: threads need something to share. */
const leastBlocks = 16;
/** Bytes between the operations, of one block: they should stay in the second-level cache beside what the kernels need. */
const mostBytes = 640 * 1024;
/** Below this the whole tensor stays close anyway. */
const leastBytes = 512 * 1024;
/**
 * A sum over the rows of a block costs passes over memory for every block (sums of Winograd's frequencies are written,
 * read and transformed); what the blocks save are passes over the tensor between.
 */
const sumPasses = 12;
const savedPasses = 3;
/** Elements of a kernel that is worth reading again for every block. */
const mostKernel = 75_000;
/** A single product of so many FLOPs may be a matrix unit's, which wants them together. */
const largeProduct = 2 ** 24;

/** The graph with such operations as nodes of `blocksOp`, formed one at a time, so that the graph stays without cycles. */
export function formBlocks(given: readonly Value[]): Value[] {
  let roots = [...given];
  const done = new Set<Node>();
  for (let graph = graphOf(roots); ; ) {
    const start = graph.order.find((n) => isStart(n) && !done.has(n));
    if (!start) return roots;
    done.add(start);
    const inside = gather(start, graph);
    const formed = inside && form(start, inside, graph, roots);
    if (!formed) continue;
    roots = formed;
    graph = graphOf(roots);
  }
}

function isStart(n: Node): boolean {
  return kinds.has(n.op) && (n.op !== dotGeneralOp || isBatched(n));
}

/** Whether matrices of both operands belong to rows of the batch. */
function isBatched({ attrs }: Node): boolean {
  const { batchA, batchB } = attrs as DotAttrs;
  return batchA[0] === 0 && batchB[0] === 0;
}

const convolves = (n: Node): boolean => n.op === convOp || n.op === convInputGradOp || n.op === convKernelGradOp;

/** Nodes in order, who uses them, and whether somebody outside a set does. */
interface Graph {
  readonly order: readonly Node[];
  readonly usersOf: (n: Node) => readonly Node[];
  readonly usedOutside: (n: Node, inside: ReadonlySet<Node>) => boolean;
}

function graphOf(roots: readonly Value[]): Graph {
  const order = topological(roots);
  const users = new Map<Node, Node[]>(order.map((n) => [n, []]));
  for (const n of order) for (const v of n.inputs) users.get(v.node)!.push(n);
  const asked = new Set(roots.map((r) => r.node));
  const usersOf = (n: Node) => users.get(n)!;
  return { order, usersOf, usedOutside: (n, inside) => asked.has(n) || usersOf(n).some((u) => !inside.has(u)) };
}

/**
 * What begins at `start`, and other products of nothing but what it reads anyway: attention's weights and the gradient of
 * its result are factors of the values' gradient too.
 */
function gather(start: Node, graph: Graph): Set<Node> | null {
  const inside = fromStart(start, [], graph);
  if (!inside || start.op !== dotGeneralOp) return inside;
  const outside = [...inside].flatMap((n) => n.inputs.filter((v) => !inside.has(v.node)));
  const read = new Set(outside.map((v) => baseOf(v).base));
  const beside = graph.order.filter(
    (n) =>
      n.op === dotGeneralOp &&
      isStart(n) &&
      !inside.has(n) &&
      !isLarge(n) &&
      n.types[0].shape[0] === start.types[0].shape[0] &&
      n.inputs.every((v) => read.has(baseOf(v).base)),
  );
  const more = beside.length > 0 ? fromStart(start, beside, graph) : null;
  return more && [...inside].every((n) => more.has(n)) ? more : inside;
}

/**
 * What begins at `start` and keeps rows apart up to the ends, what follows them and what only these use; null where nothing
 * ends. The nodes `beside` are ends too.
 */
function fromStart(start: Node, beside: readonly Node[], { order, usersOf, usedOutside }: Graph): Set<Node> | null {
  const { ends, behind } = kinds.get(start.op)!;
  const count = start.types[0].shape[0];
  /** Whether a node that depends on the start is an end or behind one; and what depends on it, but is no part. */
  const past = new Map<Node, boolean>([[start, false], ...beside.map((n) => [n, true] as const)]);
  const beyond = new Set<Node>();
  for (const n of order) {
    const from = n.inputs.filter((v) => past.has(v.node));
    const later = n.inputs.some((v) => beyond.has(v.node));
    if (past.has(n) || (from.length === 0 && !later)) continue;
    const afterEnd = from.some((v) => past.get(v.node));
    const isEnd = ends.includes(n.op);
    const fits = isEnd
      ? !afterEnd && takesRows(n, from)
      : (!afterEnd || n.op.kernel.kind === behind) && staysInRows(n, count) && !from.some(isSum);
    if (later || !fits) beyond.add(n);
    else past.set(n, isEnd || afterEnd);
  }
  const inside = new Set<Node>();
  const backwards = [...order].reverse();
  for (const n of backwards) if (past.get(n) || (past.has(n) && usersOf(n).some((u) => inside.has(u)))) inside.add(n);
  // What is stored whole anyway is not worth a block: the start's result, or what a convolution's epilogue makes of it.
  const stored = (n: Node) => (n === start || start.op === convOp) && !past.get(n) && usedOutside(n, inside);
  if (!inside.has(start) || [...inside].some(stored)) return null;
  // What comes before a convolution or a product is another block's.
  const feeds = (n: Node) => usersOf(n).some((u) => u.op === convOp || u.op === dotGeneralOp);
  const joins = (n: Node) =>
    n.op === start.op
      ? isStart(n) && n.types[0].shape[0] === count
      : n.op.kernel.kind === "map" && staysInRows(n, count);
  for (const n of backwards) if (joins(n) && !beyond.has(n) && !feeds(n) && !usedOutside(n, inside)) inside.add(n);
  return inside;
}

/** Whether an end takes what comes `from` inside as rows. */
function takesRows(n: Node, from: readonly Value[]): boolean {
  if (n.op === dotGeneralOp) return isBatched(n);
  return from.length === 1 && from[0] === n.inputs[n.op === convKernelGradOp ? 1 : 0];
}

/** The graph with the nodes `inside` as one; null where blocks would not pay or some value would be both rows and whole. */
function form(start: Node, inside: Set<Node>, { order, usersOf }: Graph, roots: readonly Value[]) {
  const asked = new Set(roots);
  for (const n of order) if (!inside.has(n)) for (const v of n.inputs) asked.add(v);
  const made = order.filter((n) => inside.has(n)).flatMap((n) => n.outputs);
  const results = made.filter((v) => asked.has(v));
  const between = made.filter((v) => !asked.has(v) && v.node.op.kernel.kind === "lower");
  const rows = start.types[0].shape[0];
  const perRow = Math.max(...between.map((v) => (sizeOf(v.shape) / rows) * dtypeBytes[v.dtype]), 0);
  const block = blockOf(rows, perRow);
  if (block === 0 || rows * perRow < leastBytes || [...inside].some(isLarge)) return null;
  const sums = results.filter(isSum).reduce((bytes, r) => bytes + sizeOf(r.shape) * dtypeBytes[r.dtype], 0);
  if (sumPasses * sums * (rows / block) > savedPasses * rows * perRow) return null;
  // Views of factors are made anew inside, so that these are read where they lie.
  if (start.op === dotGeneralOp)
    for (const n of [...order].reverse())
      if (n.op.kernel.kind === "view" && staysInRows(n, rows) && usersOf(n).some((u) => inside.has(u))) inside.add(n);
  const { region, captures } = closeRegion([], results, inside);
  const rowed = rowsOfParameters(region);
  if (!rowed) return null;
  const replaced = atScope(made[0].node.scope, () => {
    const outputs = apply(blocksOp, captures, { region, rowed, rows, block });
    return new Map(results.map((r, i) => [r, isSum(r) ? reduceSum(outputs[i], 0) : outputs[i]]));
  });
  return substitute(roots, (v) => replaced.get(v) ?? null);
}

/** Whether a kernel would be read too often, or a product belongs to a matrix unit. */
function isLarge(n: Node): boolean {
  if (convolves(n)) return sizeOf((n.op === convKernelGradOp ? n.outputs[0] : n.inputs[1]).shape) > mostKernel;
  if (n.op !== dotGeneralOp) return false;
  const [columns, rows] = [...n.types[0].shape].reverse();
  return 2 * n.inputs[0].shape[(n.attrs as DotAttrs).contractA[0]] * rows * columns >= largeProduct;
}

/** Rows of a block: as many as leave enough blocks and stay close; 0 where one is too large, or there are too few. */
function blockOf(rows: number, perRow: number): number {
  for (let b = Math.floor(rows / leastBlocks); b > 0; b--) if (rows % b === 0 && b * perRow <= mostBytes) return b;
  return 0;
}

/** Which parameters have rows, from how they are used; null where one is used both ways. */
function rowsOfParameters({ parameters, results }: Region): boolean[] | null {
  const rows = new Set<Value>();
  const whole = new Set<Value>();
  for (const n of topological(results))
    n.inputs.forEach((v, i) => {
      const kernel = (n.op === convOp || n.op === convInputGradOp) && i === 1;
      const spread = n.op === broadcastOp && spreadsRows(n, n.types[0].shape[0]);
      (kernel || spread ? whole : rows).add(v);
    });
  if (parameters.some((p) => rows.has(p) && whole.has(p))) return null;
  return parameters.map((p) => rows.has(p) && !isSpreadConstant(p));
}
