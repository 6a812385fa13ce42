/** Bodies whose rows (the first axis of every carry) do not depend on one another can run for blocks of rows. */
import { apply, type Node, topological, type Value } from "../graph/node.ts";
import type { DotAttrs } from "../graph/ops/contract.ts";
import { inputValue } from "../graph/ops/source.ts";
import { isSpreadConstant, Region } from "../graph/region.ts";
import { rowMajor } from "../graph/types.ts";
import { contiguous } from "./access.ts";

/** Which parameters of a region have rows; null when rows mix somewhere. */
export interface Rows {
  readonly count: number;
  readonly parameters: readonly boolean[];
}

export function rowsOf(region: Region, carries: number, xs: number): Rows | null {
  const { parameters } = region;
  if (carries === 0 || parameters[0].shape.length === 0) return null;
  const count = parameters[0].shape[0];
  const fits = (v: Value) => v.shape.length > 0 && v.shape[0] === count;
  if (!parameters.slice(0, carries).every(fits)) return null;
  const rowed = parameters.map((p, i) => i < carries + xs && fits(p));
  if (parameters.some((_, i) => i >= carries && i < carries + xs && !rowed[i])) return null;
  for (;;) {
    const wanted = check(region, count, rowed);
    if (wanted === true) return { count, parameters: rowed };
    if (wanted === null || rowed[wanted]) return null;
    rowed[wanted] = true;
  }
}

/** True when consistent; a number: this parameter must have rows too; null: rows mix. */
function check(region: Region, count: number, rowed: readonly boolean[]): true | number | null {
  const { parameters, results } = region;
  const rows = new Set<Value>(parameters.filter((_, i) => rowed[i]));
  for (const node of topological(results)) {
    if (node.inputs.length === 0) continue;
    const [out] = node.outputs;
    const tall = out.shape.length > 0 && out.shape[0] === count;
    const repeated = node.op.name === "broadcastTo" && tall && spreadsRows(node, count);
    if (!node.inputs.some((v) => rows.has(v))) {
      if (repeated) rows.add(out);
      continue;
    }
    if (node.outputs.length !== 1 || !tall) return null;
    if (node.op.kernel.kind === "map" || node.op.name === "concat") {
      for (const v of node.inputs) {
        if (rows.has(v) || isSpreadConstant(v)) continue;
        const at = parameters.indexOf(v);
        return at >= 0 && v.shape[0] === count ? at : null;
      }
    }
    if (!keepsRows(node, count, rows)) return null;
    rows.add(out);
  }
  return results.every((r) => rows.has(r)) ? true : null;
}

export function spreadsRows(node: Node, count: number): boolean {
  const [x] = node.inputs;
  return x.shape.length < node.types[0].shape.length || (x.shape[0] === 1 && count > 1);
}

/** Whether a map, a reduction or a view has a row of its result for each row of its operands, from that row alone. */
export function staysInRows({ op: { kernel }, inputs, attrs, types }: Node, count: number): boolean {
  if (types[0].shape[0] !== count) return false;
  if (kernel.kind === "map") return !kernel.coordinates;
  const { shape } = inputs[0];
  if (kernel.kind === "reduce") return !kernel.axes(attrs).includes(0);
  if (kernel.kind !== "view" || shape[0] !== count) return false;
  const [pitch] = rowMajor(shape);
  const access = kernel.view(contiguous(shape), attrs, types[0]);
  return access !== null && access.strides[0] === pitch && access.offset < pitch;
}

function keepsRows(node: Node, count: number, rows: ReadonlySet<Value>): boolean {
  const { op, inputs, attrs } = node;
  switch (op.name) {
    case "concat":
      return (attrs as { axis: number }).axis !== 0;
    case "pad": {
      const { low, high, step } = attrs as { low: number[]; high: number[]; step: number[] };
      return low[0] === 0 && high[0] === 0 && step[0] === 1;
    }
    case "dotGeneral": {
      const { batchA, batchB, contractA } = attrs as DotAttrs;
      const [a, b] = inputs;
      if (rows.has(b)) return rows.has(a) && batchA[0] === 0 && batchB[0] === 0;
      return batchA.length === 0 && !contractA.includes(0);
    }
    case "conv":
    case "convInputGrad":
      return rows.has(inputs[0]) && !rows.has(inputs[1]);
    default:
      return staysInRows(node, count);
  }
}

/** The region for `rows` rows instead of all. */
export function resized(region: Region, { count, parameters: rowed }: Rows, rows: number): Region {
  if (rows === count) return region;
  const map = new Map<Value, Value>();
  const tall = new Set<Value>();
  const shrink = (shape: readonly number[]) => [rows, ...shape.slice(1)];
  const parameters = region.parameters.map((p, i) => {
    if (!rowed[i]) return p;
    const next = inputValue(`rows${i}`, { shape: shrink(p.shape), dtype: p.dtype });
    map.set(p, next);
    tall.add(p);
    return next;
  });
  for (const node of topological(region.results)) {
    const repeated = node.op.name === "broadcastTo" && node.types[0].shape[0] === count && spreadsRows(node, count);
    const some = node.inputs.some((v) => tall.has(v));
    if (!some && !repeated) continue;
    let { attrs } = node;
    if (node.op.name === "broadcastTo" || node.op.name === "reshape")
      attrs = { ...(attrs as object), shape: shrink(node.types[0].shape) };
    else if (node.op.name === "slice") {
      const a = attrs as { limit: readonly number[] };
      attrs = { ...a, limit: shrink(a.limit) };
    }
    const inputs = node.inputs.map((v) => map.get(v) ?? v);
    const made = apply(node.op, inputs, attrs);
    node.outputs.forEach((o, i) => {
      map.set(o, made[i]);
      // Sums over rows have none.
      if (o.shape[0] !== made[i].shape[0]) tall.add(o);
    });
  }
  return new Region(
    parameters,
    region.results.map((r) => map.get(r) ?? r),
  );
}
