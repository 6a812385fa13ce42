/**
 * Kernel gradients of 3×3 convolutions by Winograd's algorithm: dU = Σ over tiles of (Bᵀ x B)ᵀ(A dy Aᵀ) for every frequency,
 * in parts over images that a fixed tree adds up, then dK = Gᵀ dU G.
 */
import { affine, type Index, scaled } from "../../builder.ts";
import type { Operand, TargetProfile } from "../../loopir.ts";
import type { ConvSpec, Epilogue, Lowered, LoweredStep } from "../../lowered.ts";
import { zeroRow } from "../pack.ts";
import { overPortions, portionOf } from "../pad.ts";
import { sumTree } from "../reduce.ts";
import { chooseTiling, partsNear, taskPieces, tasksFor } from "../split.ts";
import { outputSink, Step } from "../step.ts";
import { emitBlock } from "../tile.ts";
import { Constants, linear } from "./linear.ts";
import { matrices, type TileSize, transposed } from "./matrices.ts";
import { blockOf, type Geometry, geometry, overLanes, spectrum, transformTiles } from "./tiles.ts";

export function winogradKernelGrad(
  spec: ConvSpec,
  m: TileSize,
  profile: TargetProfile,
  epilogue: Epilogue | null,
): Lowered {
  const g = geometry(spec, m);
  const { channels, filters, frequencies, wide, high } = g;
  const { lanes } = profile;
  const name = `winograd${m}_dk_${g.in.join("x")}x${channels}_${filters}`;
  const products = 2 * g.batch * high * wide * frequencies * channels * filters;
  const parts = partsNear(g.batch, Math.min(8, tasksFor(products)));
  const block = blockOf(g, g.batch % parts === 0 ? g.batch / parts : 1);
  const { tiling } = chooseTiling(profile, filters, channels);
  const pitch = tiling.vectors * lanes;
  const partSize = frequencies * channels * pitch;
  const step = new Step(name);
  const { b } = step;
  const x = step.input(0, "x", g.batch * g.in[0] * g.in[1] * channels);
  const dy = step.input(1, "dy", g.batch * g.out[0] * g.out[1] * filters);
  const partial = step.temp(0, "partial", parts * partSize, "readwrite");
  const matrix = matrices(m);
  const a = transposed(matrix.at);
  const constants = new Constants(b, [lanes], [a, matrix.bt]);
  const partTask = taskPieces(b, "part", g.batch, parts);
  partTask((n0, images, part) => {
    const base = scaled(part, partSize);
    zeroRow(b, lanes, partial, base, partSize);
    const whole = { n: n0, images, band: 0, rows: high };
    overPortions(step, lanes, g.overX, channels, x, whole, block.group, block.rows, (p) => {
      const { n, band, rows } = p;
      const q = portionOf(step, lanes, g.overY, filters, dy, { n, images: p.images, band, rows }, "haloY");
      const tiles = p.images * rows * wide;
      const v = spectrum(step, "v", g, tiles, channels);
      const d = spectrum(step, "d", g, tiles, pitch);
      transformTiles(step, constants, g, matrix.bt, channels, p, v, lanes);
      transformTiles(step, constants, g, a, filters, q, d, lanes);
      b.loop("frequency", frequencies, (f) => {
        const at = (row: Index, column: Index) => affine(base, scaled(f, channels * pitch), scaled(row, pitch), column);
        emitBlock(b, {
          tiling,
          a: { buffer: v.buffer, base: scaled(f, v.frequency) },
          b: { buffer: d.buffer, base: scaled(f, d.frequency) },
          outer: [],
          tiled: { extent: channels, a: 1, row: 1 },
          sum: [{ extent: tiles, a: v.pitch, b: d.pitch }],
          init: (row, column) => b.load(partial, at(row, column), lanes),
          done: (row, column, value) => b.store(partial, at(row, column), value),
        });
      });
    });
  });
  return {
    steps: [
      step.finish({ flops: products, bytes: 4 * (x.size + dy.size + partial.size) }),
      finish(name, g, parts, pitch, epilogue, profile),
    ],
    temps: [{ type: "f32", size: parts * partSize }],
  };
}

/** Adds the parts of dU and transforms back: dK = Gᵀ dU G. */
function finish(
  name: string,
  g: Geometry,
  parts: number,
  pitch: number,
  epilogue: Epilogue | null,
  profile: TargetProfile,
): LoweredStep {
  const { channels, filters, size, frequencies } = g;
  const { lanes } = profile;
  const step = new Step(`${name}_sum`);
  const { b } = step;
  const partSize = frequencies * channels * pitch;
  const partial = step.temp(0, "partial", parts * partSize, "read");
  const sink = outputSink(step, epilogue, 9 * channels, filters, 2);
  const matrix = transposed(matrices(g.m).g);
  const constants = new Constants(b, [lanes], [matrix]);
  const between = step.scratch("between", 3 * size * lanes);
  const task = taskPieces(b, "c", channels, partsNear(channels, Math.min(8, Math.ceil((channels * filters) / 1024))));
  task((c0, count) =>
    b.loop("c", count, (cv) => {
      const c = affine(c0, cv);
      overLanes(b, lanes, filters, (first, width, valid) => {
        const load = (i: Index, j: Index): Operand =>
          sumTree(b, 0, parts, (part) =>
            b.load(
              partial,
              affine(part * partSize, scaled(affine(scaled(i, size), j), channels * pitch), scaled(c, pitch), first),
              width,
            ),
          );
        b.loop("j", size, (j) => {
          const column = Array.from({ length: size }, (_, i) => load(i, j));
          linear(b, constants, matrix, column).forEach((y, i) => {
            b.store(between, affine(scaled(j, lanes), i * size * lanes), y);
          });
        });
        b.loop("i", 3, (i) => {
          const row = Array.from({ length: size }, (_, j) =>
            b.load(between, affine(scaled(i, size * lanes), j * lanes), width),
          );
          linear(b, constants, matrix, row).forEach((y, j) => {
            sink.store(affine(scaled(affine(scaled(i, 3), j), channels), c), first, y, valid);
          });
        });
      });
    }),
  );
  const sums = parts * partSize;
  return step.finish({
    flops: sums + 6 * frequencies * channels * filters,
    bytes: 4 * (sums + 9 * channels * filters),
  });
}
