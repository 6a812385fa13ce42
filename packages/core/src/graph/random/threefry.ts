/**
 * Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011), on
 * the host. The same bits as the `randomBits` op.
 */

/** Rotations of the eight-round schedule. */
export const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const;
/** Parity constant of the key schedule. */
export const parity = 0x1bd11bda;

/** Encrypts the counter (c0, c1) under the key (k0, k1): two words of 32 random bits. */
export function threefry2x32(k0: number, k1: number, c0: number, c1: number): [number, number] {
  const keys = [k0, k1, k0 ^ k1 ^ parity];
  let x0 = (c0 + keys[0]) | 0;
  let x1 = (c1 + keys[1]) | 0;
  for (let round = 0; round < 20; round++) {
    const r = rotations[round % 8];
    x0 = (x0 + x1) | 0;
    x1 = (x1 << r) | (x1 >>> (32 - r));
    x1 ^= x0;
    if (round % 4 === 3) {
      const s = (round + 1) / 4;
      x0 = (x0 + keys[s % 3]) | 0;
      x1 = (x1 + keys[(s + 1) % 3] + s) | 0;
    }
  }
  return [x0 >>> 0, x1 >>> 0];
}

/** Element i of `randomBits(key, shape, 32)`. */
export function hostRandomBits(key: readonly [number, number], i: number): number {
  const counter = (i >>> 5) * 16 + (i & 15);
  return threefry2x32(key[0], key[1], counter, 0)[(i >>> 4) & 1];
}

/** A key derived from another and a number: `foldIn` of the graph. */
export function hostFoldIn(key: readonly [number, number], data: number): [number, number] {
  return threefry2x32(key[0], key[1], data >>> 0, 0x9e3779b9);
}
