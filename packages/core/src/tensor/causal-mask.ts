/** The causal mask: the earlier of two positions is seen from the later one. */
import { plugTriangles } from "../compiler/triangles.ts";
import * as g from "../graph/ops/index.ts";
import { Tensor } from "./tensor.ts";

/** Query i sees keys 0 … i: bool [T, S]. The compiler knows such a mask and leaves out what it throws away. */
export function causalMask(t: number, s: number): Tensor {
  plugTriangles();
  return new Tensor(g.greaterEqual(g.iota([t, s], 0, "i32"), g.iota([t, s], 1, "i32")));
}
