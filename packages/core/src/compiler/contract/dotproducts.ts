/** Products with one to three columns and contiguous K: dot products over 16 logical lanes, added up by a fixed tree. */

import type { KernelBuilder } from "../builder.ts";
import { affine, scaled } from "../builder.ts";
import type { Local, Operand } from "../loopir.ts";
import type { DotSpec, Epilogue, Lowered, LoweredStep } from "../lowered.ts";
import { partsNear, taskPieces, tasksFor } from "./split.ts";
import { outputSink, Step } from "./step.ts";

const logicalLanes = 16;

export function isDotProducts(spec: DotSpec): boolean {
  return spec.n <= 3 && spec.a.k === 1 && spec.k >= 2 * logicalLanes;
}

/** The sum of all lanes: lane i is added to lane i + half, and so on. */
export function sumLanes(b: KernelBuilder, value: Local): Operand {
  let lanes: Operand[] = Array.from({ length: value.lanes }, (_, i) => b.extract(value, i));
  while (lanes.length > 1) {
    const half = lanes.length / 2;
    lanes = lanes.slice(0, half).map((x, i) => b.add(x, lanes[i + half]));
  }
  return lanes[0];
}

export function dotProducts(spec: DotSpec, epilogue: Epilogue | null): Lowered {
  const { m, n, k } = spec;
  const count = spec.batch.reduce((p, x) => p * x, 1);
  const flops = 2 * count * m * n * k;
  const name = `dot_${m}x${n}x${k}`;
  const steps: LoweredStep[] = [];
  // Columns of B are read along k; they are gathered into rows unless they are rows already.
  const gathered = spec.b.k !== 1;
  const pitch = Math.ceil(k / logicalLanes) * logicalLanes;
  if (gathered) {
    const step = new Step(`${name}_columns`);
    const { b } = step;
    const from = step.input(1, "b", spec.b.size);
    const to = step.temp(0, "columns", count * n * pitch, "write");
    const batch = spec.batch.map((extent, i) => b.task(`batch${i}`, extent));
    let base = affine(0);
    let inner = n * pitch;
    for (let i = batch.length - 1; i >= 0; i--) {
      base = affine(base, scaled(batch[i], inner));
      inner *= spec.batch[i];
    }
    const source = affine(spec.b.offset, ...batch.map((v, i) => scaled(v, spec.b.batch[i])));
    b.loop("column", n, (c) => {
      const row = (at: ReturnType<typeof affine>, valid: number): void => {
        const x = b.load(from, affine(source, scaled(c, spec.b.n), scaled(at, spec.b.k)), logicalLanes, {
          stride: spec.b.k,
          count: valid,
        });
        b.store(to, affine(base, scaled(c, pitch), at), x);
      };
      const whole = Math.floor(k / logicalLanes);
      b.loop("k", whole, (v) => row(scaled(v, logicalLanes), logicalLanes));
      if (whole * logicalLanes < k) row(affine(whole * logicalLanes), k - whole * logicalLanes);
    });
    steps.push(step.finish({ flops: 0, bytes: 8 * count * n * k }));
  }
  const step = new Step(name);
  const { b } = step;
  const left = step.input(0, "a", spec.a.size);
  const right = gathered ? step.temp(0, "columns", count * n * pitch, "read") : step.input(1, "b", spec.b.size);
  const sink = outputSink(step, epilogue, count * m, n, 2);
  const batch = spec.batch.map((extent, i) => b.task(`batch${i}`, extent));
  const rowTask = taskPieces(b, "rows", m, partsNear(m, Math.ceil(tasksFor(flops) / count)));
  const baseA = affine(spec.a.offset, ...batch.map((v, i) => scaled(v, spec.a.batch[i])));
  let baseB = gathered ? affine(0) : affine(spec.b.offset);
  let baseRow = affine(0);
  let before = 1;
  for (let i = batch.length - 1; i >= 0; i--) {
    baseB = affine(baseB, scaled(batch[i], gathered ? before * n * pitch : spec.b.batch[i]));
    baseRow = affine(baseRow, scaled(batch[i], before * m));
    before *= spec.batch[i];
  }
  const columnPitch = gathered ? pitch : spec.b.n;
  const whole = Math.floor(k / logicalLanes);
  const rest = k - whole * logicalLanes;
  rowTask((row0, rows) =>
    b.loop("row", rows, (r) => {
      const row = affine(row0, r);
      const atA = affine(baseA, scaled(row, spec.a.m));
      const sums = Array.from({ length: n }, () => b.var(b.f32(0, logicalLanes)));
      const add = (at: ReturnType<typeof affine>, valid: number): void => {
        const mask =
          valid < logicalLanes ? b.compare("lt", b.iota(logicalLanes), b.i32(valid, logicalLanes)) : undefined;
        const only = (x: Operand) => (mask ? b.select(mask, x, b.f32(0, logicalLanes)) : x);
        const x = only(b.load(left, affine(atA, at), logicalLanes));
        for (let c = 0; c < n; c++) {
          const y = only(b.load(right, affine(baseB, c * columnPitch, at), logicalLanes));
          b.assign(sums[c], b.fma(x, y, sums[c]));
        }
      };
      b.loop("k", whole, (v) => add(scaled(v, logicalLanes), logicalLanes));
      if (rest > 0) add(affine(whole * logicalLanes), rest);
      for (let c = 0; c < n; c++) sink.store(affine(baseRow, row), c, sumLanes(b, sums[c]), 1);
    }),
  );
  steps.push(step.finish({ flops, bytes: 4 * count * (m * k + k * n + m * n) }));
  return { steps, temps: gathered ? [{ type: "f32", size: count * n * pitch }] : [] };
}
