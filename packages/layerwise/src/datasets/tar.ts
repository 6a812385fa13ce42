/** Reads a tar archive that lies in memory (POSIX ustar and GNU; only plain files are returned). */
import { LayerwiseError } from "@layerwise/core";

const block = 512;

/** The archive's plain files by path, as views of `archive`. Throws D207 where the archive is cut short or damaged. */
export function readTar(archive: Uint8Array, name: string): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const damaged = (received: string, expected: string) =>
    new LayerwiseError(`${name} is not a whole tar archive`, { code: "D207", layer: name, received, expected });
  let at = 0;
  while (at + block <= archive.length) {
    const header = archive.subarray(at, at + block);
    // Two zero blocks end an archive; one is enough to know.
    if (header.every((b) => b === 0)) return files;
    if (octal(header, 148, 8) !== checksum(header)) {
      throw damaged(`a wrong header checksum at byte ${at}`, "the sum that the header states");
    }
    const size = octal(header, 124, 12);
    const start = at + block;
    if (!(size >= 0) || start + size > archive.length) {
      throw damaged(`${archive.length - start} bytes at the end`, `${size} bytes of "${text(header, 0, 100)}"`);
    }
    const type = header[156];
    if (type === 0 || type === 0x30) {
      const prefix = text(header, 257, 5) === "ustar" ? text(header, 345, 155) : "";
      files.set(
        prefix ? `${prefix}/${text(header, 0, 100)}` : text(header, 0, 100),
        archive.subarray(start, start + size),
      );
    }
    at = start + Math.ceil(size / block) * block;
  }
  throw damaged(`${archive.length} bytes without an end mark`, "two blocks of zeros at the end");
}

function text(header: Uint8Array, offset: number, length: number): string {
  const bytes = header.subarray(offset, offset + length);
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString("utf8");
}

function octal(header: Uint8Array, offset: number, length: number): number {
  const digits = text(header, offset, length).trim();
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
}

/** Sum of the header's bytes with the checksum field taken as spaces. */
function checksum(header: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < block; i++) sum += i >= 148 && i < 156 ? 0x20 : header[i];
  return sum;
}
