/** The c target's emitter: LoopIR programs as C with vector extensions, one function per kernel. */
import {
  type Affine,
  type Buffer,
  type Kernel,
  type Local,
  type LoopVar,
  type Operand,
  type Stmt,
  type StorageType,
  storageBytes,
  type ValueType,
  visit,
} from "../../compiler/loopir.ts";
import { scratchLayout } from "../../compiler/scratch.ts";

export interface COptions {
  /** Lanes of the machine's vectors: 4 (SSE, NEON), 8 (AVX2), 16 (AVX-512). */
  readonly lanes: 4 | 8 | 16;
  readonly strict: boolean;
}

const storageC: Record<StorageType, string> = {
  f32: "float",
  i32: "int32_t",
  u32: "uint32_t",
  u8: "uint8_t",
  i8: "int8_t",
  i16: "int16_t",
  f16: "uint16_t",
  bf16: "uint16_t",
  bool: "uint8_t",
};
const letter: Record<ValueType, string> = { f32: "f", i32: "i", u32: "u", mask: "m" };

/**
 * A kernel as a C function without its type and name: `(int32_t begin, int32_t end, char *scratch, char *const *p) { … }`
 * over the addresses of its buffers, to stand after `prelude`. Equal for kernels that compute the same.
 */
export function emitKernel(kernel: Kernel, options: COptions): string {
  return new KernelEmitter(kernel, options).emit();
}

function usesTiles(stmts: readonly Stmt[]): boolean {
  let found = false;
  visit(stmts, (s) => {
    found ||= s.kind === "tileZero" || s.kind === "tileLoad";
  });
  return found;
}

/** Bytes of a result from which on it is gone from the caches before anybody reads it (twice a second-level cache). */
const leastStreamed = 4_000_000;

/**
 * Results whose whole lines go straight to memory: large ones that the kernel does not read again. Otherwise the processor
 * would read every line before it is overwritten, and throw others out of the caches.
 */
function streamedBuffers({ buffers, body }: Kernel, { lanes }: COptions): Set<Buffer> {
  const large = (b: Buffer) =>
    b.access === "write" && storageBytes[b.type] === 4 && b.size * storageBytes[b.type] >= leastStreamed;
  const streamed = new Set(lanes === 16 ? buffers.filter(large) : []);
  if (streamed.size > 0)
    visit(body, (s) => {
      if (s.kind !== "store" && "buffer" in s) streamed.delete(s.buffer);
    });
  return streamed;
}

/** A float literal with the exact value. */
function floatLiteral(x: number): string {
  if (Number.isNaN(x)) return '__builtin_nanf("")';
  if (x === Number.POSITIVE_INFINITY) return "__builtin_inff()";
  if (x === Number.NEGATIVE_INFINITY) return "(-__builtin_inff())";
  const f = Math.fround(x);
  if (f === 0) return Object.is(f, -0) ? "-0.0f" : "0.0f";
  const text = f.toExponential(9);
  return `${text}f`;
}

class KernelEmitter {
  private readonly kernel: Kernel;
  private readonly options: COptions;
  private readonly lines: string[] = [];
  private readonly streamed: ReadonlySet<Buffer>;
  private indent = "  ";

  constructor(kernel: Kernel, options: COptions) {
    this.kernel = kernel;
    this.options = options;
    this.streamed = streamedBuffers(kernel, options);
  }

  emit(): string {
    const { kernel } = this;
    this.lines.push("(int32_t begin, int32_t end, char *scratch, char *const *p) {");
    const layout = scratchLayout(kernel);
    let next = 0;
    for (const b of kernel.buffers) {
      const type = storageC[b.type];
      if (b.access === "scratch")
        this.push(`${type} *const b${b.id} = (${type} *)(scratch + ${layout.offsets.get(b)});`);
      else
        this.push(
          `${b.access === "read" ? "const " : ""}${type} *const b${b.id} = (${b.access === "read" ? "const " : ""}${type} *)p[${next++}];`,
        );
    }
    const tiles = usesTiles(kernel.body);
    if (tiles) this.push("TILES_BEGIN;");
    this.push("for (int32_t task = begin; task < end; task++) {");
    this.nested(() => {
      let divisor = 1;
      const grid = [...kernel.grid].reverse();
      grid.forEach((v, i) => {
        const rest = divisor === 1 ? "task" : `(task / ${divisor})`;
        this.push(`const int64_t x${v.id} = ${i === grid.length - 1 ? rest : `${rest} % ${v.extent}`};`);
        divisor *= v.extent;
      });
      this.block(kernel.body);
    });
    this.push("}");
    if (tiles) this.push("TILES_END;");
    if (this.streamed.size > 0) this.push("STREAM_END;");
    for (const b of kernel.buffers) this.push(`(void)b${b.id};`);
    this.lines.push("}");
    return this.lines.join("\n");
  }

