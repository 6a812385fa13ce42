/** Compiled programs as text, for devices that keep machine code between processes: all of a program but its kernels' code. */
import type { VariableRef } from "../graph/ops/source.ts";
import { structureOf } from "../graph/structure.ts";
import type { CompiledGraph, GraphSource } from "./compile.ts";
import type { Binding, Kernel, LoopProgram, TargetProfile } from "./loopir.ts";

declare const __LAYERWISE_BUILD__: string | undefined;

/** Changes with every change to the compiler; null where it runs from sources, which may change under it. */
const build = typeof __LAYERWISE_BUILD__ === "string" ? __LAYERWISE_BUILD__ : null;

export interface Identity {
  /** Everything that decides what the compiler makes of a graph, for a hash. */
  readonly parts: readonly (string | Uint8Array)[];
  /** In an order that follows from the parts. */
  readonly variables: readonly VariableRef[];
}

/** Null where it cannot be said whether two graphs are the same. */
export function identify(source: GraphSource, profile: TargetProfile): Identity | null {
  if (build === null) return null;
  const structure = structureOf([...source.outputs, ...source.writes.map((w) => w.value)], { scopes: true });
  if (structure.text === null) return null;
  const variables = [...structure.variables];
  for (const { variable } of source.writes) if (!variables.includes(variable)) variables.push(variable);
  const writes = source.writes.map((w) => variables.indexOf(w.variable));
  const inputs = source.inputs.map((v) => structure.inputs.indexOf(v));
  const contents = structure.constants.map((c) => (c.node.attrs as { readonly data: ArrayBufferView }).data);
  return {
    parts: [
      build,
      JSON.stringify([profile, source.outputs.length, writes, inputs]),
      structure.text,
      ...contents.map((d) => new Uint8Array(d.buffer, d.byteOffset, d.byteLength)),
    ],
    variables,
  };
}

/** A kernel without its body, which the device has as machine code called `symbol`. */
type KeptKernel = Pick<Kernel, "name" | "grid" | "flops" | "bytes"> & { readonly symbol: string };

interface Kept extends Omit<LoopProgram, "kernels" | "constants"> {
  readonly kernels: readonly KeptKernel[];
  readonly inputs: readonly number[];
  readonly outputs: readonly Binding[];
  /** Variables by their number in the identity. */
  readonly stores: readonly number[];
}

/** All of a compiled graph but its kernels' bodies and the contents of its constants. */
export function keptText(
  { program, inputs, outputs, stores }: CompiledGraph,
  of: Identity,
  symbols: readonly string[],
) {
  const { kernels, constants: _, ...rest } = program;
  return JSON.stringify({
    ...rest,
    kernels: kernels.map(({ name, grid, flops, bytes }, i) => ({ name, grid, flops, bytes, symbol: symbols[i] })),
    inputs,
    outputs,
    stores: stores.map((v) => of.variables.indexOf(v)),
  } satisfies Kept);
}

/** The compiled graph that `keptText` described. */
export function fromKept(text: string, constants: Uint8Array, of: Identity): CompiledGraph {
  const { kernels, inputs, outputs, stores, ...rest } = JSON.parse(text) as Kept;
  return {
    program: { ...rest, constants, kernels: kernels.map((k) => ({ ...k, buffers: [], body: [] })) },
    inputs,
    outputs,
    stores: stores.map((i) => of.variables[i]),
  };
}
