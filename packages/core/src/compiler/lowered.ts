/** What the lowering of one graph operation hands to the scheduler: kernels in order, and who their buffers are. */
import type { Index, KernelBuilder } from "./builder.ts";
import type { Buffer, Kernel, Operand, StorageType, TargetProfile } from "./loopir.ts";

/**
 * Which value a kernel buffer stands for: an input of the operation (then of the epilogue, numbered after them), an
 * output, or a temporary that the lowering asked for.
 */
export interface Role {
  readonly role: "input" | "output" | "temp";
  readonly index: number;
}

/** One kernel of a lowering; `roles` in the order of the kernel's non-scratch buffers. */
export interface LoweredStep {
  readonly kernel: Kernel;
  readonly roles: readonly Role[];
}

export interface Lowered {
  readonly steps: readonly LoweredStep[];
  /** Temporaries shared by the steps (packed panels, transformed kernels, partial sums), in elements. */
  readonly temps: readonly { readonly type: StorageType; readonly size: number }[];
}

/**
 * Elementwise work that a contraction does on its result before storing it. The result is seen as a row-major matrix
 * [rows, columns] whose columns are its last axis.
 */
export interface Epilogue {
  /** Further buffers the epilogue reads (bias, a tensor added to the result, …). */
  readonly inputs: readonly { readonly name: string; readonly type: StorageType; readonly size: number }[];
  /** What is stored. */
  readonly outType: StorageType;
  /**
   * Returns what to store for the `value.lanes` results at `row` and columns `column …`. `buffers` stand for `inputs`.
   * `row` and `column` are affine in the kernel's loop and task variables.
   */
  emit(b: KernelBuilder, value: Operand, buffers: readonly Buffer[], row: Index, column: Index): Operand;
}

/** An axis of a matrix product out[m, n] = Σk a[m, k]·b[k, n]. */
export type DotAxis = "m" | "n" | "k";

/**
 * Two axes of a product of which the first must not be ahead: of the terms a[m, k]·b[k, n] those count whose index along
 * the first is at most that along the second. All others are zero, or go into results that nobody looks at. Kernels may
 * leave them out or not: a result without any term is stored as the zero that its sum begins with.
 */
export type Triangle = readonly [DotAxis, DotAxis];

/**
 * Matrix product out[batch…, m, n] = Σk a[batch…, m, k]·b[batch…, k, n], f32, out contiguous or with the strides given
 * (`writesRows` in contract/dot.ts says where these are possible) and a stride of 1 along n.
 * Strides are in elements; a batch stride may be 0 (broadcast).
 */
export interface DotSpec {
  readonly batch: readonly number[];
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: {
    readonly size: number;
    readonly offset: number;
    readonly batch: readonly number[];
    readonly m: number;
    readonly k: number;
  };
  readonly b: {
    readonly size: number;
    readonly offset: number;
    readonly batch: readonly number[];
    readonly k: number;
    readonly n: number;
  };
  readonly out?: { readonly batch: readonly number[]; readonly m: number };
  readonly triangle?: Triangle;
}

/** Products on a matrix unit (`contract/matrix.ts`): an object, so that pages, which have none, do not carry its code. */
export interface MatrixUnit {
  /** Whether a product is one for the unit, from its shape. */
  fits(spec: DotSpec): boolean;
  product(name: string, spec: DotSpec, profile: TargetProfile, epilogue: Epilogue | null): Lowered;
}

/**
 * A convolution of any number (1 to 3) of spatial dimensions, channels last:
 * x [N, …S, C], kernel [...K, C/groups, F], y [N, …S', F], all contiguous f32. It is a cross-correlation, as everywhere in the field.
 * `y[n, o, f] = Σ x[n, o·stride + k·dilation - padLow, c]·kernel[k, c, f]`; outside x is 0.
 */
export interface ConvSpec {
  readonly batch: number;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly groups: number;
  readonly spatial: readonly {
    readonly in: number;
    readonly out: number;
    readonly kernel: number;
    readonly stride: number;
    readonly dilation: number;
    readonly padLow: number;
  }[];
}