  private push(line: string): void {
    this.lines.push(this.indent + line);
  }
  private nested(body: () => void): void {
    this.indent += "  ";
    body();
    this.indent = this.indent.slice(2);
  }
  private block(stmts: readonly Stmt[]): void {
    for (const s of stmts) this.stmt(s);
  }

  /** Registers of a value: how many, and lanes of each. */
  private shape(lanes: number): { count: number; width: number } {
    if (lanes === 1) return { count: 1, width: 1 };
    const width =
      lanes % this.options.lanes === 0 ? this.options.lanes : lanes % 8 === 0 && this.options.lanes >= 8 ? 8 : 4;
    return { count: lanes / width, width };
  }
  private typeName(type: ValueType, width: number): string {
    return `${letter[type]}${width}`;
  }
  private ref(x: Operand, r: number, width: number): string {
    if (x.kind === "local") return this.shape(x.lanes).count === 1 ? `v${x.id}` : `v${x.id}_${r}`;
    const scalar =
      x.type === "f32"
        ? floatLiteral(x.value)
        : x.type === "mask"
          ? x.value
            ? width === 1
              ? "1"
              : "-1"
            : "0"
          : x.type === "u32"
            ? `${x.value >>> 0}u`
            : x.value === -2147483648
              ? "INT32_MIN"
              : String(x.value | 0);
    return splat(x.type, width, scalar);
  }
  /** One lane of a value, as a scalar. */
  private lane(x: Operand, lane: number): string {
    const { width } = this.shape(x.lanes);
    const register = this.ref(x, Math.floor(lane / width), width);
    return width === 1 ? register : `(${register})[${lane % width}]`;
  }
  private define(dst: Local, code: (r: number, width: number) => string, constant = true): void {
    const { count, width } = this.shape(dst.lanes);
    for (let r = 0; r < count; r++)
      this.push(
        `${constant ? "const " : ""}${this.typeName(dst.type, width)} ${count === 1 ? `v${dst.id}` : `v${dst.id}_${r}`} = ${code(r, width)};`,
      );
  }

  private address(at: Affine, extra = 0): string {
    const parts: string[] = at.terms.map((t: { variable: LoopVar; stride: number }) =>
      t.stride === 1 ? `x${t.variable.id}` : `x${t.variable.id} * ${t.stride}L`,
    );
    if (at.dynamic) parts.push(`(int64_t)${this.ref(at.dynamic, 0, 1)}`);
    const c = at.constant + extra;
    if (c !== 0 || parts.length === 0) parts.push(`${c}L`);
    return parts.join(" + ");
  }

