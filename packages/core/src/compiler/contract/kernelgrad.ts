/**
 * Kernel gradients: per tap a product over all output pixels, dK[k, c, f] = Σ x[n, o·s + k·d - pad, c]·dy[n, o, f], as
 * register tiles over (tap, c) × f. Long sums are split over images into parts that a fixed tree adds up; short ones are
 * split over the rows of the result. Which of the two, how many parts, and the order of pixels follow from the shape.
 */
import { affine, type Index, scaled } from "../builder.ts";
import type { TargetProfile } from "../loopir.ts";
import type { ConvSpec, Epilogue, Lowered, LoweredStep } from "../lowered.ts";
import { lowerDot } from "./dot.ts";
import { type Dim, isPadded, joined, product, strides, taps, threeDims } from "./geometry.ts";
import { usesGroupVectors } from "./grouped.ts";
import { lowerGroupedKernelGrad } from "./grouped-kernelgrad.ts";
import { packedSize, packPanels, zeroRow } from "./pack.ts";
import { bandAxisOf, copyWindow, overPortions, windowOf } from "./pad.ts";
import { reduceParts } from "./reduce.ts";
import { blocks, chooseTiling, partsNear, taskPieces, tasksFor } from "./split.ts";
import { outputSink, Step } from "./step.ts";
import { emitBlock, type RowAxis } from "./tile.ts";
import { winogradKernelGrad, winogradTile } from "./winograd/index.ts";

interface Problem {
  readonly spec: ConvSpec;
  readonly dims: readonly [Dim, Dim, Dim];
  readonly outs: readonly [number, number, number];
  /** Channels and filters per group. */
  readonly channels: number;
  readonly filters: number;
  readonly flops: number;
  readonly name: string;
  readonly xSize: number;
  readonly ySize: number;
  readonly kernelSize: number;
  /** Rows of the gradient, which is [rows, F]. */
  readonly rows: number;
}

/** dKernel […K, C/groups, F] of x [N, …S, C] (input 0) and dy [N, …S', F] (input 1). */
export function lowerConvKernelGrad(spec: ConvSpec, profile: TargetProfile, epilogue: Epilogue | null): Lowered {
  const dims = threeDims(spec);
  const channels = spec.inChannels / spec.groups;
  const rows = taps(dims) * channels;
  if (rows * spec.outChannels === 0) return { steps: [], temps: [] };
  if (usesGroupVectors(spec)) return lowerGroupedKernelGrad(spec, profile, epilogue);
  const m = winogradTile(spec, "kernel", profile);
  if (m) return winogradKernelGrad(spec, m, profile, epilogue);
  const only = dims.every((d) => d.kernel === 1 && d.stride === 1 && d.padLow === 0 && d.in === d.out);
  if (only && spec.groups === 1) return asProduct(spec, profile, epilogue);
  const outs: [number, number, number] = [dims[0].out, dims[1].out, dims[2].out];
  const ySize = spec.batch * product(outs) * spec.outChannels;
  const problem: Problem = {
    spec,
    dims,
    outs,
    channels,
    filters: spec.outChannels / spec.groups,
    flops: 2 * ySize * rows,
    name: `conv_dk_${spec.spatial.map((d) => d.in).join("x")}x${spec.inChannels}_${spec.spatial.map((d) => d.kernel).join("x")}x${spec.outChannels}`,
    xSize: spec.batch * product(dims.map((d) => d.in)) * spec.inChannels,
    ySize,
    kernelSize: rows * spec.outChannels,
    rows,
  };
  const pixels = spec.batch * product(outs);
  const parts = profile.inner ? 1 : partsNear(spec.batch, Math.min(16, tasksFor(problem.flops)));
  return (parts > 1 || profile.inner) && rows * 2 <= pixels
    ? byImages(problem, parts, profile, epilogue)
    : byRows(problem, profile, epilogue);
}

/** Kernels of size 1: dK [C, F] = xᵀ·dy over all pixels. */
function asProduct(spec: ConvSpec, profile: TargetProfile, epilogue: Epilogue | null): Lowered {
  const k = spec.batch * product(spec.spatial.map((d) => d.out));
  const { inChannels: m, outChannels: n } = spec;
  return lowerDot(
    {
      batch: [],
      m,
      n,
      k,
      a: { size: k * m, offset: 0, batch: [], m: 1, k: m },
      b: { size: k * n, offset: 0, batch: [], k: n, n: 1 },
    },
    profile,
    epilogue,
  );
}

/** Whether the images of a part come innermost in the sum: where rows of pixels are short. */
function imagesInnermost(p: Problem, images: number): boolean {
  return p.outs[2] < 8 && images >= 8;
}

