/**
 * Input gradients of 3×3 convolutions as the adjoint of the forward algorithm: dM = A dy Aᵀ, products with Uᵀ, and
 * B dV Bᵀ added into overlapping windows of dx in raster order. No flip, no padding of dy beyond whole tiles.
 */
import { affine, scaled } from "../../builder.ts";
import type { TargetProfile } from "../../loopir.ts";
import type { ConvSpec, Epilogue, Lowered } from "../../lowered.ts";
import { zeroRow } from "../pack.ts";
import { overPortions } from "../pad.ts";
import { chooseTiling, partsNear, taskPieces, tasksFor } from "../split.ts";
import { outputSink, Step } from "../step.ts";
import { emitBlock } from "../tile.ts";
import { transformKernel } from "./kernels.ts";
import { Constants } from "./linear.ts";
import { matrices, type TileSize, transposed } from "./matrices.ts";
import { blockOf, geometry, overLanes, packedFrequency, scratchSpectrum, transform, transformTiles } from "./tiles.ts";

export function winogradInputGrad(
  spec: ConvSpec,
  m: TileSize,
  profile: TargetProfile,
  epilogue: Epilogue | null,
): Lowered {
  const g = geometry(spec, m);
  const { channels, filters, size, frequencies, wide, high } = g;
  const { lanes } = profile;
  const [inH, inW] = g.in;
  const name = `winograd${m}_dx_${g.in.join("x")}x${channels}_${filters}`;
  const products = 2 * g.batch * high * wide * frequencies * channels * filters;
  const imageTasks = partsNear(g.batch, tasksFor(products));
  const block = blockOf(g, g.batch % imageTasks === 0 ? g.batch / imageTasks : 1);
  const { tiling } = chooseTiling(profile, channels, block.group * block.rows * wide);
  const frequency = packedFrequency(tiling, filters);
  const step = new Step(name);
  const { b } = step;
  const dy = step.input(0, "dy", g.batch * g.out[0] * g.out[1] * filters);
  const packed = step.temp(0, "packed", frequencies * frequency, "read");
  const sink = outputSink(step, epilogue, g.batch * inH * inW, channels, 2);
  const matrix = matrices(m);
  const a = transposed(matrix.at);
  const back = transposed(matrix.bt);
  const constants = new Constants(b, [lanes], [a, back]);
  // The windows of all tiles, before cropping: [high·m + 2, wide·m + 2, channels rounded up to vectors].
  const pitch = tiling.vectors * lanes;
  const sumW = wide * m + 2;
  const sumImage = (high * m + 2) * sumW * pitch;
  const imageTask = taskPieces(b, "image", g.batch, imageTasks);
  imageTask((n0, count) =>
    b.loop("group", count / block.group, (group) => {
      const n1 = affine(n0, scaled(group, block.group));
      const sums = step.scratch("sums", block.group * sumImage);
      zeroRow(b, lanes, sums, 0, block.group * sumImage);
      overPortions(
        step,
        lanes,
        g.overY,
        filters,
        dy,
        { n: n1, images: block.group, band: 0, rows: high },
        block.group,
        block.rows,
        (p) => {
          const tiles = p.images * p.rows * wide;
          const d = scratchSpectrum(step, "d", g, tiles, filters);
          const v = scratchSpectrum(step, "v", g, tiles, pitch);
          transformTiles(step, constants, g, a, filters, p, d, lanes);
          b.loop("frequency", frequencies, (f) =>
            emitBlock(b, {
              tiling,
              a: { buffer: d.buffer, base: scaled(f, d.frequency) },
              b: { buffer: packed, base: scaled(f, frequency), depth: filters },
              outer: [],
              tiled: { extent: tiles, a: d.pitch, row: 1 },
              sum: [{ extent: filters, a: 1, b: 1 }],
              done: (row, column, value) =>
                b.store(v.buffer, affine(scaled(f, v.frequency), scaled(row, v.pitch), column), value),
            }),
          );
          const between = step.scratch("between", 36 * lanes);
          b.loop("n", p.images, (n) =>
            b.loop("th", p.rows, (th) =>
              b.loop("tw", wide, (tw) => {
                const tile = affine(scaled(n, p.rows * wide), scaled(th, wide), tw);
                const corner = affine(
                  scaled(n, sumImage),
                  scaled(affine(p.band, th), m * sumW * pitch),
                  scaled(tw, m * pitch),
                );
                overLanes(b, lanes, channels, (first, width) =>
                  transform(
                    b,
                    constants,
                    back,
                    width,
                    between,
                    (i, j) =>
                      b.load(
                        v.buffer,
                        affine(scaled(affine(scaled(i, size), j), v.frequency), scaled(tile, v.pitch), first),
                        width,
                      ),
                    (i, values) =>
                      values.forEach((value, j) => {
                        const at = affine(corner, scaled(i, sumW * pitch), j * pitch, first);
                        b.store(sums, at, b.add(b.load(sums, at, width), value));
                      }),
                  ),
                );
              }),
            ),
          );
        },
      );
      b.loop("n", block.group, (n) =>
        b.loop("h", inH, (h) =>
          b.loop("w", inW, (w) =>
            overLanes(b, lanes, channels, (first, width, valid) => {
              const at = affine(
                scaled(n, sumImage),
                scaled(affine(h, g.pad[0]), sumW * pitch),
                scaled(affine(w, g.pad[1]), pitch),
                first,
              );
              const row = affine(scaled(affine(n1, n), inH * inW), scaled(h, inW), w);
              sink.store(row, first, b.load(sums, at, width), valid);
            }),
          ),
        ),
      );
    }),
  );
  return {
    steps: [
      transformKernel(name, g, tiling, "input", 0),
      step.finish({ flops: products, bytes: 4 * (dy.size + g.batch * inH * inW * channels + packed.size) }),
    ],
    temps: [{ type: "f32", size: frequencies * frequency }],
  };
}
