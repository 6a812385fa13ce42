/** The LoopIR interpreter: kernels in float32, in their exact order, with every access checked. The oracle of bits. */
import type {
  Affine,
  BinaryOp,
  Buffer,
  CompareOp,
  Kernel,
  Local,
  LoopProgram,
  LoopVar,
  Operand,
  Stmt,
  UnaryOp,
  ValueType,
} from "../../compiler/loopir.ts";
import { storageBytes, taskCount } from "../../compiler/loopir.ts";
import { slack } from "../../compiler/memory.ts";
import { fusedMultiplyAdd, loadElement, storeElement } from "./elements.ts";

/** Memory of one buffer: bytes from `offset`, of which `size` elements are the buffer's. */
export interface Region {
  readonly memory: DataView;
  readonly offset: number;
}

export interface InterpreterOptions {
  /** One rounding for `fma`; false (as `strict` has it) multiplies, then adds. */
  readonly fma: boolean;
}

type Lanes = Float32Array | Int32Array | Uint32Array | Uint8Array;
type Action = () => void;

function makeLanes(type: ValueType, lanes: number): Lanes {
  switch (type) {
    case "f32":
      return new Float32Array(lanes);
    case "i32":
      return new Int32Array(lanes);
    case "u32":
      return new Uint32Array(lanes);
    case "mask":
      return new Uint8Array(lanes);
    default:
      return type satisfies never;
  }
}

/** Runs tasks `begin` … `end - 1` (default all). `regions` in the order of the kernel's buffers, scratch included. */
export function interpretKernel(
  kernel: Kernel,
  regions: readonly Region[],
  options: InterpreterOptions,
  begin = 0,
  end = taskCount(kernel),
): void {
  new Interpreter(kernel, regions, options).run(begin, end);
}

/** Runs all calls of a program in order. `slots`: the memory of each entry of the address table, from its first byte. */
export function interpretProgram(
  program: LoopProgram,
  slots: readonly ArrayBuffer[],
  options: InterpreterOptions,
): void {
  for (const stage of program.stages) {
    for (const call of stage.calls) {
      const kernel = program.kernels[call.kernel];
      let bound = 0;
      const regions = kernel.buffers.map((buffer): Region => {
        if (buffer.access === "scratch") {
          return { memory: new DataView(new ArrayBuffer(buffer.size * storageBytes[buffer.type])), offset: 0 };
        }
        const { slot, offset } = call.bindings[bound++];
        return { memory: new DataView(slots[slot]), offset };
      });
      interpretKernel(kernel, regions, options);
    }
  }
}

class Interpreter {
  private readonly kernel: Kernel;
  private readonly regions: readonly Region[];
  private readonly options: InterpreterOptions;
  private readonly values = new Map<number, Lanes>();
  private readonly variables = new Map<LoopVar, { value: number }>();

  constructor(kernel: Kernel, regions: readonly Region[], options: InterpreterOptions) {
    this.kernel = kernel;
    this.regions = regions;
    this.options = options;
  }

  run(begin: number, end: number): void {
    const { grid } = this.kernel;
    const cells = grid.map((v) => this.variable(v));
    const body = this.block(this.kernel.body);
    for (let task = begin; task < end; task++) {
      let rest = task;
      for (let i = grid.length - 1; i >= 0; i--) {
        cells[i].value = rest % grid[i].extent;
        rest = Math.floor(rest / grid[i].extent);
      }
      body();
    }
  }

  private variable(v: LoopVar): { value: number } {
    let cell = this.variables.get(v);
    if (!cell) {
      cell = { value: 0 };
      this.variables.set(v, cell);
    }
    return cell;
  }
  private lanesOf(x: Operand): Lanes {
    if (x.kind === "const") return makeLanes(x.type, x.lanes).fill(x.type === "mask" ? (x.value ? 1 : 0) : x.value);
    const known = this.values.get(x.id);
    if (!known) throw new Error(`interpreter: ${this.kernel.name} uses a value before it is defined`);
    return known;
  }
  private result(dst: Local): Lanes {
    const lanes = makeLanes(dst.type, dst.lanes);
    this.values.set(dst.id, lanes);
    return lanes;
  }
  private affine(at: Affine): () => number {
    const terms = at.terms.map((t) => ({ cell: this.variable(t.variable), stride: t.stride }));
    const dynamic = at.dynamic ? this.lanesOf(at.dynamic) : null;
    return () => {
      let n = at.constant + (dynamic ? dynamic[0] : 0);
      for (const t of terms) n += t.cell.value * t.stride;
      return n;
    };
  }
  private region(buffer: Buffer): Region {
    const region = this.regions[this.kernel.buffers.indexOf(buffer)];
    if (!region) throw new Error(`interpreter: no memory for ${buffer.name} of ${this.kernel.name}`);
    return region;
  }
  private wild(buffer: Buffer, element: number, what: string): never {
    throw new Error(
      `interpreter: ${this.kernel.name} ${what} element ${element} of ${buffer.name}, which has ${buffer.size}`,
    );
  }

