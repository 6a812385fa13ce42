/** The part of a model that runs on the host, before the compiled program: strings, tables, hashes. */
import type { Tree } from "../tensor/tree.ts";
import type { HostTree } from "./arguments.ts";
import type { Open } from "./infer.ts";

export interface HostStage {
  /** What the program takes, from what the user gave. */
  run(inputs: HostTree): HostTree;
  /** The same for shapes and dtypes, before there is data. */
  infer(inputs: Tree<Open>): Tree<Open>;
}
