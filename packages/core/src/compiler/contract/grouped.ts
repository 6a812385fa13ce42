/**
 * Convolutions with few filters per group (depthwise above all): lanes run over channels of all groups, so that both
 * factors of a multiply-add are vectors. With one channel and one filter per group they are read in place, else gathered.
 */
import { affine, type Index, type KernelBuilder, scaled } from "../builder.ts";
import type { Buffer, Operand, TargetProfile } from "../loopir.ts";
import type { ConvSpec, Epilogue, Lowered, LoweredStep } from "../lowered.ts";
import { type Dim, isPadded, product, strides, taps, threeDims } from "./geometry.ts";
import { bandAxisOf, copyWindow, overPortions, type Portion, windowOf } from "./pad.ts";
import { phases } from "./phases.ts";
import { reduceParts } from "./reduce.ts";
import { evenlyAtMost, loopPieces, partsNear, taskPieces, tasksFor } from "./split.ts";
import { matrixSink, outputSink, type Sink, Step } from "./step.ts";

export function usesGroupVectors(spec: ConvSpec): boolean {
  return spec.groups > 1 && spec.outChannels / spec.groups < 8;
}

/** What lane l of the channels from `first` reads: `(c div per)·quotient + (c mod per)·remainder` for c = first + l. */
interface LaneMap {
  readonly per: number;
  readonly quotient: number;
  readonly remainder: number;
}

/** Loads a vector whose lanes follow a map, reading in place where the map is the identity. */
function mappedLoader(b: KernelBuilder, lanes: number, first: Index, channels: number, map: LaneMap) {
  if ((map.per === 1 && map.quotient === 1) || (map.quotient === map.per && map.remainder === 1))
    return (buffer: Buffer, at: Index): Operand => b.load(buffer, affine(at, first), lanes);
  const int = (v: number) => b.i32(v, lanes);
  const channel = b.min(b.add(b.splat(b.index(first), lanes), b.iota(lanes)), int(channels - 1));
  const group = b.div(channel, int(map.per));
  const inGroup = b.binary("rem", channel, int(map.per));
  const indices = b.add(b.mul(group, int(map.quotient)), b.mul(inGroup, int(map.remainder)));
  return (buffer: Buffer, at: Index): Operand => b.gather(buffer, at, indices);
}

