/**
 * Input gradients of 3×3 convolutions as the adjoint of the forward algorithm: dM = A dy Aᵀ, products with Uᵀ, and
 * B dV Bᵀ added into overlapping windows of dx in raster order. No flip, no padding of dy beyond whole tiles.
 */
import { affine, scaled } from "../../builder.ts";
import type { TargetProfile } from "../../loopir.ts";
import type { ConvSpec, Epilogue, Lowered } from "../../lowered.ts";
import { overPortions } from "../pad.ts";
import { chooseTiling, partsNear, taskPieces, tasksFor } from "../split.ts";
import { outputSink, Step } from "../step.ts";
import { transformKernel } from "./kernels.ts";
import { Constants } from "./linear.ts";
import { matrices, type TileSize, transposed } from "./matrices.ts";
import { isStaged, stagedInputGrad } from "./staged.ts";
import { addTiles, clearedWindows, cropWindows, multiply } from "./stages.ts";
import { blockOf, geometry, packedFrequency, productFlops, scratchSpectrum, transformTiles } from "./tiles.ts";

export function winogradInputGrad(
  spec: ConvSpec,
  m: TileSize,
  profile: TargetProfile,
  epilogue: Epilogue | null,
): Lowered {
  const g = geometry(spec, m);
  const { channels, filters, frequencies, wide, high } = g;
  const { lanes } = profile;
  const [inH, inW] = g.in;
  const name = `winograd${m}_dx_${g.in.join("x")}x${channels}_${filters}`;
  if (isStaged(g)) return stagedInputGrad(name, g, profile, epilogue);
  const flops = productFlops(g);
  const imageTasks = partsNear(g.batch, tasksFor(flops));
  const block = blockOf(g, g.batch % imageTasks === 0 ? g.batch / imageTasks : 1);
  const { group } = block;
  const { tiling } = chooseTiling(profile, channels, group * block.rows * wide);
  const step = new Step(name);
  const { b } = step;
  const dy = step.input(0, "dy", g.batch * g.out[0] * g.out[1] * filters);
  const packed = step.temp(0, "packed", frequencies * packedFrequency(tiling, filters), "read");
  const sink = outputSink(step, epilogue, g.batch * inH * inW, channels, 2);
  const matrix = matrices(m);
  const a = transposed(matrix.at);
  const constants = new Constants(b, [lanes], [a, matrix.bt]);
  const pitch = tiling.vectors * lanes;
  const imageTask = taskPieces(b, "image", g.batch, imageTasks);
  imageTask((n0, count) =>
    b.loop("group", count / group, (i) => {
      const n = affine(n0, scaled(i, group));
      const windows = clearedWindows(step, g, group, pitch, lanes);
      const whole = { n, images: group, band: 0, rows: high };
      overPortions(step, lanes, g.overY, filters, dy, whole, group, block.rows, (p) => {
        const tiles = p.images * p.rows * wide;
        const d = scratchSpectrum(step, "d", g, tiles, filters);
        const v = scratchSpectrum(step, "v", g, tiles, pitch);
        transformTiles(step, constants, g, a, filters, p, d, lanes);
        b.loop("frequency", frequencies, (f) => multiply(step, tiling, f, tiles, filters, d, packed, v));
        addTiles(step, constants, g, matrix, p, v, windows, lanes);
      });
      cropWindows(step, g, n, group, windows, sink, lanes);
    }),
  );
  return {
    steps: [
      transformKernel(name, g, tiling, "input", 0),
      step.finish({ flops, bytes: 4 * (dy.size + g.batch * inH * inW * channels + packed.size) }),
    ],
    temps: [{ type: "f32", size: packed.size }],
  };
}
