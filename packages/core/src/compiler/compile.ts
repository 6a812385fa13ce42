/** The compiler's driver: graph → fusion groups → kernels → memory plan → stages. */
import { apply1, type Value } from "../graph/node.ts";
import type { VariableRef } from "../graph/ops/source.ts";
import { dtypeBytes, sizeOf, type TypedArray } from "../graph/types.ts";
import { contiguous, isContiguous, through } from "./access.ts";
import { formBlocks } from "./batch-blocks.ts";
import { scalarConstantOf } from "./emit-expression.ts";
import { copy, emitGroup, type Place, planAssembles, rootOf, type Step, touch } from "./emit-group.ts";
import { baseOf, fuse, type Group, leavesOf, outputsOf, readsOf, sortGroups } from "./fuse.ts";
import type { Binding, Kernel, KernelCall, LoopProgram, TargetProfile } from "./loopir.ts";
import { emitLoopGroup } from "./loops.ts";
import { aligned, type Interval, planMemory, slack } from "./memory.ts";
import { Repacking, sameCode } from "./repacking.ts";
import { schedule } from "./schedule.ts";
import { scratchBytes } from "./scratch.ts";
import { simplify } from "./simplify.ts";
import { makeStages } from "./stages.ts";

export interface GraphSource {
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly writes: readonly { readonly variable: VariableRef; readonly value: Value }[];
}

/** A program and where its inputs, outputs and variables are. */
export interface CompiledGraph {
  readonly program: LoopProgram;
  /** Byte offsets in slot 0, in the order of the source. -1 for inputs that nothing reads. */
  readonly inputs: readonly number[];
  readonly outputs: readonly Binding[];
  /** Variables of slots 2, 3, …. */
  readonly stores: readonly VariableRef[];
}

