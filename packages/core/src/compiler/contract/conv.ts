/** Forward convolutions and input gradients. */
import { affine, scaled } from "../builder.ts";
import type { TargetProfile } from "../loopir.ts";
import type { ConvSpec, Epilogue, Lowered, LoweredStep } from "../lowered.ts";
import { lowerAdjoint, usesAdjoint } from "./adjoint.ts";
import { type Correlation, correlationFlops, emitCorrelation, packing } from "./correlate.ts";
import { product, taps, threeDims } from "./geometry.ts";
import { lowerGroupedConv, lowerGroupedInputGrad, usesGroupVectors } from "./grouped.ts";
import { packPanels } from "./pack.ts";
import { phases } from "./phases.ts";
import { outputSink, Step } from "./step.ts";
import { winogradForward, winogradInputGrad, winogradTile } from "./winograd/index.ts";

const empty: Lowered = { steps: [], temps: [] };

function kernelSize(spec: ConvSpec): number {
  return taps(threeDims(spec)) * (spec.inChannels / spec.groups) * spec.outChannels;
}
function pixels(spec: ConvSpec, side: "in" | "out"): number {
  return spec.batch * product(spec.spatial.map((d) => d[side]));
}
function nameOf(kind: string, spec: ConvSpec): string {
  return `${kind}_${spec.spatial.map((d) => d.in).join("x")}x${spec.inChannels}_${spec.spatial.map((d) => d.kernel).join("x")}x${spec.outChannels}`;
}

/** y [N, …S', F] of x [N, …S, C] (input 0) and kernel […K, C/groups, F] (input 1). */
export function lowerConv(spec: ConvSpec, profile: TargetProfile, epilogue: Epilogue | null): Lowered {
  const rows = pixels(spec, "out");
  if (rows * spec.outChannels === 0) return empty;
  if (usesGroupVectors(spec)) return lowerGroupedConv(spec, profile, epilogue);
  const m = winogradTile(spec, "forward", profile);
  if (m) return winogradForward(spec, m, profile, epilogue);
  const dims = threeDims(spec);
  const { groups } = spec;
  const c: Correlation = {
    batch: spec.batch,
    groups,
    inChannels: spec.inChannels / groups,
    outChannels: spec.outChannels / groups,
    dims,
    rows: {
      image: product(dims.map((d) => d.out)),
      dims: [dims[1].out * dims[2].out, dims[2].out, 1],
      origin: 0,
    },
  };
  const name = nameOf("conv", spec);
  const { tiling, size } = packing(c, profile);
  const temps = [{ type: "f32", size: Math.max(1, size) } as const];
  const steps: LoweredStep[] = [];
  if (size > 0) {
    const pack = new Step(`${name}_pack`);
    const from = pack.input(1, "kernel", kernelSize(spec));
    const to = pack.temp(0, "packed", size, "write");
    const g = pack.b.task("group", groups);
    packPanels(
      pack.b,
      tiling,
      {
        buffer: from,
        base: scaled(g, c.outChannels),
        k: [{ extent: taps(dims) * c.inChannels, stride: spec.outChannels }],
        column: 1,
      },
      { buffer: to, base: scaled(g, size / groups) },
    );
    steps.push(pack.finish({ flops: 0, bytes: 8 * size }));
  }
  const step = new Step(name);
  const x = step.input(0, "x", pixels(spec, "in") * spec.inChannels);
  const packed = step.temp(0, "packed", Math.max(1, size), "read");
  const sink = outputSink(step, epilogue, rows, spec.outChannels, 2);
  emitCorrelation(step, c, x, { buffer: packed, base: 0 }, sink, profile);
  steps.push(step.finish({ flops: correlationFlops(c), bytes: 4 * (x.size + size + rows * spec.outChannels) }));
  return { steps, temps };
}

/** dx [N, …S, C] of dy [N, …S', F] (input 0) and kernel (input 1): one correlation for each phase of the strides. */
export function lowerConvInputGrad(spec: ConvSpec, profile: TargetProfile, epilogue: Epilogue | null): Lowered {
  const rows = pixels(spec, "in");
  if (rows * spec.inChannels === 0) return empty;
  if (usesGroupVectors(spec)) return lowerGroupedInputGrad(spec, profile, epilogue);
  const m = winogradTile(spec, "input", profile);
  if (m) return winogradInputGrad(spec, m, profile, epilogue);
  const dims = threeDims(spec);
  if (usesAdjoint(spec)) return lowerAdjoint(nameOf("conv_dx", spec), spec, profile, epilogue);
  const { groups } = spec;
  const perGroup = { in: spec.inChannels / groups, out: spec.outChannels / groups };
  const name = nameOf("conv_dx", spec);
  const packs: LoweredStep[] = [];
  const steps: LoweredStep[] = [];
  const temps: { type: "f32"; size: number }[] = [];
  const all = phases(dims);
  for (const { phase, origin } of all) {
    const c: Correlation = {
      batch: spec.batch,
      groups,
      inChannels: perGroup.out,
      outChannels: perGroup.in,
      dims: [phase[0].dim, phase[1].dim, phase[2].dim],
      rows: {
        image: dims[0].in * dims[1].in * dims[2].in,
        dims: [dims[1].in * dims[2].in * dims[0].stride, dims[2].in * dims[1].stride, dims[2].stride],
        origin,
      },
    };
    const suffix = all.length > 1 ? `_${phase.map((p) => p.origin).join("")}` : "";
    const { tiling, size } = packing(c, profile);
    const temp = temps.length;
    temps.push({ type: "f32", size: Math.max(1, size) });
    if (size > 0) {
      const pack = new Step(`${name}_pack${suffix}`);
      const from = pack.input(1, "kernel", kernelSize(spec));
      const to = pack.temp(temp, "packed", size, "write");
      const g = pack.b.task("group", groups);
      const tap = perGroup.in * spec.outChannels;
      const tapStrides = [dims[1].kernel * dims[2].kernel * tap, dims[2].kernel * tap, tap];
      const first = phase.reduce((s, p, i) => s + (p.lastTap - (p.dim.kernel - 1) * p.tapStep) * tapStrides[i], 0);
      packPanels(
        pack.b,
        tiling,
        {
          buffer: from,
          base: affine(first, scaled(g, perGroup.out)),
          k: [
            ...phase.map((p, i) => ({ extent: p.dim.kernel, stride: p.tapStep * tapStrides[i], reversed: true })),
            { extent: perGroup.out, stride: 1 },
          ],
          column: spec.outChannels,
        },
        { buffer: to, base: scaled(g, size / groups) },
      );
      packs.push(pack.finish({ flops: 0, bytes: 8 * size }));
    }
    const step = new Step(`${name}${suffix}`);
    const dy = step.input(0, "dy", pixels(spec, "out") * spec.outChannels);
    const packed = step.temp(temp, "packed", Math.max(1, size), "read");
    const sink = outputSink(step, epilogue, rows, spec.inChannels, 2);
    emitCorrelation(step, c, dy, { buffer: packed, base: 0 }, sink, profile);
    const results = spec.batch * product(c.dims.map((x) => x.out)) * spec.inChannels;
    steps.push(step.finish({ flops: correlationFlops(c), bytes: 4 * (dy.size + size + results) }));
  }
  return { steps: [...packs, ...steps], temps };
}
