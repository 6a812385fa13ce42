import { describe, expect, it } from "vitest";
import { installOracles } from "../oracles.ts";
import { configure } from "../tensor/config.ts";
import { checkLayer, type LayerCase } from "./check-layer.ts";
import * as l from "./index.ts";
import type { Layer } from "./layer.ts";
import { melWeights } from "./mel-spectrogram.ts";

installOracles();

configure({ device: "reference", seed: 1 });

type Options = { dtype?: string };
const cases: Record<string, [(o?: Options) => Layer, LayerCase]> = {
  stftSpectrogram: [
    (o) => l.stftSpectrogram({ ...o, frameLength: 8, frameStep: 3, expandDims: true }) as never,
    { input: [2, 20, 3], output: [2, 5, 5, 3], trainable: 2 },
  ],
  "stftSpectrogram, channels first": [
    (o) =>
      l.stftSpectrogram({ ...o, mode: "stft", frameLength: 5, padding: "same", dataFormat: "channelsFirst" }) as never,
    { input: [2, 3, 20], output: [2, 30, 10], trainable: 2 },
  ],
  melSpectrogram: [
    (o) =>
      l.melSpectrogram({
        ...o,
        fftLength: 16,
        sequenceStride: 4,
        numMelBins: 3,
        samplingRate: 100,
        topDb: 1e3,
      }) as never,
    { input: [2, 20], output: [2, 3, 6] },
  ],
};

describe("spectrogram layers", () => {
  for (const [name, [make, c]] of Object.entries(cases)) it(name, () => checkLayer(make, c));

  it("refuse frames that do not fit", () => {
    expect(() => l.stftSpectrogram({ frameLength: 8, frameStep: 9 })).toThrow(/E202.*frameStep/s);
    expect(() => l.stftSpectrogram({ frameLength: 8, fftLength: 4 })).toThrow(/E202.*fftLength/s);
    expect(() => l.melSpectrogram({ fftLength: 8, sequenceLength: 9 })).toThrow(/E202/);
    expect(() => l.stftSpectrogram({ window: "kaiser" as never })).toThrow(/E203|E202/);
  });

  it("have bands that add up to 1 between the outer corners", () => {
    const bins = 129;
    const w = melWeights(bins, 10, 8000, 100, 3800);
    const sums = Array.from({ length: bins }, (_, k) => w.slice(k * 10, k * 10 + 10).reduce((a, b) => a + b, 0));
    expect(sums[0]).toBe(0);
    expect(sums[128]).toBe(0);
    // Well inside, two neighbouring triangles share each frequency.
    for (let k = 20; k < 90; k++) expect(sums[k]).toBeCloseTo(1, 6);
  });
});
