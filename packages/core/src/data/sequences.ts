/** Sequences of different lengths as batches: padding, masks, buckets. */
import { LayerwiseError } from "../errors.ts";
import { Generator } from "../initializers/generator.ts";
import { type Tensor, tensorFrom } from "../tensor/tensor.ts";

export type Sequences = readonly ArrayLike<number>[];

export interface PadOptions {
  /** Length of the result; default: the longest sequence. */
  readonly maxLength?: number | null;
  readonly dtype?: "i32" | "f32";
  /** Where padding goes, and where long sequences lose elements: "pre" (default, as in Keras) or "post". */
  readonly padding?: "pre" | "post";
  readonly truncating?: "pre" | "post";
  /** Value of the padding (default 0). */
  readonly value?: number;
}

/** Sequences as rows of one tensor [N, T]. No sequences, or empty ones alone, give a size of 0. */
export function padSequences(sequences: Sequences, options: PadOptions = {}): Tensor {
  const { dtype = "i32", padding = "pre", truncating = "pre", value = 0 } = options;
  const length = options.maxLength ?? sequences.reduce((n, s) => Math.max(n, s.length), 0);
  if (!Number.isInteger(length) || length < 0) {
    throw new LayerwiseError("padSequences: the length is not valid", {
      code: "E202",
      received: `maxLength ${length}`,
      expected: "an integer ≥ 0",
    });
  }
  const size = sequences.length * length;
  const data = dtype === "i32" ? new Int32Array(size) : new Float32Array(size);
  if (value !== 0) data.fill(value);
  sequences.forEach((s, row) => {
    const kept = Math.min(s.length, length);
    const from = truncating === "pre" ? s.length - kept : 0;
    const at = row * length + (padding === "pre" ? length - kept : 0);
    for (let i = 0; i < kept; i++) data[at + i] = s[from + i];
  });
  return tensorFrom(data, [sequences.length, length], dtype);
}

/** Which elements of padded rows are data: bool [N, T]. */
export function sequenceMask(lengths: ArrayLike<number>, maxLength: number, padding: "pre" | "post" = "post"): Tensor {
  const data = new Uint8Array(lengths.length * maxLength);
  for (let r = 0; r < lengths.length; r++) {
    const kept = Math.min(lengths[r], maxLength);
    const at = r * maxLength + (padding === "pre" ? maxLength - kept : 0);
    data.fill(1, at, at + kept);
  }
  return tensorFrom(data, [lengths.length, maxLength], "bool");
}

/** Sequences of similar length as one batch, or one bucket. */
export interface PaddedBatch {
  /** Padded after the sequences, [n, T]. */
  readonly x: Tensor;
  /** Which elements are data, bool [n, T]. */
  readonly mask: Tensor;
  /** Positions of the sequences in the list that was given. */
  readonly rows: Int32Array;
}

function padded(sequences: Sequences, rows: readonly number[], length: number, options: PadOptions): PaddedBatch {
  const own = rows.map((r) => sequences[r]);
  const x = padSequences(own, { ...options, maxLength: length, padding: "post", truncating: "post" });
  return {
    x,
    mask: sequenceMask(
      own.map((s) => s.length),
      length,
    ),
    rows: Int32Array.from(rows),
  };
}

/**
 * Puts sequences of similar length together: bucket i holds those of at most `boundaries[i]` elements (and more than the one
 * before), padded to that length; longer ones are cut to the last boundary. Empty buckets are left out. Each bucket has one
 * shape, so that a model needs one program for each.
 */
export function bucketByLength(
  sequences: Sequences,
  boundaries: readonly number[],
  options: Pick<PadOptions, "dtype" | "value"> = {},
): PaddedBatch[] {
  if (boundaries.length === 0 || boundaries.some((b, i) => !Number.isInteger(b) || b <= (boundaries[i - 1] ?? 0))) {
    throw new LayerwiseError("bucketByLength: the boundaries are not valid", {
      code: "E202",
      received: `[${boundaries.join(", ")}]`,
      expected: "increasing lengths ≥ 1",
    });
  }
  const buckets = boundaries.map((): number[] => []);
  sequences.forEach((s, row) => {
    const i = boundaries.findIndex((b) => s.length <= b);
    buckets[i < 0 ? boundaries.length - 1 : i].push(row);
  });
  return buckets.flatMap((rows, i) => (rows.length === 0 ? [] : [padded(sequences, rows, boundaries[i], options)]));
}

/** Batches of similar length in a random order: each is padded to its own longest sequence, or to its bucket's boundary. */
export function* paddedBatches(
  sequences: Sequences,
  options: Pick<PadOptions, "dtype" | "value"> & {
    readonly batchSize?: number;
    /** Lengths to pad to; few of them mean few programs. */
    readonly boundaries?: readonly number[];
    /** Order of the batches and of rows of equal bucket; null keeps the order by length. */
    readonly seed?: number | null;
  } = {},
): IterableIterator<PaddedBatch> {
  const { batchSize = 32, boundaries, seed = 0 } = options;
  const random = seed === null ? null : new Generator("padded batches", seed);
  const shuffled = (rows: number[]) => (random ? Array.from(random.shuffle(Uint32Array.from(rows))) : rows);
  const groups = boundaries
    ? bucketByLength(sequences, boundaries, options).map((b) => ({ rows: Array.from(b.rows), length: b.x.shape[1] }))
    : [{ rows: sequences.map((_, i) => i), length: null }];
  const batches = groups.flatMap(({ rows, length }) => {
    const order = shuffled(rows);
    if (length === null) order.sort((a, b) => sequences[a].length - sequences[b].length);
    return Array.from({ length: Math.ceil(order.length / batchSize) }, (_, k) => {
      const own = order.slice(k * batchSize, (k + 1) * batchSize);
      return { own, length: length ?? own.reduce((n, r) => Math.max(n, sequences[r].length), 0) };
    });
  });
  for (const k of shuffled(batches.map((_, i) => i)))
    yield padded(sequences, batches[k].own, batches[k].length, options);
}
