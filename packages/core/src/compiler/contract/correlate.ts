/**
 * The kernel behind forward convolutions and input gradients: y[n, o, f] = Σ x[n, o·s + k·d - pad, c]·w[k, c, f] as
 * register tiles of several pixels (or images) × vectors of output channels over a packed kernel; no im2col. Images that
 * need padding are copied into thread scratch with their halo of zeros, band by band.
 */
import { affine, scaled } from "../builder.ts";
import type { Buffer, TargetProfile } from "../loopir.ts";
import { type Dim, isPadded, joined, product, taps } from "./geometry.ts";
import { packedSize } from "./pack.ts";
import { bandAxisOf, haloMost, haloSize, overPortions, type Portion } from "./pad.ts";
import { chooseTiling, partsNear, type Tiling, taskPieces, tasksFor } from "./split.ts";
import type { Sink, Step } from "./step.ts";
import { emitBlock, type RowAxis } from "./tile.ts";

export interface Correlation {
  readonly batch: number;
  readonly groups: number;
  /** Channels per group. */
  readonly inChannels: number;
  readonly outChannels: number;
  readonly dims: readonly [Dim, Dim, Dim];
  /** Rows of the result, which is [rows, groups · outChannels]: of an image, of a step along each dimension, of the origin. */
  readonly rows: { readonly image: number; readonly dims: readonly [number, number, number]; readonly origin: number };
}

interface Plan {
  readonly tiling: Tiling;
  /** What stands side by side in a tile: an axis of `dims`, or 3 for images. */
  readonly tiled: number;
  readonly imageTasks: number;
  readonly bandTasks: number;
}

function plan(c: Correlation, profile: TargetProfile): Plan {
  const { dims } = c;
  const flops = 2 * c.batch * c.groups * product(dims.map((d) => d.out)) * taps(dims) * c.inChannels * c.outChannels;
  const tasks = tasksFor(flops);
  const padded = isPadded(dims);
  const bandAxis = bandAxisOf(dims);
  const paddedImage = padded ? haloSize(dims, c.groups * c.inChannels, dims[bandAxis].out) : 0;
  let best: { tiled: number; cost: number; tiling: Tiling; imageTasks: number } | undefined;
  const consider = (tiled: number, extent: number, handicap: number, imageTasks: number): void => {
    if (extent < 1) return;
    const { tiling, cost } = chooseTiling(profile, c.outChannels, extent);
    if (!best || cost * handicap < best.cost) best = { tiled, cost: cost * handicap, tiling, imageTasks };
  };
  const imageTasks = partsNear(c.batch, tasks);
  consider(2, dims[2].out, 1, imageTasks);
  consider(1, dims[1].out, 1.05, imageTasks);
  consider(0, dims[0].out, 1.08, imageTasks);
  // Images side by side: as many tasks as leave whole tiles of them.
  const rows = profile.tile.rows;
  const groupsOfImages = partsNear(c.batch, Math.min(tasks, Math.max(1, Math.floor(c.batch / rows))));
  const images = Math.ceil(c.batch / groupsOfImages);
  if (!padded || images * paddedImage <= haloMost) consider(3, images, 1.08, groupsOfImages);
  const { tiled, tiling, imageTasks: chosen } = best!;
  const bandTasks = partsNear(dims[bandAxis].out, Math.floor(tasks / chosen));
  return { tiling, tiled, imageTasks: chosen, bandTasks };
}

/** How the kernel of a correlation must be packed: [group][panel][tap, channel][column]. */
export function packing(c: Correlation, profile: TargetProfile): { tiling: Tiling; depth: number; size: number } {
  const { tiling } = plan(c, profile);
  const depth = taps(c.dims) * c.inChannels;
  return { tiling, depth, size: c.groups * packedSize(tiling, depth) };
}

export function emitCorrelation(
  step: Step,
  c: Correlation,
  x: Buffer,
  kernel: { buffer: Buffer; base: number },
  sink: Sink,
  profile: TargetProfile,
): void {
  const { b } = step;
  const { dims, batch, inChannels, outChannels, groups } = c;
  const { tiling, tiled, imageTasks, bandTasks } = plan(c, profile);
  const bandAxis = bandAxisOf(dims);
  const channels = groups * inChannels;
  const depth = taps(dims) * inChannels;
  const imageTask = taskPieces(b, "image", batch, imageTasks);
  const bandTask = taskPieces(b, "band", dims[bandAxis].out, bandTasks);

  const block = ({ n, images, band, rows, buffer, base, stride, image }: Portion): void => {
    const spatial: RowAxis[] = dims.map((d, i) => ({
      extent: i === bandAxis ? rows : d.out,
      a: stride[i] * d.stride,
      row: c.rows.dims[i],
    }));
    const axes: RowAxis[] = [{ extent: images, a: image, row: c.rows.image }, ...spatial];
    const index = tiled === 3 ? 0 : tiled + 1;
    const isOne = (axis: RowAxis) => axis.extent === 1;
    let tiledAxis = axes[index];
    let outer = axes.filter((axis, i) => i !== index && !isOne(axis));
    // Neighbouring axes that walk input and result alike are one axis (kernels of size 1, rows without halo).
    while (outer.length > 0) {
      const last = outer[outer.length - 1];
      const joins =
        axes.indexOf(last) < index &&
        last.a === tiledAxis.extent * tiledAxis.a &&
        last.row === tiledAxis.extent * tiledAxis.row &&
        axes.slice(axes.indexOf(last) + 1, index).every(isOne);
      if (!joins) break;
      tiledAxis = { extent: last.extent * tiledAxis.extent, a: tiledAxis.a, row: tiledAxis.row };
      outer = outer.slice(0, -1);
    }
    const k = dims.map((d) => d.kernel);
    const sum = joined([
      { extent: k[0], a: dims[0].dilation * stride[0], b: k[1] * k[2] * inChannels },
      { extent: k[1], a: dims[1].dilation * stride[1], b: k[2] * inChannels },
      { extent: k[2], a: dims[2].dilation * stride[2], b: inChannels },
      { extent: inChannels, a: 1, b: 1 },
    ]);
    const row0 = affine(scaled(n, c.rows.image), scaled(band, c.rows.dims[bandAxis]), c.rows.origin);
    b.loop("group", groups, (g) =>
      emitBlock(b, {
        tiling,
        a: { buffer, base: affine(base, scaled(g, inChannels)) },
        b: { buffer: kernel.buffer, base: affine(kernel.base, scaled(g, packedSize(tiling, depth))), depth },
        outer,
        tiled: tiledAxis,
        sum,
        done: (row, column, value, count) =>
          sink.store(affine(row0, row), affine(scaled(g, outChannels), column), value, count),
      }),
    );
  };

  imageTask((n, images) =>
    bandTask((band, rows) => {
      const together = tiled === 3 || imageStaysWhole(c) ? images : 1;
      overPortions(step, profile.lanes, dims, channels, x, { n, images, band, rows }, together, rows, block);
    }),
  );
}

/** Whether all pixels of all images are one row axis: then tiles may run across images. */
function imageStaysWhole(c: Correlation): boolean {
  return c.dims.every((d) => d.kernel === 1 && d.stride === 1 && d.in === d.out && d.padLow === 0);
}

export function correlationFlops(c: Correlation): number {
  return 2 * c.batch * c.groups * product(c.dims.map((d) => d.out)) * taps(c.dims) * c.inChannels * c.outChannels;
}
