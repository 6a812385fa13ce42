/**
 * Blocks of images: a convolution and the pooling after it, or a pooling's gradient and the convolution's gradients that it
 * feeds, run for a few images at a time, so that the tensor between them, the largest of a network, stays in the caches.
 */
import { apply, atScope, type Node, type OpRecord, topological, type Value } from "../graph/node.ts";
import { convInputGradOp, convKernelGradOp, convOp } from "../graph/ops/conv.ts";
import { maxPoolGradOp, maxPoolOp } from "../graph/ops/pool.ts";
import { reduceSum } from "../graph/ops/reduce.ts";
import { broadcastOp } from "../graph/ops/view.ts";
import { closeRegion, isSpreadConstant, type Region, substitute } from "../graph/region.ts";
import { dtypeBytes, sizeOf } from "../graph/types.ts";

export interface BlocksAttrs {
  /** What is computed, for all images. */
  readonly region: Region;
  /** Which parameters have a row for each image; the others are the same for all. */
  readonly rowed: readonly boolean[];
  /** Images in all, and of one block (a divisor). */
  readonly images: number;
  readonly block: number;
}

/** Results with a row for each image are whole; of sums over images there is one for each block: [blocks, …]. */
export const blocksOp: OpRecord<BlocksAttrs> = {
  name: "imageBlocks",
  infer: (_, { region, images, block }) =>
    region.results.map((r) => (isSum(r) ? { shape: [images / block, ...r.shape], dtype: r.dtype } : r.type)),
  gradient: "none",
  kernel: { kind: "region" },
};

export function isSum(result: Value): boolean {
  return result.node.op === convKernelGradOp;
}

/** Tasks that a block operation has at least: threads need something to share. */
const leastBlocks = 16;
/** Bytes between the operations, of one block: they should stay in the second-level cache beside what the kernels need. */
const mostBytes = 640 * 1024;
/** Below this the whole tensor stays close anyway. */
const leastBytes = 512 * 1024;
/**
 * A sum over the images of a block costs passes over memory for every block (sums of Winograd's frequencies are written,
 * read and transformed); what the blocks save are passes over the tensor between.
 */
const sumPasses = 12;
const savedPasses = 3;
/** Elements of a kernel that is worth reading again for every block. */
const mostKernel = 75_000;

/** The graph with such operations as nodes of `blocksOp`, formed one at a time, so that the graph stays without cycles. */
export function formBlocks(given: readonly Value[]): Value[] {
  let roots = [...given];
  const done = new Set<Node>();
  for (;;) {
    const order = topological(roots);
    const start = order.find((n) => (n.op === maxPoolOp || n.op === maxPoolGradOp) && !done.has(n));
    if (!start) return roots;
    done.add(start);
    const inside =
      start.op === maxPoolOp ? pooledConvolution(start, order, roots) : pooledGradients(start, order, roots);
    if (inside) roots = form(inside, order, roots);
  }
}

const convolves = (n: Node): boolean => n.op === convOp || n.op === convInputGradOp || n.op === convKernelGradOp;
const producesImages = (n: Node): boolean => n.op.kernel.kind === "map" && !n.op.kernel.coordinates;

/** Says whether somebody outside a set of nodes uses a node's results. */
function usedOutside(order: readonly Node[], roots: readonly Value[]): (n: Node, inside: Set<Node>) => boolean {
  const users = new Map<Node, Node[]>();
  for (const n of order)
    for (const v of n.inputs) {
      const known = users.get(v.node);
      if (known) known.push(n);
      else users.set(v.node, [n]);
    }
  const asked = new Set(roots.map((r) => r.node));
  return (n, inside) => asked.has(n) || (users.get(n) ?? []).some((u) => !inside.has(u));
}

/** Adds the elementwise nodes (and convolutions) whose results are used inside alone. */
function absorbAbove(
  inside: Set<Node>,
  order: readonly Node[],
  roots: readonly Value[],
  allowed: (n: Node) => boolean,
): void {
  const outside = usedOutside(order, roots);
  for (let i = order.length - 1; i >= 0; i--) {
    const n = order[i];
    if (inside.has(n) || !allowed(n) || outside(n, inside)) continue;
    inside.add(n);
  }
}

/** convolution → elementwise → pooling. */
function pooledConvolution(pool: Node, order: readonly Node[], roots: readonly Value[]): Set<Node> | null {
  const inside = new Set([pool]);
  const images = pool.types[0].shape[0];
  absorbAbove(
    inside,
    order,
    roots,
    (n) => (n.op === convOp || producesImages(n)) && n.types[0].shape[0] === images && !feedsConvolution(n, inside),
  );
  return [...inside].some((n) => n.op === convOp) ? inside : null;
}

