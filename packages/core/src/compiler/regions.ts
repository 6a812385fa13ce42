/** Loops and branches in the compiler: plugged in by whoever makes one, so that a page without them does not carry it. */
import type { Node, Value } from "../graph/node.ts";
import type { EmitContext } from "./emit-group.ts";

export interface RegionCompiler {
  /** Emits the kernels of a scan, cond or while. */
  readonly emit: (node: Node, c: EmitContext, label: string) => void;
  /** The same roots with scans that belong together joined to one. */
  readonly merge: (roots: readonly Value[]) => Value[];
}

let plugged: RegionCompiler | null = null;

export function plugRegions(compiler: RegionCompiler): void {
  plugged = compiler;
}

/** Null where no loop or branch has been made yet. */
export function regionCompiler(): RegionCompiler | null {
  return plugged;
}
