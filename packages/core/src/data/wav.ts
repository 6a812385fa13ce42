/** Reads sound from wav files: PCM of 8, 16, 24 and 32 bits and floats, also in the extensible form. */
import { LayerwiseError } from "../errors.ts";
import { type Tensor, tensorFrom } from "../tensor/tensor.ts";

/** Sound as numbers. */
export interface WavAudio {
  /** f32 [T, C]: one row for each moment, one column for each channel; whole numbers are scaled to [-1, 1). */
  readonly samples: Tensor;
  /** Moments in a second. */
  readonly samplingRate: number;
  readonly channels: number;
  readonly bitsPerSample: number;
}

export interface WavOptions {
  /** What messages call the bytes: a file's name. */
  readonly name?: string;
  /** The rate that is wanted; another one is refused (D304), since resampling in silence would spoil what a model learns. */
  readonly samplingRate?: number;
  /** The number of channels that is wanted; another one is refused (D304). */
  readonly channels?: number;
}

const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;
/** The rest of a sub-format after its first two bytes, which hold the format code. */
const subFormat = [0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80, 0x00, 0x00, 0xaa, 0x00, 0x38, 0x9b, 0x71];
const formatNames: Record<number, string> = {
  2: "Microsoft ADPCM",
  6: "A-law",
  7: "µ-law",
  17: "IMA ADPCM",
  49: "GSM 6.10",
  80: "MPEG",
  85: "MP3",
};

interface Format {
  readonly code: number;
  readonly channels: number;
  readonly samplingRate: number;
  readonly blockAlign: number;
  readonly bits: number;
}

/**
 * Decodes a wav file. Throws D301 (not a wav file), D302 (an encoding that is not read), D303 (cut short or
 * contradictory), D304 (another rate or number of channels than asked for).
 */
export function decodeWav(bytes: Uint8Array | ArrayBuffer, options: WavOptions = {}): WavAudio {
  const b = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
  const name = options.name ?? "the wav data";
  const view = new DataView(b.buffer, b.byteOffset, b.byteLength);
  const fail = (code: string, message: string, received: string, expected: string, hint?: string): never => {
    throw new LayerwiseError(`${name} ${message}`, { code, layer: options.name, received, expected, hint });
  };
  const tag = (at: number): string =>
    at + 4 <= b.length ? String.fromCharCode(b[at], b[at + 1], b[at + 2], b[at + 3]) : "";
  if (tag(0) !== "RIFF" || tag(8) !== "WAVE") {
    const start = b.length === 0 ? "no bytes" : JSON.stringify(`${tag(0)}…${tag(8)}`);
    const big = tag(0) === "RIFX" || tag(0) === "RF64";
    fail(big ? "D302" : "D301", big ? "is a kind of wav that is not read" : "is not a wav file", start, '"RIFF…WAVE"');
  }
  let format: Format | null = null;
  for (let at = 12; at + 8 <= b.length; ) {
    const id = tag(at);
    const start = at + 8;
    const stated = view.getUint32(at + 4, true);
    // Programs that write into a pipe do not know the size and leave it at its limit: the sound goes on to the end.
    const size = id === "data" && stated === 0xffffffff ? b.length - start : stated;
    if (start + size > b.length)
      fail(
        "D303",
        "is cut short",
        `${b.length - start} bytes of "${id}"`,
        `${size}`,
        "copy or download the file again",
      );
    if (id === "fmt ") format = readFormat(view, start, size, fail);
    if (id === "data") {
      if (format === null) return fail("D303", "has sound before its format", '"data" first', '"fmt " first');
      return readSamples(b, view, start, size, format, options, fail);
    }
    at = start + size + (size & 1);
  }
  return fail(
    "D303",
    "holds no sound",
    format === null ? 'neither "fmt " nor "data"' : 'no "data"',
    "a format and sound",
  );
}

type Fail = (code: string, message: string, received: string, expected: string, hint?: string) => never;

function readFormat(view: DataView, at: number, size: number, fail: Fail): Format {
  if (size < 16) fail("D303", "has a format that is too short", `${size} bytes`, "16 or more");
  let code = view.getUint16(at, true);
  const channels = view.getUint16(at + 2, true);
  const samplingRate = view.getUint32(at + 4, true);
  const blockAlign = view.getUint16(at + 12, true);
  const bits = view.getUint16(at + 14, true);
  if (code === EXTENSIBLE) {
    if (size < 40) fail("D303", "has an extensible format that is too short", `${size} bytes`, "40 or more");
    if (subFormat.some((v, i) => view.getUint8(at + 26 + i) !== v))
      fail("D302", "has an encoding that is not read", "a sub-format of its own", "PCM or float");
    code = view.getUint16(at + 24, true);
  }
  const known = code === PCM ? [8, 16, 24, 32] : code === FLOAT ? [32, 64] : null;
  if (known === null)
    fail(
      "D302",
      "has an encoding that is not read",
      formatNames[code] ?? `format ${code}`,
      "PCM (8, 16, 24, 32 bits) or float (32, 64 bits)",
      "convert it, for example: ffmpeg -i in.wav -c:a pcm_s16le out.wav",
    );
  if (!known!.includes(bits))
    fail(
      "D302",
      "has samples of a size that is not read",
      `${bits} bits`,
      `${code === PCM ? "PCM" : "float"} of ${known!.join(", ")} bits`,
    );
  if (channels < 1 || samplingRate < 1 || blockAlign !== (channels * bits) / 8) {
    fail(
      "D303",
      "contradicts itself",
      `${channels} channels of ${bits} bits in blocks of ${blockAlign} bytes at ${samplingRate} Hz`,
      "blocks that hold every channel once",
    );
  }
  return { code, channels, samplingRate, blockAlign, bits };
}

function readSamples(
  b: Uint8Array,
  view: DataView,
  start: number,
  size: number,
  { code, channels, samplingRate, blockAlign, bits }: Format,
  options: WavOptions,
  fail: Fail,
): WavAudio {
  if (options.samplingRate !== undefined && options.samplingRate !== samplingRate) {
    fail(
      "D304",
      "has another sampling rate",
      `${samplingRate} Hz`,
      `${options.samplingRate} Hz`,
      `resample it, for example: ffmpeg -i in.wav -ar ${options.samplingRate} out.wav`,
    );
  }
  if (options.channels !== undefined && options.channels !== channels) {
    fail(
      "D304",
      "has another number of channels",
      String(channels),
      String(options.channels),
      "average or pick channels of `samples`",
    );
  }
  if (size % blockAlign !== 0)
    fail("D303", "ends within a sample", `${size} bytes`, `a multiple of ${blockAlign}, the size of a moment`);
  const count = (size / blockAlign) * channels;
  const out = new Float32Array(count);
  const read: (at: number) => number =
    code === FLOAT
      ? bits === 32
        ? (at) => view.getFloat32(at, true)
        : (at) => view.getFloat64(at, true)
      : bits === 8
        ? (at) => (b[at] - 128) / 2 ** 7
        : bits === 16
          ? (at) => view.getInt16(at, true) / 2 ** 15
          : bits === 24
            ? (at) => ((b[at + 2] << 24) | (b[at + 1] << 16) | (b[at] << 8)) / 2 ** 31
            : (at) => view.getInt32(at, true) / 2 ** 31;
  for (let i = 0, at = start; i < count; i++, at += bits / 8) out[i] = read(at);
  return {
    samples: tensorFrom(out, [count / channels, channels], "f32"),
    samplingRate,
    channels,
    bitsPerSample: bits,
  };
}
