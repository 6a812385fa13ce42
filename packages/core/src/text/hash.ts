/** 64-bit hashes of strings, as TensorFlow's feature ops compute them; the same on every machine and in every version. */

const mask = (1n << 64n) - 1n;
const k0 = 0xc3a5c85c97cb3127n;
const k1 = 0xb492b66fbe98f273n;
const k2 = 0x9ae16a3b2f90404fn;

const wrap = (x: bigint) => x & mask;
const rotateRight = (x: bigint, n: bigint) => wrap((x >> n) | (x << (64n - n)));
const rotateLeft = (x: bigint, n: bigint) => wrap((x << n) | (x >> (64n - n)));
const shiftMix = (x: bigint) => x ^ (x >> 47n);

const encoder = new TextEncoder();

function mixPair(u: bigint, v: bigint, multiplier: bigint): bigint {
  const a = shiftMix(wrap((u ^ v) * multiplier));
  return wrap(shiftMix(wrap((v ^ a) * multiplier)) * multiplier);
}

/**
 * Fingerprint64 of FarmHash (G. Pike, 2014; the variant "na"), of the UTF-8 bytes of `text`. Its bits are part of its
 * specification, so that stored fingerprints stay valid.
 */
export function fingerprint64(text: string | Uint8Array): bigint {
  const s = typeof text === "string" ? encoder.encode(text) : text;
  const n = s.length;
  const view = new DataView(s.buffer, s.byteOffset, n);
  const at = (i: number) => view.getBigUint64(i, true);
  if (n <= 16) return upTo16(s, view);
  const multiplier = wrap(k2 + BigInt(n) * 2n);
  if (n <= 32) {
    const a = wrap(at(0) * k1);
    const b = at(8);
    const c = wrap(at(n - 8) * multiplier);
    const d = wrap(at(n - 16) * k2);
    return mixPair(
      wrap(rotateRight(wrap(a + b), 43n) + rotateRight(c, 30n) + d),
      wrap(a + rotateRight(wrap(b + k2), 18n) + c),
      multiplier,
    );
  }
  if (n <= 64) {
    const a = wrap(at(0) * k2);
    const b = at(8);
    const c = wrap(at(n - 8) * multiplier);
    const d = wrap(at(n - 16) * k2);
    const y = wrap(rotateRight(wrap(a + b), 43n) + rotateRight(c, 30n) + d);
    const z = mixPair(y, wrap(a + rotateRight(wrap(b + k2), 18n) + c), multiplier);
    const e = wrap(at(16) * multiplier);
    const f = at(24);
    const g = wrap((y + at(n - 32)) * multiplier);
    const h = wrap((z + at(n - 24)) * multiplier);
    return mixPair(
      wrap(rotateRight(wrap(e + f), 43n) + rotateRight(g, 30n) + h),
      wrap(e + rotateRight(wrap(f + a), 18n) + g),
      multiplier,
    );
  }
  return longer(n, at);
}

function upTo16(s: Uint8Array, view: DataView): bigint {
  const n = s.length;
  const length = BigInt(n);
  const multiplier = wrap(k2 + length * 2n);
  if (n >= 8) {
    const a = wrap(view.getBigUint64(0, true) + k2);
    const b = view.getBigUint64(n - 8, true);
    return mixPair(
      wrap(rotateRight(b, 37n) * multiplier + a),
      wrap((rotateRight(a, 25n) + b) * multiplier),
      multiplier,
    );
  }
  if (n >= 4) {
    const first = BigInt(view.getUint32(0, true));
    return mixPair(wrap(length + (first << 3n)), BigInt(view.getUint32(n - 4, true)), multiplier);
  }
  if (n === 0) return k2;
  const y = BigInt(s[0] + (s[n >> 1] << 8));
  const z = BigInt(n + (s[n - 1] << 2));
  return wrap(shiftMix(wrap(y * k2) ^ wrap(z * k0)) * k2);
}

