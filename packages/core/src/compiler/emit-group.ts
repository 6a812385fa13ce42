/** Emission of fusion groups: which kernels compute a group, and whose memory they read and write. */
import type { Access, Node, OpRecord, Value } from "../graph/node.ts";
import type { VariableRef } from "../graph/ops/source.ts";
import { dtypeBytes, sizeOf } from "../graph/types.ts";
import { contiguous, isContiguous, through } from "./access.ts";
import { type AssemblePart, assembleParts, emitFill, emitPart } from "./assembles.ts";
import { blocksOp } from "./batch-blocks.ts";
import { emitBlocks } from "./block-kernels.ts";
import { makeEpilogue } from "./epilogue.ts";
import { baseOf, type Group, layoutOf, outputsOf } from "./fuse.ts";
import type { Kernel, StorageType, TargetProfile } from "./loopir.ts";
import { storageBytes } from "./loopir.ts";
import { emitLoopGroup } from "./loops.ts";
import type { Interval } from "./memory.ts";
import { emitReduceGroup } from "./reduces.ts";
import { regionCompiler } from "./regions.ts";
import { packsInto, type Repacking } from "./repacking.ts";

/** Used where a result would otherwise be somebody else's memory. */
export const copy: OpRecord<{ readonly serial: number }> = {
  name: "copy",
  infer: ([t]) => [t],
  gradient: "none",
  kernel: { kind: "map", expr: (_, [x]) => x, flops: 0 },
};

/** Memory of one value or temporary. */
export interface Place {
  slot: number;
  offset: number;
  /** Set for arena memory: its liveness. */
  interval: Interval | null;
  /** Inside another place (a part of an assembled value). */
  parent: { place: Place; offset: number } | null;
}

export interface Step {
  readonly kernel: Kernel;
  readonly places: readonly Place[];
  readonly label: string;
}

/** Parts of assembled values that can be computed right where they belong. */
export function planAssembles(
  groups: readonly Group[],
  maker: Map<Value, Group>,
  isBuffer: (v: Value) => boolean,
  writeOf: Map<Value, VariableRef>,
  inPlace: Set<Value>,
): Map<Value, { whole: Value; offset: number }> {
  const aliases = new Map<Value, { whole: Value; offset: number }>();
  for (const g of groups) {
    if (g.kind !== "assemble") continue;
    const whole = g.node.outputs[0];
    if (inPlace.has(whole)) continue;
    const rule = g.node.op.kernel;
    if (rule.kind === "assemble" && rule.fill) continue;
    for (const part of assembleParts(g.node)) {
      const v = partSource(part, isBuffer);
      if (!v || !isMovable(maker.get(v)) || aliases.has(v) || writeOf.has(v) || inPlace.has(v)) continue;
      if (v.dtype !== whole.dtype) continue;
      aliases.set(v, { whole, offset: part.offset * dtypeBytes[whole.dtype] });
    }
  }
  return aliases;
}

/** Loops choose the places of their results themselves. */
function isMovable(group: Group | undefined): boolean {
  return group !== undefined && !(group.kind === "lower" && group.node.op.kernel.kind === "region");
}

/** The value in memory that is exactly this part, in order. */
function partSource(part: AssemblePart, isBuffer: (v: Value) => boolean): Value | null {
  if (!part.dense) return null;
  if (isBuffer(part.input)) return part.input;
  const { base, chain } = baseOf(part.input);
  if (!isBuffer(base)) return null;
  const access = through(contiguous(base.shape), chain);
  if ("blocked" in access || access.offset !== 0 || !isContiguous(access)) return null;
  return sizeOf(base.shape) === sizeOf(part.input.shape) ? base : null;
}

export interface EmitContext {
  readonly isBuffer: (v: Value) => boolean;
  readonly profile: TargetProfile;
  readonly placeOf: (v: Value) => Place;
  readonly inArena: (bytes: number, first: number) => Place;
  readonly step: (kernel: Kernel, at: readonly Place[], label: string) => void;
  readonly steps: readonly Step[];
  readonly repacking: Repacking;
  readonly aliases: ReadonlyMap<Value, { whole: Value; offset: number }>;
  /** Puts a value inside another place, `offset` bytes from its start; false when it has a place already. */
  readonly placeIn: (v: Value, place: Place, offset: number) => boolean;
}

