/** Loops over random bodies. */
import type { Value } from "../../packages/core/src/graph/node.ts";
import * as g from "../../packages/core/src/graph/ops/index.ts";
import { floats, type Sample } from "../../packages/core/src/graph/ops/sample.ts";
import { sameShape } from "../../packages/core/src/graph/types.ts";
import { randomGraph } from "./random-graphs.ts";

/** A random graph as the body: of the carry, a step's input and something from outside. */
export function randomScan(seed: number): Sample {
  const body = randomGraph(seed, 8);
  const [a, b, c] = body.inputs;
  const length = 1 + (seed % 4);
  return {
    name: `seed ${seed}`,
    gradient: true,
    inputs: [
      floats(a.shape, -1, 1, seed),
      floats([length, ...b.shape], -1, 1, seed + 1),
      floats(c.shape, -1, 1, seed + 2),
    ],
    build: (h, x, w) => {
      const step = ([s]: readonly Value[], [xt]: readonly Value[]) => {
        const made = body.build(s, xt, w) as readonly Value[];
        const sums = made.map((m) =>
          g.broadcastTo(g.mul(g.reduceSum(m, [...m.shape.keys()]), g.scalar(0.01)), s.shape),
        );
        const alike = made.filter((m) => m !== s && sameShape(m.shape, s.shape)).map((m) => g.mul(m, g.scalar(0.2)));
        const next = [...sums, ...alike].reduce((x, y) => g.add(x, y), g.mul(s, g.scalar(0.5)));
        return { carry: [g.tanh(next)], ys: seed % 3 === 0 ? [made[0]] : [made[0], next] };
      };
      const { carry, ys } = g.scan(step, [h], [x], { length, reverse: seed % 2 === 0 });
      return [...carry, ...ys];
    },
  };
}
