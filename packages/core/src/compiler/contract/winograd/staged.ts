/**
 * Winograd convolutions with many channels, whose transformed kernels no cache holds: all tiles are transformed first, then
 * each frequency is one product that reads its kernel once, then all tiles are transformed back.
 */
import { affine, scaled } from "../../builder.ts";
import type { TargetProfile } from "../../loopir.ts";
import type { Epilogue, Lowered, LoweredStep } from "../../lowered.ts";
import type { Dim } from "../geometry.ts";
import { portionOf } from "../pad.ts";
import { chooseTiling, partsNear, type Tiling, taskPieces, tasksFor } from "../split.ts";
import { outputSink, Step } from "../step.ts";
import { transformKernel } from "./kernels.ts";
import { Constants } from "./linear.ts";
import { type Matrix, matrices, transposed } from "./matrices.ts";
import { addTiles, clearedWindows, cropWindows, finishTiles, multiply } from "./stages.ts";
import {
  type Geometry,
  packedFrequency,
  productFlops,
  type SpectrumLayout,
  spectrumOf,
  transformTiles,
} from "./tiles.ts";
import { losesZeros, restoreZeros } from "./zeros.ts";

/**
 * Reading the transformed kernel for every block of about 36 tiles against writing and reading all transformed tiles.
 * Follows from the shape alone.
 */
export function isStaged(g: Geometry): boolean {
  return g.channels * g.filters > 72 * (g.channels + g.filters);
}

function tilesOf(g: Geometry): number {
  return g.batch * g.high * g.wide;
}

/** The transform of all tiles of an input into temporary `temp`. */
export function transformAll(
  name: string,
  g: Geometry,
  side: "x" | "dy",
  input: number,
  temp: number,
  to: SpectrumLayout,
  profile: TargetProfile,
): LoweredStep {
  const { lanes } = profile;
  const matrix = matrices(g.m);
  const [dims, width, table]: [readonly [Dim, Dim, Dim], number, Matrix] =
    side === "x" ? [g.overX, g.channels, matrix.bt] : [g.overY, g.filters, transposed(matrix.at)];
  const pixels = side === "x" ? g.in[0] * g.in[1] : g.out[0] * g.out[1];
  const step = new Step(`${name}_${side}`);
  const { b } = step;
  const from = step.input(input, side, g.batch * pixels * width);
  const buffer = step.temp(temp, side === "x" ? "v" : "d", g.frequencies * to.frequency, "write");
  const constants = new Constants(b, [lanes], [table]);
  const work = tilesOf(g) * g.frequencies * width;
  const imageTask = taskPieces(b, "image", g.batch, partsNear(g.batch, Math.min(16, tasksFor(8 * work))));
  imageTask((n0, images) =>
    b.loop("n", images, (n) => {
      const here = affine(n0, n);
      const p = portionOf(step, lanes, dims, width, from, { n: here, images: 1, band: 0, rows: g.high });
      const target = { ...to, buffer, base: scaled(here, g.high * g.wide * to.pitch) };
      transformTiles(step, constants, g, table, width, p, target, lanes);
    }),
  );
  return step.finish({ flops: 4 * work, bytes: 4 * (from.size + work) });
}

/** Temporary 2 = temporary 1 · temporary 0 (packed), a task for each frequency. */
function products(
  name: string,
  g: Geometry,
  tiling: Tiling,
  depth: number,
  from: SpectrumLayout,
  to: SpectrumLayout,
): LoweredStep {
  const step = new Step(name);
  const packed = step.temp(0, "packed", g.frequencies * packedFrequency(tiling, depth), "read");
  const left = { ...from, buffer: step.temp(1, "left", g.frequencies * from.frequency, "read") };
  const right = { ...to, buffer: step.temp(2, "products", g.frequencies * to.frequency, "write") };
  const f = step.b.task("frequency", g.frequencies);
  multiply(step, tiling, f, tilesOf(g), depth, left, packed, right);
  return step.finish({
    flops: productFlops(g),
    bytes: 4 * (packed.size + left.buffer.size + right.buffer.size),
  });
}