  private stmt(s: Stmt): void {
    switch (s.kind) {
      case "unary":
        return this.define(s.dst, (r, w) => unary(s.op, letter[s.dst.type], w, this.ref(s.a, r, w)));
      case "binary":
        return this.define(
          s.dst,
          (r, w) => this.clamp(s, r, w) ?? binary(s.op, s.dst.type, w, this.ref(s.a, r, w), this.ref(s.b, r, w)),
        );
      case "compare": {
        const op = { eq: "==", ne: "!=", lt: "<", le: "<=", gt: ">", ge: ">=" }[s.op];
        return this.define(s.dst, (r, w) =>
          w === 1
            ? `${this.ref(s.a, r, w)} ${op} ${this.ref(s.b, r, w)}`
            : `(m${w})(${this.ref(s.a, r, w)} ${op} ${this.ref(s.b, r, w)})`,
        );
      }
      case "fma":
        return this.define(
          s.dst,
          (r, w) => `fma_${w}(${this.ref(s.a, r, w)}, ${this.ref(s.b, r, w)}, ${this.ref(s.c, r, w)})`,
        );
      case "select":
        return this.define(s.dst, (r, w) => {
          const [m, a, b] = [s.mask, s.a, s.b].map((x) => this.ref(x, r, w));
          return w === 1
            ? `${m} ? ${a} : ${b}`
            : `sel_${s.dst.type === "mask" ? "i" : letter[s.dst.type]}${w}(${m}, ${a}, ${b})`;
        });
      case "convert":
        return this.define(s.dst, (r, w) => this.convert(s.a.type, s.dst.type, w, this.ref(s.a, r, w)));
      case "bitcast":
        return this.define(s.dst, (r, w) => {
          const a = this.ref(s.a, r, w);
          if (w > 1) return `(${letter[s.dst.type]}${w})${a}`;
          if (s.dst.type === "f32") return `bits_f1((i1)${a})`;
          return s.a.type === "f32" ? `(${letter[s.dst.type]}1)bits_i1(${a})` : `(${letter[s.dst.type]}1)${a}`;
        });
      case "splat":
        // A scalar mask is 0 or 1, a lane of a vector mask 0 or -1.
        return this.define(s.dst, (_, w) =>
          splat(s.dst.type, w, s.dst.type === "mask" && w > 1 ? `-${this.ref(s.a, 0, 1)}` : this.ref(s.a, 0, 1)),
        );
      case "any": {
        const { count, width } = this.shape(s.a.lanes);
        const parts = Array.from({ length: count }, (_, r) =>
          width === 1 ? this.ref(s.a, r, 1) : `any_${width}(${this.ref(s.a, r, width)})`,
        );
        return this.define(s.dst, () => parts.join(" | "));
      }
      case "extract":
        return this.define(s.dst, () => this.lane(s.a, s.lane));
      case "broadcastLane":
        return this.define(s.dst, (_, w) => splat(s.dst.type, w, this.lane(s.a, s.lane)));
      case "half": {
        const whole = this.shape(s.a.lanes);
        const first = s.half * s.dst.lanes;
        return this.define(s.dst, (r, w) => {
          const lane = first + r * w;
          const from = this.ref(s.a, Math.floor(lane / whole.width), whole.width);
          if (w === whole.width) return from;
          return `${lane % whole.width === 0 ? "lower" : "upper"}_${letter[s.dst.type]}${w}(${from})`;
        });
      }
      case "zip":
        return this.define(s.dst, (r, w) => {
          const first = (s.half * s.dst.lanes + r * w) / 2;
          const from = Math.floor(first / w);
          const half = first % w === 0 ? "low" : "high";
          return `zip_${half}_${letter[s.dst.type]}${w}(${this.ref(s.a, from, w)}, ${this.ref(s.b, from, w)})`;
        });
      case "tileZero":
        this.push(`TILE_ZERO(${s.tile});`);
        return;
      case "tileLoad":
      case "tileStore":
        this.push(
          `${s.kind === "tileLoad" ? "TILE_LOAD" : "TILE_STORE"}(${s.tile}, b${s.buffer.id} + (${this.address(s.at)}), ${4 * s.pitch});`,
        );
        return;
      case "tileDot":
        this.push(`TILE_DOT(${s.sum}, ${s.a}, ${s.b});`);
        return;
      case "iota":
        return this.define(s.dst, (r, w) => `(i${w}){${Array.from({ length: w }, (_, i) => r * w + i).join(", ")}}`);
      case "index":
        return this.define(s.dst, () => `(i1)(${this.address(s.at)})`);
      case "load":
        return this.load(s.dst, s.buffer, s.at, s.stride ?? 1, s.count ?? s.dst.lanes);
      case "gather":
        return this.define(s.dst, (r, w) => {
          const at = this.address(s.at);
          if (w === 1) return this.element(s.buffer, `${at} + ${this.ref(s.indices, r, w)}`);
          return `{${Array.from({ length: w }, (_, i) => this.element(s.buffer, `${at} + (${this.ref(s.indices, r, w)})[${i}]`)).join(", ")}}`;
        });
      case "store":
        return this.store(s.buffer, s.at, s.value, s.stride ?? 1, s.count ?? s.value.lanes);
      case "prefetch":
        this.push(`__builtin_prefetch(b${s.buffer.id} + (${this.address(s.at)}));`);
        return;
      case "var":
        return this.define(s.dst, (r, w) => this.ref(s.init, r, w), false);
      case "assign": {
        const { count, width } = this.shape(s.dst.lanes);
        for (let r = 0; r < count; r++) this.push(`${this.ref(s.dst, r, width)} = ${this.ref(s.value, r, width)};`);
        return;
      }
      case "loop":
        if (s.unroll && s.unroll > 1) this.push(`#pragma GCC unroll ${s.unroll}`);
        this.push(
          `for (int64_t x${s.variable.id} = 0; x${s.variable.id} < ${s.variable.extent}; x${s.variable.id}++) {`,
        );
        this.nested(() => this.block(s.body));
        this.push("}");
        return;
      case "while":
        this.push("for (;;) {");
        this.nested(() => {
          this.block(s.test);
          this.push(`if (!${this.ref(s.condition, 0, 1)}) break;`);
          this.block(s.body);
        });
        this.push("}");
        return;
      case "if":
        this.push(`if (${this.ref(s.condition, 0, 1)}) {`);
        this.nested(() => this.block(s.then));
        if (s.otherwise) {
          this.push("} else {");
          this.nested(() => this.block(s.otherwise!));
        }
        this.push("}");
        return;
      default:
        s satisfies never;
    }
  }

