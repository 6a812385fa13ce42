/** MelSpectrogram: the energy of a signal in bands that are even on the scale of hearing, over time. */
import { bool, defineSpec, type Field, int, number, type OptionsOf } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import { windowField } from "../initializers/stft.ts";
import * as ops from "../tensor/ops/index.ts";
import { type Tensor, tensorFrom } from "../tensor/tensor.ts";
import { Layer, layerFields } from "./layer.ts";

const positive = (): Field<number, number, false> => int({ min: 1 });

const spec = defineSpec("keras.layers", "MelSpectrogram", {
  ...layerFields,
  fftLength: positive().default(2048).doc("size of the transform of a frame"),
  sequenceStride: positive().default(512).doc("samples from one frame to the next"),
  sequenceLength: positive().nullable().doc("samples in a frame; `fftLength` when null"),
  window: windowField().doc("weights of the samples of a frame"),
  samplingRate: positive().default(16000).doc("samples in a second"),
  numMelBins: positive().default(128).doc("number of bands"),
  minFreq: number({ min: 0 }).default(20).doc("lower edge of the lowest band, in hertz"),
  maxFreq: number({ above: 0 }).nullable().doc("upper edge of the highest band; half the sampling rate when null"),
  powerToDb: bool().default(true).doc("whether energies become decibels"),
  topDb: number({ min: 0 }).default(80).doc("decibels below the loudest at which silence begins"),
  magExp: number().default(2).doc("power of the magnitudes; 1 is energy, 2 is power"),
  minPower: number({ above: 0 }).default(1e-10).doc("floor under the energies"),
  refPower: number().default(1).doc("energy of 0 decibels"),
});
export type MelSpectrogramOptions = OptionsOf<typeof spec>;

/** Hertz on the mel scale in the form of HTK: 1127·ln(1 + f/700). */
const mel = (hertz: number): number => 1127 * Math.log(1 + hertz / 700);

/**
 * Weights [bins, bands] of triangles whose corners are even in mel: band b rises from corner b to 1 at corner b+1 and falls to
 * corner b+2, linearly in mel. Bin 0 (no frequency) belongs to none.
 */
export function melWeights(bins: number, bands: number, samplingRate: number, low: number, high: number): Float32Array {
  const out = new Float32Array(bins * bands);
  const [from, to] = [mel(low), mel(high)];
  const corner = (i: number) => from + ((to - from) * i) / (bands + 1);
  for (let k = 1; k < bins; k++) {
    const at = mel((k * samplingRate) / 2 / (bins - 1));
    for (let b = 0; b < bands; b++) {
      const rise = (at - corner(b)) / (corner(b + 1) - corner(b));
      const fall = (corner(b + 2) - at) / (corner(b + 2) - corner(b + 1));
      out[k * bands + b] = Math.max(0, Math.min(rise, fall));
    }
  }
  return out;
}

/** x: [N, T] → [N, bands, F], or [T] → [bands, F]; F = ⌊T / sequenceStride⌋ + 1. Decibels count from the loudest of the batch. */
export class MelSpectrogram extends Layer<typeof spec> {
  static readonly spec = spec;
  constructor(options: MelSpectrogramOptions = {}) {
    super(options, spec);
    this.inputSpec = { minNdim: 1 };
    const { fftLength, sequenceLength } = this.options;
    if (sequenceLength !== null && sequenceLength > fftLength) {
      throw new LayerwiseError(`${this.describe()}: frames are longer than the transform`, {
        code: "E202",
        layer: this.name,
        received: `sequenceLength ${sequenceLength}, fftLength ${fftLength}`,
        expected: "sequenceLength ≤ fftLength",
      });
    }
  }
  call(x: Tensor): Tensor {
    const o = this.options;
    const length = o.sequenceLength ?? o.fftLength;
    const [re, im] = ops.stft(x, length, o.sequenceStride, o.fftLength, o.window); // […, F, K]
    const power = ops.square(re).add(ops.square(im));
    const energy = o.magExp === 2 ? power : ops.power(ops.sqrt(power), o.magExp);
    const bins = energy.shape[energy.ndim - 1];
    const high = o.maxFreq ?? Math.floor(o.samplingRate / 2);
    const weights = melWeights(bins, o.numMelBins, o.samplingRate, o.minFreq, high);
    let bands = ops.matmul(energy, tensorFrom(weights, [bins, o.numMelBins], "f32")); // […, F, bands]
    if (o.powerToDb) {
      const reference = 10 * Math.log10(Math.max(Math.abs(o.refPower), o.minPower));
      const decibels = ops.log10(ops.maximum(bands, o.minPower)).mul(10).sub(reference);
      bands = ops.maximum(decibels, ops.max(decibels).sub(o.topDb));
    }
    return this.toCompute(ops.swapaxes(bands, -1, -2));
  }
}

export const melSpectrogram = (options: MelSpectrogramOptions = {}): MelSpectrogram => new MelSpectrogram(options);