  private block(stmts: readonly Stmt[]): Action {
    const actions = stmts.map((s) => this.stmt(s));
    return () => {
      for (const a of actions) a();
    };
  }

  private stmt(s: Stmt): Action {
    switch (s.kind) {
      case "unary":
        return this.map1(s.dst, s.a, unaryFunction(s.op, s.a.type));
      case "binary":
        return this.map2(s.dst, s.a, s.b, binaryFunction(s.op, s.a.type));
      case "compare":
        return this.map2(s.dst, s.a, s.b, compareFunction(s.op));
      case "fma": {
        const [a, b, c] = [s.a, s.b, s.c].map((x) => this.lanesOf(x));
        const out = this.result(s.dst);
        const { fma } = this.options;
        return () => {
          for (let i = 0; i < out.length; i++)
            out[i] = fma ? fusedMultiplyAdd(a[i], b[i], c[i]) : Math.fround(a[i] * b[i]) + c[i];
        };
      }
      case "select": {
        const [m, a, b] = [s.mask, s.a, s.b].map((x) => this.lanesOf(x));
        const out = this.result(s.dst);
        return () => {
          for (let i = 0; i < out.length; i++) out[i] = m[i] ? a[i] : b[i];
        };
      }
      case "convert":
        return this.map1(s.dst, s.a, convertFunction(s.a.type, s.dst.type));
      case "bitcast":
        return this.map1(s.dst, s.a, bitcastFunction(s.a.type, s.dst.type));
      case "splat":
      case "extract":
      case "broadcastLane": {
        const a = this.lanesOf(s.a);
        const lane = "lane" in s ? s.lane : 0;
        const out = this.result(s.dst);
        return () => {
          out.fill(a[lane]);
        };
      }
      case "any": {
        const a = this.lanesOf(s.a);
        const out = this.result(s.dst);
        return () => {
          out[0] = a.some((x: number) => x !== 0) ? 1 : 0;
        };
      }
      case "half": {
        const a = this.lanesOf(s.a);
        const out = this.result(s.dst);
        return () => {
          out.set(a.subarray(s.half * out.length, (s.half + 1) * out.length));
        };
      }
      case "zip": {
        const [a, b] = [s.a, s.b].map((x) => this.lanesOf(x));
        const out = this.result(s.dst);
        const first = (s.half * out.length) / 2;
        return () => {
          for (let i = 0; i < out.length; i++) out[i] = (i % 2 === 0 ? a : b)[first + (i >> 1)];
        };
      }
      case "tileZero":
        return () => {
          this.tiles[s.tile].fill(0);
        };
      case "tileLoad":
      case "tileStore":
        return this.moveTile(s);
      case "tileDot": {
        const [sum, a, b] = [s.sum, s.a, s.b].map((t) => this.tiles[t]);
        return () => tileDot(sum, a, b);
      }
      case "iota": {
        const out = this.result(s.dst);
        for (let i = 0; i < out.length; i++) out[i] = i;
        return () => {};
      }
      case "index": {
        const at = this.affine(s.at);
        const out = this.result(s.dst);
        return () => {
          out[0] = at();
        };
      }
      case "load":
        return this.load(s);
      case "gather": {
        const at = this.affine(s.at);
        const indices = this.lanesOf(s.indices);
        const { buffer } = s;
        const region = this.region(buffer);
        const out = this.result(s.dst);
        return () => {
          const base = at();
          for (let i = 0; i < out.length; i++) {
            const n = base + indices[i];
            if (n < 0 || n >= buffer.size) this.wild(buffer, n, "gathers");
            out[i] = loadElement(region, buffer.type, n);
          }
        };
      }
      case "store": {
        const at = this.affine(s.at);
        const value = this.lanesOf(s.value);
        const { buffer } = s;
        const region = this.region(buffer);
        const stride = s.stride ?? 1;
        const count = s.count ?? value.length;
        if (buffer.access === "read")
          throw new Error(`interpreter: ${this.kernel.name} stores to ${buffer.name}, which it declares to read`);
        return () => {
          const base = at();
          for (let i = 0; i < count; i++) {
            const n = base + i * stride;
            if (n < 0 || n >= buffer.size) this.wild(buffer, n, "stores to");
            storeElement(region, buffer.type, n, value[i]);
          }
        };
      }
      case "prefetch": {
        const at = this.affine(s.at);
        const { buffer } = s;
        return () => {
          const n = at();
          if (n < 0 || n >= buffer.size) this.wild(buffer, n, "prefetches");
        };
      }
      case "var":
      case "assign": {
        const from = this.lanesOf(s.kind === "var" ? s.init : s.value);
        const out = s.kind === "var" ? this.result(s.dst) : this.lanesOf(s.dst);
        return () => {
          out.set(from);
        };
      }
      case "loop": {
        const cell = this.variable(s.variable);
        const body = this.block(s.body);
        const { extent } = s.variable;
        return () => {
          for (let i = 0; i < extent; i++) {
            cell.value = i;
            body();
          }
        };
      }
      case "while": {
        const test = this.block(s.test);
        const condition = this.lanesOf(s.condition);
        const body = this.block(s.body);
        return () => {
          for (test(); condition[0]; test()) body();
        };
      }
      case "if": {
        const condition = this.lanesOf(s.condition);
        const then = this.block(s.then);
        const otherwise = s.otherwise ? this.block(s.otherwise) : () => {};
        return () => {
          if (condition[0]) then();
          else otherwise();
        };
      }
      default:
        return s satisfies never;
    }
  }

