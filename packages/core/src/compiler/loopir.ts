/**
 * LoopIR: what a kernel may say. Affine loops over tasks, three-address vector code, named accumulators.
 *
 * A kernel is a grid of tasks whose order does not matter; it names its buffers and knows nothing about where they
 * lie, so one kernel serves every layer of the same shape. Every construct here exists on WebAssembly, in C and, with
 * one lane per value, in WGSL. `docs/architecture.md` tells how kernels are made; `builder.ts` makes them pleasant to write.
 */
import type { WidePacking } from "./contract/packed-once.ts";
import type { MatrixUnit } from "./lowered.ts";

/** What a local may hold. `mask` is the result of a comparison (all bits of a lane set or clear), never stored. */
export type ValueType = "f32" | "i32" | "u32" | "mask";

/** What a buffer may hold. Loads widen to f32 (f16, bf16) or i32 (u8, i8, i16, bool) and stores narrow back. */
export type StorageType = "f32" | "i32" | "u32" | "u8" | "i8" | "i16" | "f16" | "bf16" | "bool";

export const storageBytes: Record<StorageType, number> = {
  f32: 4,
  i32: 4,
  u32: 4,
  u8: 1,
  i8: 1,
  i16: 2,
  f16: 2,
  bf16: 2,
  bool: 1,
};

/** The compute type a load of this storage type yields. */
export function loadedType(storage: StorageType): "f32" | "i32" | "u32" {
  return storage === "f32" || storage === "f16" || storage === "bf16" ? "f32" : storage === "u32" ? "u32" : "i32";
}

/**
 * A value of a kernel: assigned once by the statement that defines it (or several times, when declared by `var`).
 * `lanes` is 1 for scalars, otherwise a multiple of the target's native width (`TargetProfile.lanes`);
 * targets keep a wider value in several registers.
 */
export interface Local {
  readonly kind: "local";
  readonly id: number;
  readonly type: ValueType;
  readonly lanes: number;
}

/** A literal, the same in every lane. f32 values may be NaN or ±Infinity on CPU targets. For `mask`, 0 or 1. */
export interface Const {
  readonly kind: "const";
  readonly type: ValueType;
  readonly lanes: number;
  readonly value: number;
}

export type Operand = Local | Const;

/** A loop or task variable. Its value runs from 0 to `extent - 1`. */
export interface LoopVar {
  readonly id: number;
  readonly name: string;
  readonly extent: number;
}

/** `constant + Σ stride·variable (+ dynamic)`, in elements of the buffer. `dynamic` is a scalar i32. */
export interface Affine {
  readonly constant: number;
  readonly terms: readonly AffineTerm[];
  readonly dynamic?: Operand;
}
export interface AffineTerm {
  readonly variable: LoopVar;
  readonly stride: number;
}

/**
 * A buffer parameter of a kernel. The buffer is aligned to 64 bytes and followed by at least 64 readable bytes, so a
 * vector load may run past the last element; what it reads there is unspecified.
 * `scratch` is memory of the executing thread alone, unspecified at the start of each task.
 */
export interface Buffer {
  readonly id: number;
  readonly name: string;
  readonly type: StorageType;
  /** Length in elements. */
  readonly size: number;
  readonly access: "read" | "write" | "readwrite" | "scratch";
}

/** f32 → f32 except `not` (i32, u32, mask) and `neg`, `abs` (i32 too). `round` is half to even. */
export type UnaryOp = "neg" | "abs" | "sqrt" | "floor" | "ceil" | "trunc" | "round" | "not";

/**
 * Same type on both sides and in the result.
 * - `div` on f32 follows IEEE. Integer `div` truncates towards zero, `x/0 = 0`, `MIN/-1 = MIN`; `rem` has the sign of
 *   the dividend, `x%0 = 0`, `MIN%-1 = 0`.
 * - f32 `min`/`max` return NaN if either side is NaN, and -0 < +0 (wasm's `f32.min`/`max`).
 * - `shl`, `shr` take the count modulo 32; `shr` is arithmetic on i32, logical on u32. The count may be a vector.
 * - `mulhi` (u32, i32) is the upper half of the 64-bit product.
 * - on `mask`: `and`, `or`, `xor` only.
 */
export type BinaryOp =
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "rem"
  | "min"
  | "max"
  | "and"
  | "or"
  | "xor"
  | "shl"
  | "shr"
  | "mulhi";

/** Result is a `mask` of the same lanes. Ordered comparisons with NaN are false, `ne` is true. */
export type CompareOp = "eq" | "ne" | "lt" | "le" | "gt" | "ge";