/** Axes of the rows of a gradient around the tiles, and the tiled one: (tap, channel), joined where x is contiguous. */
function rowAxes(p: Problem, stride: readonly number[]): { outer: RowAxis[]; tiled: RowAxis } {
  const { dims, channels } = p;
  const k = dims.map((d) => d.kernel);
  const axes = joined([
    { extent: k[0], a: dims[0].dilation * stride[0], b: k[1] * k[2] * channels },
    { extent: k[1], a: dims[1].dilation * stride[1], b: k[2] * channels },
    { extent: k[2], a: dims[2].dilation * stride[2], b: channels },
    { extent: channels, a: 1, b: 1 },
  ]).map((x) => ({ extent: x.extent, a: x.a, row: x.b }));
  return { outer: axes.slice(0, -1), tiled: axes[axes.length - 1] };
}

/** Rows of the band axis whose input stays in the first-level cache, and with it a packed panel of dy. */
function bandRows(p: Problem): number {
  const { dims, spec } = p;
  const axis = bandAxisOf(dims);
  const row = product(dims.map((d, i) => (i === axis ? 1 : d.in))) * spec.inChannels;
  const pixels = product(p.outs) / p.outs[axis];
  const halo = (dims[axis].kernel - 1) * dims[axis].dilation;
  const byInput = Math.floor((6144 / row - halo) / dims[axis].stride);
  return Math.max(1, Math.min(Math.max(byInput, Math.ceil(128 / pixels)), Math.ceil(512 / pixels)));
}

function byImages(p: Problem, parts: number, profile: TargetProfile, epilogue: Epilogue | null): Lowered {
  const { spec, dims, outs, channels, filters } = p;
  const { lanes } = profile;
  const step = new Step(p.name);
  const { b } = step;
  const x = step.input(0, "x", p.xSize);
  const dy = step.input(1, "dy", p.ySize);
  const partial = step.temp(0, "partial", parts * p.kernelSize, "readwrite");
  const axis = bandAxisOf(dims);
  const partTask = taskPieces(b, "part", spec.batch, parts);
  const dyStride = strides(outs, spec.outChannels);
  const dyImage = product(outs) * spec.outChannels;
  partTask((n0, images, part) => {
    const base = scaled(part, p.kernelSize);
    zeroRow(b, lanes, partial, base, p.kernelSize);
    const inner = imagesInnermost(p, images);
    // Small images are taken several at a time, so that a tile's sum is worth loading and storing it.
    const together = inner ? images : divisorNear(images, Math.ceil(192 / product(outs)));
    const most = blocks(outs[axis], bandRows(p))[0].size;
    overPortions(
      step,
      lanes,
      dims,
      spec.inChannels,
      x,
      { n: n0, images, band: 0, rows: outs[axis] },
      together,
      most,
      (o) => {
        const extent = outs.map((e, i) => (i === axis ? o.rows : e));
        const { outer, tiled } = rowAxes(p, o.stride);
        const { tiling } = chooseTiling(profile, filters, tiled.extent);
        const pack = p.rows >= 48;
        const imageAxis = { extent: o.images, a: o.image, stride: dyImage };
        const pixelAxes = extent.map((e, i) => ({ extent: e, a: o.stride[i] * dims[i].stride, stride: dyStride[i] }));
        const order = inner ? [...pixelAxes, imageAxis] : [imageAxis, ...pixelAxes];
        const depth = product(order.map((k) => k.extent));
        let units = depth;
        const sum = order.map((k) => {
          units /= k.extent;
          return { extent: k.extent, a: k.a, b: pack ? units : k.stride };
        });
        const from = affine(scaled(o.n, dyImage), scaled(o.band, dyStride[axis]));
        b.loop("group", spec.groups, (g) => {
          const dyBase = affine(from, scaled(g, filters));
          const right = pack ? step.scratch("panels", packedSize(tiling, depth)) : dy;
          if (pack) {
            const k = order.map((q) => ({ extent: q.extent, stride: q.stride }));
            packPanels(b, tiling, { buffer: dy, base: dyBase, k, column: 1 }, { buffer: right, base: 0 });
          }
          const at = (row: Index, column: Index) =>
            affine(base, scaled(row, spec.outChannels), scaled(g, filters), column);
          emitBlock(b, {
            tiling,
            a: { buffer: o.buffer, base: affine(o.base, scaled(g, channels)) },
            b: pack ? { buffer: right, base: 0, depth } : { buffer: right, base: dyBase },
            outer,
            tiled,
            sum: joined(sum),
            begun: { when: true, load: (row, column) => b.load(partial, at(row, column), lanes) },
            done: (row, column, value, count) =>
              b.store(partial, at(row, column), value, count < lanes ? { count } : {}),
          });
        });
      },
    );
  });
  const bytes = 4 * (p.xSize + p.ySize + parts * p.kernelSize);
  return {
    steps: [
      step.finish({ flops: p.flops, bytes }),
      reduceParts(p.name, 0, parts, p.rows, spec.outChannels, epilogue, 2, profile),
    ],
    temps: [{ type: "f32", size: parts * p.kernelSize }],
  };
}

