/** Loops over random bodies: values on the devices, gradients against finite differences, equal bits. */
import { expect, test } from "vitest";
import { gradients } from "../../packages/core/src/autodiff/gradients.ts";
import type { Value } from "../../packages/core/src/graph/node.ts";
import * as g from "../../packages/core/src/graph/ops/index.ts";
import { floats, type Sample } from "../../packages/core/src/graph/ops/sample.ts";
import { evaluate } from "../../packages/core/src/graph/reference/evaluate.ts";
import { sameShape } from "../../packages/core/src/graph/types.ts";
import { createInterpreterDevice } from "../../packages/core/src/targets/interpreter/device.ts";
import { createWasmDevice } from "../../packages/core/src/targets/wasm/device.ts";
import { buildSample, compareGradients, cotangents } from "./differences.ts";
import { randomGraph } from "./random-graphs.ts";
import { runOn } from "./targets.ts";

const interpreter = createInterpreterDevice({});
const wasm = createWasmDevice({ threads: 1 });

/** A random graph as the body: of the carry, a step's input and something from outside. */
function randomScan(seed: number): Sample {
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

for (let seed = 1; seed <= 30; seed++) {
  test(`seed ${seed}`, () => {
    const { inputs, feed, outputs } = buildSample(randomScan(seed));
    expect(compareGradients(inputs, feed, outputs, cotangents(outputs), 5e-5, 4)).toBeNull();
    const grads = gradients(outputs, cotangents(outputs), inputs).filter((v) => v !== null);
    const values = [...outputs, ...grads];
    const [interpreted, compiled] = [interpreter, wasm].map((d) => runOn(d, inputs, feed, values));
    evaluate(values, feed).forEach(({ data }, i) => {
      expect(compiled[i]).toEqual(interpreted[i]);
      const largest = data.reduce((m, v) => Math.max(m, Math.abs(v)), 1);
      data.forEach((v, j) => {
        expect(Math.abs(compiled[i][j] - v)).toBeLessThanOrEqual(1e-4 * largest);
      });
    });
  });
}