  /** Minimum or maximum of a vector and a constant that is not NaN: one instruction, where the general ones take several. */
  private clamp(s: Extract<Stmt, { kind: "binary" }>, r: number, w: number): string | undefined {
    if ((s.op !== "min" && s.op !== "max") || s.dst.type !== "f32" || w === 1) return undefined;
    const [x, c] = s.a.kind === "const" ? [s.b, s.a] : [s.a, s.b];
    if (c.kind !== "const" || Number.isNaN(c.value)) return undefined;
    // Equal operands give x, which is wrong only for a zero of the other sign: adding +0 turns -0 into +0.
    if (s.op === "min" && Object.is(c.value, -0)) return undefined;
    const y = `${s.op === "min" ? "below" : "above"}_f${w}(${this.ref(c, r, w)}, ${this.ref(x, r, w)})`;
    return s.op === "max" && Object.is(c.value, 0) ? `${y} + ${this.ref(c, r, w)}` : y;
  }

  private convert(from: ValueType, to: ValueType, w: number, a: string): string {
    if (from === "f32") return to === "i32" ? `f2i_${w}(${a})` : `f2u_${w}(${a})`;
    if (to === "f32") return w === 1 ? `(f1)${a}` : `__builtin_convertvector(${a}, f${w})`;
    return `(${letter[to]}${w})${a}`;
  }

  /** One element, widened. */
  private element(buffer: Buffer, at: string): string {
    const x = `b${buffer.id}[${at}]`;
    if (buffer.type === "f16" || buffer.type === "bf16") return `load_${buffer.type}(${x})`;
    return x;
  }

  private load(dst: Local, buffer: Buffer, at: Affine, stride: number, count: number): void {
    const wide = buffer.type === "f32" || buffer.type === "i32" || buffer.type === "u32";
    this.define(dst, (r, w) => {
      if (w === 1) return this.element(buffer, this.address(at));
      const t = letter[dst.type];
      if (stride === 0) return `splat_${t}${w}(${this.element(buffer, this.address(at))})`;
      if (stride === 1 && wide) return `*(const ${t}${w}u *)(b${buffer.id} + (${this.address(at, r * w)}))`;
      return `{${Array.from({ length: w }, (_, i) => (stride !== 1 && r * w + i >= count ? "0" : this.element(buffer, this.address(at, (r * w + i) * stride)))).join(", ")}}`;
    });
  }

  private store(buffer: Buffer, at: Affine, value: Operand, stride: number, count: number): void {
    const { count: registers, width: w } = this.shape(value.lanes);
    const wide = buffer.type === "f32" || buffer.type === "i32" || buffer.type === "u32";
    const type = storageC[buffer.type];
    const narrow = (x: string) =>
      buffer.type === "f16" || buffer.type === "bf16" ? `store_${buffer.type}(${x})` : `(${type})${x}`;
    for (let r = 0; r < registers; r++) {
      const x = this.ref(value, r, w);
      if (w === 1) this.push(`b${buffer.id}[${this.address(at)}] = ${narrow(x)};`);
      else if (stride === 1 && wide && (r + 1) * w <= count)
        this.push(
          w === 16 && this.streamed.has(buffer)
            ? `stream_${letter[value.type]}16(b${buffer.id} + (${this.address(at, r * w)}), ${x});`
            : `*(${letter[value.type]}${w}u *)(b${buffer.id} + (${this.address(at, r * w)})) = ${x};`,
        );
      else if (stride === 1 && storageBytes[buffer.type] === 1 && (r + 1) * w <= count)
        this.push(`store_bytes_${w}((uint8_t *)b${buffer.id} + (${this.address(at, r * w)}), (i${w})${x});`);
      else {
        for (let i = 0; i < w && r * w + i < count; i++)
          this.push(`b${buffer.id}[${this.address(at, (r * w + i) * stride)}] = ${narrow(`(${x})[${i}]`)};`);
      }
    }
  }
}

/** A scalar in every lane. */
function splat(type: ValueType, w: number, a: string): string {
  return w === 1 ? a : `splat_${type === "mask" ? "i" : letter[type]}${w}(${a})`;
}

function unary(op: string, t: string, w: number, a: string): string {
  if (op === "neg") return t === "i" ? (w === 1 ? `(i1)(0u - (u1)${a})` : `-${a}`) : `-${a}`;
  if (op === "not") return t === "m" && w === 1 ? `!${a}` : `~${a}`;
  return `${op}_${t}${w}(${a})`;
}

function binary(op: string, type: ValueType, w: number, a: string, b: string): string {
  const t = letter[type];
  const infix = { add: "+", sub: "-", mul: "*", and: "&", or: "|", xor: "^" }[op];
  if (infix) {
    // Signed overflow wraps: computed on unsigned numbers.
    if (type === "i32" && (op === "add" || op === "sub" || op === "mul"))
      return `(i${w})((u${w})${a} ${infix} (u${w})${b})`;
    return `${a} ${infix} ${b}`;
  }
  if (op === "div" && type === "f32") return `${a} / ${b}`;
  return `${op}_${t}${w}(${a}, ${b})`;
}
