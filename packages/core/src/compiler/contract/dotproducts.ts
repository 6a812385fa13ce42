/**
 * Products whose K is contiguous, with one to three columns (or rows, when b is transposed): dot products over 16 logical
 * lanes, added up by a fixed tree.
 */

import type { KernelBuilder } from "../builder.ts";
import { affine, scaled } from "../builder.ts";
import type { Affine, Local, LoopVar, Operand } from "../loopir.ts";
import type { DotSpec, Epilogue, Lowered, LoweredStep } from "../lowered.ts";
import { partsNear, taskPieces, tasksFor } from "./split.ts";
import { outputSink, Step } from "./step.ts";

const logicalLanes = 16;

/** The many vectors along K and the few, and where the product of the i-th of the many and the c-th of the few goes. */
interface Sides {
  readonly many: {
    input: 0 | 1;
    size: number;
    offset: number;
    batch: readonly number[];
    count: number;
    stride: number;
  };
  readonly few: {
    input: 0 | 1;
    size: number;
    offset: number;
    batch: readonly number[];
    count: number;
    stride: number;
    k: number;
  };
  readonly fewAreColumns: boolean;
}

function sides(spec: DotSpec): Sides | undefined {
  const { a, b, m, n, k } = spec;
  if (k < 2 * logicalLanes) return undefined;
  if (n <= 3 && a.k === 1)
    return {
      many: { input: 0, size: a.size, offset: a.offset, batch: a.batch, count: m, stride: a.m },
      few: { input: 1, size: b.size, offset: b.offset, batch: b.batch, count: n, stride: b.n, k: b.k },
      fewAreColumns: true,
    };
  if (m <= 3 && b.k === 1 && b.n !== 1)
    return {
      many: { input: 1, size: b.size, offset: b.offset, batch: b.batch, count: n, stride: b.n },
      few: { input: 0, size: a.size, offset: a.offset, batch: a.batch, count: m, stride: a.m, k: a.k },
      fewAreColumns: false,
    };
  return undefined;
}

export function isDotProducts(spec: DotSpec): boolean {
  return sides(spec) !== undefined;
}

/** The sum of all lanes: lane i is added to lane i + half, and so on. */
export function sumLanes(b: KernelBuilder, value: Local): Operand {
  return b.foldLanes(value, (x, y) => b.add(x, y));
}

export function dotProducts(spec: DotSpec, epilogue: Epilogue | null): Lowered {
  const { m, n, k } = spec;
  const { many, few, fewAreColumns } = sides(spec)!;
  const count = spec.batch.reduce((p, x) => p * x, 1);
  const flops = 2 * count * m * n * k;
  const name = `dot_${m}x${n}x${k}`;
  const steps: LoweredStep[] = [];
  // The few are read along k; they are gathered into rows unless they are rows already.
  const gathered = few.k !== 1;
  const pitch = Math.ceil(k / logicalLanes) * logicalLanes;
  const temp = count * few.count * pitch;
  if (gathered) {
    const step = new Step(`${name}_gather`);
    const { b } = step;
    const from = step.input(few.input, "few", few.size);
    const to = step.temp(0, "rows", temp, "write");
    const batch = spec.batch.map((extent, i) => b.task(`batch${i}`, extent));
    const base = flat(batch, spec.batch, few.count * pitch);
    const source = affine(few.offset, ...batch.map((v, i) => scaled(v, few.batch[i])));
    b.loop("few", few.count, (c) => {
      const row = (at: Affine, valid: number): void => {
        const options = { stride: few.k, count: valid };
        const x = b.load(from, affine(source, scaled(c, few.stride), scaled(at, few.k)), logicalLanes, options);
        b.store(to, affine(base, scaled(c, pitch), at), x);
      };
      const whole = Math.floor(k / logicalLanes);
      b.loop("k", whole, (v) => row(scaled(v, logicalLanes), logicalLanes));
      if (whole * logicalLanes < k) row(affine(whole * logicalLanes), k - whole * logicalLanes);
    });
    steps.push(step.finish({ flops: 0, bytes: 8 * count * few.count * k }));
  }
  const step = new Step(name);
  const { b } = step;
  const left = step.input(many.input, "many", many.size);
  const right = gathered ? step.temp(0, "rows", temp, "read") : step.input(few.input, "few", few.size);
  const sink = outputSink(step, epilogue, count * m, n, 2);
  const batch = spec.batch.map((extent, i) => b.task(`batch${i}`, extent));
  const task = taskPieces(b, "many", many.count, partsNear(many.count, Math.ceil(tasksFor(flops) / count)));
  const baseLeft = affine(many.offset, ...batch.map((v, i) => scaled(v, many.batch[i])));
  const baseRight = gathered
    ? flat(batch, spec.batch, few.count * pitch)
    : affine(few.offset, ...batch.map((v, i) => scaled(v, few.batch[i])));
  const baseRow = flat(batch, spec.batch, m);
  const fewPitch = gathered ? pitch : few.stride;
  const whole = Math.floor(k / logicalLanes);
  const rest = k - whole * logicalLanes;
  task((first, pieces) =>
    b.loop("i", pieces, (piece) => {
      const i = affine(first, piece);
      const atLeft = affine(baseLeft, scaled(i, many.stride));
      const sums = Array.from({ length: few.count }, () => b.var(b.f32(0, logicalLanes)));
      const add = (at: Affine, valid: number): void => {
        const mask =
          valid < logicalLanes ? b.compare("lt", b.iota(logicalLanes), b.i32(valid, logicalLanes)) : undefined;
        const only = (x: Operand) => (mask ? b.select(mask, x, b.f32(0, logicalLanes)) : x);
        const x = only(b.load(left, affine(atLeft, at), logicalLanes));
        sums.forEach((sum, c) => {
          const y = only(b.load(right, affine(baseRight, c * fewPitch, at), logicalLanes));
          b.assign(sum, b.fma(x, y, sum));
        });
      };
      b.loop("k", whole, (v) => add(scaled(v, logicalLanes), logicalLanes));
      if (rest > 0) add(affine(whole * logicalLanes), rest);
      sums.forEach((sum, c) => {
        const value = sumLanes(b, sum);
        if (fewAreColumns) sink.store(affine(baseRow, i), c, value, 1);
        else sink.store(affine(baseRow, c), i, value, 1);
      });
    }),
  );
  steps.push(step.finish({ flops, bytes: 4 * count * (m * k + k * n + m * n) }));
  return { steps, temps: gathered ? [{ type: "f32", size: temp }] : [] };
}

/** Offset of a batch whose products lie one after the other, `size` apart. */
function flat(variables: readonly LoopVar[], extents: readonly number[], size: number): Affine {
  let at = affine(0);
  let inner = size;
  for (let i = variables.length - 1; i >= 0; i--) {
    at = affine(at, scaled(variables[i], inner));
    inner *= extents[i];
  }
  return at;
}