  private load(s: Extract<Stmt, { kind: "load" }>): Action {
    const at = this.affine(s.at);
    const { buffer } = s;
    const region = this.region(buffer);
    const stride = s.stride ?? 1;
    const out = this.result(s.dst);
    const count = stride === 1 || stride === 0 ? out.length : (s.count ?? out.length);
    // Vector loads may run into the slack; what they find there must not matter, so it is made to be noticed.
    const readable = stride === 1 ? buffer.size + slack / storageBytes[buffer.type] : buffer.size;
    const unspecified = s.dst.type === "f32" ? Number.NaN : 0x55555555;
    return () => {
      const base = at();
      for (let i = 0; i < out.length; i++) {
        const n = base + i * stride;
        if (i >= count || (i > 0 && n >= buffer.size && n < readable)) out[i] = unspecified;
        else {
          if (n < 0 || n >= buffer.size) this.wild(buffer, n, "loads");
          out[i] = loadElement(region, buffer.type, n);
        }
      }
    };
  }

  /** A tile holds the bits of its words. */
  private readonly tiles = Array.from({ length: 8 }, () => new Uint32Array(256));

  private moveTile(s: Extract<Stmt, { kind: "tileLoad" | "tileStore" }>): Action {
    const at = this.affine(s.at);
    const { buffer, pitch } = s;
    const region = this.region(buffer);
    const words = this.tiles[s.tile];
    const element = new Uint32Array(1);
    const value = buffer.type === "f32" ? new Float32Array(element.buffer) : element;
    return () => {
      const base = at();
      for (let i = 0; i < 256; i++) {
        const n = base + (i >> 4) * pitch + (i & 15);
        if (n < 0 || n >= buffer.size) this.wild(buffer, n, s.kind === "tileLoad" ? "loads" : "stores to");
        if (s.kind === "tileLoad") {
          value[0] = loadElement(region, buffer.type, n);
          words[i] = element[0];
        } else {
          element[0] = words[i];
          storeElement(region, buffer.type, n, value[0]);
        }
      }
    };
  }

  private map1(dst: Local, x: Operand, f: (a: number) => number): Action {
    const a = this.lanesOf(x);
    const out = this.result(dst);
    return () => {
      for (let i = 0; i < out.length; i++) out[i] = f(a[i]);
    };
  }
  private map2(dst: Local, x: Operand, y: Operand, f: (a: number, b: number) => number): Action {
    const a = this.lanesOf(x);
    const b = this.lanesOf(y);
    const out = this.result(dst);
    return () => {
      for (let i = 0; i < out.length; i++) out[i] = f(a[i], b[i]);
    };
  }
}

