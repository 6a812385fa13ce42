/** The archive of spoken digits: its recordings, and the digest by which they are known. */
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { readTar } from "./tar.ts";

const sha256 = (bytes: Uint8Array | string): string => createHash("sha256").update(bytes).digest("hex");

/** The recordings of the three speakers by name, sorted. */
export function recordingsOf(archive: Uint8Array, name: string): Map<string, Uint8Array> {
  const found = [...readTar(gunzipSync(archive), name)].flatMap(([path, bytes]) => {
    const [, file] = /(?:^|\/)recordings\/(\d_(?:jackson|nicolas|theo)_\d+\.wav)$/.exec(path) ?? [];
    return file === undefined ? [] : [[file, bytes] as const];
  });
  return new Map(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * The digest of the recordings in an archive: sha256 of the lines "sha256  name". An archive that a server packs afresh for
 * each download has other bytes every time, and the same recordings.
 */
export function recordingsDigest(archive: Uint8Array): string {
  const lines = [...recordingsOf(archive, "the archive")].map(([name, bytes]) => `${sha256(bytes)}  ${name}\n`);
  return sha256(lines.join(""));
}
