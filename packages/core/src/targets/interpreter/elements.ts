/** Single elements of storage, and the fused multiply-add in exact arithmetic. */
import type { StorageType } from "../../compiler/loopir.ts";
import { storageBytes } from "../../compiler/loopir.ts";
import type { Region } from "./interpret.ts";

const bits = new DataView(new ArrayBuffer(8));

export function loadElement(region: Region, type: StorageType, n: number): number {
  const at = region.offset + n * storageBytes[type];
  const m = region.memory;
  switch (type) {
    case "f32":
      return m.getFloat32(at, true);
    case "i32":
      return m.getInt32(at, true);
    case "u32":
      return m.getUint32(at, true);
    case "u8":
    case "bool":
      return m.getUint8(at);
    case "i8":
      return m.getInt8(at);
    case "i16":
      return m.getInt16(at, true);
    case "f16":
      return fromHalf(m.getUint16(at, true));
    case "bf16":
      bits.setUint32(0, m.getUint16(at, true) << 16);
      return bits.getFloat32(0);
    default:
      return type satisfies never;
  }
}

export function storeElement(region: Region, type: StorageType, n: number, x: number): void {
  const at = region.offset + n * storageBytes[type];
  const m = region.memory;
  switch (type) {
    case "f32":
      m.setFloat32(at, x, true);
      return;
    case "i32":
    case "u32":
      m.setUint32(at, x >>> 0, true);
      return;
    case "u8":
    case "bool":
    case "i8":
      m.setUint8(at, x & 255);
      return;
    case "i16":
      m.setUint16(at, x & 65535, true);
      return;
    case "f16":
      m.setUint16(at, toHalf(x), true);
      return;
    case "bf16":
      m.setUint16(at, toBfloat(x), true);
      return;
    default:
      throw new Error(`no storage ${type satisfies never}`);
  }
}

function fromHalf(h: number): number {
  const sign = h & 0x8000 ? -1 : 1;
  const exponent = (h >> 10) & 31;
  const fraction = h & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** Rounds to the nearest multiple of the last place, ties to even. */
function toHalf(x: number): number {
  bits.setFloat32(0, x);
  const sign = (bits.getUint32(0) >>> 16) & 0x8000;
  const a = Math.abs(x);
  if (Number.isNaN(x)) return sign | 0x7e00;
  if (a >= 65520) return sign | 0x7c00;
  const exponent = Math.max(-14, Math.floor(Math.log2(a === 0 ? 1e-30 : a)));
  const scaled = a / 2 ** (exponent - 10);
  let n = Math.floor(scaled);
  const rest = scaled - n;
  if (rest > 0.5 || (rest === 0.5 && n % 2 === 1)) n++;
  return sign | (n < 1024 ? n : n + ((exponent + 14) << 10));
}

function toBfloat(x: number): number {
  bits.setFloat32(0, x);
  const b = bits.getUint32(0);
  if (Number.isNaN(x)) return (b >>> 16) | 0x40;
  return ((b + 0x7fff + ((b >>> 16) & 1)) >>> 16) & 0xffff;
}

/**
 * a·b + c of f32 numbers with one rounding (to f32, by the caller's store). The product is exact in f64; the sum is
 * rounded to odd there, so that the second rounding cannot err.
 */
export function fusedMultiplyAdd(a: number, b: number, c: number): number {
  const p = a * b;
  const s = p + c;
  if (!Number.isFinite(s)) return s;
  const t = s - p;
  const error = p - (s - t) + (c - t);
  if (error === 0) return s;
  bits.setFloat64(0, s);
  const low = bits.getUint32(4);
  // Towards zero first, then the last bit is set because something was lost: an odd number stays in both cases.
  if ((low & 1) === 0) {
    const beyond = error > 0 !== s > 0;
    if (beyond && low === 0) bits.setUint32(0, bits.getUint32(0) - 1);
    bits.setUint32(4, beyond ? low - 1 : low | 1);
  }
  return bits.getFloat64(0);
}
