/** Writes the body of one kernel function: locals by type, instructions, memory operands. */
import { signedLeb, unsignedLeb } from "./code.ts";
import { vector } from "./opcodes.ts";

export type WasmType = "i32" | "f32" | "v128";
const typeCode: Record<WasmType, number> = { i32: 0x7f, f32: 0x7d, v128: 0x7b };

export class Writer {
  private bytes: number[] = [];
  private readonly declared: WasmType[] = [];
  private readonly free: Record<WasmType, number[]> = { i32: [], f32: [], v128: [] };
  private readonly parameters: number;
  /** The latest `set`: its local, where it begins and where it ends. */
  private lastSet = -1;
  private atSet = 0;
  private afterSet = 0;
  private readonly float = new DataView(new ArrayBuffer(4));

  constructor(parameters: number) {
    this.parameters = parameters;
  }

  /** A local, taken from those released before where possible. */
  local(type: WasmType): number {
    const again = this.free[type].pop();
    if (again !== undefined) return again;
    this.declared.push(type);
    return this.parameters + this.declared.length - 1;
  }
  release(local: number): void {
    this.free[this.declared[local - this.parameters]].push(local);
  }

  /** Local declarations, instructions and the final `end`. */
  finish(): Uint8Array {
    const groups: number[] = [];
    let count = 0;
    for (let i = 0; i < this.declared.length; ) {
      let n = 1;
      while (this.declared[i + n] === this.declared[i]) n++;
      groups.push(...unsignedLeb(n), typeCode[this.declared[i]]);
      count++;
      i += n;
    }
    const header = [...unsignedLeb(count), ...groups];
    const out = new Uint8Array(header.length + this.bytes.length + 1);
    out.set(header);
    out.set(this.bytes, header.length);
    out[out.length - 1] = 0x0b;
    return out;
  }

  /** Directly after a `set` of the same local, the two become one `tee`. */
  get(local: number): this {
    if (local === this.lastSet && this.bytes.length === this.afterSet) {
      this.bytes[this.atSet] = 0x22;
      this.lastSet = -1;
      return this;
    }
    return this.withLocal(0x20, local);
  }
  set(local: number): this {
    this.lastSet = local;
    this.atSet = this.bytes.length;
    this.withLocal(0x21, local);
    this.afterSet = this.bytes.length;
    return this;
  }
  tee(local: number): this {
    return this.withLocal(0x22, local);
  }
  private withLocal(opcode: number, local: number): this {
    if (local > 127) {
      this.bytes.push(opcode);
      return this.leb(local);
    }
    this.bytes.push(opcode, local);
    return this;
  }
  i32(value: number): this {
    this.bytes.push(0x41);
    let rest = value | 0;
    while (rest < -64 || rest > 63) {
      this.bytes.push((rest & 127) | 128);
      rest >>= 7;
    }
    this.bytes.push(rest & 127);
    return this;
  }
  f32(value: number): this {
    this.float.setFloat32(0, value, true);
    this.bytes.push(0x43);
    for (let i = 0; i < 4; i++) this.bytes.push(this.float.getUint8(i));
    return this;
  }
  i64(value: bigint): this {
    this.bytes.push(0x42, ...signedLeb(value));
    return this;
  }
  op(opcode: number): this {
    this.bytes.push(opcode);
    return this;
  }
  /** Saturating truncation has a prefix of its own. */
  truncSat(unsigned: boolean): this {
    this.bytes.push(0xfc, unsigned ? 1 : 0);
    return this;
  }
  simd(opcode: number): this {
    // Opcodes have at most 14 bits.
    if (opcode < 128) this.bytes.push(0xfd, opcode);
    else this.bytes.push(0xfd, (opcode & 127) | 128, opcode >> 7);
    return this;
  }
  lane(opcode: number, lane: number): this {
    this.simd(opcode);
    this.bytes.push(lane);
    return this;
  }
  /** Four 32-bit words. */
  v128(words: readonly number[], float: boolean): this {
    this.simd(vector.const);
    for (const w of words) {
      if (float) this.float.setFloat32(0, w, true);
      else this.float.setUint32(0, w >>> 0, true);
      for (let i = 0; i < 4; i++) this.bytes.push(this.float.getUint8(i));
    }
    return this;
  }
  shuffle(lanes: readonly number[]): this {
    this.simd(vector.shuffle);
    this.bytes.push(...lanes);
    return this;
  }
  /** Scalar memory instruction; alignment is only a hint and left at one byte. */
  memory(opcode: number, offset: number): this {
    this.bytes.push(opcode, 0);
    return this.leb(offset);
  }
  simdMemory(opcode: number, offset: number): this {
    this.simd(opcode);
    this.bytes.push(0);
    return this.leb(offset);
  }
  simdMemoryLane(opcode: number, offset: number, lane: number): this {
    this.simdMemory(opcode, offset);
    this.bytes.push(lane);
    return this;
  }
  block(): this {
    this.bytes.push(0x02, 0x40);
    return this;
  }
  loop(): this {
    this.bytes.push(0x03, 0x40);
    return this;
  }
  if(): this {
    this.bytes.push(0x04, 0x40);
    return this;
  }
  else(): this {
    this.bytes.push(0x05);
    return this;
  }
  end(): this {
    this.bytes.push(0x0b);
    return this;
  }
  br(depth: number): this {
    this.bytes.push(0x0c);
    return this.leb(depth);
  }
  brIf(depth: number): this {
    this.bytes.push(0x0d);
    return this.leb(depth);
  }
  private leb(value: number): this {
    let rest = value;
    while (rest > 127) {
      this.bytes.push((rest & 127) | 128);
      rest = Math.floor(rest / 128);
    }
    this.bytes.push(rest);
    return this;
  }
}
