/** Forward 3×3 convolutions by Winograd's algorithm: y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A, block of tiles by block of tiles. */

import type { TargetProfile } from "../../loopir.ts";
import type { ConvSpec, Epilogue, Lowered } from "../../lowered.ts";
import { overPortions } from "../pad.ts";
import { chooseTiling, partsNear, taskPieces, tasksFor } from "../split.ts";
import { outputSink, Step } from "../step.ts";
import { transformKernel } from "./kernels.ts";
import { Constants } from "./linear.ts";
import { matrices, type TileSize } from "./matrices.ts";
import { isStaged, stagedForward } from "./staged.ts";
import { finishTiles, multiply } from "./stages.ts";
import { blockOf, geometry, packedFrequency, productFlops, scratchSpectrum, transformTiles } from "./tiles.ts";
import { restoreZeros } from "./zeros.ts";

export function winogradForward(
  spec: ConvSpec,
  m: TileSize,
  profile: TargetProfile,
  epilogue: Epilogue | null,
): Lowered {
  const g = geometry(spec, m);
  const { channels, filters, frequencies, wide, high } = g;
  const { lanes } = profile;
  const [outH, outW] = g.out;
  const name = `winograd${m}_${g.in.join("x")}x${channels}_${filters}`;
  if (isStaged(g)) return stagedForward(name, g, profile, epilogue);
  const flops = productFlops(g);
  const tasks = tasksFor(flops);
  const imageTasks = partsNear(g.batch, tasks);
  const block = blockOf(g, g.batch % imageTasks === 0 ? g.batch / imageTasks : 1);
  const { tiling } = chooseTiling(profile, filters, block.group * block.rows * wide);
  const step = new Step(name);
  const { b } = step;
  const x = step.input(0, "x", g.batch * g.in[0] * g.in[1] * channels);
  const packed = step.temp(0, "packed", frequencies * packedFrequency(tiling, channels), "read");
  const sink = outputSink(step, epilogue, g.batch * outH * outW, filters, 2);
  const matrix = matrices(m);
  const constants = new Constants(b, [lanes], [matrix.bt, matrix.at]);
  const imageTask = taskPieces(b, "image", g.batch, imageTasks);
  const bandTask = taskPieces(b, "band", high, partsNear(high, Math.floor(tasks / imageTasks)));
  imageTask((n, images) =>
    bandTask((band, rows) =>
      overPortions(step, lanes, g.overX, channels, x, { n, images, band, rows }, block.group, block.rows, (p) => {
        const tiles = p.images * p.rows * wide;
        const v = scratchSpectrum(step, "v", g, tiles, channels);
        const products = scratchSpectrum(step, "m", g, tiles, tiling.vectors * lanes);
        transformTiles(step, constants, g, matrix.bt, channels, p, v, lanes);
        b.loop("frequency", frequencies, (f) => multiply(step, tiling, f, tiles, channels, v, packed, products));
        finishTiles(step, constants, g, matrix, p, products, sink, profile);
        restoreZeros(step, g, p, sink, lanes);
      }),
    ),
  );
  const outputs = g.batch * outH * outW * filters;
  return {
    steps: [
      transformKernel(name, g, tiling, "forward", 0),
      step.finish({ flops, bytes: 4 * (x.size + outputs + packed.size) }),
    ],
    temps: [{ type: "f32", size: packed.size }],
  };
}