export function compileGraph(source: GraphSource, profile: TargetProfile): CompiledGraph {
  const prepared = prepareRoots(source);
  const roots = formBlocks([...prepared.outputs, ...prepared.writes.map((w) => w.value)]);
  const outputs = roots.slice(0, prepared.outputs.length);
  const writes = prepared.writes.map((w, i) => ({ ...w, value: roots[outputs.length + i] }));
  const fusion = fuse(roots);
  const { buffers } = fusion;
  const isBuffer = (v: Value) => buffers.has(v);

  // Where writes may happen in place, and which groups must therefore come earlier.
  const inPlace = new Set<Value>();
  const constraints = new Map<Group, Set<Group>>();
  const maker = new Map<Value, Group>();
  for (const g of fusion.groups) for (const v of outputsOf(g)) maker.set(v, g);
  const reads = new Map<Group, Set<Value>>(fusion.groups.map((g) => [g, readsOf(g, buffers)]));
  for (const w of writes) {
    if (planInPlace(w, fusion.groups, maker, reads, isBuffer, constraints)) inPlace.add(w.value);
  }
  const groups = schedule(sortGroups(fusion.groups, buffers, constraints), reads, constraints);

  // Places.
  const stores: VariableRef[] = [];
  const slotOf = (v: VariableRef): number => {
    let i = stores.indexOf(v);
    if (i < 0) i = stores.push(v) - 1;
    return i + 2;
  };
  const places = new Map<Value, Place>();
  const intervals: Interval[] = [];
  const arenaPlaces: Place[] = [];
  const inArena = (bytes: number, first: number): Place => {
    const interval: Interval = { bytes, first, last: first };
    const place: Place = { slot: 0, offset: 0, interval, parent: null };
    intervals.push(interval);
    arenaPlaces.push(place);
    return place;
  };
  const constants: { data: TypedArray; offset: number }[] = [];
  let constantBytes = 0;
  const bytesOf = (v: Value) => sizeOf(v.shape) * dtypeBytes[v.dtype];
  const writeOf = new Map(writes.map((w) => [w.value, w.variable]));
  const steps: Step[] = [];
  const repacking = new Repacking();
  const aliases = planAssembles(groups, maker, isBuffer, writeOf, inPlace);
  const placeOf = (v: Value): Place => {
    let p = places.get(v);
    if (p) return p;
    const { op, attrs } = v.node;
    if (op.name === "variable")
      p = { slot: slotOf((attrs as { variable: VariableRef }).variable), offset: 0, interval: null, parent: null };
    else if (op.name === "constant") {
      const { data } = attrs as { data: TypedArray };
      constants.push({ data, offset: constantBytes });
      p = { slot: 1, offset: constantBytes, interval: null, parent: null };
      constantBytes += aligned(data.byteLength) + slack;
    } else if (inPlace.has(v)) p = { slot: slotOf(writeOf.get(v)!), offset: 0, interval: null, parent: null };
    else {
      const alias = aliases.get(v);
      if (alias)
        p = { slot: 0, offset: 0, interval: null, parent: { place: placeOf(alias.whole), offset: alias.offset } };
      else p = inArena(bytesOf(v), op.name === "input" ? -1 : steps.length);
    }
    places.set(v, p);
    return p;
  };
  const placeIn = (v: Value, place: Place, offset: number): boolean => {
    if (places.has(v)) return false;
    places.set(v, { slot: 0, offset: 0, interval: null, parent: { place, offset } });
    return true;
  };
  const step = (kernel: Kernel, at: readonly Place[], label: string): void => {
    for (const p of at) touch(p, steps.length);
    steps.push({ kernel, places: at, label });
  };
  for (const v of source.inputs) if (isUsed(v, reads)) placeOf(v);

  for (const group of groups) {
    if (outputsOf(group).some((v) => sizeOf(v.shape) > 0))
      emitGroup(group, { isBuffer, profile, placeOf, inArena, step, steps, repacking, aliases, placeIn });
  }

  // Writes that could not happen in place.
  for (const w of writes) {
    if (inPlace.has(w.value)) continue;
    const to: Place = { slot: slotOf(w.variable), offset: 0, interval: null, parent: null };
    const copied = apply1(copy, [w.value], { serial: steps.length });
    const { kernel, values } = emitLoopGroup(
      { kind: "loop", members: [copied], internal: new Set(), rows: 1, inner: sizeOf(copied.shape) },
      "write_back",
      (v) => v === w.value,
      profile,
    );
    step(
      kernel,
      values.map((v) => (v === copied ? to : placeOf(v))),
      "write back",
    );
  }
  for (const v of outputs) {
    const { interval } = rootOf(placeOf(v));
    if (interval) interval.last = Number.MAX_SAFE_INTEGER;
  }

  const plan = planMemory(intervals);
  arenaPlaces.forEach((p, i) => {
    p.offset = plan.offsets[i];
  });
  const bind = (p: Place): Binding => {
    if (!p.parent) return { slot: p.slot, offset: p.offset };
    const whole = bind(p.parent.place);
    return { slot: whole.slot, offset: whole.offset + p.parent.offset };
  };
  const program = buildProgram(steps, bind, plan.bytes, constants, constantBytes, stores.length + 2);
  return {
    program,
    inputs: source.inputs.map((v) => (places.has(v) ? places.get(v)!.offset : -1)),
    outputs: outputs.map((v) => bind(placeOf(v))),
    stores,
  };
}

/** Simplified roots in which every output and every write is a value of its own, made by a kernel. */
function prepareRoots(source: GraphSource): { outputs: Value[]; writes: { variable: VariableRef; value: Value }[] } {
  const simple = simplify([...source.outputs, ...source.writes.map((w) => w.value)]);
  const taken = new Set<Value>();
  let serial = 0;
  const own = (v: Value): Value => {
    const { base } = baseOf(v);
    const needsCopy =
      v.node.op.kernel.kind === "source" || taken.has(v) || (v !== base && scalarConstantOf(base) !== undefined);
    const out = needsCopy ? apply1(copy, [v], { serial: serial++ }) : v;
    taken.add(out);
    return out;
  };
  const written = source.writes.map((w, i) => ({
    variable: w.variable,
    value: own(simple[source.outputs.length + i]),
  }));
  // An output may share memory with a write (it is read after the run), but not with another output's source.
  const outputs = simple
    .slice(0, source.outputs.length)
    .map((v) =>
      v.node.op.kernel.kind === "source" || (v !== baseOf(v).base && scalarConstantOf(baseOf(v).base) !== undefined)
        ? own(v)
        : v,
    );
  return { outputs, writes: written };
}

