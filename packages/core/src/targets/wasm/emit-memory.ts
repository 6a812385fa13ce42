/** Loads, gathers, stores and prefetches as WebAssembly. */
import type { Stmt, StorageType } from "../../compiler/loopir.ts";
import type { KernelEmitter } from "./emit.ts";
import { scalar as op, vector as simd } from "./opcodes.ts";

export type MemoryStmt = Extract<Stmt, { kind: "load" | "gather" | "store" | "prefetch" }>;
type Load = Extract<Stmt, { kind: "load" }>;
type Store = Extract<Stmt, { kind: "store" }>;

const scalarLoad: Record<StorageType, number> = {
  f32: op.f32Load,
  i32: op.i32Load,
  u32: op.i32Load,
  u8: op.i32Load8U,
  bool: op.i32Load8U,
  i8: op.i32Load8S,
  i16: op.i32Load16S,
  f16: op.i32Load16U,
  bf16: op.i32Load16U,
};
const bytesOf: Record<StorageType, number> = { f32: 4, i32: 4, u32: 4, u8: 1, bool: 1, i8: 1, i16: 2, f16: 2, bf16: 2 };

export function emitMemory(e: KernelEmitter, s: MemoryStmt): void {
  switch (s.kind) {
    case "load":
      emitLoad(e, s);
      return;
    case "store":
      emitStore(e, s);
      return;
    case "prefetch": {
      const offset = e.address(s);
      e.w.memory(op.i32Load, offset).op(op.drop);
      return;
    }
    case "gather":
      emitGather(e, s);
      return;
    default:
      s satisfies never;
  }
}

/** One element as a scalar of the compute type. */
function scalarElement(e: KernelEmitter, type: StorageType, offset: number): void {
  const { w } = e;
  w.memory(scalarLoad[type], offset);
  if (type === "bf16") w.i32(16).op(op.i32Shl).op(op.f32ReinterpretI32);
  else if (type === "f16") {
    // Through the vector conversion: one definition of the format.
    w.simd(simd.i32x4Splat);
    widenF16(e);
    w.lane(simd.f32x4Extract, 0);
  }
}

function isFloat(type: StorageType): boolean {
  return type === "f32" || type === "f16" || type === "bf16";
}
const splatOf = (type: StorageType) => (isFloat(type) ? simd.f32x4Splat : simd.i32x4Splat);
const replaceOf = (type: StorageType) => (isFloat(type) ? simd.f32x4Replace : simd.i32x4Replace);

function emitLoad(e: KernelEmitter, s: Load): void {
  const { w } = e;
  const { buffer, dst } = s;
  const type = buffer.type;
  const size = bytesOf[type];
  const stride = s.stride ?? 1;
  if (dst.lanes === 1) {
    e.define(dst, () => scalarElement(e, type, e.address(s)));
    return;
  }
  if (stride === 0) {
    e.defineSame(dst, () => {
      const offset = e.address(s);
      if (size === 4) w.simdMemory(simd.load32Splat, offset);
      else {
        scalarElement(e, type, offset);
        w.simd(splatOf(type));
      }
    });
    return;
  }
  if (stride === 1) {
    if (size === 1 && dst.lanes >= 8) loadBytes(e, s);
    else if (!s.at.dynamic) e.define(dst, (r) => contiguousLoad(e, type, e.address(s) + 4 * r * size));
    else {
      // One address for all registers: less work, and the engine sees that they are neighbours.
      const offset = e.address(s);
      const at = w.local("i32");
      w.set(at);
      e.define(dst, (r) => {
        w.get(at);
        contiguousLoad(e, type, offset + 4 * r * size);
      });
      w.release(at);
    }
    return;
  }
  const count = s.count ?? dst.lanes;
  e.define(dst, (r) => {
    const lanes = Math.min(4, count - 4 * r);
    // Nothing may be read for lanes from `count` on: their addresses may lie outside the memory.
    if (lanes <= 0) {
      words(e, 0);
      return;
    }
    const element = (lane: number) => (4 * r + lane) * stride;
    if (size === 4) {
      // Addresses in reverse, so that each lane instruction finds its own under the vector.
      const offsets: number[] = [];
      for (let lane = lanes - 1; lane >= 0; lane--) offsets[lane] = e.address(s, element(lane));
      w.simdMemory(simd.load32Zero, offsets[0]);
      for (let lane = 1; lane < lanes; lane++) w.simdMemoryLane(simd.load32Lane, offsets[lane], lane);
      return;
    }
    scalarElement(e, type, e.address(s, element(0)));
    w.simd(splatOf(type));
    for (let lane = 1; lane < lanes; lane++) {
      scalarElement(e, type, e.address(s, element(lane)));
      w.lane(replaceOf(type), lane);
    }
  });
}

