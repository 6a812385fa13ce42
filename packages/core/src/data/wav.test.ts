import { describe, expect, test } from "vitest";
import { decodeWav } from "./wav.ts";

interface Parts {
  readonly code?: number;
  readonly channels?: number;
  readonly rate?: number;
  readonly bits: number;
  /** Extensible form with this sub-format code. */
  readonly sub?: number;
  readonly data: readonly number[] | Uint8Array;
  readonly extra?: readonly (readonly [string, readonly number[]])[];
}

function chunk(id: string, bytes: ArrayLike<number>): number[] {
  const size = bytes.length;
  return [
    ...[...id].map((c) => c.charCodeAt(0)),
    ...[size & 255, (size >> 8) & 255, (size >> 16) & 255, size >>> 24],
    ...Array.from(bytes),
    ...(size % 2 === 1 ? [0] : []),
  ];
}

function wav({ code = 1, channels = 1, rate = 8000, bits, sub, data, extra = [] }: Parts): Uint8Array {
  const format = new Uint8Array(sub === undefined ? 16 : 40);
  const view = new DataView(format.buffer);
  view.setUint16(0, sub === undefined ? code : 0xfffe, true);
  view.setUint16(2, channels, true);
  view.setUint32(4, rate, true);
  view.setUint32(8, (rate * channels * bits) / 8, true);
  view.setUint16(12, (channels * bits) / 8, true);
  view.setUint16(14, bits, true);
  if (sub !== undefined) {
    view.setUint16(16, 22, true);
    view.setUint16(18, bits, true);
    view.setUint16(24, sub, true);
    format.set([0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71], 26);
  }
  const body = [...extra.flatMap(([id, b]) => chunk(id, b)), ...chunk("fmt ", format), ...chunk("data", data)];
  return Uint8Array.from([...chunk("RIFF", [...[..."WAVE"].map((c) => c.charCodeAt(0)), ...body])]);
}

const little = (type: "Int16" | "Int32" | "Float32" | "Float64", values: readonly number[]): Uint8Array => {
  const size = { Int16: 2, Int32: 4, Float32: 4, Float64: 8 }[type];
  const view = new DataView(new ArrayBuffer(size * values.length));
  values.forEach((v, i) => {
    view[`set${type}`](i * size, v, true);
  });
  return new Uint8Array(view.buffer);
};
const numbers = (bytes: Uint8Array) => [...decodeWav(bytes).samples.dataSync()];

describe("wav files", () => {
  test("8 bits are unsigned", () => {
    expect(numbers(wav({ bits: 8, data: [0, 128, 192] }))).toEqual([-1, 0, 0.5]);
  });
  test("16 bits", () => {
    expect(numbers(wav({ bits: 16, data: little("Int16", [-32768, 0, 16384, 32767]) }))).toEqual([
      -1,
      0,
      0.5,
      Math.fround(32767 / 32768),
    ]);
  });
  test("24 bits", () => {
    expect(numbers(wav({ bits: 24, data: [0, 0, 0x80, 0, 0, 0x40, 1, 0, 0] }))).toEqual([-1, 0.5, 2 ** -23]);
  });
  test("32 bits", () => {
    expect(numbers(wav({ bits: 32, data: little("Int32", [-(2 ** 31), 2 ** 30]) }))).toEqual([-1, 0.5]);
  });
  test("floats of 32 and 64 bits", () => {
    expect(numbers(wav({ code: 3, bits: 32, data: little("Float32", [0.25, -1.5]) }))).toEqual([0.25, -1.5]);
    expect(numbers(wav({ code: 3, bits: 64, data: little("Float64", [0.25, -1.5]) }))).toEqual([0.25, -1.5]);
  });
  test("the extensible form, integers and floats", () => {
    expect(numbers(wav({ sub: 1, bits: 16, data: little("Int16", [16384]) }))).toEqual([0.5]);
    expect(numbers(wav({ sub: 3, bits: 32, data: little("Float32", [0.75]) }))).toEqual([0.75]);
  });
  test("channels are columns; other chunks, also of odd size, are passed over", () => {
    const audio = decodeWav(
      wav({
        channels: 2,
        rate: 44100,
        bits: 16,
        data: little("Int16", [16384, -16384, 8192, 0]),
        extra: [
          ["LIST", [1, 2, 3]],
          ["bext", [0]],
        ],
      }),
    );
    expect(audio.samples.shape).toEqual([2, 2]);
    expect([...audio.samples.dataSync()]).toEqual([0.5, -0.5, 0.25, 0]);
    expect(audio).toMatchObject({ samplingRate: 44100, channels: 2, bitsPerSample: 16 });
  });
  test("a view into a larger buffer, and a plain buffer", () => {
    const bytes = wav({ bits: 8, data: [192] });
    const padded = new Uint8Array(bytes.length + 6);
    padded.set(bytes, 3);
    expect(numbers(padded.subarray(3, 3 + bytes.length))).toEqual([0.5]);
    expect([...decodeWav(bytes.slice().buffer).samples.dataSync()]).toEqual([0.5]);
  });
  test("sound of unknown size from a pipe goes on to the end; no sound is no error", () => {
    const bytes = wav({ bits: 8, data: [0, 128] });
    bytes.set([255, 255, 255, 255], bytes.length - 6);
    expect(numbers(bytes)).toEqual([-1, 0]);
    expect(decodeWav(wav({ bits: 16, data: [] })).samples.shape).toEqual([0, 1]);
  });
});

