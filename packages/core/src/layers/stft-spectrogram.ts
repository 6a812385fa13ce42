/** STFTSpectrogram: frequencies over time, by convolution with the waves of a short-time Fourier transform. */
import { bool, defineSpec, int, type OptionsOf, oneOf } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import { STFT, scalingField, windowField } from "../initializers/stft.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { dataFormatField } from "./fields.ts";
import { Layer, layerFields } from "./layer.ts";

const spec = defineSpec("keras.layers", "STFTSpectrogram", {
  ...layerFields,
  mode: oneOf("log", "magnitude", "psd", "real", "imag", "angle", "stft").default("log").doc("what is given out"),
  frameLength: int({ min: 1 }).default(256).doc("samples in a frame"),
  frameStep: int({ min: 1 }).nullable().doc("samples from one frame to the next; half a frame when null"),
  fftLength: int({ min: 1 }).nullable().doc("size of the transform; the next power of two when null"),
  window: windowField().doc("weights of the samples of a frame"),
  periodic: bool().default(false).doc("whether a named window is one period of an infinite one"),
  scaling: scalingField.default("density").doc("norm by which the window is divided"),
  padding: oneOf("valid", "same").default("valid").doc("whether frames reach past the ends"),
  expandDims: bool().default(false).doc("whether frequencies get an axis of their own, as images have"),
  dataFormat: dataFormatField,
});
export type STFTSpectrogramOptions = OptionsOf<typeof spec>;

/** Keras' epsilon: the floor under power and magnitude. */
const epsilon = 1e-7;

/**
 * x: [N, T, C] → [N, F, C·K], or [N, F, K, C] with `expandDims`; K = fftLength/2 + 1 (twice that in mode "stft", real before
 * imaginary). The waves are weights and can be trained.
 */
export class STFTSpectrogram extends Layer<typeof spec> {
  static readonly spec = spec;
  realKernel: Variable | null = null;
  imagKernel: Variable | null = null;
  private readonly step: number;
  private readonly size: number;

  constructor(options: STFTSpectrogramOptions = {}) {
    super(options, spec);
    this.inputSpec = { ndim: 3 };
    const { frameLength, frameStep, fftLength } = this.options;
    this.step = frameStep ?? Math.floor(frameLength / 2);
    this.size = fftLength ?? 2 ** Math.ceil(Math.log2(frameLength));
    if (this.step > frameLength || this.step < 1) throw this.wrong("frameStep", this.step, `1 … ${frameLength}`);
    if (this.size < frameLength) throw this.wrong("fftLength", this.size, `${frameLength} or more`);
  }
  private wrong(option: string, received: number, expected: string): LayerwiseError {
    return new LayerwiseError(`${this.describe()}: the option "${option}" does not fit the frames`, {
      code: "E202",
      layer: this.name,
      received: String(received),
      expected,
    });
  }
  override build(): void {
    const { frameLength, mode, window, scaling, periodic } = this.options;
    const kernel = (side: "real" | "imag") =>
      this.addWeight({
        name: `${side}_kernel`,
        shape: [frameLength, 1, Math.floor(this.size / 2) + 1],
        initializer: new STFT({ side, window, scaling, periodic }),
      });
    if (mode !== "imag") this.realKernel = kernel("real");
    if (mode !== "real") this.imagKernel = kernel("imag");
  }
  call(x: Tensor): Tensor {
    const { mode, dataFormat } = this.options;
    const last = dataFormat === "channelsLast";
    const [n, samples, channels] = last ? x.shape : [x.shape[0], x.shape[2], x.shape[1]];
    const rows = ops.reshape(last ? ops.transpose(x, [0, 2, 1]) : x, [n * channels, samples, 1]);
    // [N·C, F, K] → [N, C, F, K]
    const through = (kernel: Variable | null): Tensor => {
      const y = ops.conv(rows, this.read(kernel!), this.step, this.options.padding);
      return ops.reshape(y, [n, channels, y.shape[1], y.shape[2]]);
    };
    if (mode === "real") return this.arranged(through(this.realKernel));
    if (mode === "imag") return this.arranged(through(this.imagKernel));
    const re = through(this.realKernel);
    const im = through(this.imagKernel);
    switch (mode) {
      case "angle":
        return this.arranged(ops.arctan2(im, re));
      case "stft":
        return this.arranged(ops.concatenate([re, im], -1));
      case "psd": {
        // All but the first and the last bin stand for two frequencies.
        const power = ops.square(re).add(ops.square(im));
        const bins = power.shape[3];
        const factor = ops.pad(ops.ones([Math.max(0, bins - 2)]), 1, "constant", 0);
        return this.arranged(bins > 2 ? power.add(power.mul(ops.cast(factor, power.dtype))) : power);
      }
      case "magnitude":
      case "log": {
        const magnitude = ops.sqrt(ops.maximum(ops.square(re).add(ops.square(im)), epsilon));
        return this.arranged(mode === "log" ? ops.log(ops.maximum(magnitude, epsilon)) : magnitude);
      }
      default:
        return mode satisfies never;
    }
  }
  /** [N, C, F, K] in the order that was asked for. */
  private arranged(y: Tensor): Tensor {
    const { expandDims, dataFormat } = this.options;
    const [n, c, f, k] = y.shape;
    if (dataFormat === "channelsLast") {
      return expandDims ? ops.transpose(y, [0, 2, 3, 1]) : ops.reshape(ops.transpose(y, [0, 2, 1, 3]), [n, f, c * k]);
    }
    return expandDims ? y : ops.reshape(ops.transpose(y, [0, 1, 3, 2]), [n, c * k, f]);
  }
}

export const stftSpectrogram = (options: STFTSpectrogramOptions = {}): STFTSpectrogram => new STFTSpectrogram(options);
