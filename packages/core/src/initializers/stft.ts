/** STFT: convolution kernels that compute a short-time Fourier transform. */
import { bool, defineSpec, either, Field, list, number, type OptionsOf, oneOf } from "../config/index.ts";
import { formatShape, LayerwiseError } from "../errors.ts";
import type { Shape } from "../graph/types.ts";
import { type Window, type WindowName, windowNames, windowValues } from "../tensor/ops/windows.ts";
import { Initializer } from "./initializer.ts";

/** An option that takes a window: a name, its values, or null for none. */
export function windowField(): Field<Window, Window, true> {
  const named = either(oneOf(...windowNames), list(number()));
  return new Field<Window, Window, true>({
    ...named.nullable().parts,
    fallback: "hann" satisfies WindowName,
    write: (x) => (typeof x === "string" || x === null ? x : [...x]),
  });
}
export const scalingField = oneOf("density", "spectrum").nullable();

const spec = defineSpec("keras.initializers", "STFTInitializer", {
  side: oneOf("real", "imag").default("real").doc("which part of the complex result the kernel computes"),
  window: windowField().doc("weights of the samples of a frame"),
  scaling: scalingField.default("density").doc("divides the window by its L2 (density) or L1 norm (spectrum)"),
  periodic: bool().default(false).doc("whether a named window is one period of an infinite one"),
});

/**
 * cos or sin of -2πtk/N times the window, for a kernel [T, 1, N/2 + 1] of a one-dimensional convolution: frame length T,
 * transform of N.
 */
export class STFT extends Initializer<typeof spec> {
  static readonly spec = spec;
  constructor(options: OptionsOf<typeof spec> = {}) {
    super(spec, options);
  }
  values(shape: Shape): Float32Array {
    const [length, channels, bins] = shape;
    if (shape.length !== 3 || channels !== 1) {
      throw new LayerwiseError("the STFT initializer makes kernels of one channel", {
        code: "E103",
        received: formatShape(shape),
        expected: "[frame length, 1, frequencies]",
      });
    }
    const { side, window, scaling, periodic } = this.options;
    const weights = windowValues(window, length, periodic);
    let scale = 1;
    if (window !== null && scaling === "density") scale = Math.sqrt(weights.reduce((s, w) => s + w * w, 0));
    if (window !== null && scaling === "spectrum") scale = weights.reduce((s, w) => s + Math.abs(w), 0);
    const n = 2 * (bins - 1);
    return Float32Array.from({ length: length * bins }, (_, i) => {
      const [t, k] = [Math.floor(i / bins), i % bins];
      const angle = (-2 * Math.PI * ((t * k) % n)) / n;
      return ((side === "real" ? Math.cos(angle) : Math.sin(angle)) * weights[t]) / scale;
    });
  }
}
