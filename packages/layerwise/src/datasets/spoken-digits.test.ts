import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { sha256 } from "./download.ts";
import { recordingsDigest } from "./recordings.ts";
import type { SpokenDigitsSource } from "./sources.ts";
import { loadSpokenDigits, spokenDigits } from "./spoken-digits.ts";
import { readTar } from "./tar.ts";
import { cleanUp, serveFiles, tar, temporaryFolder } from "./testing.ts";

afterEach(cleanUp);

/** A wav file of 16 bits. */
function wav(samples: readonly number[], rate = 8000): Uint8Array {
  const bytes = Buffer.alloc(44 + 2 * samples.length);
  bytes.write("RIFF", 0);
  bytes.writeUInt32LE(36 + 2 * samples.length, 4);
  bytes.write("WAVEfmt ", 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(1, 22);
  bytes.writeUInt32LE(rate, 24);
  bytes.writeUInt32LE(2 * rate, 28);
  bytes.writeUInt16LE(2, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write("data", 36);
  bytes.writeUInt32LE(2 * samples.length, 40);
  samples.forEach((s, i) => {
    bytes.writeInt16LE(s, 44 + 2 * i);
  });
  return bytes;
}

/** Two takes to train on, one to test on, one of a speaker that is left out. */
function tiny(rate = 8000): Uint8Array {
  return gzipSync(
    tar({
      "repo/recordings/3_jackson_7.wav": wav([16384, -16384], rate),
      "repo/recordings/0_theo_12.wav": wav([8192, 0, 4096], rate),
      "repo/recordings/9_nicolas_4.wav": wav([-32768], rate),
      "repo/recordings/1_george_0.wav": wav([1], rate),
      "repo/README.md": new Uint8Array(3),
    }),
  );
}

function apart(archive: Uint8Array, addresses: readonly string[] = []) {
  const source: SpokenDigitsSource = {
    folder: "tiny-digits",
    addresses,
    files: [
      { name: "packed.tar.gz", sha256: sha256(archive) },
      { name: "abc123", sha256: recordingsDigest(archive), digest: recordingsDigest },
    ],
  };
  const folder = temporaryFolder();
  const options = { folder, cache: temporaryFolder(), verbose: 0, network: { pauseMs: 1 } } as const;
  return { source, folder, options };
}
function put(folder: string, name: string, bytes: Uint8Array): void {
  mkdirSync(join(folder, "tiny-digits"), { recursive: true });
  writeFileSync(join(folder, "tiny-digits", name), bytes);
}

describe("spoken digits", () => {
  test("recordings, cut or filled with silence, by take", async () => {
    const archive = tiny();
    const { source, folder, options } = apart(archive);
    put(folder, "packed.tar.gz", archive);
    const { train, test: held, samplingRate } = await loadSpokenDigits(source, { ...options, samples: 2 });
    expect(samplingRate).toBe(8000);
    expect([...train.y.dataSync()]).toEqual([0, 3]);
    expect(train.speakers).toEqual(["theo", "jackson"]);
    expect([...train.x.dataSync()]).toEqual([0.25, 0, 0.5, -0.5]);
    expect([...train.lengths.dataSync()]).toEqual([2, 2]);
    expect([...held.x.dataSync()]).toEqual([-1, 0]);
    expect([...held.lengths.dataSync()]).toEqual([1]);
    await expect(loadSpokenDigits(source, { ...options, samples: 0 })).rejects.toMatchObject({ code: "D208" });
  });

  test("an archive packed afresh is known by its recordings", async () => {
    const archive = tiny();
    const repacked = gzipSync(
      tar({ "other/LICENSE": new Uint8Array(5), ...Object.fromEntries(entries(archive).reverse()) }),
    );
    expect(sha256(repacked)).not.toBe(sha256(archive));
    const server = await serveFiles({ abc123: repacked });
    const { source, options } = apart(archive, [server.address]);
    const { train } = await loadSpokenDigits(source, { ...options, samples: 1 });
    expect(train.x.shape).toEqual([2, 1]);
    // The second time it comes from the cache.
    await loadSpokenDigits(source, { ...options, download: false });
    expect(server.requests).toEqual(["abc123"]);
  });

  test("other recordings, and what is no archive, are refused", async () => {
    const server = await serveFiles({ abc123: tiny(16000) });
    const { source, folder, options } = apart(tiny(), [server.address]);
    await expect(loadSpokenDigits(source, options)).rejects.toMatchObject({ code: "D204" });
    put(folder, "abc123", new Uint8Array(9));
    await expect(loadSpokenDigits(source, options)).rejects.toMatchObject({ code: "D201" });
  });

  test("another sampling rate is refused with the file's name", async () => {
    const archive = tiny(16000);
    const { source, folder, options } = apart(archive);
    put(folder, "packed.tar.gz", archive);
    await expect(loadSpokenDigits(source, options)).rejects.toMatchObject({ code: "D304", layer: "0_theo_12.wav" });
  });

  const here = process.env["LAYERWISE_DATASETS"] ?? "";
  test.runIf(existsSync(join(here, "fsdd")))("the published recordings", async () => {
    const { train, test: held } = await spokenDigits({ download: false });
    expect([train.x.shape, held.x.shape]).toEqual([
      [1350, 8000],
      [150, 8000],
    ]);
    const counts = new Array(10).fill(0);
    for (const y of held.y.dataSync()) counts[y]++;
    expect(counts).toEqual(new Array(10).fill(15));
  });
});

/** Files of an archive without its folder entry. */
function entries(archive: Uint8Array): [string, Uint8Array][] {
  return [...readTar(gunzipSync(archive), "tiny")];
}