function isUsed(v: Value, reads: Map<Group, Set<Value>>): boolean {
  for (const set of reads.values()) if (set.has(v)) return true;
  return false;
}

/**
 * A value may be computed straight into its variable when everybody else who reads the old contents can run before, and
 * the kernel itself reads the old contents only at the element it is about to write.
 */
function planInPlace(
  w: { variable: VariableRef; value: Value },
  groups: readonly Group[],
  maker: Map<Value, Group>,
  reads: Map<Group, Set<Value>>,
  isBuffer: (v: Value) => boolean,
  constraints: Map<Group, Set<Group>>,
): boolean {
  const group = maker.get(w.value);
  if (!group || (group.kind === "lower" && group.node.op.kernel.kind === "region")) return false;
  const isOld = (v: Value) =>
    v.node.op.name === "variable" && (v.node.attrs as { variable: VariableRef }).variable === w.variable;
  const readers = groups.filter((g) => g !== group && [...reads.get(g)!].some(isOld));
  if (readers.length > 0) {
    const after = successors(group, groups, maker, reads, constraints);
    if (readers.some((r) => after.has(r))) return false;
  }
  if ([...reads.get(group)!].some(isOld)) {
    if (group.kind !== "loop" || group.members.some((m) => m.node.op.kernel.kind === "reduce")) return false;
    for (const m of group.members) {
      for (const leaf of leavesOf(m, (v) => isBuffer(v))) {
        if (!isOld(leaf.value)) continue;
        const access = through(contiguous(leaf.value.shape), leaf.chain);
        if (
          "blocked" in access ||
          access.offset !== 0 ||
          !isContiguous(access) ||
          sizeOf(access.shape) !== sizeOf(w.value.shape)
        )
          return false;
      }
    }
  }
  if (readers.length > 0) {
    const set = constraints.get(group) ?? new Set();
    for (const r of readers) set.add(r);
    constraints.set(group, set);
  }
  return true;
}

/** Groups that must run after `group`. */
function successors(
  group: Group,
  groups: readonly Group[],
  maker: Map<Value, Group>,
  reads: Map<Group, Set<Value>>,
  constraints: Map<Group, Set<Group>>,
): Set<Group> {
  const users = new Map<Group, Group[]>();
  for (const g of groups) {
    for (const v of reads.get(g)!) {
      const m = maker.get(v);
      if (m && m !== g) users.set(m, [...(users.get(m) ?? []), g]);
    }
    for (const before of constraints.get(g) ?? []) users.set(before, [...(users.get(before) ?? []), g]);
  }
  const seen = new Set<Group>();
  const stack = [group];
  while (stack.length > 0) {
    for (const u of users.get(stack.pop()!) ?? []) {
      if (!seen.has(u)) {
        seen.add(u);
        stack.push(u);
      }
    }
  }
  return seen;
}

function buildProgram(
  steps: readonly Step[],
  bind: (p: Place) => Binding,
  arenaBytes: number,
  constants: readonly { data: TypedArray; offset: number }[],
  constantBytes: number,
  slots: number,
): LoopProgram {
  const kernels: Kernel[] = [];
  const known = new Map<string, number[]>();
  let scratch = 0;
  const indexOf = (kernel: Kernel): number => {
    // Kernels that differ nearly always differ in their sizes.
    const sizes = `${kernel.grid.map((v) => v.extent)}|${kernel.buffers.map((b) => b.size)}|${kernel.body.length}`;
    const similar = known.get(sizes) ?? [];
    known.set(sizes, similar);
    const same = similar.find((i) => sameCode(kernels[i], kernel));
    if (same !== undefined) return same;
    const index = kernels.push(kernel) - 1;
    similar.push(index);
    scratch = Math.max(scratch, scratchBytes(kernel));
    return index;
  };
  const calls: KernelCall[] = steps.map((s) => {
    const index = indexOf(s.kernel);
    return { kernel: index, bindings: s.places.map(bind), label: s.label };
  });
  const blob = new Uint8Array(constantBytes);
  for (const c of constants) blob.set(new Uint8Array(c.data.buffer, c.data.byteOffset, c.data.byteLength), c.offset);
  return { kernels, stages: makeStages(calls, kernels), arenaBytes, constants: blob, scratchBytes: scratch, slots };
}
