/** Spoken digits: short recordings of three speakers. */
import { data, LayerwiseError, type Tensor, tensor } from "@layerwise/core";
import { type DatasetOptions, fetchFile, findFile, keep, type SearchOptions } from "./files.ts";
import { recordingsOf } from "./recordings.ts";
import { type SpokenDigitsSource, spokenDigitsSource } from "./sources.ts";

export interface SpokenDigitsOptions extends DatasetOptions {
  /** Length of every recording, in samples of 1/8000 s: shorter ones end in silence, longer ones are cut (default 8000). */
  readonly samples?: number;
}

/** Recordings and what was said; all with the same first axis. */
export interface Recordings {
  /** Sound in [-1, 1): f32 [N, samples]. */
  readonly x: Tensor;
  /** The digit, 0 … 9: u8 [N]. */
  readonly y: Tensor;
  /** Samples of each recording before silence was added: i32 [N]. */
  readonly lengths: Tensor;
  readonly speakers: readonly string[];
}

export interface SpokenDigits {
  readonly train: Recordings;
  readonly test: Recordings;
  /** Samples in a second: 8000. */
  readonly samplingRate: number;
}

const samplingRate = 8000;
/** Takes of each digit and speaker that are kept for testing, as the data set's authors do. */
const testTakes = 5;

/**
 * The digits 0 … 9 said in English by jackson, nicolas and theo (Jackson and others, Free Spoken Digit Dataset): 1,350 recordings
 * to train on, and to test takes 0 … 4, 150 recordings. Taken from `LAYERWISE_DATASETS/fsdd`, the user's cache, or downloaded
 * (16 MB). Throws D201–D208.
 */
export async function spokenDigits(options: SpokenDigitsOptions = {}): Promise<SpokenDigits> {
  return loadSpokenDigits(spokenDigitsSource, options);
}

export async function loadSpokenDigits(
  source: SpokenDigitsSource,
  options: SearchOptions & SpokenDigitsOptions,
): Promise<SpokenDigits> {
  const { samples = samplingRate } = options;
  if (!Number.isInteger(samples) || samples < 1) {
    throw new LayerwiseError("the length of recordings is not valid", {
      code: "D208",
      layer: source.folder,
      received: `samples: ${samples}`,
      expected: "an integer ≥ 1",
    });
  }
  let archive: Uint8Array | undefined;
  for (const file of source.files) archive ??= await findFile(source.folder, file, options);
  if (archive === undefined) {
    const file = source.files[source.files.length - 1];
    archive = await fetchFile(source.folder, file, source.addresses, options);
    await keep(source.folder, file.name, archive, options);
  }
  const all = [...recordingsOf(archive, source.folder)].map(([name, bytes]) => {
    const [, digit, speaker, take] = /^(\d)_(\w+)_(\d+)\.wav$/.exec(name)!;
    return { name, bytes, digit: Number(digit), speaker, take: Number(take) };
  });
  const part = (test: boolean): Recordings => {
    const chosen = all.filter((r) => r.take < testTakes === test);
    const x = new Float32Array(chosen.length * samples);
    const lengths = chosen.map((r, i) => {
      const audio = data.decodeWav(r.bytes, { name: r.name, samplingRate, channels: 1 });
      const sound = audio.samples.dataSync();
      x.set(sound.subarray(0, samples) as Float32Array, i * samples);
      return Math.min(sound.length, samples);
    });
    const n = chosen.length;
    return {
      x: tensor(x, [n, samples]),
      y: tensor(
        Uint8Array.from(chosen, (r) => r.digit),
        [n],
        "u8",
      ),
      lengths: tensor(Int32Array.from(lengths), [n], "i32"),
      speakers: chosen.map((r) => r.speaker),
    };
  };
  return { train: part(false), test: part(true), samplingRate };
}
