/** MNIST and Fashion-MNIST. */
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { LayerwiseError, type Tensor, tensor } from "@layerwise/core";
import { type DatasetOptions, obtainFile, type SearchOptions } from "./files.ts";
import { readIdx } from "./idx.ts";
import { fashionMnistSource, type IdxSource, mnistSource, type SourceFile } from "./sources.ts";

/** Images and their labels; `x` and `y` have the same first axis. */
export interface Split {
  readonly x: Tensor;
  readonly y: Tensor;
}

/** What a data-set function returns. */
export interface Splits {
  readonly train: Split;
  readonly test: Split;
}

/**
 * Handwritten digits (LeCun, Cortes, Burges). `train.x: u8 [60000, 28, 28]`, `train.y: u8 [60000]` (0 … 9), 10,000 to test.
 * Taken from `LAYERWISE_DATASETS/mnist`, the user's cache, or downloaded (11.6 MB). Throws D201–D207.
 */
export function mnist(options: DatasetOptions = {}): Promise<Splits> {
  return loadIdxDataset(mnistSource, options);
}

/**
 * Pictures of clothes (Xiao, Rasul, Vollgraf 2017), shaped as MNIST: `train.x: u8 [60000, 28, 28]`, `train.y: u8 [60000]`.
 * Taken from `LAYERWISE_DATASETS/fashion-mnist`, the user's cache, or downloaded (30.9 MB). Throws D201–D207.
 */
export function fashionMnist(options: DatasetOptions = {}): Promise<Splits> {
  return loadIdxDataset(fashionMnistSource, options);
}

/** Any data set in that form. */
export async function loadIdxDataset(source: IdxSource, options: SearchOptions): Promise<Splits> {
  const train = await loadSplit(source, source.train, options);
  const test = await loadSplit(source, source.test, options);
  return { train, test };
}

async function loadSplit(source: IdxSource, split: IdxSource["train"], options: SearchOptions): Promise<Split> {
  const x = await loadArray(source, split.images, 3, options);
  const y = await loadArray(source, split.labels, 1, options);
  if (x.shape[0] !== y.shape[0]) {
    throw new LayerwiseError(`${source.folder} has another number of labels than of images`, {
      code: "D207",
      layer: source.folder,
      received: `${y.shape[0]} labels`,
      expected: `${x.shape[0]}, one for each image`,
    });
  }
  return { x, y };
}

async function loadArray(source: IdxSource, file: SourceFile, rank: number, options: SearchOptions): Promise<Tensor> {
  const packed = await obtainFile(source.folder, file, source.addresses, options);
  const { shape, data } = readIdx(await promisify(gunzip)(packed), rank, `${source.folder}/${file.name}`);
  return tensor(data, shape, "u8");
}
