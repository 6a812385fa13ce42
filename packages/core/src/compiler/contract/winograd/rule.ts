/** Which convolutions go through Winograd's algorithm, and with which tiles: decided by the shape alone. */

import type { TargetProfile } from "../../loopir.ts";
import type { ConvSpec } from "../../lowered.ts";
import type { TileSize } from "./matrices.ts";

export type Direction = "forward" | "input" | "kernel";

/** Costs of the transforms against a tile's products: κ per channel, τ per tile; fitted to measurements. */
const kappa: Record<Direction, number> = { forward: 5, input: 7, kernel: 7 };
const tau: Record<Direction, number> = { forward: 7, input: 9, kernel: 4 };

/** The tile size m of F(m×m, 3×3), or undefined for the direct algorithm. */
export function winogradTile(spec: ConvSpec, direction: Direction, profile: TargetProfile): TileSize | undefined {
  if (profile.strict || profile.convolution === "direct" || profile.lanes === 1) return undefined;
  const { spatial, groups, inChannels: c, outChannels: f, batch: n } = spec;
  if (spatial.length !== 2 || groups !== 1 || c < 4 || f < 4 || n === 0) return undefined;
  if (spatial.some((d) => d.kernel !== 3 || d.stride !== 1 || d.dilation !== 1 || d.out < 1)) return undefined;
  if (spatial.some((d) => d.padLow < 0 || d.out + 2 - d.padLow < d.in)) return undefined;
  // Overlapping tiles of an input gradient belong to one task, so it takes images to keep threads busy.
  if (direction !== "forward" && n < 4 && !profile.inner) return undefined;
  const [h, w] = spatial;
  let best: TileSize | undefined;
  let most = 1.2;
  for (const m of [2, 3, 4] as const) {
    const tiles = Math.ceil(h.out / m) * Math.ceil(w.out / m);
    const saved = (9 * h.out * w.out) / ((m + 2) ** 2 * tiles);
    const speedup = saved / (1 + kappa[direction] * (1 / c + 1 / f) + tau[direction] / (n * tiles));
    if (speedup > most) {
      most = speedup;
      best = m;
    }
  }
  return best;
}
