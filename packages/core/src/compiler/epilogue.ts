/** Epilogues: the elementwise chain after a contraction, as the code that contractions call before they store. */
import type { MapContext, Node, Value } from "../graph/node.ts";
import { sizeOf } from "../graph/types.ts";
import { contiguous, through } from "./access.ts";
import { affine, type Index, scaled } from "./builder.ts";
import { afterLoad, beforeStore, computeType, scalarConstantOf, storageType } from "./emit-expression.ts";
import { baseOf, epilogueIndex } from "./fuse.ts";
import type { Buffer, Operand } from "./loopir.ts";
import type { Epilogue } from "./lowered.ts";

/** The epilogue of a chain, and the values that its inputs stand for. */
export function makeEpilogue(
  node: Node,
  chain: readonly Node[],
  isBuffer: (v: Value) => boolean,
): { epilogue: Epilogue | null; values: Value[] } {
  if (chain.length === 0) return { epilogue: null, values: [] };
  const shape = node.types[0].shape;
  const columns = shape[shape.length - 1] ?? 1;
  const produced = new Set<Value>([node.outputs[0], ...chain.map((c) => c.outputs[0])]);
  const values: Value[] = [];
  const collect = (v: Value): void => {
    const { base } = baseOf(v);
    if (produced.has(base) || scalarConstantOf(base) !== undefined) return;
    if (isBuffer(base)) {
      if (!values.includes(base)) values.push(base);
    } else for (const i of base.node.inputs) collect(i);
  };
  for (const c of chain) for (const v of c.inputs) collect(v);
  const last = chain[chain.length - 1].outputs[0];
  const epilogue: Epilogue = {
    inputs: values.map((v, i) => ({ name: `e${i}`, type: storageType(v.dtype), size: sizeOf(v.shape) })),
    outType: storageType(last.dtype),
    emit(b, value, buffers: readonly Buffer[], row: Index, column: Index): Operand {
      const lanes = value.lanes;
      const done = new Map<Value, Operand>([[node.outputs[0], value]]);
      const get = (v: Value): Operand => {
        const known = done.get(v);
        if (known) return known;
        const { base, chain: views } = baseOf(v);
        const made = done.get(base);
        if (made && produced.has(base)) return made;
        const constant = scalarConstantOf(base);
        if (constant !== undefined) return b.const(computeType(v.dtype), constant, lanes);
        let x: Operand;
        if (isBuffer(base)) {
          const access = through(contiguous(base.shape), views);
          if ("blocked" in access) throw new Error("compiler: epilogue operand cannot be addressed");
          const index = epilogueIndex(access, columns)!;
          const buffer = buffers[values.indexOf(base)];
          if (index.kind === "scalar") x = b.load(buffer, index.offset, lanes, lanes > 1 ? { stride: 0 } : {});
          else
            x = b.load(
              buffer,
              index.kind === "columns"
                ? affine(index.offset, column)
                : affine(index.offset, scaled(row, columns), column),
              lanes,
            );
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
      for (const c of chain) map(c);
      return beforeStore(b, done.get(last)!, last.dtype);
    },
  };
  return { epilogue, values };
}