/** See `Stmt`: products of bf16 are exact in f32, so that only the sums round. */
function tileDot(sum: Uint32Array, a: Uint32Array, b: Uint32Array): void {
  const word = new Uint32Array(1);
  const float = new Float32Array(word.buffer);
  const flushed = (x: number) => (Math.abs(x) < 2 ** -126 ? (x < 0 || Object.is(x, -0) ? -0 : 0) : x);
  const number = (bits: number) => {
    word[0] = bits;
    return flushed(float[0]);
  };
  const add = (x: number, y: number) => flushed(Math.fround(x + y));
  for (let i = 0; i < 16; i++)
    for (let j = 0; j < 16; j++) {
      const halves = [0, 0];
      for (let p = 0; p < 16; p++) {
        const x = a[i * 16 + p];
        const y = b[p * 16 + j];
        halves[0] = add(halves[0], number(x << 16) * number(y << 16));
        halves[1] = add(halves[1], number(x & 0xffff0000) * number(y & 0xffff0000));
      }
      float[0] = add(number(sum[i * 16 + j]), add(halves[0], halves[1]));
      sum[i * 16 + j] = word[0];
    }
}

/** Results are rounded or wrapped by the typed array they are stored in; f64 arithmetic on f32 operands rounds once. */
function unaryFunction(op: UnaryOp, type: ValueType): (a: number) => number {
  switch (op) {
    case "neg":
      return (a) => -a;
    case "abs":
      return Math.abs;
    case "sqrt":
      return Math.sqrt;
    case "floor":
      return Math.floor;
    case "ceil":
      return Math.ceil;
    case "trunc":
      return Math.trunc;
    case "round":
      return roundHalfEven;
    case "not":
      return type === "mask" ? (a) => 1 - a : (a) => ~a;
    default:
      return op satisfies never;
  }
}

function roundHalfEven(a: number): number {
  if (!(Math.abs(a) < 8388608)) return a;
  const r = Math.round(a);
  const tie = Math.abs(a - Math.trunc(a)) === 0.5;
  const even = tie && r % 2 !== 0 ? r - 1 : r;
  return even === 0 ? (a < 0 || Object.is(a, -0) ? -0 : 0) : even;
}

function binaryFunction(op: BinaryOp, type: ValueType): (a: number, b: number) => number {
  const float = type === "f32";
  switch (op) {
    case "add":
      return (a, b) => a + b;
    case "sub":
      return (a, b) => a - b;
    case "mul":
      return float ? (a, b) => a * b : Math.imul;
    case "div":
      return float ? (a, b) => a / b : (a, b) => (b === 0 ? 0 : Math.trunc(a / b));
    case "rem":
      return (a, b) => (b === 0 ? 0 : a % b);
    case "min":
      return Math.min;
    case "max":
      return Math.max;
    case "and":
      return (a, b) => a & b;
    case "or":
      return (a, b) => a | b;
    case "xor":
      return (a, b) => a ^ b;
    case "shl":
      return (a, b) => a << (b & 31);
    case "shr":
      return type === "u32" ? (a, b) => a >>> (b & 31) : (a, b) => a >> (b & 31);
    case "mulhi":
      return type === "u32"
        ? (a, b) => Number((BigInt(a) * BigInt(b)) >> 32n)
        : (a, b) => Number(BigInt.asIntN(32, (BigInt(a) * BigInt(b)) >> 32n));
    default:
      return op satisfies never;
  }
}

function compareFunction(op: CompareOp): (a: number, b: number) => number {
  switch (op) {
    case "eq":
      return (a, b) => (a === b ? 1 : 0);
    case "ne":
      return (a, b) => (a !== b ? 1 : 0);
    case "lt":
      return (a, b) => (a < b ? 1 : 0);
    case "le":
      return (a, b) => (a <= b ? 1 : 0);
    case "gt":
      return (a, b) => (a > b ? 1 : 0);
    case "ge":
      return (a, b) => (a >= b ? 1 : 0);
    default:
      return op satisfies never;
  }
}

function convertFunction(from: ValueType, to: ValueType): (a: number) => number {
  if (from === "f32" && to === "i32")
    return (a) => (Number.isNaN(a) ? 0 : Math.max(-2147483648, Math.min(2147483647, Math.trunc(a))));
  if (from === "f32" && to === "u32")
    return (a) => (Number.isNaN(a) ? 0 : Math.max(0, Math.min(4294967295, Math.trunc(a))));
  return (a) => a;
}

function bitcastFunction(from: ValueType, to: ValueType): (a: number) => number {
  const view = new DataView(new ArrayBuffer(4));
  return (a) => {
    if (from === "f32") view.setFloat32(0, a);
    else view.setUint32(0, a >>> 0);
    return to === "f32" ? view.getFloat32(0) : to === "u32" ? view.getUint32(0) : view.getInt32(0);
  };
}
