/**
 * Convolutions with few filters per group (depthwise above all): lanes run over channels of all groups, so that both
 * factors of a multiply-add are vectors. With one channel and one filter per group they are read in place, else gathered.
 */
import { affine, type Index, scaled } from "../builder.ts";
import type { Buffer, TargetProfile } from "../loopir.ts";
import type { ConvSpec, Epilogue, Lowered, LoweredStep } from "../lowered.ts";
import { type Dim, product, strides, taps, threeDims } from "./geometry.ts";
import { isIdentity, type LaneMap, type Loaders, mappedLoader, overChannels, sizes, tileRows } from "./lanemaps.ts";
import { bandAxisOf, overPortions, type Portion } from "./pad.ts";
import { phases } from "./phases.ts";
import { evenlyAtMost, loopPieces, partsNear, taskPieces, tasksFor } from "./split.ts";
import { outputSink, type Sink, Step } from "./step.ts";

export function usesGroupVectors(spec: ConvSpec): boolean {
  return spec.groups > 1 && spec.outChannels / spec.groups < 8;
}

interface GroupedCorrelation {
  readonly dims: readonly [Dim, Dim, Dim];
  readonly batch: number;
  /** Channels of the source and of the result. */
  readonly sourceChannels: number;
  readonly channels: number;
  /** Terms per tap, and their strides in source and kernel. */
  readonly terms: number;
  readonly termKernel: number;
  readonly source: LaneMap;
  readonly kernel: LaneMap;
  readonly kernelBase: number;
  readonly kernelTaps: readonly [number, number, number];
  readonly rows: { readonly image: number; readonly dims: readonly [number, number, number]; readonly origin: number };
}

/**
 * Results side by side when all taps of a kernel's row share the inputs they load: as many as stay in registers with those
 * inputs and the taps, or undefined when that is less than two.
 */
function sharedRows(d: Dim, registers: number): number | undefined {
  for (let rows = 8; rows >= 2; rows--) if (sharedOffsets(d, rows).length + d.kernel + rows < registers) return rows;
  return undefined;
}

/** Distinct inputs, in steps of the dimension, that `rows` neighbouring results read. */
function sharedOffsets(d: Dim, rows: number): number[] {
  const offsets = new Set<number>();
  for (let r = 0; r < rows; r++) for (let k = 0; k < d.kernel; k++) offsets.add(r * d.stride + k * d.dilation);
  return [...offsets].sort((p, q) => p - q);
}

function emitGrouped(
  step: Step,
  c: GroupedCorrelation,
  x: Buffer,
  kernel: Buffer,
  sink: Sink,
  profile: TargetProfile,
): number {
  const { b } = step;
  const { lanes } = profile;
  const { dims } = c;
  const axis = bandAxisOf(dims);
  const flops = 2 * c.batch * product(dims.map((d) => d.out)) * taps(dims) * c.terms * c.channels;
  const tasks = tasksFor(flops * 2);
  const imageTasks = partsNear(c.batch, tasks);
  const imageTask = taskPieces(b, "image", c.batch, imageTasks);
  const bandTask = taskPieces(b, "band", dims[axis].out, partsNear(dims[axis].out, Math.floor(tasks / imageTasks)));
  // Tiles run along the width, or along the height of one-dimensional convolutions.
  const tiled = dims[2].out > 1 ? 2 : 1;
  const registers = profile.name === "c" && lanes === 16 ? 32 : 16;
  const shared = c.terms === 1 && dims[tiled].kernel > 1 ? sharedRows(dims[tiled], registers) : undefined;
  const block = (p: Portion): void => {
    const extent = dims.map((d, i) => (i === axis ? p.rows : d.out));
    const outer = extent.map((e, i) => (i === tiled ? 1 : e));
    const along = p.stride[tiled];
    const emitTile = (at: Index[], size: number, first: Index, valid: number, from: Loaders): void => {
      const base = affine(p.base, ...at.map((v, i) => scaled(v, p.stride[i] * dims[i].stride)));
      const sums = Array.from({ length: size }, () => b.var(b.f32(0, lanes)));
      const taps = (k: Index[], term: Index): void => {
        const kernelAt = affine(
          c.kernelBase,
          ...k.map((v, i) => scaled(v, c.kernelTaps[i])),
          scaled(term, c.termKernel),
        );
        const sourceAt = affine(base, ...k.map((v, i) => scaled(v, dims[i].dilation * p.stride[i])), term);
        if (shared === undefined) {
          const right = from.kernel(kernel, kernelAt);
          sums.forEach((sum, r) => {
            const left = from.source(p.buffer, affine(sourceAt, r * along * dims[tiled].stride));
            b.assign(sum, b.fma(left, right, sum));
          });
          return;
        }
        const inputs = new Map(
          sharedOffsets(dims[tiled], size).map((o) => [o, from.source(p.buffer, affine(sourceAt, o * along))]),
        );
        for (let q = 0; q < dims[tiled].kernel; q++) {
          const right = from.kernel(kernel, affine(kernelAt, q * c.kernelTaps[tiled]));
          sums.forEach((sum, r) => {
            const left = inputs.get(r * dims[tiled].stride + q * dims[tiled].dilation)!;
            b.assign(sum, b.fma(left, right, sum));
          });
        }
      };
      const loops = dims.map((x, i) => (shared !== undefined && i === tiled ? 1 : x.kernel));
      b.loop("kd", loops[0], (kd) =>
        b.loop("kh", loops[1], (kh) =>
          b.loop("kw", loops[2], (kw) =>
            b.loop("term", c.terms, (term) => {
              const k: Index[] = [kd, kh, kw];
              if (shared !== undefined) k[tiled] = 0;
              taps(k, term);
            }),
          ),
        ),
      );
      const row = affine(
        scaled(p.n, c.rows.image),
        scaled(p.band, c.rows.dims[axis]),
        ...at.map((v, i) => scaled(v, c.rows.dims[i])),
        c.rows.origin,
      );
      for (let r = 0; r < size; r++) sink.store(affine(row, r * c.rows.dims[tiled]), first, sums[r], valid);
    };
    const overPixels = (body: (at: Index[], size: number) => void): void =>
      b.loop("d", outer[0], (d) =>
        b.loop("h", outer[1], (h) =>
          loopPieces(b, "tile", evenlyAtMost(extent[tiled], shared ?? tileRows), (start, size) => {
            const at: Index[] = [d, h, 0];
            at[tiled] = start;
            body(at, size);
          }),
        ),
      );
    const overVectors = (body: (first: Index, valid: number, from: Loaders) => void): void =>
      overChannels(b, lanes, lanes, c.channels, (first, _, valid) =>
        body(first, valid, {
          source: mappedLoader(b, lanes, first, c.channels, c.source),
          kernel: mappedLoader(b, lanes, first, c.channels, c.kernel),
        }),
      );
    // Channels innermost read every line once; where lanes are gathered, their indices are worth keeping over pixels.
    if (isIdentity(c.source) && isIdentity(c.kernel))
      overPixels((at, size) => overVectors((first, valid, from) => emitTile(at, size, first, valid, from)));
    else overVectors((first, valid, from) => overPixels((at, size) => emitTile(at, size, first, valid, from)));
  };
  imageTask((n, images) =>
    bandTask((band, rows) =>
      overPortions(step, lanes, dims, c.sourceChannels, x, { n, images, band, rows }, 1, rows, block),
    ),
  );
  return flops;
}

