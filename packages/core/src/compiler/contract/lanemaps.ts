/** Vectors of channels across groups: which element each lane reads, and what convolutions over them share. */
import { affine, type Index, type KernelBuilder, scaled } from "../builder.ts";
import type { Buffer, Operand } from "../loopir.ts";
import type { ConvSpec } from "../lowered.ts";
import { product } from "./geometry.ts";

/** What lane l of the channels from `first` reads: `(c div per)·quotient + (c mod per)·remainder` for c = first + l. */
export interface LaneMap {
  readonly per: number;
  readonly quotient: number;
  readonly remainder: number;
}

export function isIdentity(map: LaneMap): boolean {
  return (map.per === 1 && map.quotient === 1) || (map.quotient === map.per && map.remainder === 1);
}

type Loader = (buffer: Buffer, at: Index) => Operand;
export interface Loaders {
  readonly source: Loader;
  readonly kernel: Loader;
}

/** Loads a vector whose lanes follow a map, reading in place where the map is the identity. */
export function mappedLoader(b: KernelBuilder, lanes: number, first: Index, channels: number, map: LaneMap): Loader {
  if (isIdentity(map)) return (buffer, at) => b.load(buffer, affine(at, first), lanes);
  const int = (v: number) => b.i32(v, lanes);
  const channel = b.min(b.add(b.splat(b.index(first), lanes), b.iota(lanes)), int(channels - 1));
  const group = b.div(channel, int(map.per));
  const inGroup = b.binary("rem", channel, int(map.per));
  const indices = b.add(b.mul(group, int(map.quotient)), b.mul(inGroup, int(map.remainder)));
  return (buffer, at) => b.gather(buffer, at, indices);
}

/** Values of channels: as many of `wide` lanes as there are, then single vectors, the last one partial. */
export function overChannels(
  b: KernelBuilder,
  lanes: number,
  wide: number,
  channels: number,
  body: (first: Index, lanes: number, valid: number) => void,
): void {
  const whole = Math.floor(channels / wide);
  b.loop("vector", whole, (v) => body(scaled(v, wide), wide, wide));
  for (let at = whole * wide; at < channels; at += lanes) body(at, lanes, Math.min(lanes, channels - at));
}

/** Results side by side in a tile, when each tap loads its own inputs. */
export const tileRows = 6;

/** Elements of the operands. */
export function sizes(spec: ConvSpec) {
  const x = spec.batch * product(spec.spatial.map((d) => d.in)) * spec.inChannels;
  const y = spec.batch * product(spec.spatial.map((d) => d.out)) * spec.outChannels;
  const perGroup = { in: spec.inChannels / spec.groups, out: spec.outChannels / spec.groups };
  const kernel = product(spec.spatial.map((d) => d.kernel)) * perGroup.in * spec.outChannels;
  return { x, y, kernel, perGroup };
}
