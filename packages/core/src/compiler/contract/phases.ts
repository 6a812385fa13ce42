/** Input gradients of strided convolutions as correlations over dy, one for each phase of the strides. */
import type { Dim } from "./geometry.ts";

/**
 * The results i = stride·q + origin along one dimension: the taps that reach them are `lastTap - t·tapStep`, so that they
 * run up dy.
 */
export interface Phase {
  readonly dim: Dim;
  readonly origin: number;
  readonly lastTap: number;
  readonly tapStep: number;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

function phasesOf(d: Dim): Phase[] {
  const list: Phase[] = [];
  const common = gcd(d.stride, d.dilation);
  for (let phase = 0; phase < Math.min(d.stride, d.in); phase++) {
    const hits: number[] = [];
    for (let k = 0; k < d.kernel; k++) if ((phase + d.padLow - k * d.dilation) % d.stride === 0) hits.push(k);
    const lastTap = hits[hits.length - 1] ?? 0;
    // o = q + (phase + padLow - k·dilation)/stride, smallest for the last tap.
    const lowest = (phase + d.padLow - lastTap * d.dilation) / d.stride;
    list.push({
      dim: {
        in: d.out,
        out: Math.ceil((d.in - phase) / d.stride),
        kernel: hits.length,
        stride: 1,
        dilation: d.dilation / common,
        padLow: hits.length > 0 ? -lowest : 0,
      },
      origin: phase,
      lastTap,
      tapStep: d.stride / common,
    });
  }
  return list;
}

/** All combinations; `origin` is the first pixel that a combination computes. */
export function phases(dims: readonly [Dim, Dim, Dim]): { phase: [Phase, Phase, Phase]; origin: number }[] {
  const [depth, height, width] = dims.map(phasesOf);
  return depth.flatMap((d) =>
    height.flatMap((h) =>
      width.map((w) => ({
        phase: [d, h, w] as [Phase, Phase, Phase],
        origin: (d.origin * dims[1].in + h.origin) * dims[2].in + w.origin,
      })),
    ),
  );
}