/** Consecutive bytes: eight are widened to 16 bits at once, and their halves to 32 for two registers. */
function loadBytes(e: KernelEmitter, s: Load): void {
  const { w } = e;
  const signed = s.buffer.type === "i8";
  const [low, high] = signed
    ? [simd.i32x4ExtendLowI16x8S, simd.i32x4ExtendHighI16x8S]
    : [simd.i32x4ExtendLowI16x8U, simd.i32x4ExtendHighI16x8U];
  const eight = w.local("v128");
  e.define(s.dst, (r) => {
    if (r % 2 === 1) w.get(eight).simd(high);
    else {
      w.simdMemory(signed ? simd.load8x8S : simd.load8x8U, e.address(s) + 4 * r);
      w.tee(eight).simd(low);
    }
  });
  w.release(eight);
}

/** Four consecutive elements, widened; the base is on the stack. */
function contiguousLoad(e: KernelEmitter, type: StorageType, offset: number): void {
  const { w } = e;
  switch (type) {
    case "f32":
    case "i32":
    case "u32":
      w.simdMemory(simd.load, offset);
      return;
    case "u8":
    case "bool":
      w.simdMemory(simd.load32Zero, offset).simd(simd.i16x8ExtendLowI8x16U).simd(simd.i32x4ExtendLowI16x8U);
      return;
    case "i8":
      w.simdMemory(simd.load32Zero, offset).simd(simd.i16x8ExtendLowI8x16S).simd(simd.i32x4ExtendLowI16x8S);
      return;
    case "i16":
      w.simdMemory(simd.load16x4S, offset);
      return;
    case "bf16":
      w.simdMemory(simd.load16x4U, offset).i32(16).simd(simd.i32x4Shl);
      return;
    case "f16":
      w.simdMemory(simd.load16x4U, offset);
      widenF16(e);
      return;
    default:
      throw new Error(`wasm: ${type satisfies never}`);
  }
}

function words(e: KernelEmitter, x: number, float = false): void {
  e.w.v128([x, x, x, x], float);
}

/**
 * Half precision (16 bits in each 32-bit lane, on the stack) to f32: exponent and fraction moved up and multiplied by
 * 2^112, which also normalises subnormals; infinities and NaN get the full exponent.
 */
function widenF16(e: KernelEmitter): void {
  const { w } = e;
  const h = w.local("v128");
  const magnitude = w.local("v128");
  w.set(h);
  w.get(h);
  words(e, 0x7fff);
  w.simd(simd.and).i32(13).simd(simd.i32x4Shl).tee(magnitude);
  words(e, 2 ** 112, true);
  w.simd(simd.f32x4Mul);
  w.get(magnitude);
  words(e, (0x7c00 << 13) - 1);
  w.simd(simd.i32x4GtS);
  words(e, 0x7f800000);
  w.simd(simd.and).simd(simd.or);
  w.get(h);
  words(e, 0x8000);
  w.simd(simd.and).i32(16).simd(simd.i32x4Shl).simd(simd.or);
  w.release(h);
  w.release(magnitude);
}