describe("what is refused", () => {
  const whole = wav({ bits: 16, data: little("Int16", [1, 2, 3, 4]) });
  test("other files", () => {
    expect(() => decodeWav(new Uint8Array(0), { name: "a.wav" })).toThrow(/D301: a\.wav is not a wav file/);
    expect(() => decodeWav(new TextEncoder().encode("ID3 some other music"))).toThrow(/D301/);
    const big = whole.slice();
    big.set([0x52, 0x49, 0x46, 0x58]);
    expect(() => decodeWav(big)).toThrow(/D302/);
  });
  test("other encodings and sizes", () => {
    expect(() => decodeWav(wav({ code: 2, bits: 8, data: [0] }))).toThrow(/D302.*ADPCM/s);
    expect(() => decodeWav(wav({ code: 7, bits: 8, data: [0] }))).toThrow(/D302.*µ-law/s);
    expect(() => decodeWav(wav({ sub: 85, bits: 16, data: [0, 0] }))).toThrow(/D302.*MP3/s);
    expect(() => decodeWav(wav({ code: 3, bits: 16, data: [0, 0] }))).toThrow(/D302.*16 bits/s);
    const own = wav({ sub: 1, bits: 16, data: [0, 0] });
    own[12 + 8 + 30] ^= 1;
    expect(() => decodeWav(own)).toThrow(/D302.*sub-format/s);
  });
  test("files that are cut short, at every length", () => {
    for (let n = 0; n < whole.length; n++) expect(() => decodeWav(whole.subarray(0, n)), `${n}`).toThrow(/D30[13]/);
    expect(() => decodeWav(whole.subarray(0, 50))).toThrow(/D303.*6 bytes of "data".*8/s);
  });
  test("contradictions", () => {
    const odd = wav({ bits: 16, data: [1, 2, 3] });
    expect(() => decodeWav(odd)).toThrow(/D303.*within a sample/s);
    const align = whole.slice();
    align[32] = 3;
    expect(() => decodeWav(align)).toThrow(/D303.*contradicts/s);
    const none = whole.slice();
    none[22] = 0;
    expect(() => decodeWav(none)).toThrow(/D303/);
  });
  test("another rate or number of channels than asked for", () => {
    expect(() => decodeWav(whole, { samplingRate: 16000 })).toThrow(/D304.*8000 Hz.*16000 Hz.*ffmpeg/s);
    expect(() => decodeWav(whole, { channels: 2 })).toThrow(/D304/);
    expect(decodeWav(whole, { samplingRate: 8000, channels: 1 }).samples.shape).toEqual([4, 1]);
  });
});
