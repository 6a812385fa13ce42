/** Transformed convolution kernels, packed as right factors: [frequency][panel][k][column]. */
import { affine, type Index, scaled } from "../../builder.ts";
import type { LoweredStep } from "../../lowered.ts";
import { partsNear, type Tiling, taskPieces } from "../split.ts";
import { Step } from "../step.ts";
import { Constants, linear } from "./linear.ts";
import { type Matrices, matrices } from "./matrices.ts";
import type { Geometry } from "./tiles.ts";
import { packedFrequency } from "./tiles.ts";

/**
 * G g Gᵀ of the kernel [3, 3, C, F] (input 1) into temporary `temp`. Forward, k runs over C and columns over F; for input
 * gradients the other way round.
 */
export function transformKernel(
  name: string,
  g: Geometry,
  tiling: Tiling,
  direction: "forward" | "input",
  temp: number,
): LoweredStep {
  const { channels, filters, size, frequencies } = g;
  const matrix: Matrices = matrices(g.m);
  const step = new Step(`${name}_u`);
  const { b } = step;
  const depth = direction === "forward" ? channels : filters;
  const kStride = direction === "forward" ? filters : 1;
  const columnStride = direction === "forward" ? 1 : filters;
  const from = step.input(1, "kernel", 9 * channels * filters);
  const frequency = packedFrequency(tiling, depth);
  const to = step.temp(temp, "packed", frequencies * frequency, "write");
  const { lanes } = tiling;
  const between = step.scratch("between", 18 * lanes);
  const constants = new Constants(b, [lanes], [matrix.g]);
  const task = taskPieces(b, "k", depth, partsNear(depth, Math.min(8, Math.ceil((channels * filters) / 1024))));
  task((k0, count) =>
    b.loop("k", count, (kv) => {
      const k = affine(k0, kv);
      for (const run of tiling.panels)
        b.loop("panel", run.count, (panel) => {
          const vector = affine(scaled(panel, run.vectors), run.start);
          for (let v = 0; v < run.vectors; v++) {
            const valid = v === run.vectors - 1 ? run.last : lanes;
            const options =
              columnStride === 1 ? {} : { stride: columnStride, ...(valid < lanes ? { count: valid } : {}) };
            const at = affine(scaled(k, kStride), scaled(affine(vector, v), lanes * columnStride));
            const load = (tap: Index) => b.load(from, affine(at, scaled(tap, channels * filters)), lanes, options);
            b.loop("j", 3, (j) => {
              const column = [0, 1, 2].map((i) => load(affine(j, i * 3)));
              linear(b, constants, matrix.g, column).forEach((y, i) => {
                b.store(between, affine(scaled(j, lanes), i * 3 * lanes), y);
              });
            });
            b.loop("i", size, (i) => {
              const row = [0, 1, 2].map((j) => b.load(between, affine(scaled(i, 3 * lanes), j * lanes), lanes));
              linear(b, constants, matrix.g, row).forEach((y, j) => {
                const target = affine(
                  scaled(affine(scaled(i, size), j), frequency),
                  scaled(vector, lanes * depth),
                  scaled(k, run.vectors * lanes),
                  v * lanes,
                );
                b.store(to, target, y);
              });
            });
          }
        });
    }),
  );
  return step.finish({
    flops: 2 * channels * filters * frequencies * 3,
    bytes: 4 * channels * filters * (9 + frequencies),
  });
}