/** Whether a node would be the input of a convolution that is inside already: what comes before it is another block's. */
function feedsConvolution(n: Node, inside: ReadonlySet<Node>): boolean {
  for (const m of inside) if (m.op === convOp && m.inputs.some((v) => v.node === n)) return true;
  return false;
}

/** gradient of pooling → elementwise → gradients of the convolution → elementwise. */
function pooledGradients(gradient: Node, order: readonly Node[], roots: readonly Value[]): Set<Node> | null {
  const images = gradient.types[0].shape[0];
  const inside = new Set([gradient]);
  // Behind the gradient of the convolution's input; and what depends on the nodes inside without being one.
  const behind = new Set<Node>();
  const beyond = new Set<Node>();
  const isGradient = (n: Node) => n.op === convKernelGradOp || n.op === convInputGradOp;
  for (const n of order) {
    const direct = n.inputs.filter((v) => inside.has(v.node));
    const later = n.inputs.some((v) => beyond.has(v.node));
    if (direct.length === 0 && !later) continue;
    const first = !direct.some((v) => behind.has(v.node));
    const dy = n.inputs[n.op === convKernelGradOp ? 1 : 0];
    const fits = isGradient(n)
      ? first && direct.length === 1 && dy === direct[0]
      : producesImages(n) && n.types[0].shape[0] === images && !direct.some(isSum);
    if (later || !fits) beyond.add(n);
    else {
      inside.add(n);
      if (n.op === convInputGradOp || !first) behind.add(n);
    }
  }
  if (![...inside].some(isGradient) || usedOutside(order, roots)(gradient, inside)) return null;
  absorbAbove(inside, order, roots, (n) => producesImages(n) && n.types[0].shape[0] === images && !beyond.has(n));
  return inside;
}

/** The graph with the nodes `inside` as one, or as it is where blocks would not pay or some value would be both rows and whole. */
function form(inside: Set<Node>, order: readonly Node[], roots: readonly Value[]): Value[] {
  const asked = new Set(roots);
  for (const n of order) if (!inside.has(n)) for (const v of n.inputs) asked.add(v);
  const made = order.filter((n) => inside.has(n)).flatMap((n) => n.outputs);
  const results = made.filter((v) => asked.has(v));
  const between = made.filter((v) => !asked.has(v) && v.node.op.kernel.kind === "lower");
  const [first] = made;
  const images = rowCount(inside);
  const perImage = Math.max(...between.map((v) => (sizeOf(v.shape) / images) * dtypeBytes[v.dtype]), 0);
  const block = blockOf(images, perImage);
  if (!first || block === 0 || images * perImage < leastBytes) return [...roots];
  const kernels = [...inside].filter(convolves).map((n) => (n.op === convKernelGradOp ? n.outputs[0] : n.inputs[1]));
  if (kernels.some((v) => sizeOf(v.shape) > mostKernel)) return [...roots];
  const sums = results.filter(isSum).reduce((bytes, r) => bytes + sizeOf(r.shape) * dtypeBytes[r.dtype], 0);
  if (sumPasses * sums * (images / block) > savedPasses * images * perImage) return [...roots];
  const { region, captures } = closeRegion([], results, inside);
  const rowed = rowsOfParameters(region);
  if (!rowed) return [...roots];
  const { scope } = first.node;
  const replaced = atScope(scope, () => {
    const outputs = apply(blocksOp, captures, { region, rowed, images, block });
    return new Map(results.map((r, i) => [r, isSum(r) ? reduceSum(outputs[i], 0) : outputs[i]]));
  });
  return substitute(roots, (v) => replaced.get(v) ?? null);
}

function rowCount(inside: ReadonlySet<Node>): number {
  for (const n of inside) if (n.op === maxPoolOp || n.op === maxPoolGradOp) return n.types[0].shape[0];
  return 0;
}

/** Images of a block: as many as leave enough blocks and stay close; 0 where one is too large, or there are too few. */
function blockOf(images: number, perImage: number): number {
  for (let b = Math.floor(images / leastBlocks); b > 0; b--)
    if (images % b === 0 && b * perImage <= mostBytes) return b;
  return 0;
}

/** Which parameters have rows, from how they are used; null where one is used both ways. */
function rowsOfParameters({ parameters, results }: Region): boolean[] | null {
  const rows = new Set<Value>();
  const whole = new Set<Value>();
  for (const n of topological(results))
    n.inputs.forEach((v, i) => {
      const kernel = (n.op === convOp || n.op === convInputGradOp) && i === 1;
      (kernel || n.op === broadcastOp ? whole : rows).add(v);
    });
  if (parameters.some((p) => rows.has(p) && whole.has(p))) return null;
  return parameters.map((p) => rows.has(p) && !isSpreadConstant(p));
}
