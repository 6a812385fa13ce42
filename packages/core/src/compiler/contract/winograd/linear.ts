/** Emits small constant matrices times vectors of values, sharing sums between rows or columns of ±p pairs. */
import type { KernelBuilder } from "../../builder.ts";
import type { Local, Operand } from "../../loopir.ts";
import type { Matrix } from "./matrices.ts";

/** Constants as locals set at the start of a kernel: engines then keep them at hand instead of building them each time. */
export class Constants {
  private readonly known = new Map<string, Local>();
  private readonly b: KernelBuilder;

  constructor(b: KernelBuilder, lanes: readonly number[], tables: readonly Matrix[]) {
    this.b = b;
    for (const n of lanes) for (const t of tables) for (const row of t) for (const c of row) this.declare(c, n);
  }
  private declare(value: number, lanes: number): void {
    const key = `${value}:${lanes}`;
    if (value !== 0 && Math.abs(value) !== 1 && !this.known.has(key))
      this.known.set(key, this.b.var(this.b.f32(value, lanes)));
  }
  get(value: number, lanes: number): Operand {
    return this.known.get(`${value}:${lanes}`) ?? this.b.f32(value, lanes);
  }
}

type Term = readonly [coefficient: number, value: Operand];

function sum(b: KernelBuilder, constants: Constants, terms: readonly Term[], lanes: number): Operand {
  const live = terms.filter(([c]) => c !== 0);
  if (live.length === 0) return b.f32(0, lanes);
  const first = Math.max(
    0,
    live.findIndex(([c]) => c === 1),
  );
  const [c0, x0] = live[first];
  let total: Operand = c0 === 1 ? x0 : c0 === -1 ? b.neg(x0) : b.mul(constants.get(c0, lanes), x0);
  live.forEach(([c, x], i) => {
    if (i === first) return;
    total = c === 1 ? b.add(total, x) : c === -1 ? b.sub(total, x) : b.fma(constants.get(c, lanes), x, total);
  });
  return total;
}

/** Whether b is ± a in every place; the places of each sign. */
function mirrored(a: readonly number[], c: readonly number[]): boolean {
  return a.some((x) => x !== 0) && a.every((x, i) => Math.abs(x) === Math.abs(c[i])) && a.some((x, i) => x !== c[i]);
}

/** matrix · x. */
export function linear(b: KernelBuilder, constants: Constants, matrix: Matrix, x: readonly Operand[]): Operand[] {
  const lanes = x[0].lanes;
  const rows = matrix.length;
  const columns = matrix[0].length;
  const column = (j: number) => matrix.map((row) => row[j]);
  let pairsOfRows = 0;
  for (let i = 0; i + 1 < rows; i++)
    if (mirrored(matrix[i], matrix[i + 1])) {
      pairsOfRows++;
      i++;
    }
  let pairsOfColumns = 0;
  for (let j = 0; j + 1 < columns; j++)
    if (mirrored(column(j), column(j + 1))) {
      pairsOfColumns++;
      j++;
    }
  if (pairsOfRows >= pairsOfColumns) {
    const out: Operand[] = [];
    for (let i = 0; i < rows; i++) {
      const row = matrix[i];
      const next = matrix[i + 1];
      if (next && mirrored(row, next)) {
        const same = sum(
          b,
          constants,
          row.map((c, j) => [c === next[j] ? c : 0, x[j]] as const),
          lanes,
        );
        const flip = sum(
          b,
          constants,
          row.map((c, j) => [c !== next[j] ? c : 0, x[j]] as const),
          lanes,
        );
        out.push(b.add(same, flip), b.sub(same, flip));
        i++;
      } else
        out.push(
          sum(
            b,
            constants,
            row.map((c, j) => [c, x[j]] as const),
            lanes,
          ),
        );
    }
    return out;
  }
  const terms: Term[][] = matrix.map(() => []);
  for (let j = 0; j < columns; j++) {
    const here = column(j);
    const next = j + 1 < columns ? column(j + 1) : undefined;
    if (next && mirrored(here, next)) {
      const plus = b.add(x[j], x[j + 1]);
      const minus = b.sub(x[j], x[j + 1]);
      here.forEach((c, i) => {
        terms[i].push([c, c === next[i] ? plus : minus]);
      });
      j++;
    } else
      here.forEach((c, i) => {
        terms[i].push([c, x[j]]);
      });
  }
  return terms.map((t) => sum(b, constants, t, lanes));
}