/** f32 lanes on the stack to half precision in the low 16 bits of each lane, rounding to nearest even. */
function narrowF16(e: KernelEmitter): void {
  const { w } = e;
  const [x, a, normal, tiny] = [w.local("v128"), w.local("v128"), w.local("v128"), w.local("v128")];
  w.tee(x);
  words(e, 0x7fffffff);
  w.simd(simd.and).set(a);
  // Normal: rebias, round on the 13 bits that go.
  // The bit is subtracted as 0 or -1, and not added: V8 takes a sum of two similar terms for a sum to be packed.
  w.get(a).get(a).i32(18).simd(simd.i32x4Shl).i32(31).simd(simd.i32x4ShrS).simd(simd.i32x4Sub);
  words(e, 0xfff - 0x38000000);
  w.simd(simd.i32x4Add).i32(13).simd(simd.i32x4ShrU).set(normal);
  // Subnormal: adding ½ lets the float adder round at the right bit.
  w.get(a);
  words(e, 0.5, true);
  w.simd(simd.f32x4Add);
  words(e, 0x3f000000);
  w.simd(simd.i32x4Sub).set(tiny);
  w.get(tiny).get(normal).get(a);
  words(e, 0x38800000);
  w.simd(simd.i32x4LtS).simd(simd.bitselect).set(normal);
  // Too large: infinity; NaN keeps being one.
  words(e, 0x7c00);
  w.get(normal).get(a);
  words(e, 0x477fefff);
  w.simd(simd.i32x4GtS).simd(simd.bitselect).set(normal);
  words(e, 0x7e00);
  w.get(normal).get(a);
  words(e, 0x7f800000);
  w.simd(simd.i32x4GtS).simd(simd.bitselect);
  w.get(x).i32(16).simd(simd.i32x4ShrU);
  words(e, 0x8000);
  w.simd(simd.and).simd(simd.or);
  for (const local of [x, a, normal, tiny]) w.release(local);
}

/** f32 lanes on the stack to bfloat16 in the low 16 bits, rounding to nearest even. */
function narrowBf16(e: KernelEmitter): void {
  const { w } = e;
  const x = w.local("v128");
  const quiet = w.local("v128");
  w.set(x);
  w.get(x).i32(16).simd(simd.i32x4ShrU);
  words(e, 0x40);
  w.simd(simd.or).set(quiet);
  w.get(quiet);
  // As in narrowF16.
  w.get(x).get(x).i32(15).simd(simd.i32x4Shl).i32(31).simd(simd.i32x4ShrS).simd(simd.i32x4Sub);
  words(e, 0x7fff);
  w.simd(simd.i32x4Add).i32(16).simd(simd.i32x4ShrU);
  w.get(x).get(x).simd(simd.f32x4Ne).simd(simd.bitselect);
  w.release(x);
  w.release(quiet);
}

function emitGather(e: KernelEmitter, s: Extract<Stmt, { kind: "gather" }>): void {
  const { w } = e;
  const { buffer, dst, indices } = s;
  const size = bytesOf[buffer.type];
  /** Leaves the address of lane `lane` of register r on the stack; returns the offset. */
  const address = (r: number, lane: number | null): number => {
    const offset = e.address(s);
    e.push(indices, r);
    if (lane !== null) w.lane(simd.i32x4Extract, lane);
    if (size > 1) w.i32(Math.log2(size)).op(op.i32Shl);
    if (offset !== 0) w.i32(offset).op(op.i32Add);
    w.op(op.i32Add);
    return 0;
  };
  if (dst.lanes === 1) {
    e.define(dst, () => scalarElement(e, buffer.type, address(0, null)));
    return;
  }
  e.define(dst, (r) => {
    if (size === 4) {
      for (let lane = 3; lane >= 0; lane--) address(r, lane);
      w.simdMemory(simd.load32Zero, 0);
      for (let lane = 1; lane < 4; lane++) w.simdMemoryLane(simd.load32Lane, 0, lane);
      return;
    }
    scalarElement(e, buffer.type, address(r, 0));
    w.simd(splatOf(buffer.type));
    for (let lane = 1; lane < 4; lane++) {
      scalarElement(e, buffer.type, address(r, lane));
      w.lane(replaceOf(buffer.type), lane);
    }
  });
}

