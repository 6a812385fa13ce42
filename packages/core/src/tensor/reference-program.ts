/** Programs of the "reference" device: the graph evaluated in float64, for checking everything else. */
import type { Value } from "../graph/node.ts";
import { evaluate } from "../graph/reference/evaluate.ts";
import { allocate, sizeOf, type TypedArray } from "../graph/types.ts";
import type { Program, ProgramSource } from "./engine.ts";
import type { Variable } from "./variable.ts";

export function referenceProgram(source: ProgramSource): Program {
  const writes = source.trace?.writes() ?? [];
  const reads: [Variable, Value][] = [...(source.trace?.initial ?? [])];
  const inputs = source.inputs.map((v) => allocate(v.dtype, sizeOf(v.shape)));
  return {
    inputs: () => inputs,
    execute(into) {
      const feed = new Map<Value, { shape: readonly number[]; data: Float64Array }>();
      source.inputs.forEach((v, i) => {
        feed.set(v, { shape: v.shape, data: Float64Array.from(inputs[i]) });
      });
      for (const [variable, v] of reads) feed.set(v, { shape: v.shape, data: Float64Array.from(variable.snapshot()) });
      const results = evaluate([...source.outputs, ...writes.map((w) => w.value)], feed);
      const host = results.map((r, i) => {
        const value = i < source.outputs.length ? source.outputs[i] : writes[i - source.outputs.length].value;
        const out: TypedArray = allocate(value.dtype, r.data.length);
        out.set(r.data);
        return out;
      });
      writes.forEach((w, i) => {
        w.variable.overwrite(host[source.outputs.length + i]);
      });
      into?.forEach((out, i) => {
        out.set(host[i] as never);
      });
      return into ? [...into] : host.slice(0, source.outputs.length);
    },
    release() {},
  };
}
