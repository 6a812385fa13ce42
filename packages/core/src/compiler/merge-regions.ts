/** Before simplification: scans of one family over equal inputs become one, and results that nobody uses go. */
import { Node, topological, type Value } from "../graph/node.ts";
import { type Family, type ScanAttrs, scanOp } from "../graph/ops/scan.ts";
import { prune } from "../graph/ops/scan-hoist.ts";
import { dependents, Region } from "../graph/region.ts";

export function mergeRegions(roots: readonly Value[]): Value[] {
  if (!topological(roots).some((n) => n.op === scanOp)) return [...roots];
  return dropUnused(mergeFamilies(roots));
}

/** Nodes rebuilt over replaced inputs. */
function rebuild(roots: readonly Value[], remake: (node: Node, inputs: Value[]) => readonly Value[]): Value[] {
  const replaced = new Map<Value, Value>();
  for (const node of topological(roots)) {
    const inputs = node.inputs.map((v) => replaced.get(v) ?? v);
    const outputs = remake(node, inputs);
    node.outputs.forEach((o, i) => {
      if (outputs[i] && outputs[i] !== o) replaced.set(o, outputs[i]);
    });
  }
  return roots.map((r) => replaced.get(r) ?? r);
}

function remade(node: Node, inputs: Value[]): readonly Value[] {
  if (inputs.every((v, i) => v === node.inputs[i])) return node.outputs;
  return new Node(node.op, node.attrs, inputs, node.types, node.scope).outputs;
}

/** The gradient of a scan stores more of the same body's values: one loop gives what all of them want. */
function mergeFamilies(roots: readonly Value[]): Value[] {
  const families = new Map<Family, Node[]>();
  for (const node of topological(roots)) {
    if (node.op !== scanOp) continue;
    const { family } = node.attrs as ScanAttrs;
    families.set(family, [...(families.get(family) ?? []), node]);
  }
  const made = new Map<string, { readonly node: Node; readonly results: readonly Value[] }>();
  return rebuild(roots, (node, inputs) => {
    const members = node.op === scanOp ? families.get((node.attrs as ScanAttrs).family)! : [];
    if (members.length < 2) return remade(node, inputs);
    const attrs = node.attrs as ScanAttrs;
    const id = families.get(attrs.family)![0].id;
    const { parameters, results } = attrs.region;
    // Members are told apart by what they are applied to; parameters may have been pruned differently.
    const key = `${id}|${parameters.map((p, i) => `${p.node.id}:${inputs[i].node.id}.${inputs[i].index}`)}`;
    let whole = made.get(key);
    if (!whole) {
      const extra = new Set<Value>();
      for (const m of members) {
        const { region } = m.attrs as ScanAttrs;
        if (region.parameters.length !== parameters.length || region.parameters.some((p, i) => p !== parameters[i]))
          continue;
        for (const r of region.results.slice(attrs.carries)) extra.add(r);
      }
      const all = [...results.slice(0, attrs.carries), ...extra];
      const merged: ScanAttrs = { ...attrs, region: new Region(parameters, all) };
      const types = scanOp.infer(
        inputs.map((v) => v.type),
        merged,
      );
      whole = { node: new Node(scanOp, merged, inputs, types, node.scope), results: all };
      made.set(key, whole);
    }
    const { node: union, results: all } = whole;
    return results.map((r, i) => union.outputs[i < attrs.carries ? i : all.indexOf(r, attrs.carries)]);
  });
}

function dropUnused(roots: readonly Value[]): Value[] {
  const used = new Set<Value>(roots);
  const kept = new Map<Node, boolean[]>();
  const order = topological(roots);
  for (let i = order.length - 1; i >= 0; i--) {
    const node = order[i];
    if (!node.outputs.some((o) => used.has(o))) continue;
    if (node.op !== scanOp) {
      for (const v of node.inputs) used.add(v);
      continue;
    }
    const keep = neededResults(
      node.attrs as ScanAttrs,
      node.outputs.map((o) => used.has(o)),
    );
    kept.set(node, keep);
    const { region, carries } = node.attrs as ScanAttrs;
    const needed = new Set(topological(region.results.filter((_, k) => keep[k])));
    region.parameters.forEach((p, k) => {
      if (k < carries ? keep[k] : needed.has(p.node)) used.add(node.inputs[k]);
    });
  }
  return rebuild(roots, (node, inputs) => {
    const keep = kept.get(node);
    if (!keep) return remade(node, inputs);
    if (keep.every((k) => k)) return remade(node, inputs);
    const attrs = node.attrs as ScanAttrs;
    const { region, carries } = attrs;
    const stays = (k: number) => k >= carries || keep[k];
    const smaller = prune(
      inputs.filter((_, k) => stays(k)),
      {
        ...attrs,
        carries: keep.slice(0, carries).filter((k) => k).length,
        region: new Region(
          region.parameters.filter((_, k) => stays(k)),
          region.results.filter((_, k) => keep[k]),
        ),
      },
    );
    const types = scanOp.infer(
      smaller.inputs.map((v) => v.type),
      smaller.attrs,
    );
    const next = new Node(scanOp, smaller.attrs, smaller.inputs, types, node.scope);
    let at = 0;
    return node.outputs.map((o, k) => (keep[k] ? next.outputs[at++] : o));
  });
}

/** Results used outside, and the carries that they depend on from step to step. */
function neededResults({ region, carries }: ScanAttrs, used: readonly boolean[]): boolean[] {
  const keep = [...used];
  const { parameters, results } = region;
  for (let again = true; again; ) {
    again = false;
    const alive = results.filter((_, i) => keep[i]);
    for (let i = 0; i < carries; i++) {
      if (keep[i]) continue;
      const reached = dependents(alive, [parameters[i]]);
      if (alive.some((r) => reached.has(r.node))) {
        keep[i] = true;
        again = true;
      }
    }
  }
  return keep;
}
