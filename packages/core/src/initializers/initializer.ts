/** The base of initializers: host arrays of initial weights, drawn from a stream of their own. */
import { Configured, type Spec } from "../config/index.ts";
import { type Shape, sizeOf } from "../graph/types.ts";
import { currentSettings, onConfigure } from "../tensor/config.ts";
import { Generator } from "./generator.ts";

let draws = 0;
onConfigure((_, changed) => {
  if (changed.seed !== undefined) draws = 0;
});

/**
 * Fills weights. With a `seed` option the values depend on it alone (and every call gives the same, as in Keras); without,
 * each call takes the next stream of the global seed.
 */
export abstract class Initializer<S extends Spec = Spec> extends Configured<S> {
  /** Row-major values for `shape`. */
  abstract values(shape: Shape): Float32Array;

  protected generator(): Generator {
    const seed = (this.options as { seed?: number | null }).seed;
    if (seed !== undefined && seed !== null) return new Generator("initializer", seed);
    return new Generator("weights", currentSettings().seed, draws++);
  }
  /** `shape` filled by `draw`. */
  protected fill(shape: Shape, draw: () => number): Float32Array {
    const out = new Float32Array(sizeOf(shape));
    for (let i = 0; i < out.length; i++) out[i] = draw();
    return out;
  }
}

/**
 * Inputs and outputs that meet at one unit: kernels are [...window, in, out], so the window multiplies both; vectors count
 * their length twice, scalars are 1 and 1.
 */
export function computeFans(
  shape: Shape,
  inputAxes?: readonly number[] | null,
  outputAxes?: readonly number[] | null,
): [fanIn: number, fanOut: number] {
  const rank = shape.length;
  if (inputAxes || outputAxes) {
    const wrap = (axes: readonly number[] | null | undefined) => (axes ?? []).map((a) => (a < 0 ? a + rank : a));
    let ins = wrap(inputAxes);
    let outs = wrap(outputAxes);
    const rest = (taken: number[]) => shape.map((_, i) => i).filter((i) => !taken.includes(i));
    if (!inputAxes) ins = rest(outs);
    if (!outputAxes) outs = rest(ins);
    const receptive = rest([...ins, ...outs]).reduce((n, i) => n * shape[i], 1);
    const product = (axes: number[]) => axes.reduce((n, i) => n * shape[i], 1);
    return [product(ins) * receptive, product(outs) * receptive];
  }
  if (rank === 0) return [1, 1];
  if (rank === 1) return [shape[0], shape[0]];
  const window = sizeOf(shape.slice(0, -2));
  return [shape[rank - 2] * window, shape[rank - 1] * window];
}
