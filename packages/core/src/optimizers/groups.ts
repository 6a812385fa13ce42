/** Groups: what an optimizer updates in one go, which is all f32 variables in one flat root, or single variables. */
import type { Value } from "../graph/node.ts";
import * as g from "../graph/ops/index.ts";
import { allocate, sizeOf } from "../graph/types.ts";
import { Tensor } from "../tensor/tensor.ts";
import { flatten, Variable } from "../tensor/variable.ts";

/** A variable of a group and its first element there. */
export interface Member {
  readonly variable: Variable;
  readonly offset: number;
}

/** Variables updated by one application of the update rule. */
export interface Group {
  /** The flat root; or, where `flat` is false, the variable itself. */
  readonly root: Variable;
  readonly flat: boolean;
  /** By rising offset. */
  readonly members: readonly Member[];
  /** Slots by name, of the root's shape unless the rule says otherwise. */
  readonly slots: Map<string, Variable>;
}

/** Whether all variables still are where the group expects them. */
export function inPlace(group: Group): boolean {
  return group.members.every(({ variable, offset }) =>
    group.flat ? variable.parent?.root === group.root && variable.parent.offset === offset : variable === group.root,
  );
}

/** One flat group for the f32 variables but large tables, and one group for each other; all single where rules are not elementwise. */
export function groupVariables(variables: readonly Variable[], elementwise: boolean, name: string): Group[] {
  const single = (v: Variable): Group => ({
    root: v,
    flat: false,
    members: [{ variable: v, offset: 0 }],
    slots: new Map(),
  });
  if (!elementwise) return variables.map(single);
  const joins = (v: Variable) => v.dtype === "f32" && !(v.table && !v.parent);
  const floats = variables.filter(joins);
  const others = variables.filter((v) => !joins(v)).map(single);
  if (floats.length === 0) return others;
  if (floats.length === 1 && !floats[0].parent) return [single(floats[0]), ...others];
  const root = commonRoot(floats) ?? flatten(floats, `${name} weights`);
  const members = floats
    .map((variable) => ({ variable, offset: variable.parent!.offset }))
    .sort((a, b) => a.offset - b.offset);
  return [{ root, flat: true, members, slots: new Map() }, ...others];
}

/** The root that holds exactly these variables, if there is one. */
function commonRoot(variables: readonly Variable[]): Variable | null {
  const root = variables[0].parent?.root ?? null;
  if (root === null || variables.some((v) => v.parent?.root !== root)) return null;
  const at = (v: Variable) => v.parent?.offset ?? 0;
  const sorted = [...variables].sort((a, b) => at(a) - at(b));
  const ends = sorted.map((_, i) => (i + 1 < sorted.length ? at(sorted[i + 1]) : root.size));
  // What lies between one member and the next is only padding if it is shorter than a vector's alignment.
  const onlyPadding = sorted.every((v, i) => ends[i] - (at(v) + v.size) < 16);
  return at(sorted[0]) === 0 && onlyPadding ? root : null;
}

/** One value of the group's shape from one per member (null: zeros); zeros in the gaps. */
export function pack(group: Group, values: ReadonlyMap<Variable, Value>): Value {
  const { root } = group;
  if (!group.flat) return values.get(root) ?? g.full(root.shape, 0, root.dtype);
  return perMember(group, ({ variable }) => {
    const value = values.get(variable);
    return value ? g.reshape(value, [variable.size]) : g.full([variable.size], 0, "f32");
  });
}

/** A value of the group's shape with one number for each member (gaps belong to the member before). */
export function spread(group: Group, scalarOf: (member: Member) => Value): Value {
  const { root } = group;
  if (!group.flat) return g.broadcastTo(scalarOf(group.members[0]), root.shape);
  const parts = group.members.map((m, i) => {
    const end = group.members[i + 1]?.offset ?? root.size;
    return g.broadcastTo(scalarOf(m), [end - m.offset]);
  });
  return parts.length === 1 ? parts[0] : g.concat(parts, 0);
}

/** Whether a condition holds, per element, as a constant. */
export function memberMask(group: Group, holds: (variable: Variable) => boolean): Value {
  return spread(group, (m) => g.scalar(holds(m.variable), "bool"));
}

/** The part of a value of the group's shape that belongs to a member. */
export function partOf(group: Group, value: Value, { variable, offset }: Member): Value {
  return group.flat ? g.slice(value, [offset], [offset + variable.size]) : value;
}

function perMember(group: Group, valueAt: (member: Member) => Value): Value {
  const parts: Value[] = [];
  let at = 0;
  const gapTo = (end: number) => {
    if (end > at) parts.push(g.full([end - at], 0, "f32"));
    at = end;
  };
  for (const member of group.members) {
    gapTo(member.offset);
    parts.push(valueAt(member));
    at += member.variable.size;
  }
  gapTo(group.root.size);
  return parts.length === 1 ? parts[0] : g.concat(parts, 0);
}

/** Assigns single variables, of which several may be members of one root: that is written once. */
export function assignAll(pairs: readonly (readonly [Variable, Tensor])[]): void {
  const byRoot = new Map<Variable, { variable: Variable; offset: number; value: Value }[]>();
  for (const [variable, tensor] of pairs) {
    if (!variable.parent) variable.assign(tensor);
    else {
      const { root, offset } = variable.parent;
      const list = byRoot.get(root) ?? [];
      byRoot.set(root, list);
      list.push({ variable, offset, value: g.reshape(tensor.value, [variable.size]) });
    }
  }
  for (const [root, list] of byRoot) {
    const old = root.value();
    const parts: Value[] = [];
    let at = 0;
    const keep = (end: number) => {
      if (end > at) parts.push(g.slice(old, [at], [end]));
      at = end;
    };
    for (const { variable, offset, value } of list.sort((a, b) => a.offset - b.offset)) {
      keep(offset);
      parts.push(value);
      at += variable.size;
    }
    keep(root.size);
    root.assign(new Tensor(parts.length === 1 ? parts[0] : g.concat(parts, 0)));
  }
}

/** A variable filled with one number. */
export function filledVariable(
  shape: readonly number[],
  dtype: Variable["dtype"],
  initial: number,
  name: string,
): Variable {
  return new Variable(allocate(dtype, sizeOf(shape)).fill(initial), shape, dtype, { name, trainable: false });
}

/** The range of a flat slot that belongs to a member, as a variable of the member's shape. */
export function slotView(slot: Variable, { variable, offset }: Member, name: string): Variable {
  const view = new Variable(allocate(slot.dtype, variable.size), variable.shape, slot.dtype, {
    name,
    trainable: false,
  });
  view.host = null;
  view.parent = { root: slot, offset };
  return view;
}
