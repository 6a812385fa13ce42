/** Forward 3×3 convolutions by Winograd's algorithm: y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A, block of tiles by block of tiles. */
import { affine, type Index, scaled } from "../../builder.ts";
import type { TargetProfile } from "../../loopir.ts";
import type { ConvSpec, Epilogue, Lowered } from "../../lowered.ts";
import { overPortions } from "../pad.ts";
import { chooseTiling, partsNear, taskPieces, tasksFor } from "../split.ts";
import { outputSink, Step } from "../step.ts";
import { emitBlock } from "../tile.ts";
import { transformKernel } from "./kernels.ts";
import { Constants, linear } from "./linear.ts";
import { matrices, type TileSize } from "./matrices.ts";
import { blockOf, geometry, overLanes, packedFrequency, scratchSpectrum, transformTiles } from "./tiles.ts";

export function winogradForward(
  spec: ConvSpec,
  m: TileSize,
  profile: TargetProfile,
  epilogue: Epilogue | null,
): Lowered {
  const g = geometry(spec, m);
  const { channels, filters, size, frequencies, wide, high } = g;
  const { lanes } = profile;
  const [outH, outW] = g.out;
  const name = `winograd${m}_${g.in.join("x")}x${channels}_${filters}`;
  const products = 2 * g.batch * high * wide * frequencies * channels * filters;
  const tasks = tasksFor(products);
  const imageTasks = partsNear(g.batch, tasks);
  const images = Math.ceil(g.batch / imageTasks);
  const block = blockOf(g, g.batch % imageTasks === 0 ? images : 1);
  const { tiling } = chooseTiling(profile, filters, block.group * block.rows * wide);
  const frequency = packedFrequency(tiling, channels);
  const step = new Step(name);
  const { b } = step;
  const x = step.input(0, "x", g.batch * g.in[0] * g.in[1] * channels);
  const packed = step.temp(0, "packed", frequencies * frequency, "read");
  const sink = outputSink(step, epilogue, g.batch * outH * outW, filters, 2);
  const matrix = matrices(m);
  const constants = new Constants(b, [lanes], [matrix.bt, matrix.at]);
  const imageTask = taskPieces(b, "image", g.batch, imageTasks);
  const bandTask = taskPieces(b, "band", high, partsNear(high, Math.floor(tasks / imageTasks)));
  imageTask((n0, count) =>
    bandTask((band0, rows) =>
      overPortions(
        step,
        lanes,
        g.overX,
        channels,
        x,
        { n: n0, images: count, band: band0, rows },
        block.group,
        block.rows,
        (p) => {
          const tiles = p.images * p.rows * wide;
          const v = scratchSpectrum(step, "v", g, tiles, channels);
          const products = scratchSpectrum(step, "m", g, tiles, tiling.vectors * lanes);
          transformTiles(step, constants, g, matrix.bt, channels, p, v, lanes);
          b.loop("frequency", frequencies, (f) =>
            emitBlock(b, {
              tiling,
              a: { buffer: v.buffer, base: scaled(f, v.frequency) },
              b: { buffer: packed, base: scaled(f, frequency), depth: channels },
              outer: [],
              tiled: { extent: tiles, a: v.pitch, row: 1 },
              sum: [{ extent: channels, a: 1, b: 1 }],
              done: (row, column, value) =>
                b.store(
                  products.buffer,
                  affine(scaled(f, products.frequency), scaled(row, products.pitch), column),
                  value,
                ),
            }),
          );
          // Aᵀ M A; rows and columns past the result are not stored.
          const between = step.scratch("between", 36 * lanes);
          const finish = (tile: Index, image: Index, th: Index, tw: Index, validW: number): void =>
            overLanes(b, lanes, filters, (first, width, valid) => {
              b.loop("j", size, (j) => {
                const column = Array.from({ length: size }, (_, i) =>
                  b.load(
                    products.buffer,
                    affine(scaled(affine(j, i * size), products.frequency), scaled(tile, products.pitch), first),
                    width,
                  ),
                );
                linear(b, constants, matrix.at, column).forEach((y, i) => {
                  b.store(between, affine(scaled(j, lanes), i * size * lanes), y);
                });
              });
              b.loop("i", m, (i) => {
                const oh = affine(scaled(p.band, m), scaled(th, m), i);
                const row = affine(scaled(affine(p.n, image), outH * outW), scaled(oh, outW), scaled(tw, m));
                const store = (): void => {
                  const values = Array.from({ length: size }, (_, j) =>
                    b.load(between, affine(scaled(i, size * lanes), j * lanes), width),
                  );
                  linear(b, constants, matrix.at.slice(0, validW), values).forEach((y, j) => {
                    sink.store(affine(row, j), first, y, valid);
                  });
                };
                if (outH % m === 0) store();
                else b.if(b.compare("lt", b.index(oh), b.i32(outH)), store);
              });
            });
          const whole = Math.floor(outW / m);
          b.loop("n", p.images, (n) =>
            b.loop("th", p.rows, (th) => {
              const tile = affine(scaled(n, p.rows * wide), scaled(th, wide));
              b.loop("tw", whole, (tw) => finish(affine(tile, tw), n, th, tw, m));
              if (whole < wide) finish(affine(tile, whole), n, th, whole, outW - whole * m);
            }),
          );
        },
      ),
    ),
  );
  const outputs = g.batch * outH * outW * filters;
  return {
    steps: [
      transformKernel(name, g, tiling, "forward", 0),
      step.finish({ flops: products, bytes: 4 * (x.size + outputs + packed.size) }),
    ],
    temps: [{ type: "f32", size: frequencies * frequency }],
  };
}
