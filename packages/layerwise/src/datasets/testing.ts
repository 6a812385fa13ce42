/** For the tests of this folder: tiny data sets in the published forms, a web server on the loopback, a folder that goes away. */

import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { sha256 } from "./download.ts";
import type { CifarSource, IdxSource, SourceFile } from "./sources.ts";

/** Content by file name. */
export type Contents = Record<string, Uint8Array>;

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "layerwise-test-"));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const cleanups: (() => unknown)[] = [];

/** Undoes everything this file made; for `afterEach`. */
export async function cleanUp(): Promise<void> {
  for (const undo of cleanups.splice(0)) await undo();
}

/** A server on the loopback; returns its address, which ends in "/". */
export async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** Serves files by name and counts requests; what is not among them is 404. */
export async function serveFiles(contents: Contents): Promise<{ address: string; requests: string[] }> {
  const requests: string[] = [];
  const address = await serve((request, response) => {
    const name = request.url!.slice(1);
    requests.push(name);
    const bytes = contents[name];
    if (bytes === undefined) response.writeHead(404).end("no such file");
    else response.writeHead(200, { "content-length": bytes.length }).end(bytes);
  });
  return { address, requests };
}

export function idx(shape: readonly number[], data: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * shape.length + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x0800 + shape.length);
  shape.forEach((n, axis) => view.setUint32(4 + 4 * axis, n));
  bytes.set(data, 4 + 4 * shape.length);
  return bytes;
}

function range(n: number, from = 0): number[] {
  return Array.from({ length: n }, (_, i) => (from + i) % 256);
}

/** Three images of 2×2 to train on and two to test on. */
export function tinyIdx(addresses: readonly string[]): { source: IdxSource; contents: Contents } {
  const contents: Contents = {
    "train-images.gz": gzipSync(idx([3, 2, 2], range(12))),
    "train-labels.gz": gzipSync(idx([3], [7, 8, 9])),
    "test-images.gz": gzipSync(idx([2, 2, 2], range(8, 100))),
    "test-labels.gz": gzipSync(idx([2], [1, 2])),
  };
  const file = (name: string): SourceFile => ({ name, sha256: sha256(contents[name]) });
  const source: IdxSource = {
    folder: "tiny",
    addresses,
    train: { images: file("train-images.gz"), labels: file("train-labels.gz") },
    test: { images: file("test-images.gz"), labels: file("test-labels.gz") },
  };
  return { source, contents };
}

/** Two batches of one record to train on and one to test on; `batches` holds them unpacked. */
export function tinyCifar(addresses: readonly string[]): {
  source: CifarSource;
  contents: Contents;
  batches: Contents;
} {
  const batch = (label: number): Uint8Array => Uint8Array.from([label, ...range(3 * 1024, label)]);
  const batches: Contents = { "a.bin": batch(3), "b.bin": batch(5), "test.bin": batch(9) };
  const archive = gzipSync(tar(Object.fromEntries(Object.entries(batches).map(([k, v]) => [`cifar/${k}`, v]))));
  const file = (name: string): SourceFile => ({ name, sha256: sha256(batches[name]) });
  const source: CifarSource = {
    folder: "tiny-cifar",
    addresses,
    archive: { name: "tiny.tar.gz", sha256: sha256(archive) },
    train: [file("a.bin"), file("b.bin")],
    test: [file("test.bin")],
  };
  return { source, contents: { "tiny.tar.gz": archive }, batches };
}

/** A ustar archive with one folder and these files. */
export function tar(files: Contents): Uint8Array {
  const blocks: Uint8Array[] = [tarHeader("cifar/", 0, "5")];
  for (const [name, bytes] of Object.entries(files)) {
    blocks.push(tarHeader(name, bytes.length, "0"), bytes, new Uint8Array((512 - (bytes.length % 512)) % 512));
  }
  return Buffer.concat([...blocks, new Uint8Array(1024)]);
}

function tarHeader(name: string, size: number, type: string): Uint8Array {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write("0000644\0", 100);
  header.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  header.write("        ", 148);
  header.write(type, 156);
  header.write("ustar\0" + "00", 257);
  const sum = header.reduce((a, b) => a + b, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}
