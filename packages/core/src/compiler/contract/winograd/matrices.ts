/**
 * The matrices of Winograd's F(m×m, 3×3) by Toom–Cook interpolation (Winograd 1980; Lavin and Gray, arXiv 1509.09308):
 * y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A. Points in pairs ±p let the transforms share sums; those of F(4×4) and F(3×3) were taken
 * for their small rounding error (about half that of 0, ±1, ±2).
 */
export type Matrix = readonly (readonly number[])[];

export type TileSize = 2 | 3 | 4;

export interface Matrices {
  readonly m: TileSize;
  /** Points along one dimension: m + 2. */
  readonly size: number;
  /** [m, m+2] */
  readonly at: Matrix;
  /** [m+2, 3] */
  readonly g: Matrix;
  /** [m+2, m+2] */
  readonly bt: Matrix;
}

const finitePoints: Record<TileSize, readonly number[]> = {
  2: [0, 1, -1],
  3: [3 / 8, -3 / 8, 5 / 4, -5 / 4],
  4: [0, 5 / 8, -5 / 8, 3 / 2, -3 / 2],
};

/** Coefficients of Π (x - p), lowest degree first. */
function monic(points: readonly number[]): number[] {
  let c = [1];
  for (const p of points) {
    const next = new Array<number>(c.length + 1).fill(0);
    c.forEach((v, i) => {
      next[i + 1] += v;
      next[i] -= v * p;
    });
    c = next;
  }
  return c;
}

export function matrices(m: TileSize): Matrices {
  const points = finitePoints[m];
  const others = points.map((_, i) => points.filter((_, j) => j !== i));
  const scale = points.map((p, i) => others[i].reduce((s, q) => s * (p - q), 1));
  return {
    m,
    size: m + 2,
    at: Array.from({ length: m }, (_, j) => [...points.map((p) => p ** j), j === m - 1 ? 1 : 0]),
    g: [...points.map((p, i) => [0, 1, 2].map((j) => p ** j / scale[i])), [0, 0, 1]],
    bt: [...others.map((o) => [...monic(o), 0]), monic(points)],
  };
}

export function transposed(a: Matrix): Matrix {
  return a[0].map((_, j) => a.map((row) => row[j]));
}
