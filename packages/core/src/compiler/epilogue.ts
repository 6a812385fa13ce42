/** Epilogues: the elementwise chain after a contraction, as the code that contractions call before they store. */
import type { MapContext, Node, Value } from "../graph/node.ts";
import { sizeOf } from "../graph/types.ts";
import { contiguous, through } from "./access.ts";
import { affine, type Index, scaled } from "./builder.ts";
import { afterLoad, beforeStore, computeType, scalarConstantOf, storageType } from "./emit-expression.ts";
import { baseOf, epilogueIndex } from "./fuse.ts";
import type { Buffer, Operand } from "./loopir.ts";
import type { Epilogue } from "./lowered.ts";

/** What an input of an epilogue stands for: memory of `value` from an element on. */
export interface EpilogueOperand {
  readonly value: Value;
  readonly offset: number;
}

/**
 * The epilogue of a chain, and what its inputs stand for. Where an operand begins in its memory is not part of the code, so
 * that layers whose biases lie at different places of one variable share a kernel.
 */
export function makeEpilogue(
  node: Node,
  chain: readonly Node[],
  isBuffer: (v: Value) => boolean,
): { epilogue: Epilogue | null; operands: EpilogueOperand[] } {
  const maps = chain.filter((c) => c.op.kernel.kind === "map");
  if (maps.length === 0) return { epilogue: null, operands: [] };
  const shape = node.types[0].shape;
  const columns = shape[shape.length - 1] ?? 1;
  const produced = new Set<Value>([node.outputs[0], ...maps.map((c) => c.outputs[0])]);
  const operands: (EpilogueOperand & { readonly kind: string; readonly size: number })[] = [];
  const indexOf = (v: Value) => {
    const { base, chain: views } = baseOf(v);
    const access = through(contiguous(base.shape), views);
    if ("blocked" in access) throw new Error("compiler: epilogue operand cannot be addressed");
    return epilogueIndex(access, columns)!;
  };
  const operandOf = (base: Value, kind: string, offset: number) =>
    operands.findIndex((o) => o.value === base && o.kind === kind && o.offset === offset);
  const collect = (v: Value): void => {
    const { base } = baseOf(v);
    if (produced.has(base) || scalarConstantOf(base) !== undefined) return;
    if (isBuffer(base)) {
      const { kind, offset } = indexOf(v);
      const size = kind === "scalar" ? 1 : kind === "columns" ? columns : sizeOf(v.shape);
      if (operandOf(base, kind, offset) < 0) operands.push({ value: base, kind, offset, size });
    } else for (const i of base.node.inputs) collect(i);
  };
  for (const c of maps) for (const v of c.inputs) collect(v);
  const last = maps[maps.length - 1].outputs[0];
  const epilogue: Epilogue = {
    inputs: operands.map((o, i) => ({ name: `e${i}`, type: storageType(o.value.dtype), size: o.size })),
    outType: storageType(last.dtype),
    emit(b, value, buffers: readonly Buffer[], row: Index, column: Index): Operand {
      const lanes = value.lanes;
      const done = new Map<Value, Operand>([[node.outputs[0], value]]);
      const get = (v: Value): Operand => {
        const known = done.get(v);
        if (known) return known;
        const { base } = baseOf(v);
        const made = done.get(base);
        if (made && produced.has(base)) return made;
        const constant = scalarConstantOf(base);
        if (constant !== undefined) return b.const(computeType(v.dtype), constant, lanes);
        let x: Operand;
        if (isBuffer(base)) {
          const { kind, offset } = indexOf(v);
          const buffer = buffers[operandOf(base, kind, offset)];
          if (kind === "scalar") x = b.load(buffer, 0, lanes, lanes > 1 ? { stride: 0 } : {});
          else x = b.load(buffer, kind === "columns" ? column : affine(scaled(row, columns), column), lanes);
          x = afterLoad(b, x, base.dtype);
        } else x = map(base.node);
        done.set(v, x);
        return x;
      };
      const map = (n: Node): Operand => {
        const rule = n.op.kernel;
        if (rule.kind !== "map") throw new Error(`compiler: ${n.op.name} in an epilogue`);
        const context: MapContext<unknown> = {
          attrs: n.attrs,
          lanes,
          inputs: n.inputs.map((i) => i.type),
          output: n.types[0],
          coordinate() {
            throw new Error("compiler: coordinates in an epilogue");
          },
        };
        const x = rule.expr(b, n.inputs.map(get), context);
        done.set(n.outputs[0], x);
        return x;
      };
      for (const c of maps) map(c);
      return beforeStore(b, done.get(last)!, last.dtype);
    },
  };
  return { epilogue, operands };
}
