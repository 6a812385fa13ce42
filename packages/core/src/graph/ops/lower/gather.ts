/** Kernels of indexing: rows gathered and added up, and the same along an axis. */
import { affine, dynamic, type Index, type KernelBuilder, scaled } from "../../../compiler/builder.ts";
import {
  type Affine,
  type LoopVar,
  loadedType,
  type Operand,
  type StorageType,
  storageBytes,
} from "../../../compiler/loopir.ts";
import type { Lowered } from "../../../compiler/lowered.ts";
import {
  copyRow,
  copyStep,
  fillRow,
  LowerStep,
  nothing,
  only,
  overBlocks,
  overTasks,
  overVectors,
  single,
  taskBytes,
  wide,
} from "./step.ts";

/** A tensor seen as [outer, n, inner] around the indexed axis, and the number of indices. */
export interface Rows {
  readonly outer: number;
  readonly n: number;
  readonly inner: number;
  readonly m: number;
}

/** Indices outside 0 … n-1 mean the nearest element. */
function clamped(b: KernelBuilder, index: Operand, n: number): Operand {
  return b.min(b.max(index, b.i32(0, index.lanes)), b.i32(Math.max(0, n - 1), index.lanes));
}

/** Inputs x [outer, n, inner] and indices [m]; output [outer, m, inner]. */
export function lowerGather({ outer, n, inner, m }: Rows, type: StorageType, native: number): Lowered {
  if (outer * m * inner === 0) return nothing;
  const step = new LowerStep("gather");
  const { b } = step;
  const x = step.input(0, "x", outer * n * inner, type);
  const indices = step.input(1, "indices", m, "i32");
  const y = step.output(0, "y", outer * m * inner, type);
  const bytes = storageBytes[type];
  if (inner === 1) {
    const blocks = Math.ceil(m / 4096);
    const perBlock = Math.ceil(m / blocks / wide) * wide;
    overTasks(b, [outer], bytes * m * 4, ([o]) =>
      overBlocks(b, m, perBlock, (start, length) =>
        overVectors(b, length, native, (v, lanes, count) => {
          const index = clamped(b, b.load(indices, affine(start, v), lanes), n);
          b.store(y, affine(scaled(o, m), start, v), b.gather(x, scaled(o, n), index), only(count, lanes));
        }),
      ),
    );
  } else {
    overTasks(b, [outer, m], 2 * bytes * inner, ([o, j]) => {
      const index = clamped(b, b.load(indices, j), n);
      const from = affine(scaled(o, n * inner), dynamic(b.mul(index, b.i32(inner))));
      copyRow(b, x, from, y, affine(scaled(o, m * inner), scaled(j, inner)), inner, native);
    });
  }
  return single(step.finish({ flops: 0, bytes: 2 * bytes * outer * m * inner + 4 * m }));
}

/**
 * Inputs indices [m] and updates [outer, m, inner]; output [outer, n, inner]: zeros, then the updates added in the order of
 * the indices. A task owns columns, so no two tasks meet and every element has one order of summation.
 */
export function lowerScatterAdd({ outer, n, inner, m }: Rows, type: StorageType, native: number): Lowered {
  const size = outer * n * inner;
  if (size === 0) return nothing;
  const bytes = storageBytes[type];
  const zero = copyStep("scatter_zero", size, type, bytes, native, { value: 0 });
  if (m === 0) return { steps: [zero], temps: [] };
  const step = new LowerStep("scatter_add");
  const { b } = step;
  const indices = step.input(0, "indices", m, "i32");
  const updates = step.input(1, "updates", outer * m * inner, type);
  const y = step.output(0, "y", size, type, "readwrite");
  const columns = Math.max(wide, Math.floor(taskBytes / (3 * bytes * m) / wide) * wide);
  overTasks(b, [outer], 3 * bytes * m * inner, ([o]) =>
    overBlocks(b, inner, Math.min(inner, columns), (start, length) =>
      b.loop("j", m, (j) => {
        const index = clamped(b, b.load(indices, j), n);
        const to = affine(scaled(o, n * inner), start, dynamic(b.mul(index, b.i32(inner))));
        const from = affine(scaled(o, m * inner), scaled(j, inner), start);
        if (inner === 1) {
          b.store(y, to, b.add(b.load(y, to), b.load(updates, from)));
          return;
        }
        overVectors(b, length, native, (v, lanes, count) => {
          const sum = b.add(b.load(y, affine(to, v), lanes), b.load(updates, affine(from, v), lanes));
          b.store(y, affine(to, v), sum, only(count, lanes));
        });
      }),
    ),
  );
  const added = step.finish({ flops: outer * m * inner, bytes: 3 * bytes * outer * m * inner });
  return { steps: [zero, added], temps: [] };
}

/**
 * Inputs indices [m] and updates [m, inner]; outputs y [n, inner], of which only the rows that the indices name are
 * written, with the sums of their updates in the order of the indices, and named [n]. A task owns columns.
 */