/** The largest divisor of `extent` that is at most `most`. */
function divisorNear(extent: number, most: number): number {
  for (let d = Math.min(extent, most); d > 1; d--) if (extent % d === 0) return d;
  return 1;
}

function byRows(p: Problem, profile: TargetProfile, epilogue: Epilogue | null): Lowered {
  const { spec, dims, outs, channels, filters } = p;
  const { lanes } = profile;
  const { groups } = spec;
  const temps: { type: "f32"; size: number }[] = [];
  const steps: LoweredStep[] = [];
  const pixels = spec.batch * product(outs);
  const padded = isPadded(dims);
  const window = windowOf(dims, [0, 0, 0], outs);
  const extents = padded ? window.extents : dims.map((d) => d.in);
  const image = product(extents) * spec.inChannels;
  const stride = strides(extents, spec.inChannels);
  if (padded && pixels > 0) {
    const pad = new Step(`${p.name}_pad`);
    const from = pad.input(0, "x", p.xSize);
    const to = pad.temp(temps.length, "padded", spec.batch * image, "write");
    temps.push({ type: "f32", size: spec.batch * image });
    const n = pad.b.task("image", spec.batch);
    copyWindow(
      pad.b,
      lanes,
      dims,
      spec.inChannels,
      window,
      { buffer: from, base: scaled(n, p.xSize / spec.batch) },
      { buffer: to, base: scaled(n, image) },
    );
    steps.push(pad.finish({ flops: 0, bytes: 8 * spec.batch * image }));
  }
  const { outer, tiled } = rowAxes(p, stride);
  const { tiling } = chooseTiling(profile, filters, tiled.extent);
  // Pixels in the order of the sum, with strides in x and dy.
  const dyStride = strides(outs, spec.outChannels);
  const imageAxis = { extent: spec.batch, a: image, stride: product(outs) * spec.outChannels };
  const pixelAxes = dims.map((d, i) => ({ extent: outs[i], a: stride[i] * d.stride, stride: dyStride[i] }));
  const order = imagesInnermost(p, spec.batch) ? [...pixelAxes, imageAxis] : [imageAxis, ...pixelAxes];
  let units = pixels;
  const sum = joined(
    order.map((k) => {
      units = k.extent > 0 ? units / k.extent : 0;
      return { extent: k.extent, a: k.a, b: units };
    }),
  );
  const panel = packedSize(tiling, pixels);
  const packedAt = temps.length;
  temps.push({ type: "f32", size: Math.max(1, groups * panel) });
  if (pixels > 0) {
    const pack = new Step(`${p.name}_pack`);
    const from = pack.input(1, "dy", p.ySize);
    const to = pack.temp(packedAt, "packed", groups * panel, "write");
    const g = pack.b.task("group", groups);
    packPanels(
      pack.b,
      tiling,
      {
        buffer: from,
        base: scaled(g, filters),
        k: order.map((k) => ({ extent: k.extent, stride: k.stride })),
        column: 1,
      },
      { buffer: to, base: scaled(g, panel) },
    );
    steps.push(pack.finish({ flops: 0, bytes: 8 * groups * panel }));
  }
  const step = new Step(p.name);
  const { b } = step;
  const source =
    padded && pixels > 0 ? step.temp(0, "padded", spec.batch * image, "read") : step.input(0, "x", p.xSize);
  const packed = step.temp(packedAt, "packed", Math.max(1, groups * panel), "read");
  const sink = outputSink(step, epilogue, p.rows, spec.outChannels, 2);
  const origin = padded ? 0 : -dims.reduce((s, d, i) => s + d.padLow * stride[i], 0);
  const tasks = tasksFor(p.flops);
  const g = b.task("group", groups);
  const outerTasks = outer.map((axis, i) => b.task(`r${i}`, axis.extent));
  const outerCount = product(outer.map((axis) => axis.extent)) * groups;
  const tiles = Math.ceil(tiled.extent / tiling.rows);
  const rowTask = taskPieces(
    b,
    "rows",
    tiled.extent,
    partsNear(tiled.extent, Math.min(tiles, Math.ceil(tasks / outerCount))),
  );
  const base = affine(origin, scaled(g, channels), ...outer.map((axis, i) => scaled(outerTasks[i], axis.a)));
  const rowBase = affine(0, ...outer.map((axis, i) => scaled(outerTasks[i], axis.row)));
  rowTask((start, size) => {
    const row0 = affine(rowBase, scaled(start, tiled.row));
    emitBlock(b, {
      tiling,
      a: { buffer: source, base: affine(base, scaled(start, tiled.a)) },
      b: { buffer: packed, base: scaled(g, panel), depth: pixels },
      outer: [],
      tiled: { extent: size, a: tiled.a, row: tiled.row },
      sum,
      done: (row, column, value, count) =>
        sink.store(affine(row0, row), affine(scaled(g, filters), column), value, count),
    });
  });
  steps.push(step.finish({ flops: p.flops, bytes: 4 * (p.xSize + p.ySize + p.kernelSize) }));
  return { steps, temps };
}