/** The value on the stack in the storage's bits (16-bit floats in the low half of each lane). */
function narrow(e: KernelEmitter, type: StorageType): void {
  if (type === "f16") narrowF16(e);
  else if (type === "bf16") narrowBf16(e);
}

/**
 * Adds the offset to the address on the stack. V8 looks for neighbours among stores that share an address and differ in
 * their offsets: those to be packed do, and any other store has an address of its own (ending in odd bits, as none of the
 * shared ones does; nothing lies at address 0).
 */
function ownAddress(e: KernelEmitter, offset: number): void {
  if (offset !== 0) e.w.i32(offset).op(op.i32Add);
}

/** Registers r and r + 1, to be packed. The upper one first: V8 would store the lower one twice, in case that both trap. */
function storePair(e: KernelEmitter, s: Store, r: number): void {
  const { w } = e;
  const at = w.local("i32");
  ownAddress(e, e.address(s) + 16 * r);
  w.tee(at);
  e.pushPacked(s.value, r + 1);
  w.simdMemory(simd.store, 16).get(at);
  e.pushPacked(s.value, r);
  w.simdMemory(simd.store, 0);
  w.release(at);
}

function emitStore(e: KernelEmitter, s: Store): void {
  const { w } = e;
  const { buffer, value } = s;
  const type = buffer.type;
  const size = bytesOf[type];
  const stride = s.stride ?? 1;
  if (value.lanes === 1) {
    const offset = e.address(s);
    e.push(value, 0);
    if (type === "f16" || type === "bf16") {
      w.simd(simd.f32x4Splat);
      narrow(e, type);
      w.lane(simd.i32x4Extract, 0);
    }
    w.memory(
      size === 4 ? (type === "f32" ? op.f32Store : op.i32Store) : size === 2 ? op.i32Store16 : op.i32Store8,
      offset,
    );
    return;
  }
  const count = s.count ?? value.lanes;
  const laneStore = size === 4 ? simd.store32Lane : size === 2 ? simd.store16Lane : simd.store8Lane;
  for (let r = 0; 4 * r < count; r++) {
    const lanes = Math.min(4, count - 4 * r);
    let source: number | null = null;
    const push = (): void => {
      if (source !== null) w.get(source);
      else e.push(value, r, true);
    };
    if (r % 2 === 0 && e.pairs?.stores(s, r)) {
      storePair(e, s, r++);
      continue;
    }
    if (size < 4) {
      // Narrow once; lanes keep their place at multiples of 4 bytes.
      source = w.local("v128");
      e.push(value, r);
      narrow(e, type);
      w.set(source);
    }
    if (stride === 1 && lanes === 4) {
      let offset = e.address(s) + 4 * r * size;
      if (size === 4 && e.pairs) {
        ownAddress(e, offset - 1);
        offset = 1;
      }
      push();
      if (size === 4) w.simdMemory(simd.store, offset);
      else if (size === 2) {
        w.get(source!)
          .shuffle([0, 1, 4, 5, 8, 9, 12, 13, 0, 1, 0, 1, 0, 1, 0, 1])
          .simdMemoryLane(simd.store64Lane, offset, 0);
      } else
        w.get(source!)
          .shuffle([0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
          .simdMemoryLane(simd.store32Lane, offset, 0);
    } else {
      for (let lane = 0; lane < lanes; ) {
        const pair = stride === 1 && size === 4 && lane === 0 && lanes >= 2;
        const offset = e.address(s, (4 * r + lane) * stride);
        push();
        if (pair) w.simdMemoryLane(simd.store64Lane, offset, 0);
        else w.simdMemoryLane(laneStore, offset, (lane * 4) / size);
        lane += pair ? 2 : 1;
      }
    }
    if (source !== null) w.release(source);
  }
}