/**
 * - `convert`: f32 ↔ i32/u32 by value (f32 → int saturates, NaN → 0, truncates), i32 ↔ u32 keeps bits;
 * - `bitcast`: same bits, f32 ↔ i32 ↔ u32;
 * - `splat`: scalar → all lanes;
 * - `extract`: lane `lane` → scalar (not of a mask);
 * - `any`: mask → scalar mask, true when a lane is set;
 * - `iota`: i32, lane number in each lane, no arguments;
 * - `index`: scalar i32 value of an affine form;
 * - `broadcastLane`: lane `lane` → all lanes;
 * - `half`: the lower (`half` 0) or upper half (1) of the lanes, of which there are at least 8;
 * - `zip`: lanes of a and b in turns, a first: those of their lower (`half` 0) or upper halves (1). Not of a mask.
 *
 * Matrix units (only for targets with `TargetProfile.matrix`) have eight registers, `tile` 0 to 7, of 16 rows of 16 words:
 * - `tileZero`, `tileLoad`, `tileStore` (16 f32 or u32 in each row, rows `pitch` elements apart);
 * - `tileDot`: `sum[i][j] += Σ a[i][p]·b[p][j]` in f32, where words of a and b are pairs of bf16: the sum over the lower
 *   halves in the order of p, that over the upper halves, and these two sums are added, then the result to `sum`, each
 *   rounded to nearest, with subnormal numbers as zeros.
 */
export type Stmt =
  | { readonly kind: "unary"; readonly op: UnaryOp; readonly dst: Local; readonly a: Operand }
  | { readonly kind: "binary"; readonly op: BinaryOp; readonly dst: Local; readonly a: Operand; readonly b: Operand }
  | { readonly kind: "compare"; readonly op: CompareOp; readonly dst: Local; readonly a: Operand; readonly b: Operand }
  /** a·b + c in f32: one rounding where the target has FMA and `strict` is off, else multiply then add. */
  | { readonly kind: "fma"; readonly dst: Local; readonly a: Operand; readonly b: Operand; readonly c: Operand }
  /** mask ? a : b, per lane. The mask has the lanes of a and b. */
  | { readonly kind: "select"; readonly dst: Local; readonly mask: Operand; readonly a: Operand; readonly b: Operand }
  | { readonly kind: "convert" | "bitcast" | "splat" | "any"; readonly dst: Local; readonly a: Operand }
  | { readonly kind: "extract" | "broadcastLane"; readonly dst: Local; readonly a: Operand; readonly lane: number }
  | { readonly kind: "iota"; readonly dst: Local }
  | { readonly kind: "half"; readonly dst: Local; readonly a: Operand; readonly half: 0 | 1 }
  | { readonly kind: "zip"; readonly dst: Local; readonly a: Operand; readonly b: Operand; readonly half: 0 | 1 }
  | { readonly kind: "tileZero"; readonly tile: number }
  | {
      readonly kind: "tileLoad" | "tileStore";
      readonly tile: number;
      readonly buffer: Buffer;
      readonly at: Affine;
      readonly pitch: number;
    }
  | { readonly kind: "tileDot"; readonly sum: number; readonly a: number; readonly b: number }
  | { readonly kind: "index"; readonly dst: Local; readonly at: Affine }
  /**
   * Loads `dst.lanes` elements `at, at+stride, …`; `stride` 0 repeats one element in every lane (splat load), default 1.
   * A load with stride 1 may read past the last element (see Buffer); with another stride only the first `count` lanes
   * (default all) are read, the others are unspecified.
   */
  | {
      readonly kind: "load";
      readonly dst: Local;
      readonly buffer: Buffer;
      readonly at: Affine;
      readonly stride?: number;
      readonly count?: number;
    }
  /** Lane l reads element `at + indices[l]`; every index must be inside the buffer. */
  | {
      readonly kind: "gather";
      readonly dst: Local;
      readonly buffer: Buffer;
      readonly at: Affine;
      readonly indices: Operand;
    }
  /** Stores the first `count` lanes (default all) to `at, at+stride, …` (stride default 1). Writes nothing else. */
  | {
      readonly kind: "store";
      readonly buffer: Buffer;
      readonly at: Affine;
      readonly value: Operand;
      readonly stride?: number;
      readonly count?: number;
    }
  /** Hint: the cache line of this element will be needed soon. May point anywhere inside the buffer. */
  | { readonly kind: "prefetch"; readonly buffer: Buffer; readonly at: Affine }
  /** Declares a local that `assign` may change. */
  | { readonly kind: "var"; readonly dst: Local; readonly init: Operand }
  | { readonly kind: "assign"; readonly dst: Local; readonly value: Operand }
  /** Runs `body` for variable = 0 … extent-1. `unroll` (a divisor of the extent) is a hint. */
  | { readonly kind: "loop"; readonly variable: LoopVar; readonly body: readonly Stmt[]; readonly unroll?: number }
  /** Runs `test`, then `body` if `condition` (a scalar mask that `test` defines) holds, and so on until it does not. */
  | {
      readonly kind: "while";
      readonly test: readonly Stmt[];
      readonly condition: Operand;
      readonly body: readonly Stmt[];
    }
  /** `condition` is a scalar mask. */
  | {
      readonly kind: "if";
      readonly condition: Operand;
      readonly then: readonly Stmt[];
      readonly otherwise?: readonly Stmt[];
    };

