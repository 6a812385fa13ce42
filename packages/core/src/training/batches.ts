/** The order in which rows become batches: shuffled per pass, with a smaller last batch. */
import { Generator } from "../initializers/generator.ts";

export interface Batch {
  readonly start: number;
  readonly rows: number;
}

/** Batches of a data set, pass after pass. The order of pass p depends on (seed, p) alone. */
export class BatchOrder {
  readonly rows: number;
  readonly batchSize: number;
  private readonly seed: number | null;
  private readonly permutation: Uint32Array | null;

  /** Without a seed the rows keep their order. */
  constructor(rows: number, batchSize: number, seed: number | null) {
    this.rows = rows;
    this.batchSize = Math.min(batchSize, rows);
    this.seed = seed;
    this.permutation = seed === null ? null : new Uint32Array(rows);
  }
  /** Batches in one pass. */
  get steps(): number {
    return Math.ceil(this.rows / this.batchSize);
  }
  /** Rows of the last batch. */
  get lastRows(): number {
    return this.rows - (this.steps - 1) * this.batchSize;
  }
  /** The sizes of batches that occur in the first `steps` batches. */
  sizes(steps: number): number[] {
    return steps >= this.steps && this.lastRows !== this.batchSize
      ? [...(this.steps > 1 ? [this.batchSize] : []), this.lastRows]
      : [this.batchSize];
  }
  /** The row order of a pass; null for the order of the data. */
  order(pass: number): Uint32Array | null {
    const p = this.permutation;
    if (p === null) return null;
    for (let i = 0; i < p.length; i++) p[i] = i;
    return new Generator("shuffle", this.seed!, pass).shuffle(p);
  }
  /** First row (in the order of the pass) and rows of batch `index`. */
  rowsOf(index: number): number {
    return index === this.steps - 1 ? this.lastRows : this.batchSize;
  }
}
