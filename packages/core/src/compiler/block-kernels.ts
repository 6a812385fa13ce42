/** Lowering of blocks of a batch: the kernels of a block, put together to one task; what is the same for all runs once before. */
import { type Node, topological, type Value } from "../graph/node.ts";
import type { Region } from "../graph/region.ts";
import { sizeOf } from "../graph/types.ts";
import type { BlocksAttrs } from "./batch-blocks.ts";
import { type Body, buffersOf, emitBody, inputPlacesOf, Memory, type Outside, ownResults, planBody } from "./bodies.ts";
import { affine, scaled } from "./builder.ts";
import type { EmitContext, Place, Step } from "./emit-group.ts";
import { offsetIn, rootOf, shifted } from "./emit-group.ts";
import { InlineBuilder } from "./inline.ts";
import { storageBytes } from "./loopir.ts";
import { resized } from "./row-blocks.ts";

export function emitBlocks(node: Node, given: EmitContext, label: string): void {
  const { region, rowed, rows, block } = node.attrs as BlocksAttrs;
  const c: EmitContext = { ...given, profile: { ...given.profile, inner: true } };
  const small = resized(region, { count: rows, parameters: rowed }, block);
  const inputs = inputPlacesOf(node, c);
  const b = new InlineBuilder(nameOf(region));
  const memory = new Memory(b, c, true);
  const task = b.task("block", rows / block);
  const external = new Map<Value, Outside>();
  small.parameters.forEach((p, i) => {
    const at = rowed[i] ? scaled(task, sizeOf(p.shape)) : affine(0);
    external.set(p, { place: inputs[i], size: sizeOf(node.inputs[i].shape), at });
  });
  const results = ownResults(small, small.results);
  results.forEach((r, i) => {
    const out = node.outputs[i];
    external.set(r, { place: c.placeOf(out), size: sizeOf(out.shape), at: scaled(task, sizeOf(r.shape)) });
  });
  const body = planBody(results, c, (v) => external.get(v) ?? null);
  emitBody(b, memory, { ...body, steps: hoisted(body, c, label) });
  c.step(b.finish(), memory.places(), label);
}

/** Emits the steps that are the same for every block (packed and transformed kernels) as kernels before; the others. */
function hoisted(body: Body, c: EmitContext, label: string): Step[] {
  const writers = new Map<Place, number>();
  const eachBuffer = (s: Step, visit: (root: Place, writes: boolean, i: number) => void): void =>
    buffersOf(s.kernel).forEach((x, i) => {
      visit(rootOf(s.places[i]), x.access !== "read", i);
    });
  for (const s of body.steps)
    eachBuffer(s, (root, writes) => {
      if (writes) writers.set(root, (writers.get(root) ?? 0) + 1);
    });
  const once = new Set<Place>();
  return body.steps.filter((s) => {
    let same = true;
    eachBuffer(s, (root, writes) => {
      const outside = body.outside.get(root);
      if (writes) same &&= !outside && writers.get(root) === 1;
      else same &&= once.has(root) || (outside !== undefined && outside.at.terms.length === 0);
    });
    if (!same) return true;
    const places = s.places.map((p, i) => {
      const root = rootOf(p);
      const { type, access } = buffersOf(s.kernel)[i];
      let outside = body.outside.get(root);
      if (!outside) {
        const { bytes } = root.interval!;
        outside = { place: c.inArena(bytes, c.steps.length), size: bytes / storageBytes[type], at: affine(0) };
        body.outside.set(root, outside);
      }
      if (access !== "read") once.add(root);
      return shifted(outside.place, offsetIn(p) + outside.at.constant * storageBytes[type]);
    });
    c.step(s.kernel, places, label);
    return false;
  });
}

/** What a block computes, in order. */
function nameOf(region: Region): string {
  const own = topological(region.results).filter((n) => n.op.kernel.kind === "lower");
  return `blocks_${own.map((n) => n.op.name).join("_")}`;
}