export function emitGroup(group: Group, c: EmitContext): void {
  const label = labelOf(group);
  const name = nameOf(group);
  const temps = (list: readonly { readonly type: StorageType; readonly size: number }[]) =>
    list.map((t) => c.inArena(t.size * storageBytes[t.type], c.steps.length));
  switch (group.kind) {
    case "loop": {
      const { kernel, values } = emitLoopGroup(group, name, c.isBuffer, c.profile);
      c.step(kernel, values.map(c.placeOf), label);
      return;
    }
    case "reduce": {
      const lowered = emitReduceGroup(group, name, c.isBuffer);
      const tempPlaces = temps(lowered.temps);
      for (const s of lowered.steps)
        c.step(
          s.kernel,
          s.parts.map((p) => ("temp" in p ? tempPlaces[p.temp] : c.placeOf(p))),
          label,
        );
      return;
    }
    case "assemble": {
      const rule = group.node.op.kernel;
      const out = group.node.outputs[0];
      if (rule.kind === "assemble" && rule.fill) {
        const { kernel, values } = emitFill(group.node, `${name}_fill`);
        c.step(kernel, values.map(c.placeOf), label);
      }
      for (const part of assembleParts(group.node)) {
        const v = partSource(part, c.isBuffer);
        if (v && c.aliases.get(v)?.whole === out && c.aliases.get(v)?.offset === part.offset * dtypeBytes[out.dtype])
          continue;
        if (sizeOf(part.input.shape) === 0) continue;
        const { kernel, values } = emitPart(group.node, part, name, c.isBuffer);
        c.step(kernel, values.map(c.placeOf), label);
      }
      return;
    }
    case "lower": {
      const { node, chain } = group;
      const rule = node.op.kernel;
      if (node.op === blocksOp) {
        emitBlocks(node, c, label);
        return;
      }
      if (rule.kind === "region") {
        const regions = regionCompiler();
        if (!regions) throw new Error("compiler: nothing is plugged in that compiles loops and branches");
        regions.emit(node, c, label);
        return;
      }
      if (rule.kind !== "lower") throw new Error("not a lowering");
      const { epilogue, operands } = makeEpilogue(node, chain, c.isBuffer);
      const inputs = node.inputs.map((v, i) => lowerInput(v, i, node, c.isBuffer));
      const lowered = rule.lower({
        attrs: node.attrs,
        inputs: inputs.map((x) => ({ type: x.type, access: x.access, size: x.size })),
        outputs: node.types,
        used: node.outputs.map((v, i) => (chain.length > 0 && i === 0) || c.isBuffer(v)),
        profile: c.profile,
        epilogue,
        layout: layoutOf(chain),
      });
      const tempPlaces: Place[] = [];
      const tempOf = (i: number): Place => (tempPlaces[i] ??= temps([lowered.temps[i]])[0]);
      const outs = outputsOf(group);
      const all = [
        ...inputs.map((x) => shifted(c.placeOf(x.source), x.offset)),
        ...operands.map((o) => shifted(c.placeOf(o.value), o.offset * dtypeBytes[o.value.dtype])),
      ];
      for (const s of lowered.steps) {
        const packed = packsInto(s, lowered, inputs.length);
        const known = packed < 0 ? null : c.repacking.find(s, inputs, c.steps.length);
        if (known) {
          tempPlaces[packed] = known;
          continue;
        }
        if (packed >= 0) c.repacking.add(s, inputs, tempOf(packed), c.steps.length);
        const at = s.roles.map((r) =>
          r.role === "temp" ? tempOf(r.index) : r.role === "input" ? all[r.index] : c.placeOf(outs[r.index]),
        );
        c.step(s.kernel, at, label);
      }
    }
  }
}

export function lowerInput(v: Value, i: number, node: Node, isBuffer: (v: Value) => boolean): LowerInput {
  const own = { access: contiguous(v.shape), type: v.type, size: sizeOf(v.shape) };
  if (isBuffer(v)) return { ...own, source: v, offset: 0 };
  const { base, chain } = baseOf(v);
  const access = through(contiguous(base.shape), chain);
  if ("blocked" in access || !isBuffer(base)) throw new Error(`compiler: input ${i} of ${node.op.name} has no memory`);
  // A run of elements inside a larger buffer (a weight in the flat root) is a buffer that begins further on.
  if (isContiguous(access)) return { ...own, source: base, offset: access.offset * dtypeBytes[base.dtype] };
  return { source: base, access, type: v.type, size: sizeOf(base.shape), offset: 0 };
}

interface LowerInput {
  readonly source: Value;
  readonly access: Access;
  readonly type: Value["type"];
  /** Elements of the buffer the kernel sees. */
  readonly size: number;
  /** Where that buffer begins in `source`, in bytes. */
  readonly offset: number;
}

export function shifted(place: Place, offset: number): Place {
  return offset === 0 ? place : { slot: place.slot, offset: 0, interval: null, parent: { place, offset } };
}

/** The place that a part lies in, itself or through other parts. */
export function rootOf(place: Place): Place {
  let root = place;
  while (root.parent) root = root.parent.place;
  return root;
}

/** Bytes from the beginning of the root. */
export function offsetIn(place: Place): number {
  let bytes = 0;
  for (let p = place; p.parent; p = p.parent.place) bytes += p.parent.offset;
  return bytes;
}

/** Notes that the memory of a place is in use at a step. */
export function touch(place: Place, step: number): void {
  const { interval } = rootOf(place);
  if (!interval) return;
  interval.first = Math.min(interval.first, step);
  interval.last = Math.max(interval.last, step);
}

export function labelOf(group: Group): string {
  const node =
    group.kind === "loop" || group.kind === "reduce" ? group.members[group.members.length - 1].node : group.node;
  return node.scope === "" ? node.op.name : node.scope;
}

export function nameOf(group: Group): string {
  let names: string[];
  if (group.kind === "loop" || group.kind === "reduce") names = group.members.map((m) => m.node.op.name);
  else if (group.kind === "lower") names = [group.node.op.name, ...group.chain.map((n) => n.op.name)];
  else names = [group.node.op.name];
  return [...new Set(names)].join("_").slice(0, 60);
}