export function stagedForward(name: string, g: Geometry, profile: TargetProfile, epilogue: Epilogue | null): Lowered {
  const { lanes } = profile;
  const tiles = tilesOf(g);
  const { tiling } = chooseTiling(profile, g.filters, tiles);
  const v = spectrumOf(tiles, g.channels);
  const layout = spectrumOf(tiles, tiling.vectors * lanes);
  const packed = g.frequencies * packedFrequency(tiling, g.channels);
  const step = new Step(`${name}_y`);
  const { b } = step;
  const x = losesZeros(g) ? step.input(0, "x", g.batch * g.in[0] * g.in[1] * g.channels) : null;
  const buffer = step.temp(2, "products", g.frequencies * layout.frequency, "read");
  const sink = outputSink(step, epilogue, g.batch * g.out[0] * g.out[1], g.filters, 2);
  const matrix = matrices(g.m);
  const constants = new Constants(b, [lanes], [matrix.at]);
  const imageTask = taskPieces(b, "image", g.batch, partsNear(g.batch, 16));
  imageTask((n0, images) =>
    b.loop("n", images, (n) => {
      const here = affine(n0, n);
      const source = { ...layout, buffer, base: scaled(here, g.high * g.wide * layout.pitch) };
      const whole = { n: here, images: 1, band: 0, rows: g.high };
      finishTiles(step, constants, g, matrix, whole, source, sink, profile);
      if (x) restoreZeros(step, g, portionOf(step, lanes, g.overX, g.channels, x, whole), sink, lanes);
    }),
  );
  const outputs = g.batch * g.out[0] * g.out[1] * g.filters;
  return {
    steps: [
      transformKernel(name, g, tiling, "forward", 0),
      transformAll(name, g, "x", 0, 1, v, profile),
      products(name, g, tiling, g.channels, v, layout),
      step.finish({ flops: 4 * buffer.size, bytes: 4 * (buffer.size + outputs) }),
    ],
    temps: [packed, g.frequencies * v.frequency, buffer.size].map((size) => ({ type: "f32", size })),
  };
}

export function stagedInputGrad(name: string, g: Geometry, profile: TargetProfile, epilogue: Epilogue | null): Lowered {
  const { lanes } = profile;
  const tiles = tilesOf(g);
  const { tiling } = chooseTiling(profile, g.channels, tiles);
  const d = spectrumOf(tiles, g.filters);
  const pitch = tiling.vectors * lanes;
  const layout = spectrumOf(tiles, pitch);
  const packed = g.frequencies * packedFrequency(tiling, g.filters);
  const step = new Step(`${name}_dx`);
  const { b } = step;
  const buffer = step.temp(2, "products", g.frequencies * layout.frequency, "read");
  const sink = outputSink(step, epilogue, g.batch * g.in[0] * g.in[1], g.channels, 2);
  const matrix = matrices(g.m);
  const constants = new Constants(b, [lanes], [matrix.bt]);
  const imageTask = taskPieces(b, "image", g.batch, partsNear(g.batch, 16));
  imageTask((n0, images) =>
    b.loop("n", images, (n) => {
      const here = affine(n0, n);
      const source = { ...layout, buffer, base: scaled(here, g.high * g.wide * pitch) };
      const windows = clearedWindows(step, g, 1, pitch, lanes);
      addTiles(step, constants, g, matrix, { images: 1, band: 0, rows: g.high }, source, windows, lanes);
      cropWindows(step, g, here, 1, windows, sink, lanes);
    }),
  );
  const outputs = g.batch * g.in[0] * g.in[1] * g.channels;
  return {
    steps: [
      transformKernel(name, g, tiling, "input", 0),
      transformAll(name, g, "dy", 0, 1, d, profile),
      products(name, g, tiling, g.filters, d, layout),
      step.finish({ flops: 4 * buffer.size, bytes: 4 * (buffer.size + outputs) }),
    ],
    temps: [packed, g.frequencies * d.frequency, buffer.size].map((size) => ({ type: "f32", size })),
  };
}
