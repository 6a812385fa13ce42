/** Kernels of slices whose place is known only when the program runs. */
import { affine, dynamic, type Index, type KernelBuilder, scaled } from "../../../compiler/builder.ts";
import { type Operand, type StorageType, storageBytes } from "../../../compiler/loopir.ts";
import type { Lowered } from "../../../compiler/lowered.ts";
import { rowMajor, type Shape, sizeOf } from "../../types.ts";
import { copyRow, copyStep, LowerStep, nothing, overBlocks, overTasks, single, taskBytes } from "./step.ts";

/** A block [sizes] of a tensor [shape] as runs of neighbouring elements. */
interface Runs {
  /** Loops around a run, with their strides in the tensor and in the block. */
  readonly extents: readonly number[];
  readonly strides: readonly number[];
  readonly blockStrides: readonly number[];
  readonly length: number;
}

function runsOf(shape: Shape, sizes: Shape): Runs {
  const strides = rowMajor(shape);
  const blockStrides = rowMajor(sizes);
  // Axes that are taken whole join the axis before them.
  let last = shape.length - 1;
  while (last > 0 && sizes[last] === shape[last]) last--;
  return {
    extents: sizes.slice(0, last),
    strides: strides.slice(0, last),
    blockStrides: blockStrides.slice(0, last),
    length: sizeOf(sizes.slice(last)),
  };
}

/** Element of the tensor where the block begins: starts come from inputs `first`, … and are kept inside. */
function blockStart(step: LowerStep, first: number, shape: Shape, sizes: Shape): () => Operand {
  const strides = rowMajor(shape);
  const parts = shape.flatMap((d, i) =>
    d === sizes[i]
      ? []
      : [{ buffer: step.input(first + i, `start${i}`, 1, "i32"), room: d - sizes[i], stride: strides[i] }],
  );
  const { b } = step;
  return () =>
    parts.reduce<Operand>((sum, { buffer, room, stride }) => {
      const start = b.min(b.max(b.load(buffer, 0), b.i32(0)), b.i32(room));
      const term = b.mul(start, b.i32(stride));
      return sum.kind === "const" ? term : b.add(sum, term);
    }, b.i32(0));
}

/** Copies run by run, long runs in several tasks. */
function overRuns(
  b: KernelBuilder,
  runs: Runs,
  bytes: number,
  body: (inTensor: Index, inBlock: Index, length: number) => void,
): void {
  overTasks(b, runs.extents, 2 * bytes * runs.length, (at) => {
    const sum = (strides: readonly number[]) => affine(...at.map((v, i) => scaled(v, strides[i])));
    overBlocks(b, runs.length, taskBytes / bytes, (start, length) =>
      body(affine(sum(runs.strides), start), affine(sum(runs.blockStrides), start), length),
    );
  });
}

/** Inputs x and one i32 per axis; the output is the block of `sizes` there. */
export function lowerDynamicSlice(shape: Shape, sizes: Shape, type: StorageType, native: number): Lowered {
  const size = sizeOf(sizes);
  if (size === 0) return nothing;
  const step = new LowerStep("dynamic_slice");
  const x = step.input(0, "x", sizeOf(shape), type);
  const start = blockStart(step, 1, shape, sizes);
  const y = step.output(0, "y", size, type);
  const runs = runsOf(shape, sizes);
  const bytes = storageBytes[type];
  overRuns(step.b, runs, bytes, (inTensor, inBlock, length) =>
    copyRow(step.b, x, affine(inTensor, dynamic(start())), y, inBlock, length, native),
  );
  return single(step.finish({ flops: 0, bytes: 2 * bytes * size }));
}

/** Inputs x, the block, and one i32 per axis; the output is x with the block written there. */
export function lowerDynamicUpdate(shape: Shape, sizes: Shape, type: StorageType, native: number): Lowered {
  const total = sizeOf(shape);
  const size = sizeOf(sizes);
  if (total === 0) return nothing;
  const bytes = storageBytes[type];
  const copy = copyStep("dynamic_update_copy", total, type, bytes, native, { input: 0 });
  if (size === 0) return { steps: [copy], temps: [] };
  const step = new LowerStep("dynamic_update");
  const block = step.input(1, "block", size, type);
  const start = blockStart(step, 2, shape, sizes);
  const y = step.output(0, "y", total, type);
  const runs = runsOf(shape, sizes);
  overRuns(step.b, runs, bytes, (inTensor, inBlock, length) =>
    copyRow(step.b, block, inBlock, y, affine(inTensor, dynamic(start())), length, native),
  );
  const written = step.finish({ flops: 0, bytes: 2 * bytes * size });
  return { steps: sizes.every((d, i) => d === shape[i]) ? [written] : [copy, written], temps: [] };
}