export function lowerScatterRows({ n, inner, m }: Rows, type: StorageType, native: number): Lowered {
  const bytes = storageBytes[type];
  const mark = new LowerStep("scatter_mark");
  {
    const { b } = mark;
    const indices = mark.input(0, "indices", m, "i32");
    const named = mark.output(1, "named", n, "bool");
    fillRow(b, named, 0, n, 0, native);
    b.loop("j", m, (j) => b.store(named, dynamic(clamped(b, b.load(indices, j), n)), b.i32(1)));
  }
  const step = new LowerStep("scatter_rows");
  const { b } = step;
  const indices = step.input(0, "indices", m, "i32");
  const updates = step.input(1, "updates", m * inner, type);
  const y = step.output(0, "y", n * inner, type, "readwrite");
  const zero = (lanes: number) => b.const(loadedType(type), 0, lanes);
  const columns = Math.max(wide, Math.floor(taskBytes / (3 * bytes * m) / wide) * wide);
  overBlocks(b, inner, Math.min(inner, columns), (start, length) => {
    const rows = (body: (j: LoopVar, to: Affine) => void): void =>
      b.loop("j", m, (j) => {
        const index = clamped(b, b.load(indices, j), n);
        body(j, affine(start, dynamic(b.mul(index, b.i32(inner)))));
      });
    rows((_, to) =>
      overVectors(b, length, native, (v, lanes, count) => b.store(y, affine(to, v), zero(lanes), only(count, lanes))),
    );
    rows((j, to) =>
      overVectors(b, length, native, (v, lanes, count) => {
        const update = b.load(updates, affine(scaled(j, inner), start, v), lanes);
        b.store(y, affine(to, v), b.add(b.load(y, affine(to, v), lanes), update), only(count, lanes));
      }),
    );
  });
  return {
    steps: [
      mark.finish({ flops: 0, bytes: n + 5 * m }),
      step.finish({ flops: m * inner, bytes: 4 * bytes * m * inner }),
    ],
    temps: [],
  };
}

/** Inputs x [outer, n, inner] and indices [outer, m, inner]; y[o, j, k] = x[o, indices[o, j, k], k]. */
export function lowerTakeAlong({ outer, n, inner, m }: Rows, type: StorageType, native: number): Lowered {
  const size = outer * m * inner;
  if (size === 0) return nothing;
  const step = new LowerStep("take_along_axis");
  const { b } = step;
  const x = step.input(0, "x", outer * n * inner, type);
  const indices = step.input(1, "indices", size, "i32");
  const y = step.output(0, "y", size, type);
  const bytes = storageBytes[type];
  /** One vector of the output; `lane` is the distance in x of neighbouring lanes with equal indices. */
  const take = (at: Index, from: Index, lane: number, lanes: number, count: number): void => {
    const row = clamped(b, b.load(indices, at, lanes), n);
    const scaledRow = inner === 1 ? row : b.mul(row, b.i32(inner, lanes));
    // Lanes behind the last read whatever the index buffer's slack holds: their clamped index is valid, their row may not be.
    const lanesAt = lane === 0 ? null : b.min(b.iota(lanes), b.i32(count - 1, lanes));
    const position = lanesAt ? b.add(scaledRow, lane === 1 ? lanesAt : b.mul(lanesAt, b.i32(lane, lanes))) : scaledRow;
    b.store(y, at, b.gather(x, from, position), only(count, lanes));
  };
  if (inner > 1) {
    overTasks(b, [outer, m], (2 * bytes + 4) * inner, ([o, j]) =>
      overVectors(b, inner, native, (v, lanes, count) =>
        take(affine(scaled(o, m * inner), scaled(j, inner), v), affine(scaled(o, n * inner), v), 1, lanes, count),
      ),
    );
  } else if (m > 1) {
    overTasks(b, [outer], (2 * bytes + 4) * m, ([o]) =>
      overVectors(b, m, native, (v, lanes, count) => take(affine(scaled(o, m), v), scaled(o, n), 0, lanes, count)),
    );
  } else {
    overBlocks(b, outer, 4096, (start, length) =>
      overVectors(b, length, native, (v, lanes, count) =>
        take(affine(start, v), scaled(affine(start, v), n), n, lanes, count),
      ),
    );
  }
  return single(step.finish({ flops: 0, bytes: (2 * bytes + 4) * size }));
}

/**
 * Inputs indices and updates [outer, m, inner]; output [outer, n, inner]: zeros, then y[o, indices[o, j, k], k] +=
 * updates[o, j, k] in the order of j. Tasks own outer rows, or columns where there are few rows.
 */
export function lowerScatterAlong({ outer, n, inner, m }: Rows, type: StorageType, native: number): Lowered {
  const size = outer * n * inner;
  if (size === 0) return nothing;
  const bytes = storageBytes[type];
  const zero = copyStep("scatter_zero", size, type, bytes, native, { value: 0 });
  if (m === 0) return { steps: [zero], temps: [] };
  const step = new LowerStep("scatter_add_along_axis");
  const { b } = step;
  const indices = step.input(0, "indices", outer * m * inner, "i32");
  const updates = step.input(1, "updates", outer * m * inner, type);
  const y = step.output(0, "y", size, type, "readwrite");
  const columns = Math.max(wide, Math.floor(taskBytes / (12 * m) / wide) * wide);
  overTasks(b, [outer], 12 * m * inner, ([o]) =>
    overBlocks(b, inner, Math.min(inner, columns), (start, length) =>
      b.loop("j", m, (j) =>
        b.loop("k", length, (k) => {
          const from = affine(scaled(o, m * inner), scaled(j, inner), start, k);
          const row = clamped(b, b.load(indices, from), n);
          const to = affine(scaled(o, n * inner), start, k, dynamic(b.mul(row, b.i32(inner))));
          b.store(y, to, b.add(b.load(y, to), b.load(updates, from)));
        }),
      ),
    ),
  );
  const added = step.finish({ flops: outer * m * inner, bytes: (3 * bytes + 4) * outer * m * inner });
  return { steps: [zero, added], temps: [] };
}
