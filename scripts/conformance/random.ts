/** The random numbers of FORMAT.md: xorshift32 seeded with the CRC-32 of a tag. */

const table = Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});
function crc32(text: string): number {
  let c = 0xffffffff;
  for (const byte of new TextEncoder().encode(text)) c = table[(c ^ byte) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}
/** Uniform numbers in [0, 1), one per call. */
export function stream(tag: string): () => number {
  let x = crc32(tag) || 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    x >>>= 0;
    return x / 4294967296;
  };
}
/** `n` numbers in [low, high), computed in double and rounded to f32. */
export function uniformArray(tag: string, n: number, low: number, high: number): Float32Array {
  const u = stream(tag);
  return Float32Array.from({ length: n }, () => Math.fround(low + (high - low) * u()));
}
