/**
 * Kernel gradients of 3×3 convolutions by Winograd's algorithm: dU = Σ over tiles of (Bᵀ x B)ᵀ(A dy Aᵀ) for every frequency,
 * then dK = Gᵀ dU G. Many tiles are summed in parts over images that a fixed tree adds up; with few, tasks divide the
 * channels of the result instead.
 */
import { affine, type Index, scaled } from "../../builder.ts";
import type { TargetProfile } from "../../loopir.ts";
import type { ConvSpec, Epilogue, Lowered, LoweredStep } from "../../lowered.ts";
import { overVectors, zeroRow } from "../pack.ts";
import { overPortions, portionOf } from "../pad.ts";
import { sumTree } from "../reduce.ts";
import { chooseTiling, partsNear, taskPieces, tasksFor } from "../split.ts";
import { outputSink, type Sink, Step } from "../step.ts";
import { emitBlock } from "../tile.ts";
import { Constants } from "./linear.ts";
import { matrices, type TileSize, transposed } from "./matrices.ts";
import { transformAll } from "./staged.ts";
import type { Geometry, Spectrum } from "./tiles.ts";
import {
  blockOf,
  geometry,
  overLanes,
  productFlops,
  scratchSpectrum,
  spectrumOf,
  transform,
  transformTiles,
} from "./tiles.ts";

export function winogradKernelGrad(
  spec: ConvSpec,
  m: TileSize,
  profile: TargetProfile,
  epilogue: Epilogue | null,
): Lowered {
  const g = geometry(spec, m);
  const tiles = g.batch * g.high * g.wide;
  const products = productFlops(g);
  const parts = profile.inner ? 1 : partsNear(g.batch, Math.min(16, tasksFor(products), Math.floor(tiles / 36)));
  return parts >= 4 || profile.inner
    ? byImages(g, parts, products, profile, epilogue)
    : byChannels(g, products, profile, epilogue);
}

function nameOf(g: Geometry): string {
  return `winograd${g.m}_dk_${g.in.join("x")}x${g.channels}_${g.filters}`;
}
const xSize = (g: Geometry) => g.batch * g.in[0] * g.in[1] * g.channels;
const ySize = (g: Geometry) => g.batch * g.out[0] * g.out[1] * g.filters;

function byImages(
  g: Geometry,
  parts: number,
  products: number,
  profile: TargetProfile,
  epilogue: Epilogue | null,
): Lowered {
  const { channels, filters, frequencies, wide, high } = g;
  const { lanes } = profile;
  const name = nameOf(g);
  const block = blockOf(g, g.batch % parts === 0 ? g.batch / parts : 1);
  const { tiling } = chooseTiling(profile, filters, channels);
  const pitch = tiling.vectors * lanes;
  const sums = spectrumOf(channels, pitch);
  const partSize = frequencies * sums.frequency;
  const step = new Step(name);
  const { b } = step;
  const x = step.input(0, "x", xSize(g));
  const dy = step.input(1, "dy", ySize(g));
  const partial = step.temp(0, "partial", parts * partSize, "readwrite");
  const matrix = matrices(g.m);
  const a = transposed(matrix.at);
  const constants = new Constants(b, [lanes], [a, matrix.bt]);
  const partTask = taskPieces(b, "part", g.batch, parts);
  partTask((n0, images, part) => {
    const base = scaled(part, partSize);
    // A part that is one block of tiles needs no running sums.
    const once = block.group === images && block.rows === high;
    if (!once) zeroRow(b, lanes, partial, base, partSize);
    const whole = { n: n0, images, band: 0, rows: high };
    overPortions(step, lanes, g.overX, channels, x, whole, block.group, block.rows, (p) => {
      const { n, band, rows } = p;
      const q = portionOf(step, lanes, g.overY, filters, dy, { n, images: p.images, band, rows }, "haloY");
      const tiles = p.images * rows * wide;
      const v = scratchSpectrum(step, "v", g, tiles, channels);
      const d = scratchSpectrum(step, "d", g, tiles, pitch);
      transformTiles(step, constants, g, matrix.bt, channels, p, v, lanes);
      transformTiles(step, constants, g, a, filters, q, d, lanes);
      b.loop("frequency", frequencies, (f) => {
        const at = (row: Index, column: Index) => affine(base, scaled(f, sums.frequency), scaled(row, pitch), column);
        emitBlock(b, {
          tiling,
          a: { buffer: v.buffer, base: scaled(f, v.frequency) },
          b: { buffer: d.buffer, base: scaled(f, d.frequency) },
          outer: [],
          tiled: { extent: channels, a: 1, row: 1 },
          sum: [{ extent: tiles, a: v.pitch, b: d.pitch }],
          ...(once ? {} : { begun: { when: true, load: (row, column) => b.load(partial, at(row, column), lanes) } }),
          done: (row, column, value) => b.store(partial, at(row, column), value),
        });
      });
    });
  });
  return {
    steps: [
      step.finish({ flops: products, bytes: 4 * (x.size + dy.size + partial.size) }),
      addParts(g, parts, pitch, epilogue, profile),
    ],
    temps: [{ type: "f32", size: parts * partSize }],
  };
}

