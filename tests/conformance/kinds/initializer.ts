/** Cases of initializers: statistics of one draw, orthogonality, fixed values. */
import { initializerRegistry } from "../../../packages/core/src/initializers/index.ts";
import { type Case, compare, Skip } from "../cases.ts";

export function initializerCase(c: Case): void {
  if (!initializerRegistry.find(c.class!)) throw new Skip(c.class!);
  const shape = c["shape"] as number[];
  const w = initializerRegistry.fromConfig({ class_name: c.class!, config: c["kwargs"] }).values(shape);
  if (c["value"]) compare("value", { shape, dtype: "f32", data: w }, c["value"], c.tol!.output!);
  if (c["check"]) checkMoments(c, w);
  if (c["orthogonal"]) checkGram(c["orthogonal"], w);
}

function checkMoments(c: Case, w: Float32Array): void {
  const n = w.length;
  const mean = w.reduce((a, b) => a + b, 0) / n;
  const variance = w.reduce((a, b) => a + (b - mean) ** 2, 0) / n;
  if (Math.abs(mean - c["mean"]) > c["check"].mean_abs_tol) throw new Error(`mean ${mean}, expected ${c["mean"]}`);
  if (Math.abs(variance / c["variance"] - 1) > c["check"].variance_rel_tol) {
    throw new Error(`variance ${variance}, expected ${c["variance"]}`);
  }
  const bound = c["bound_around_mean"];
  // The bound is a decimal number of nine digits.
  if (bound !== null && w.some((x) => Math.abs(x - c["mean"]) > bound * (1 + 1e-6))) throw new Error(`beyond ±${bound}`);
}

interface Orthogonal {
  readonly flatten_to: readonly [number, number];
  readonly gram: string;
  readonly equals_identity_times: number;
  readonly tol: number;
}
function checkGram(o: Orthogonal, w: Float32Array): void {
  const [rows, columns] = o.flatten_to;
  const byRows = o.gram === "W W^T";
  const n = byRows ? rows : columns;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      let dot = 0;
      if (byRows) for (let k = 0; k < columns; k++) dot += w[i * columns + k] * w[j * columns + k];
      else for (let k = 0; k < rows; k++) dot += w[k * columns + i] * w[k * columns + j];
      const want = i === j ? o.equals_identity_times : 0;
      if (Math.abs(dot - want) > o.tol) throw new Error(`gram [${i}, ${j}]: ${dot}, expected ${want}`);
    }
  }
}