/** Vectors of channels: whole ones in a loop, then one of the rest. */
function overChannels(
  b: KernelBuilder,
  lanes: number,
  channels: number,
  body: (first: Index, valid: number) => void,
): void {
  const whole = Math.floor(channels / lanes);
  b.loop("vector", whole, (v) => body(scaled(v, lanes), lanes));
  if (whole * lanes < channels) body(whole * lanes, channels - whole * lanes);
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

const tileRows = 6;

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
  const block = (p: Portion): void => {
    const extent = dims.map((d, i) => (i === axis ? p.rows : d.out));
    overChannels(b, lanes, c.channels, (first, valid) => {
      const fromSource = mappedLoader(b, lanes, first, c.channels, c.source);
      const fromKernel = mappedLoader(b, lanes, first, c.channels, c.kernel);
      const outer = extent.map((e, i) => (i === tiled ? 1 : e));
      b.loop("d", outer[0], (d) =>
        b.loop("h", outer[1], (h) =>
          loopPieces(b, "tile", evenlyAtMost(extent[tiled], tileRows), (start, size) => {
            const at: Index[] = [d, h, 0];
            at[tiled] = start;
            const base = affine(p.base, ...at.map((v, i) => scaled(v, p.stride[i] * dims[i].stride)));
            const sums = Array.from({ length: size }, () => b.var(b.f32(0, lanes)));
            b.loop("kd", dims[0].kernel, (kd) =>
              b.loop("kh", dims[1].kernel, (kh) =>
                b.loop("kw", dims[2].kernel, (kw) =>
                  b.loop("term", c.terms, (term) => {
                    const k = [kd, kh, kw];
                    const kernelAt = affine(
                      c.kernelBase,
                      ...k.map((v, i) => scaled(v, c.kernelTaps[i])),
                      scaled(term, c.termKernel),
                    );
                    const right = fromKernel(kernel, kernelAt);
                    const sourceAt = affine(base, ...k.map((v, i) => scaled(v, dims[i].dilation * p.stride[i])), term);
                    for (let r = 0; r < size; r++) {
                      const left = fromSource(p.buffer, affine(sourceAt, r * p.stride[tiled] * dims[tiled].stride));
                      b.assign(sums[r], b.fma(left, right, sums[r]));
                    }
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
          }),
        ),
      );
    });
  };
  imageTask((n, images) =>
    bandTask((band, rows) =>
      overPortions(step, lanes, dims, c.sourceChannels, x, { n, images, band, rows }, 1, rows, block),
    ),
  );
  return flops;
}

function sizes(spec: ConvSpec) {
  const x = spec.batch * product(spec.spatial.map((d) => d.in)) * spec.inChannels;
  const y = spec.batch * product(spec.spatial.map((d) => d.out)) * spec.outChannels;
  const perGroup = { in: spec.inChannels / spec.groups, out: spec.outChannels / spec.groups };
  const kernel = product(spec.spatial.map((d) => d.kernel)) * perGroup.in * spec.outChannels;
  return { x, y, kernel, perGroup };
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

export function lowerGroupedKernelGrad(spec: ConvSpec, profile: TargetProfile, epilogue: Epilogue | null): Lowered {
  const dims = threeDims(spec);
  const { lanes } = profile;
  const { x, y, kernel, perGroup } = sizes(spec);
  const steps: LoweredStep[] = [];
  const temps: { type: "f32"; size: number }[] = [];
  const rows = taps(dims) * perGroup.in;
  const flops = 2 * y * rows;
  const name = `conv_dk_grouped_${spec.inChannels}x${spec.outChannels}`;
  const outs = dims.map((d) => d.out);
  const padded = isPadded(dims);
  const window = windowOf(dims, [0, 0, 0], outs);
  const extents = padded ? window.extents : dims.map((d) => d.in);
  const image = product(extents) * spec.inChannels;
  if (padded) {
    const pad = new Step(`${name}_pad`);
    const from = pad.input(0, "x", x);
    temps.push({ type: "f32", size: spec.batch * image });
    const to = pad.temp(0, "padded", spec.batch * image, "write");
    const n = pad.b.task("image", spec.batch);
    copyWindow(
      pad.b,
      lanes,
      dims,
      spec.inChannels,
      window,
      { buffer: from, base: scaled(n, product(dims.map((d) => d.in)) * spec.inChannels) },
      { buffer: to, base: scaled(n, image) },
    );
    steps.push(pad.finish({ flops: 0, bytes: 8 * spec.batch * image }));
  }
  const parts = partsNear(spec.batch, Math.min(16, tasksFor(flops * 2)));
  const step = new Step(name);
  const source = padded ? step.temp(0, "padded", spec.batch * image, "read") : step.input(0, "x", x);
  const dy = step.input(1, "dy", y);
  const partial = parts > 1 ? step.temp(temps.length, "partial", parts * kernel, "write") : undefined;
  const finished = partial ? undefined : outputSink(step, epilogue, rows, spec.outChannels, 2);
  const { b } = step;
  const partTask = taskPieces(b, "part", spec.batch, parts);
  const stride = strides(extents, spec.inChannels);
  const origin = padded ? 0 : -dims.reduce((s, d, i) => s + d.padLow * stride[i], 0);
  const dyStride = strides(outs, spec.outChannels);
  partTask((n0, images, part) => {
    const sink = finished ?? matrixSink(step, partial!, scaled(part, kernel), spec.outChannels);
    overChannels(b, lanes, spec.outChannels, (first, valid) => {
      const fromX = mappedLoader(b, lanes, first, spec.outChannels, {
        per: perGroup.out,
        quotient: perGroup.in,
        remainder: 0,
      });
      b.loop("kd", dims[0].kernel, (kd) =>
        b.loop("kh", dims[1].kernel, (kh) =>
          b.loop("term", perGroup.in, (term) =>
            loopPieces(b, "kw", evenlyAtMost(dims[2].kernel, tileRows), (kw, size) => {
              const sums = Array.from({ length: size }, () => b.var(b.f32(0, lanes)));
              const tap = affine(
                scaled(kd, dims[0].dilation * stride[0]),
                scaled(kh, dims[1].dilation * stride[1]),
                scaled(kw, dims[2].dilation * stride[2]),
                term,
                origin,
              );
              b.loop("n", images, (n) =>
                b.loop("d", outs[0], (d) =>
                  b.loop("h", outs[1], (h) =>
                    b.loop("w", outs[2], (w) => {
                      const pixel = [d, h, w];
                      const here = affine(n0, n);
                      const right = b.load(
                        dy,
                        affine(
                          scaled(here, dyStride[0] * outs[0]),
                          ...pixel.map((v, i) => scaled(v, dyStride[i])),
                          first,
                        ),
                        lanes,
                      );
                      const at = affine(
                        scaled(here, image),
                        tap,
                        ...pixel.map((v, i) => scaled(v, stride[i] * dims[i].stride)),
                      );
                      for (let r = 0; r < size; r++) {
                        const left = fromX(source, affine(at, r * dims[2].dilation * stride[2]));
                        b.assign(sums[r], b.fma(left, right, sums[r]));
                      }
                    }),
                  ),
                ),
              );
              const rowStride = strides(
                dims.map((d) => d.kernel),
                perGroup.in,
              );
              const row = affine(scaled(kd, rowStride[0]), scaled(kh, rowStride[1]), scaled(kw, rowStride[2]), term);
              for (let r = 0; r < size; r++) sink.store(affine(row, r * rowStride[2]), first, sums[r], valid);
            }),
          ),
        ),
      );
    });
  });
  steps.push(step.finish({ flops, bytes: 4 * (x + y + kernel) }));
  if (partial) {
    temps.push({ type: "f32", size: parts * kernel });
    steps.push(reduceParts(name, temps.length - 1, parts, rows, spec.outChannels, epilogue, 2, profile));
  }
  return { steps, temps };
}
