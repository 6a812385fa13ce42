/** Random numbers on the host, for initial weights and shuffling: xoshiro128** seeded from any list of parts. */

/** A seed and anything that tells streams apart: paths, counters, epochs. */
export type SeedParts = readonly (number | string)[];

/** Mixes parts into 32 bits (FNV-1a over their text, then an avalanche). */
export function hashParts(parts: SeedParts): number {
  let h = 0x811c9dc5;
  for (const c of parts.map((p) => `${typeof p}:${p}`).join("|")) {
    h = Math.imul(h ^ c.codePointAt(0)!, 0x01000193);
  }
  return avalanche(h);
}

function avalanche(h: number): number {
  let x = h >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return (x ^ (x >>> 15)) >>> 0;
}

/** A stream of random numbers. Equal parts give equal streams. */
export class Generator {
  private a: number;
  private b: number;
  private c: number;
  private d: number;

  constructor(...parts: SeedParts) {
    let state = hashParts(parts);
    const next = () => avalanche((state = (state + 0x9e3779b9) >>> 0));
    this.a = next();
    this.b = next();
    this.c = next();
    this.d = next() | 1; // never all zero
  }
  /** 32 random bits as an unsigned number. */
  bits(): number {
    const t = Math.imul(this.b, 5);
    const result = Math.imul((t << 7) | (t >>> 25), 9);
    const shifted = this.b << 9;
    this.c ^= this.a;
    this.d ^= this.b;
    this.b ^= this.c;
    this.a ^= this.d;
    this.c ^= shifted;
    this.d = (this.d << 11) | (this.d >>> 21);
    return result >>> 0;
  }
  /** Uniform in [0, 1). */
  uniform(): number {
    return (this.bits() >>> 8) / 0x1000000;
  }
  /** Uniform integer in [0, n), without bias (draws beyond the last multiple of n are repeated). */
  integer(n: number): number {
    const limit = 0x100000000 - (0x100000000 % n);
    let x = this.bits();
    while (x >= limit) x = this.bits();
    return x % n;
  }
  /** Standard normal (Box and Muller). */
  normal(): number {
    const u = (this.bits() + 1) / 0x100000000; // never 0
    return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * (this.bits() / 0x100000000));
  }
  /** Standard normal cut at ±2. */
  truncatedNormal(): number {
    let x = this.normal();
    while (Math.abs(x) > 2) x = this.normal();
    return x;
  }
  /** Shuffles in place (Fisher and Yates). */
  shuffle<T extends Int32Array | Uint32Array | number[]>(list: T): T {
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const x = list[i];
      list[i] = list[j];
      list[j] = x;
    }
    return list;
  }
}
