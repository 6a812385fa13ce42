/**
 * Bodies: graphs that are planned like programs and whose kernels become part of one kernel, in a loop, a branch or a block
 * of a batch.
 */
import { apply1, type Node, type Value } from "../graph/node.ts";
import { isSpreadConstant, type Region } from "../graph/region.ts";
import { dtypeBytes, sizeOf } from "../graph/types.ts";
import { affine } from "./builder.ts";
import {
  copy,
  type EmitContext,
  emitGroup,
  lowerInput,
  offsetIn,
  type Place,
  planAssembles,
  rootOf,
  type Step,
  shifted,
  touch,
} from "./emit-group.ts";
import { fuse, type Group, outputsOf, sortGroups } from "./fuse.ts";
import type { InlineBuilder, Spot } from "./inline.ts";
import { type Affine, type Buffer, type Kernel, type StorageType, storageBytes } from "./loopir.ts";
import { type Interval, planMemory } from "./memory.ts";
import { Repacking } from "./repacking.ts";

/** Places of a node's inputs; contiguous parts of larger values begin further on. */
export function inputPlacesOf(node: Node, c: EmitContext): Place[] {
  return node.inputs.map((v, i) => {
    const { source, offset } = lowerInput(v, i, node, c.isBuffer);
    return shifted(c.placeOf(source), offset);
  });
}

/** Results as values of their own, each made by a kernel: copies of parameters, constants and repeated results. */
export function ownResults(region: Region, results: readonly Value[]): Value[] {
  const taken = new Set<Value>();
  return results.map((v, serial) => {
    const plain = v.node.inputs.length === 0 || isSpreadConstant(v) || taken.has(v) || region.parameters.includes(v);
    const made = plain ? apply1(copy, [v], { serial }) : v;
    taken.add(made);
    return made;
  });
}

/** Memory outside the body: a place, in elements of its type from `at`. */
export interface Outside {
  readonly place: Place;
  readonly size: number;
  readonly at: Affine;
}

export function buffersOf(kernel: Kernel): Buffer[] {
  return kernel.buffers.filter((x) => x.access !== "scratch");
}

/** The kernels of a body, and the places of its values: those outside, and temporaries with their liveness. */
export interface Body {
  readonly steps: readonly Step[];
  readonly placeOf: (v: Value) => Place;
  readonly outside: Map<Place, Outside>;
  readonly intervals: readonly { readonly place: Place; readonly interval: Interval }[];
  /** Byte offsets of temporaries within their type, once planned. */
  readonly plan: Map<StorageType, { offsets: Map<Place, number>; bytes: number }>;
}

export function planBody(roots: readonly Value[], c: EmitContext, external: (v: Value) => Outside | null): Body {
  const fusion = fuse(roots);
  const isBuffer = (v: Value) => fusion.buffers.has(v);
  const groups = sortGroups(fusion.groups, fusion.buffers);
  const maker = new Map<Value, Group>();
  for (const g of groups) for (const v of outputsOf(g)) maker.set(v, g);
  const results = new Set(roots);
  const aliases = planAssembles(groups, maker, isBuffer, new Map(), results);
  const steps: Step[] = [];
  const repacking = new Repacking();
  const places = new Map<Value, Place>();
  const outside = new Map<Place, Outside>();
  const intervals: Body["intervals"][number][] = [];
  const inArena = (bytes: number, first: number): Place => {
    const interval: Interval = { bytes, first, last: first };
    const place: Place = { slot: 0, offset: 0, interval, parent: null };
    intervals.push({ place, interval });
    return place;
  };
  const placeOf = (v: Value): Place => {
    let p = places.get(v);
    if (p) return p;
    const out = external(v);
    const alias = aliases.get(v);
    if (out) {
      p = { slot: 0, offset: 0, interval: null, parent: null };
      outside.set(p, out);
    } else if (alias)
      p = { slot: 0, offset: 0, interval: null, parent: { place: placeOf(alias.whole), offset: alias.offset } };
    else p = inArena(sizeOf(v.shape) * dtypeBytes[v.dtype], steps.length);
    places.set(v, p);
    return p;
  };
  const step = (kernel: Kernel, at: readonly Place[], label: string): void => {
    for (const p of at) touch(p, steps.length);
    steps.push({ kernel, places: at, label });
  };
  const placeIn = (v: Value, place: Place, offset: number): boolean => {
    if (places.has(v) || external(v)) return false;
    places.set(v, { slot: 0, offset: 0, interval: null, parent: { place, offset } });
    return true;
  };
  for (const group of groups) {
    if (outputsOf(group).some((v) => sizeOf(v.shape) > 0))
      emitGroup(group, { isBuffer, profile: c.profile, placeOf, inArena, step, steps, repacking, aliases, placeIn });
  }
  // Next carries are moved into place after the last kernel.
  for (const v of roots) touch(placeOf(v), steps.length);
  return { steps, placeOf, outside, intervals, plan: new Map() };
}