/** More than 64 bytes: a state of 56 bytes is stirred with every 64. */
function longer(n: number, at: (i: number) => bigint): bigint {
  const weak = (i: number, seedA: bigint, seedB: bigint): [bigint, bigint] => {
    const z = at(i + 24);
    const a = wrap(seedA + at(i));
    const b = rotateRight(wrap(seedB + a + z), 21n);
    const sum = wrap(a + at(i + 8) + at(i + 16));
    return [wrap(sum + z), wrap(b + rotateRight(sum, 44n) + a)];
  };
  let x = wrap(81n * k2 + at(0));
  let y = wrap(81n * k1 + 113n);
  let z = wrap(shiftMix(wrap(y * k2 + 113n)) * k2);
  let v: [bigint, bigint] = [0n, 0n];
  let w: [bigint, bigint] = [0n, 0n];
  const stir = (i: number, multiplier: bigint, weight: bigint) => {
    x = wrap(rotateRight(wrap(x + y + v[0] + at(i + 8)), 37n) * multiplier);
    y = wrap(rotateRight(wrap(y + v[1] + at(i + 48)), 42n) * multiplier);
    x ^= wrap(w[1] * weight);
    y = wrap(y + v[0] * weight + at(i + 40));
    z = wrap(rotateRight(wrap(z + w[0]), 33n) * multiplier);
    v = weak(i, wrap(v[1] * multiplier), wrap(x + w[0]));
    w = weak(i + 32, wrap(z + w[1]), wrap(y + at(i + 16)));
    [x, z] = [z, x];
  };
  const end = Math.floor((n - 1) / 64) * 64;
  for (let i = 0; i < end; i += 64) stir(i, k1, 1n);
  const multiplier = wrap(k1 + ((z & 0xffn) << 1n));
  w[0] = wrap(w[0] + BigInt((n - 1) & 63));
  v[0] = wrap(v[0] + w[0]);
  w[0] = wrap(w[0] + v[0]);
  stir(n - 64, multiplier, 9n);
  return mixPair(
    wrap(mixPair(v[0], w[0], multiplier) + shiftMix(y) * k0 + z),
    wrap(mixPair(v[1], w[1], multiplier) + x),
    multiplier,
  );
}

/** SipHash-2-4 (Aumasson and Bernstein, 2012) of the UTF-8 bytes of `text`, keyed by two 64-bit numbers. */
export function sipHash64(text: string, key: readonly [bigint, bigint]): bigint {
  const s = encoder.encode(text);
  const view = new DataView(s.buffer, s.byteOffset, s.length);
  const [a, b] = key.map(wrap);
  let v0 = a ^ 0x736f6d6570736575n;
  let v1 = b ^ 0x646f72616e646f6dn;
  let v2 = a ^ 0x6c7967656e657261n;
  let v3 = b ^ 0x7465646279746573n;
  const rounds = (count: number) => {
    for (let i = 0; i < count; i++) {
      v0 = wrap(v0 + v1);
      v1 = rotateLeft(v1, 13n) ^ v0;
      v0 = rotateLeft(v0, 32n);
      v2 = wrap(v2 + v3);
      v3 = rotateLeft(v3, 16n) ^ v2;
      v0 = wrap(v0 + v3);
      v3 = rotateLeft(v3, 21n) ^ v0;
      v2 = wrap(v2 + v1);
      v1 = rotateLeft(v1, 17n) ^ v2;
      v2 = rotateLeft(v2, 32n);
    }
  };
  const absorb = (word: bigint) => {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  };
  const whole = s.length - (s.length % 8);
  for (let i = 0; i < whole; i += 8) absorb(view.getBigUint64(i, true));
  let last = BigInt(s.length & 0xff) << 56n;
  for (let i = whole; i < s.length; i++) last |= BigInt(s[i]) << BigInt(8 * (i - whole));
  absorb(last);
  v2 ^= 0xffn;
  rounds(4);
  return v0 ^ v1 ^ v2 ^ v3;
}

/** Two fingerprints as one, in their order (TensorFlow's FingerprintCat64, which crosses features). */
export function joinFingerprints(a: bigint, b: bigint): bigint {
  const multiplier = 0xc6a4a7935bd1e995n;
  const mixed = wrap(shiftMix(wrap(b * multiplier)) * multiplier);
  return shiftMix(wrap(shiftMix(wrap((wrap(a) ^ multiplier ^ mixed) * multiplier)) * multiplier));
}

/** A hash as a bin: 0 … bins - 1. */
export const toBin = (hash: bigint, bins: number): number => Number(hash % BigInt(bins));

/** `hash` with a memory: columns of categories repeat a few values many times. */
export function remembered<K extends string | number>(hash: (x: K) => number): (x: K) => number {
  const known = new Map<K, number>();
  return (x) => {
    let found = known.get(x);
    if (found === undefined) {
      found = hash(x);
      if (known.size < 1 << 20) known.set(x, found);
    }
    return found;
  };
}
