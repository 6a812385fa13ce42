/** Adds up the partial sums of a split summation in a fixed order, and applies the epilogue. */
import { affine, type Index, type KernelBuilder, scaled } from "../builder.ts";
import type { Buffer, Operand, TargetProfile } from "../loopir.ts";
import type { Epilogue, LoweredStep } from "../lowered.ts";
import { overVectors } from "./pack.ts";
import { columnPieces, partsNear, taskPieces, taskRuns } from "./split.ts";
import { outputSink, Step } from "./step.ts";

/** Pairwise sum of the values of `at(first … first+count-1)`. */
export function sumTree(b: KernelBuilder, first: number, count: number, at: (i: number) => Operand): Operand {
  if (count === 1) return at(first);
  const half = Math.ceil(count / 2);
  const left = sumTree(b, first, half, at);
  return b.add(left, sumTree(b, first + half, count - half, at));
}

/**
 * Sum of the values of `at(0) … at(count-1)`, taken in pairs where the count is even: a loop, so that the code for many is
 * as long as that for few. They are few themselves (16 at most) beside the terms that each of them is the sum of.
 */
function sumLoop(b: KernelBuilder, count: number, lanes: number, at: (i: Index) => Operand): Operand {
  const together = count % 2 === 0 ? 2 : 1;
  // -0 is what changes no sum.
  const sum = b.var(b.f32(-0, lanes));
  b.loop("part", count / together, (v) => {
    const i = scaled(v, together);
    b.assign(sum, b.add(sum, together === 1 ? at(i) : b.add(at(i), at(affine(i, 1)))));
  });
  return sum;
}

/** Temporary `temp` holds [parts, rows, columns]; the sum over parts becomes the output. */
export function reduceParts(
  name: string,
  temp: number,
  parts: number,
  rows: number,
  columns: number,
  epilogue: Epilogue | null,
  inputs: number,
  profile: TargetProfile,
): LoweredStep {
  const step = new Step(`${name}_sum`);
  const { b } = step;
  const size = rows * columns;
  const partial = step.temp(temp, "partial", parts * size, "read");
  const sum = (buffer: Buffer, at: Index, lanes: number) =>
    sumLoop(b, parts, lanes, (p) => b.load(buffer, affine(at, scaled(p, size)), lanes));
  // Without an epilogue rows do not matter, so the matrix is one long row.
  const [r, c] = epilogue ? [rows, columns] : [1, size];
  const sink = outputSink(step, epilogue, r, c, inputs);
  const wanted = Math.max(1, Math.min(16, Math.floor(size / 4096)));
  if (r === 1 || (c > r && c >= 1024)) {
    const pieces = taskRuns(b, "part", columnPieces(c, profile.lanes * 4, wanted));
    pieces((start, count) =>
      b.loop("row", r, (row) =>
        overVectors(b, profile.lanes, count, (at, lanes, valid) => {
          const column = affine(at, start);
          sink.store(row, column, sum(partial, affine(scaled(row, c), column), lanes), valid);
        }),
      ),
    );
  } else {
    const pieces = taskPieces(b, "rows", r, partsNear(r, wanted));
    pieces((start, count) =>
      b.loop("row", count, (v) =>
        overVectors(b, profile.lanes, c, (column, lanes, valid) => {
          const row = affine(start, v);
          sink.store(row, column, sum(partial, affine(scaled(row, c), column), lanes), valid);
        }),
      ),
    );
  }
  return step.finish({ flops: parts * size, bytes: 4 * (parts + 1) * size });
}