/** Buffers of the merged kernel: one for each place outside, one for each type of temporaries. */
export class Memory {
  private readonly b: InlineBuilder;
  private readonly c: EmitContext;
  private readonly inScratch: boolean;
  private readonly known = new Map<Place, { buffer: Buffer; type: StorageType }>();
  private readonly temporaries = new Map<Body, Map<StorageType, Buffer>>();
  private readonly list: Place[] = [];

  constructor(b: InlineBuilder, c: EmitContext, inScratch: boolean) {
    this.b = b;
    this.c = c;
    this.inScratch = inScratch;
  }

  /** Places of the kernel's buffers, in order. */
  places(): Place[] {
    return this.list;
  }

  outside({ place, size, at }: Outside, type: StorageType): Spot {
    let entry = this.known.get(place);
    if (!entry) {
      entry = { buffer: this.b.buffer(`m${this.list.length}`, type, size, "readwrite"), type };
      this.known.set(place, entry);
      this.list.push(place);
    }
    if (entry.type !== type) throw new Error(`compiler: memory of ${entry.type} used as ${type}`);
    return { buffer: entry.buffer, at };
  }

  spot(body: Body, place: Place, type: StorageType): Spot {
    const root = rootOf(place);
    const offset = offsetIn(place) / storageBytes[type];
    const out = body.outside.get(root);
    if (out) {
      const { buffer, at } = this.outside(out, type);
      return { buffer, at: affine(at, offset) };
    }
    const plan = this.planOf(body, type);
    const from = plan.offsets.get(root);
    if (from === undefined) throw new Error(`compiler: a temporary is used as ${type} and as another type`);
    const known = this.temporaries.get(body) ?? new Map<StorageType, Buffer>();
    this.temporaries.set(body, known);
    let buffer = known.get(type);
    if (!buffer) {
      buffer = this.b.buffer(
        `temp_${type}${this.temporaries.size}`,
        type,
        plan.bytes / storageBytes[type],
        this.inScratch ? "scratch" : "readwrite",
      );
      known.set(type, buffer);
      if (!this.inScratch) this.list.push(this.c.inArena(plan.bytes, this.c.steps.length));
    }
    return { buffer, at: affine(from / storageBytes[type] + offset) };
  }

  /** Offsets of all temporaries of one type. */
  private planOf(body: Body, type: StorageType): { offsets: Map<Place, number>; bytes: number } {
    let plan = body.plan.get(type);
    if (plan) return plan;
    const types = new Map<Place, StorageType>();
    for (const s of body.steps)
      buffersOf(s.kernel).forEach((x, i) => {
        types.set(rootOf(s.places[i]), x.type);
      });
    const mine = body.intervals.filter((x) => types.get(x.place) === type && !body.outside.has(x.place));
    const { offsets, bytes } = planMemory(mine.map((x) => x.interval));
    plan = { offsets: new Map(mine.map((x, i) => [x.place, offsets[i]])), bytes };
    body.plan.set(type, plan);
    return plan;
  }
}

/** Appends the kernels of a body. */
export function emitBody(b: InlineBuilder, memory: Memory, body: Body): void {
  for (const s of body.steps)
    b.inline(
      s.kernel,
      s.places.map((p, i) => memory.spot(body, p, buffersOf(s.kernel)[i].type)),
    );
}
