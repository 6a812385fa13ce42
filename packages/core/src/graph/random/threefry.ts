/** Threefry-2x32-20 on the host: the same bits as the `randomBits` op, for initial weights, shuffling and tests. */

/** Key of a stream: two 32-bit words. */
export type HostKey = readonly [number, number];

/** Second counter word of each use of a key, so that streams of different kinds never share a block. */
export const streams = { bits32: 0, bits16: 1, foldIn: 2, split: 3 } as const;

/** Left rotations of rounds 1 … 8, then again. */
export const rotations: readonly number[] = [13, 15, 26, 6, 17, 29, 16, 24];
/** Skein's key-schedule parity for 32-bit words. */
export const parity = 0x1bd11bda;

/** Counters that are computed together: element numbers are laid out around this, on every target. */
export const groupSize = 16;

/**
 * One block: 64 bits of counter under 64 bits of key (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
 * 1, 2, 3", SC11). Returns two words, unsigned.
 */
export function threefry2x32(key: HostKey, c0: number, c1: number): [number, number] {
  const schedule = [key[0] | 0, key[1] | 0, key[0] ^ key[1] ^ parity];
  let x = (c0 + schedule[0]) | 0;
  let y = (c1 + schedule[1]) | 0;
  for (let round = 0; round < 20; round++) {
    const r = rotations[round % 8];
    x = (x + y) | 0;
    y = ((y << r) | (y >>> (32 - r))) ^ x;
    if (round % 4 === 3) {
      const s = (round + 1) / 4;
      x = (x + schedule[s % 3]) | 0;
      y = (y + schedule[(s + 1) % 3] + s) | 0;
    }
  }
  return [x >>> 0, y >>> 0];
}

/**
 * The elements of `randomBits(key, [count], bits)`: 0 … 2^32-1, or -32768 … 32767 for 16 bits.
 *
 * 32 bits: element e lies in group g = ⌊e/32⌋ at r = e mod 32; it is word ⌊r/16⌋ of the block with counter
 * (16g + r mod 16, 0). 16 bits: g = ⌊e/64⌋, r = e mod 64, q = ⌊r/16⌋; it is half q mod 2 (0 the lower, as a signed number)
 * of word ⌊q/2⌋ of the block with counter (16g + r mod 16, 1).
 */
export function hostRandomBits(key: HostKey, count: number, bits: 16 | 32): Uint32Array | Int16Array {
  const perBlock = 64 / bits;
  const out = bits === 32 ? new Uint32Array(count) : new Int16Array(count);
  const blocks = Math.ceil(count / (perBlock * groupSize)) * groupSize;
  const stream = bits === 32 ? streams.bits32 : streams.bits16;
  for (let c = 0; c < blocks; c++) {
    const words = threefry2x32(key, c, stream);
    const first = Math.floor(c / groupSize) * groupSize * perBlock + (c % groupSize);
    for (let q = 0; q < perBlock; q++) {
      const e = first + q * groupSize;
      if (e >= count) break;
      out[e] = bits === 32 ? words[q] : words[q >> 1] >>> ((q & 1) * 16);
    }
  }
  return out;
}

/** A key that depends on `key` and a 32-bit number. */
export function hostFoldIn(key: HostKey, data: number): [number, number] {
  return threefry2x32(key, data >>> 0, streams.foldIn);
}

/** `count` keys that depend on `key`. */
export function hostSplit(key: HostKey, count: number): [number, number][] {
  return Array.from({ length: count }, (_, i) => threefry2x32(key, i, streams.split));
}

/** Uniform in [0, 1): multiples of 2^-24, the same as the graph's `uniform`. */
export function hostUniform(key: HostKey, count: number): Float32Array {
  return Float32Array.from(hostRandomBits(key, count, 32), (x) => (x >>> 8) * 2 ** -24);
}

/** Standard normal, from the same bits and by the same formula as the graph's `normal`, in double precision before rounding. */
export function hostNormal(key: HostKey, count: number): Float32Array {
  return Float32Array.from(hostRandomBits(key, count, 32), (x) => inverseNormal((x >>> 8) * 2 ** -23 - (1 - 2 ** -24)));
}

/**
 * Coefficients of √2·erf⁻¹(u) / u in powers of w - 2.5 for w = -log(1 - u²) < 5, and of √w - 3 above, highest first
 * (M. Giles, "Approximating the erfinv function", GPU Computing Gems 2, 2011; single precision, relative error below 4e-7).
 */
export const centralNormal: readonly number[] = [
  2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 2.1858087e-4, -1.25372503e-3, -4.17768164e-3,
  2.46640727e-1, 1.50140941,
];
export const tailNormal: readonly number[] = [
  -2.00214257e-4, 1.00950558e-4, 1.34934322e-3, -3.67342844e-3, 5.73950773e-3, -7.6224613e-3, 9.43887047e-3, 1.00167406,
  2.83297682,
];

function inverseNormal(u: number): number {
  const w = -Math.log((1 - u) * (1 + u));
  const central = w < 5;
  const t = central ? w - 2.5 : Math.sqrt(w) - 3;
  return (central ? centralNormal : tailNormal).reduce((p, c) => p * t + c, 0) * u * Math.SQRT2;
}