export function lowerGroupedConv(spec: ConvSpec, profile: TargetProfile, epilogue: Epilogue | null): Lowered {
  const dims = threeDims(spec);
  const { x, y, kernel, perGroup } = sizes(spec);
  const tap = perGroup.in * spec.outChannels;
  const step = new Step(`conv_grouped_${spec.inChannels}x${spec.outChannels}`);
  const source = step.input(0, "x", x);
  const right = step.input(1, "kernel", kernel);
  const sink = outputSink(step, epilogue, y / spec.outChannels, spec.outChannels, 2);
  const flops = emitGrouped(
    step,
    {
      dims,
      batch: spec.batch,
      sourceChannels: spec.inChannels,
      channels: spec.outChannels,
      terms: perGroup.in,
      termKernel: spec.outChannels,
      source: { per: perGroup.out, quotient: perGroup.in, remainder: 0 },
      kernel: { per: 1, quotient: 1, remainder: 0 },
      kernelBase: 0,
      kernelTaps: strides(
        dims.map((d) => d.kernel),
        tap,
      ),
      rows: {
        image: product(dims.map((d) => d.out)),
        dims: [dims[1].out * dims[2].out, dims[2].out, 1],
        origin: 0,
      },
    },
    source,
    right,
    sink,
    profile,
  );
  return { steps: [step.finish({ flops, bytes: 4 * (x + y + kernel) })], temps: [] };
}

export function lowerGroupedInputGrad(spec: ConvSpec, profile: TargetProfile, epilogue: Epilogue | null): Lowered {
  const dims = threeDims(spec);
  const { x, y, kernel, perGroup } = sizes(spec);
  const tapStride = strides(
    dims.map((d) => d.kernel),
    perGroup.in * spec.outChannels,
  );
  const steps: LoweredStep[] = [];
  for (const { origin, phase } of phases(dims)) {
    const step = new Step(
      `conv_dx_grouped_${spec.inChannels}x${spec.outChannels}_${phase.map((p) => p.origin).join("")}`,
    );
    const dy = step.input(0, "dy", y);
    const right = step.input(1, "kernel", kernel);
    const sink = outputSink(step, epilogue, x / spec.inChannels, spec.inChannels, 2);
    const flops = emitGrouped(
      step,
      {
        dims: [phase[0].dim, phase[1].dim, phase[2].dim],
        batch: spec.batch,
        sourceChannels: spec.outChannels,
        channels: spec.inChannels,
        terms: perGroup.out,
        termKernel: 1,
        source: { per: perGroup.in, quotient: perGroup.out, remainder: 0 },
        kernel: { per: perGroup.in, quotient: perGroup.out, remainder: spec.outChannels },
        kernelBase: phase.reduce((s, p, i) => s + p.lastTap * tapStride[i], 0),
        kernelTaps: [
          -phase[0].tapStep * tapStride[0],
          -phase[1].tapStep * tapStride[1],
          -phase[2].tapStep * tapStride[2],
        ],
        rows: {
          image: product(dims.map((d) => d.in)),
          dims: [dims[1].in * dims[2].in * dims[0].stride, dims[2].in * dims[1].stride, dims[2].stride],
          origin,
        },
      },
      dy,
      right,
      sink,
      profile,
    );
    steps.push(step.finish({ flops, bytes: 4 * (x + y + kernel) }));
  }
  return { steps, temps: [] };
}
