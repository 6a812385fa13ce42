/** Chained instructions for the few hand-written functions of a module: scheduler and dispatch, on scalars and atomics. */

const opcodes = {
  drop: [0x1a],
  select: [0x1b],
  "i32.eqz": [0x45],
  "i32.eq": [0x46],
  "i32.ne": [0x47],
  "i32.lt_u": [0x49],
  "i32.gt_u": [0x4b],
  "i32.ge_u": [0x4f],
  "i64.ne": [0x52],
  "i32.add": [0x6a],
  "i32.sub": [0x6b],
  "i32.mul": [0x6c],
  "i32.and": [0x71],
  "i32.or": [0x72],
  "i32.shr_u": [0x76],
  "i64.add": [0x7c],
  "i64.or": [0x84],
  "i64.shl": [0x86],
  "i64.shr_u": [0x88],
  "i32.wrap_i64": [0xa7],
  "i64.extend_i32_u": [0xad],
} as const;

export function unsignedLeb(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    out.push(rest > 0 ? low | 128 : low);
  } while (rest > 0);
  return out;
}

export function signedLeb(value: bigint): number[] {
  const out: number[] = [];
  for (let rest = value; ; ) {
    const low = Number(rest & 127n);
    rest >>= 7n;
    if ((rest === 0n && (low & 64) === 0) || (rest === -1n && (low & 64) !== 0)) {
      out.push(low);
      return out;
    }
    out.push(low | 128);
  }
}

/** Body of one function; parameters are locals 0 … parameters-1. Memory accesses take offset only: the base is on the stack. */
export class Code {
  private readonly bytes: number[] = [];
  private readonly locals: number[] = [];
  private readonly parameters: number;

  constructor(parameters: number) {
    this.parameters = parameters;
  }

  local(type: "i32" | "i64"): number {
    this.locals.push(type === "i32" ? 0x7f : 0x7e);
    return this.parameters + this.locals.length - 1;
  }

  /** Local declarations, instructions and the final `end`. */
  finish(): number[] {
    const declarations = this.locals.flatMap((type) => [1, type]);
    return [...unsignedLeb(this.locals.length), ...declarations, ...this.bytes, 0x0b];
  }

  get(local: number): this {
    return this.emit(0x20, unsignedLeb(local));
  }
  set(local: number): this {
    return this.emit(0x21, unsignedLeb(local));
  }
  tee(local: number): this {
    return this.emit(0x22, unsignedLeb(local));
  }
  i32(value: number): this {
    return this.emit(0x41, signedLeb(BigInt(value | 0)));
  }
  i64(value: bigint): this {
    return this.emit(0x42, signedLeb(value));
  }
  op(name: keyof typeof opcodes): this {
    this.bytes.push(...opcodes[name]);
    return this;
  }

  block(): this {
    return this.emit(0x02, [0x40]);
  }
  loop(): this {
    return this.emit(0x03, [0x40]);
  }
  if(): this {
    return this.emit(0x04, [0x40]);
  }
  else(): this {
    return this.emit(0x05);
  }
  end(): this {
    return this.emit(0x0b);
  }
  br(depth: number): this {
    return this.emit(0x0c, unsignedLeb(depth));
  }
  brIf(depth: number): this {
    return this.emit(0x0d, unsignedLeb(depth));
  }
  /** Branches to the depth at the index on the stack; beyond the list, to the last of it. */
  brTable(depths: readonly number[]): this {
    return this.emit(0x0e, [...unsignedLeb(depths.length - 1), ...depths.flatMap(unsignedLeb)]);
  }
  return(): this {
    return this.emit(0x0f);
  }
  call(functionIndex: number): this {
    return this.emit(0x10, unsignedLeb(functionIndex));
  }

  load(offset: number): this {
    return this.emit(0x28, [2, ...unsignedLeb(offset)]);
  }
  store(offset: number): this {
    return this.emit(0x36, [2, ...unsignedLeb(offset)]);
  }
  /** Address, byte value, count. */
  memoryFill(): this {
    return this.emit(0xfc, [0x0b, 0]);
  }
  atomicNotify(offset: number): this {
    return this.atomic(0x00, 2, offset);
  }
  /** Base, expected i32, limit in nanoseconds (i64) → 0 woken, 1 other value, 2 time over. */
  atomicWait32(offset: number): this {
    return this.atomic(0x01, 2, offset);
  }
  atomicWait64(offset: number): this {
    return this.atomic(0x02, 3, offset);
  }
  atomicLoad(offset: number): this {
    return this.atomic(0x10, 2, offset);
  }
  atomicLoad64(offset: number): this {
    return this.atomic(0x11, 3, offset);
  }
  atomicStore(offset: number): this {
    return this.atomic(0x17, 2, offset);
  }
  atomicStore64(offset: number): this {
    return this.atomic(0x18, 3, offset);
  }
  /** Base, i32 → the value before. */
  atomicAdd(offset: number): this {
    return this.atomic(0x1e, 2, offset);
  }
  /** Base, expected, replacement → the value before. */
  atomicCompareExchange64(offset: number): this {
    return this.atomic(0x49, 3, offset);
  }

  private atomic(opcode: number, alignment: number, offset: number): this {
    return this.emit(0xfe, [opcode, alignment, ...unsignedLeb(offset)]);
  }
  private emit(opcode: number, immediates: readonly number[] = []): this {
    this.bytes.push(opcode, ...immediates);
    return this;
  }
}
