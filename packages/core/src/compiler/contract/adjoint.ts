/**
 * Input gradients as the adjoint of the forward pass: for every tap, dy · kernel[tap]ᵀ is added into dx at the pixels the tap
 * read. It multiplies no zeros of a padded dy, which small images have more of than pixels; sums run tap by tap, filter by
 * filter, in windows of dx in scratch that are cropped at the end.
 */
import { affine, type Index, scaled } from "../builder.ts";
import type { TargetProfile } from "../loopir.ts";
import type { ConvSpec, Epilogue, Lowered } from "../lowered.ts";
import { product, reach, strides, taps, threeDims } from "./geometry.ts";
import { packedSize, packPanels, zeroRow } from "./pack.ts";
import { phases } from "./phases.ts";
import { chooseTiling, partsNear, type Tiling, taskPieces, tasksFor } from "./split.ts";
import { outputSink, Step } from "./step.ts";
import { emitBlock, type RowAxis } from "./tile.ts";
import { overLanes } from "./winograd/tiles.ts";

/** Windows of one image in scratch, in elements (4 MB). */
const windowMost = 1 << 20;

/** What the taps of all results reach, and all of the input. */
function windowExtents(spec: ConvSpec): number[] {
  return threeDims(spec).map((d) => Math.max(reach(d), d.in + d.padLow));
}

/** Whether the adjoint does enough less than a correlation over padded dy. From the shape alone. */
export function usesAdjoint(spec: ConvSpec): boolean {
  const dims = threeDims(spec);
  const { batch, groups, inChannels, outChannels } = spec;
  if (groups > 1 || batch < 4 || dims.some((d) => d.out === 0 || d.padLow < 0)) return false;
  if (product(windowExtents(spec)) * inChannels > windowMost) return false;
  const correlation = phases(dims).reduce(
    (sum, { phase }) => sum + product(phase.map((p) => p.dim.out * p.dim.kernel)),
    0,
  );
  const adjoint = product(dims.map((d) => d.out * d.kernel));
  return correlation > adjoint * (1 + 4 / outChannels);
}

export function lowerAdjoint(name: string, spec: ConvSpec, profile: TargetProfile, epilogue: Epilogue | null): Lowered {
  const dims = threeDims(spec);
  const { lanes } = profile;
  const { batch, inChannels: channels, outChannels: filters } = spec;
  const outs = dims.map((d) => d.out);
  const ins = dims.map((d) => d.in);
  const kernels = dims.map((d) => d.kernel);
  const flops = 2 * batch * product(outs) * taps(dims) * channels * filters;
  const tasks = tasksFor(flops);

  // Side by side in a tile: pixels of a row, or images.
  const pixels = chooseTiling(profile, channels, outs[2]);
  const imageTasks = partsNear(batch, tasks);
  const fewerTasks = partsNear(batch, Math.min(tasks, Math.max(1, Math.floor(batch / profile.tile.rows))));
  const images = chooseTiling(profile, channels, Math.ceil(batch / fewerTasks));
  const window = windowExtents(spec);
  const byImages =
    images.cost * 1.08 < pixels.cost && Math.ceil(batch / fewerTasks) * product(window) * channels <= windowMost;
  const tiling: Tiling = byImages ? images.tiling : pixels.tiling;

  const tapSize = packedSize(tiling, filters);
  const pack = new Step(`${name}_pack`);
  const kernelSize = taps(dims) * channels * filters;
  const from = pack.input(1, "kernel", kernelSize);
  const to = pack.temp(0, "packed", taps(dims) * tapSize, "write");
  const tapTask = pack.b.task("tap", taps(dims));
  packPanels(
    pack.b,
    tiling,
    {
      buffer: from,
      base: scaled(tapTask, channels * filters),
      k: [{ extent: filters, stride: 1 }],
      column: filters,
    },
    { buffer: to, base: scaled(tapTask, tapSize) },
  );

  const step = new Step(name);
  const { b } = step;
  const dy = step.input(0, "dy", batch * product(outs) * filters);
  const packed = step.temp(0, "packed", taps(dims) * tapSize, "read");
  const sink = outputSink(step, epilogue, batch * product(ins), channels, 2);
  const pitch = tiling.vectors * lanes;
  const pixel = strides(window, 1);
  const image = product(window);
  const dyStride = strides(outs, filters);
  const tapStride = strides(kernels, 1);
  const imageTask = taskPieces(b, "image", batch, byImages ? fewerTasks : imageTasks);
  imageTask((n0, count) => {
    const group = byImages ? count : 1;
    b.loop("n", count / group, (n) => {
      const first = affine(n0, group === 1 ? n : 0);
      const sums = step.scratch("sums", group * image * pitch);
      zeroRow(b, lanes, sums, 0, group * image * pitch);
      const axes: RowAxis[] = [
        { extent: group, a: product(outs) * filters, row: image },
        ...dims.map((d, i) => ({ extent: d.out, a: dyStride[i], row: d.stride * pixel[i] })),
      ];
      const tiled = byImages ? 0 : 3;
      b.loop("kd", kernels[0], (kd) =>
        b.loop("kh", kernels[1], (kh) =>
          b.loop("kw", kernels[2], (kw) => {
            const k = [kd, kh, kw];
            const tap = affine(...k.map((v, i) => scaled(v, tapStride[i])));
            const moved = affine(...k.map((v, i) => scaled(v, dims[i].dilation * pixel[i])));
            const at = (row: Index, column: Index) => affine(scaled(affine(moved, row), pitch), column);
            emitBlock(b, {
              tiling,
              a: { buffer: dy, base: scaled(first, product(outs) * filters) },
              b: { buffer: packed, base: scaled(tap, tapSize), depth: filters },
              outer: axes.filter((_, i) => i !== tiled),
              tiled: axes[tiled],
              sum: [{ extent: filters, a: 1, b: 1 }],
              begun: { when: true, load: (row, column) => b.load(sums, at(row, column), lanes) },
              done: (row, column, value) => b.store(sums, at(row, column), value),
            });
          }),
        ),
      );
      b.loop("i", group, (i) =>
        b.loop("d", ins[0], (d) =>
          b.loop("h", ins[1], (h) =>
            b.loop("w", ins[2], (w) => {
              const at = [d, h, w];
              const source = affine(scaled(i, image), ...at.map((v, j) => scaled(affine(v, dims[j].padLow), pixel[j])));
              const row = affine(
                scaled(affine(first, i), product(ins)),
                ...at.map((v, j) => scaled(v, strides(ins, 1)[j])),
              );
              overLanes(b, lanes, channels, (c, width, valid) =>
                sink.store(row, c, b.load(sums, affine(scaled(source, pitch), c), width), valid),
              );
            }),
          ),
        ),
      );
    });
  });
  return {
    steps: [
      pack.finish({ flops: 0, bytes: 8 * kernelSize }),
      step.finish({ flops, bytes: 4 * (dy.size + batch * product(ins) * channels + kernelSize) }),
    ],
    temps: [{ type: "f32", size: taps(dims) * tapSize }],
  };
}