/** Channels of the result that one task of the last kernel finishes at a time. */
const channelsTogether = 8;

/** Adds the parts of dU, frequency by frequency, and transforms back. */
function addParts(
  g: Geometry,
  parts: number,
  pitch: number,
  epilogue: Epilogue | null,
  profile: TargetProfile,
): LoweredStep {
  const { channels, filters, frequencies } = g;
  const { lanes } = profile;
  const step = new Step(`${nameOf(g)}_sum`);
  const { b } = step;
  const layout = spectrumOf(channels, pitch);
  const partSize = frequencies * layout.frequency;
  const partial = step.temp(0, "partial", parts * partSize, "read");
  const sink = outputSink(step, epilogue, 9 * channels, filters, 2);
  const constants = new Constants(b, [lanes], [transposed(matrices(g.m).g)]);
  const task = taskPieces(b, "c", channels, Math.ceil(channels / channelsTogether));
  task((c0, count) => {
    const first = scaled(c0, pitch);
    if (parts === 1) {
      transformBack(step, g, constants, { ...layout, buffer: partial, base: first }, c0, count, sink, lanes);
      return;
    }
    const sums = scratchSpectrum(step, "sums", g, count, pitch);
    b.loop("frequency", frequencies, (f) =>
      overVectors(b, lanes, count * pitch, (at, width) => {
        const from = affine(scaled(f, layout.frequency), first, at);
        const total = sumTree(b, 0, parts, (part) => b.load(partial, affine(from, part * partSize), width));
        b.store(sums.buffer, affine(scaled(f, sums.frequency), at), total);
      }),
    );
    transformBack(step, g, constants, sums, c0, count, sink, lanes);
  });
  const sums = parts * partSize;
  return step.finish({
    flops: sums + 6 * frequencies * channels * filters,
    bytes: 4 * (sums + 9 * channels * filters),
  });
}

function byChannels(g: Geometry, products: number, profile: TargetProfile, epilogue: Epilogue | null): Lowered {
  const { channels, filters, frequencies, wide, high } = g;
  const { lanes } = profile;
  const name = nameOf(g);
  const tiles = g.batch * high * wide;
  const tasks = Math.ceil(channels / Math.max(channelsTogether, channels / 16));
  const { tiling } = chooseTiling(profile, filters, Math.ceil(channels / tasks));
  const pitch = tiling.vectors * lanes;
  const matrix = matrices(g.m);
  const v = spectrumOf(tiles, channels);
  const d = spectrumOf(tiles, pitch);

  const transforms = [transformAll(name, g, "x", 0, 0, v, profile), transformAll(name, g, "dy", 1, 1, d, profile)];

  const step = new Step(name);
  const { b } = step;
  const left = step.temp(0, "v", frequencies * v.frequency, "read");
  const right = step.temp(1, "d", frequencies * d.frequency, "read");
  const sink = outputSink(step, epilogue, 9 * channels, filters, 2);
  const constants = new Constants(b, [lanes], [transposed(matrix.g)]);
  const channelTask = taskPieces(b, "c", channels, tasks);
  channelTask((c0, count) => {
    const sums = scratchSpectrum(step, "sums", g, count, pitch);
    b.loop("frequency", frequencies, (f) =>
      emitBlock(b, {
        tiling,
        a: { buffer: left, base: affine(scaled(f, v.frequency), c0) },
        b: { buffer: right, base: scaled(f, d.frequency) },
        outer: [],
        tiled: { extent: count, a: 1, row: 1 },
        sum: [{ extent: tiles, a: v.pitch, b: d.pitch }],
        done: (row, column, value) =>
          b.store(sums.buffer, affine(scaled(f, sums.frequency), scaled(row, pitch), column), value),
      }),
    );
    transformBack(step, g, constants, sums, c0, count, sink, lanes);
  });
  return {
    steps: [
      ...transforms,
      step.finish({ flops: products, bytes: 4 * (left.size + right.size + 9 * channels * filters) }),
    ],
    temps: [
      { type: "f32", size: frequencies * v.frequency },
      { type: "f32", size: frequencies * d.frequency },
    ],
  };
}

/** dK = Gᵀ dU G for `count` channels from c0, whose dU [frequency][channel][filter] lies in scratch. */
function transformBack(
  step: Step,
  g: Geometry,
  constants: Constants,
  sums: Spectrum,
  c0: Index,
  count: number,
  sink: Sink,
  lanes: number,
): void {
  const { b } = step;
  const { channels, filters, size } = g;
  const matrix = transposed(matrices(g.m).g);
  const between = step.scratch("between", 36 * lanes);
  b.loop("c", count, (c) =>
    overLanes(b, lanes, filters, (first, width, valid) =>
      transform(
        b,
        constants,
        matrix,
        width,
        between,
        (i, j) =>
          b.load(
            sums.buffer,
            affine(sums.base ?? 0, scaled(affine(scaled(i, size), j), sums.frequency), scaled(c, sums.pitch), first),
            width,
          ),
        (i, values) =>
          values.forEach((y, j) => {
            sink.store(affine(scaled(affine(scaled(i, 3), j), channels), c0, c), first, y, valid);
          }),
      ),
    ),
  );
}
