/** CIFAR-10 in its binary version. */
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { LayerwiseError, tensor } from "@layerwise/core";
import { sha256 } from "./download.ts";
import { type DatasetOptions, fetchFile, findFile, keep, type SearchOptions, type StoredForm } from "./files.ts";
import type { Split, Splits } from "./idx-dataset.ts";
import { type CifarSource, cifar10Source, type SourceFile } from "./sources.ts";
import { readTar } from "./tar.ts";

const unpack = promisify<Uint8Array, Uint8Array>(gunzip);
const pixels = 32 * 32;
/** A label byte, then the red, the green and the blue plane. */
const record = 1 + 3 * pixels;

/** The batches are large, so a folder may hold them gzipped. */
const forms: readonly StoredForm[] = [
  { suffix: "", decode: async (bytes) => bytes },
  { suffix: ".gz", decode: unpack },
];

/**
 * Colour pictures in ten classes (Krizhevsky 2009): `train.x: u8 [50000, 32, 32, 3]`, `train.y: u8 [50000]` (0 … 9), 10,000 to
 * test. Taken from `LAYERWISE_DATASETS/cifar10` (`data_batch_1.bin` … or the same gzipped), the user's cache, or downloaded
 * (170 MB). Throws D201–D207.
 */
export function cifar10(options: DatasetOptions = {}): Promise<Splits> {
  return loadCifar(cifar10Source, options);
}

/** The data set from any source in that form. */
export async function loadCifar(source: CifarSource, options: SearchOptions): Promise<Splits> {
  const wanted = [...source.train, ...source.test];
  const batches: Uint8Array[] = [];
  for (const file of wanted) {
    const bytes = await findFile(source.folder, file, options, forms);
    if (bytes === undefined) break;
    batches.push(bytes);
  }
  const complete = batches.length === wanted.length ? batches : await fetchBatches(source, wanted, options);
  return {
    train: toSplit(source, complete.slice(0, source.train.length)),
    test: toSplit(source, complete.slice(source.train.length)),
  };
}

/** Downloads the archive and keeps its batches, unpacked, in the cache. */
async function fetchBatches(
  source: CifarSource,
  wanted: readonly SourceFile[],
  options: SearchOptions,
): Promise<Uint8Array[]> {
  const { name } = source.archive;
  const files = readTar(await unpack(await fetchFile(source.folder, source.archive, source.addresses, options)), name);
  const byName = new Map([...files].map(([path, bytes]) => [path.slice(path.lastIndexOf("/") + 1), bytes]));
  const batches: Uint8Array[] = [];
  for (const file of wanted) {
    const bytes = byName.get(file.name);
    if (bytes === undefined || sha256(bytes) !== file.sha256) {
      throw new LayerwiseError(`${name} does not hold the right ${file.name}`, {
        code: "D207",
        layer: name,
        received: bytes === undefined ? "no such file in the archive" : `sha256 ${sha256(bytes)}`,
        expected: `sha256 ${file.sha256}`,
      });
    }
    await keep(source.folder, file.name, bytes, options);
    batches.push(bytes);
  }
  return batches;
}

/** Batches of records → x: u8 [N, 32, 32, 3], channels last, and y: u8 [N]. */
function toSplit(source: CifarSource, batches: readonly Uint8Array[]): Split {
  const n = batches.reduce((sum, batch) => sum + batch.length, 0) / record;
  if (!Number.isInteger(n)) {
    throw new LayerwiseError(`the batches of ${source.folder} do not hold whole records`, {
      code: "D207",
      layer: source.folder,
      received: batches.map((batch) => `${batch.length} bytes`).join(", "),
      expected: `multiples of ${record}`,
    });
  }
  const x = new Uint8Array(n * 3 * pixels);
  const y = new Uint8Array(n);
  let row = 0;
  for (const batch of batches) {
    for (let at = 0; at < batch.length; at += record, row++) {
      y[row] = batch[at];
      const out = row * 3 * pixels;
      for (let p = 0; p < pixels; p++) {
        x[out + 3 * p] = batch[at + 1 + p];
        x[out + 3 * p + 1] = batch[at + 1 + pixels + p];
        x[out + 3 * p + 2] = batch[at + 1 + 2 * pixels + p];
      }
    }
  }
  return { x: tensor(x, [n, 32, 32, 3], "u8"), y: tensor(y, [n], "u8") };
}
