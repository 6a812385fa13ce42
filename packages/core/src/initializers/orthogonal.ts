/** Orthogonal initializer: the Q of a random matrix. */
import { defineSpec, int, number, type OptionsOf } from "../config/index.ts";
import { formatShape, LayerwiseError } from "../errors.ts";
import type { Shape } from "../graph/types.ts";
import { Initializer } from "./initializer.ts";

const spec = defineSpec("keras.initializers", "Orthogonal", {
  gain: number().default(1).doc("factor on the orthogonal matrix"),
  seed: int().nullable().doc("makes the values depend on this number alone"),
});

/**
 * Orthonormal columns (or rows, whichever are fewer) times `gain`, of the shape flattened to [product of the rest, last]
 * (Saxe et al. 2013).
 */
export class Orthogonal extends Initializer<typeof spec> {
  static readonly spec = spec;
  constructor(options: OptionsOf<typeof spec> = {}) {
    super(spec, options);
  }
  values(shape: Shape): Float32Array {
    if (shape.length < 2) {
      throw new LayerwiseError("the orthogonal initializer needs at least two axes", {
        code: "E103",
        received: formatShape(shape),
        expected: "a shape of rank 2 or more",
      });
    }
    const columns = shape[shape.length - 1];
    const rows = shape.slice(0, -1).reduce((n, d) => n * d, 1);
    const long = Math.max(rows, columns);
    const short = Math.min(rows, columns);
    const g = this.generator();
    const basis = orthonormal(long, short, () => g.normal());
    const out = new Float32Array(rows * columns);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        out[i * columns + j] = this.options.gain * (rows >= columns ? basis[j][i] : basis[i][j]);
      }
    }
    return out;
  }
}

/**
 * `count` orthonormal vectors of `length` from random ones: Gram and Schmidt, each vector orthogonalised twice, which is
 * as accurate as Householder's method; the sign convention (positive R diagonal) makes the distribution uniform.
 */
function orthonormal(length: number, count: number, draw: () => number): Float64Array[] {
  const basis: Float64Array[] = [];
  while (basis.length < count) {
    const v = Float64Array.from({ length }, draw);
    for (let pass = 0; pass < 2; pass++) {
      for (const q of basis) {
        let dot = 0;
        for (let i = 0; i < length; i++) dot += q[i] * v[i];
        for (let i = 0; i < length; i++) v[i] -= dot * q[i];
      }
    }
    const norm = Math.hypot(...chunked(v));
    if (norm < 1e-8) continue; // a draw inside the span: draw again
    for (let i = 0; i < length; i++) v[i] /= norm;
    basis.push(v);
  }
  return basis;
}

/** Norms of pieces, so that the argument list of hypot stays short. */
function chunked(v: Float64Array): number[] {
  const out: number[] = [];
  for (let i = 0; i < v.length; i += 1024) out.push(Math.hypot(...v.subarray(i, i + 1024)));
  return out;
}