/** Calls `each` for all statements, those of inner blocks after the one that holds them; `depth` counts the loops around. */
export function visit(stmts: readonly Stmt[], each: (s: Stmt, depth: number) => void, depth = 0): void {
  for (const s of stmts) {
    each(s, depth);
    if (s.kind === "loop") visit(s.body, each, depth + 1);
    else if (s.kind === "while") {
      visit(s.test, each, depth + 1);
      visit(s.body, each, depth + 1);
    } else if (s.kind === "if") {
      visit(s.then, each, depth);
      if (s.otherwise) visit(s.otherwise, each, depth);
    }
  }
}

/** A grid of independent tasks. The last variable of `grid` runs fastest in the linear task number. */
export interface Kernel {
  /** A valid identifier that says what it computes, e.g. `conv2d_relu`. */
  readonly name: string;
  readonly buffers: readonly Buffer[];
  readonly grid: readonly LoopVar[];
  readonly body: readonly Stmt[];
  /** Estimated arithmetic of the whole kernel in FLOPs (one FMA is two) and traffic in bytes. */
  readonly flops: number;
  readonly bytes: number;
  /** Name of its machine code in the device; such a kernel needs no buffers and no body. */
  readonly symbol?: string;
}

/** Number of tasks of a kernel. */
export function taskCount(kernel: Kernel): number {
  return kernel.grid.reduce((product, v) => product * v.extent, 1);
}

/** What lowering may know about a target. Choices made from it never change the order of summation. */
export interface TargetProfile {
  readonly name: "wasm" | "c" | "interpreter" | "wgsl";
  /** Native f32 lanes: wasm 4, AVX2 8, AVX-512 16. */
  readonly lanes: 1 | 4 | 8 | 16;
  /** Register tile of contractions: rows × vectors of `lanes`. */
  readonly tile: { readonly rows: number; readonly vectors: number; readonly unroll: number };
  /** No FMA, no Winograd and no matrix unit: equal bits on every target. */
  readonly strict: boolean;
  /** The kernels become part of a task, so that cutting them into tasks gains nothing. */
  readonly inner?: boolean;
  /** "direct" keeps 3×3 convolutions from Winograd's algorithm. Default "auto": by the shape. */
  readonly convolution?: "direct" | "auto";
  /** How large products use a matrix unit (see `Stmt`), from the device that has one. Never with `strict`. */
  readonly matrix?: MatrixUnit;
  /** How products pack their factors for vectors of 8 lanes and more, from the device that has them. */
  readonly wide?: WidePacking;
}

/** Where one buffer of a call lies: `slot` selects an entry of the program's address table, plus a byte offset. */
export interface Binding {
  readonly slot: number;
  readonly offset: number;
}

/** One execution of a kernel inside a program; `bindings` in the order of the kernel's non-scratch buffers. */
export interface KernelCall {
  readonly kernel: number;
  readonly bindings: readonly Binding[];
  /** Layer or op this call belongs to, for the profiler and error messages. */
  readonly label: string;
}

/**
 * A stage is a list of calls that may run at the same time. Stages run one after the other. Calls inside a serial stage
 * run in order on one thread; calls of a parallel stage are independent and cut into chunks of tasks.
 */
export interface Stage {
  readonly calls: readonly KernelCall[];
  readonly serial: boolean;
  /** Tasks per chunk of each call (parallel stages). A function of shapes alone. */
  readonly chunk: readonly number[];
}

/**
 * A compiled program before code generation: plain data, the same for every CPU target.
 * The address table has one entry per slot: slot 0 is the arena (inputs, intermediates, outputs; the device shares one
 * arena among all programs, nothing in it outlives a run), slot 1 the program's own constants, the others are state
 * stores (weights, optimizer slots, metrics), whose addresses the caller fills in.
 */
export interface LoopProgram {
  readonly kernels: readonly Kernel[];
  readonly stages: readonly Stage[];
  /** Bytes of slot 0. */
  readonly arenaBytes: number;
  /** Contents of slot 1. */
  readonly constants: Uint8Array;
  /** Bytes of scratch that one thread needs (all scratch buffers of a kernel, each aligned to 64). */
  readonly scratchBytes: number;
  /** Number of slots, at least 2. */
  readonly slots: number;
}
