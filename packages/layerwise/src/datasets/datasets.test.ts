import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { cifar10, loadCifar } from "./cifar10.ts";
import { sha256 } from "./download.ts";
import { cacheFolder } from "./folders.ts";
import { loadIdxDataset, mnist } from "./idx-dataset.ts";
import type { IdxSource } from "./sources.ts";
import { type Contents, cleanUp, idx, serve, serveFiles, temporaryFolder, tinyCifar, tinyIdx } from "./testing.ts";

afterEach(cleanUp);

const network = { pauseMs: 1, stallMs: 2000 };

/** Writes files into `base/dataset`. */
function put(base: string, dataset: string, contents: Contents): void {
  mkdirSync(join(base, dataset), { recursive: true });
  for (const [name, bytes] of Object.entries(contents)) writeFileSync(join(base, dataset, name), bytes);
}

/** Options that keep a test away from the machine's own folders. */
function apart() {
  const said: string[] = [];
  const folder = temporaryFolder();
  const cache = temporaryFolder();
  return {
    options: { folder, cache, network, verbose: 0, say: (line: string) => said.push(line) } as const,
    said,
    folder,
    cache,
  };
}

describe("files in the IDX form", () => {
  test("come from the named folder, without network", async () => {
    const { options, folder } = apart();
    const { source, contents } = tinyIdx([]);
    put(folder, "tiny", contents);
    const { train, test: held } = await loadIdxDataset(source, options);
    expect([train.x.shape, train.x.dtype, train.y.shape, train.y.dtype]).toEqual([[3, 2, 2], "u8", [3], "u8"]);
    expect([...train.x.dataSync()]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect([...train.y.dataSync()]).toEqual([7, 8, 9]);
    expect([...held.x.dataSync()].slice(0, 2)).toEqual([100, 101]);
  });

  test("are downloaded once and kept", async () => {
    const { options, cache } = apart();
    const files: Contents = {};
    const server = await serveFiles(files);
    const { source, contents } = tinyIdx([server.address]);
    Object.assign(files, contents);
    await loadIdxDataset(source, options);
    expect(server.requests.length).toBe(4);
    expect(readdirSync(join(cache, "datasets/tiny")).sort()).toEqual(Object.keys(contents).sort());
    await loadIdxDataset(source, { ...options, download: false });
    expect(server.requests.length).toBe(4);
  });

  test("the folder goes before the cache, the cache before the network", async () => {
    const { options, folder, cache } = apart();
    const server = await serveFiles({});
    const { source, contents } = tinyIdx([server.address]);
    const { "train-images.gz": images, ...others } = contents;
    put(folder, "tiny", { "train-images.gz": images });
    put(join(cache, "datasets"), "tiny", { ...others, "train-images.gz": Uint8Array.of(0) });
    const { train } = await loadIdxDataset(source, options);
    expect(train.x.shape).toEqual([3, 2, 2]);
    expect(server.requests).toEqual([]);
  });

  test("a damaged or truncated file in the named folder is an error that names it", async () => {
    const { options, folder } = apart();
    const { source, contents } = tinyIdx([]);
    const cut = contents["train-images.gz"].subarray(0, 20);
    put(folder, "tiny", { ...contents, "train-images.gz": cut });
    await expect(loadIdxDataset(source, options)).rejects.toMatchObject({
      code: "D201",
      layer: join(folder, "tiny/train-images.gz"),
      received: `20 bytes, sha256 ${sha256(cut)}`,
      expected: `sha256 ${source.train.images.sha256}`,
    });
  });

  test("a damaged file in the cache is fetched again, and that is said", async () => {
    const { options, cache, said } = apart();
    const files: Contents = {};
    const server = await serveFiles(files);
    const { source, contents } = tinyIdx([server.address]);
    Object.assign(files, contents);
    put(join(cache, "datasets"), "tiny", { ...contents, "test-labels.gz": contents["test-labels.gz"].subarray(3) });
    await loadIdxDataset(source, options);
    expect(server.requests).toEqual(["test-labels.gz"]);
    expect(said).toEqual([expect.stringContaining("test-labels.gz is damaged")]);
    expect(sha256(readFileSync(join(cache, "datasets/tiny/test-labels.gz")))).toBe(source.test.labels.sha256);
  });

  test("a download that breaks leaves nothing behind, and the next one works", async () => {
    const { options, cache } = apart();
    const { source: shape, contents } = tinyIdx([]);
    let broken = true;
    const address = await serve((request, response) => {
      const bytes = contents[request.url!.slice(1)];
      response.writeHead(200, { "content-length": bytes.length });
      if (broken) response.write(bytes.subarray(0, 10), () => setTimeout(() => response.destroy(), 10));
      else response.end(bytes);
    });
    const source: IdxSource = { ...shape, addresses: [address] };
    await expect(loadIdxDataset(source, options)).rejects.toMatchObject({ code: "D202" });
    expect(readdirSync(cache)).toEqual([]);
    broken = false;
    expect((await loadIdxDataset(source, options)).train.x.shape).toEqual([3, 2, 2]);
    expect(readdirSync(join(cache, "datasets/tiny")).sort()).toEqual(Object.keys(contents).sort());
  });

  test("a file that is not the published one is not kept", async () => {
    const { options, cache } = apart();
    const { source: shape, contents } = tinyIdx([]);
    const server = await serveFiles({ ...contents, "train-images.gz": gzipSync(Uint8Array.of(1)) });
    await expect(loadIdxDataset({ ...shape, addresses: [server.address] }, options)).rejects.toMatchObject({
      code: "D204",
    });
    expect(readdirSync(cache)).toEqual([]);
  });

  test("download: false names the folders that were searched", async () => {
    const { options, cache, folder } = apart();
    const { source } = tinyIdx(["http://127.0.0.1:1/"]);
    const attempt = loadIdxDataset(source, { ...options, download: false });
    await expect(attempt).rejects.toMatchObject({
      code: "D205",
      expected: expect.stringContaining(join(folder, "tiny")),
    });
    await expect(attempt).rejects.toMatchObject({ expected: expect.stringContaining(join(cache, "datasets/tiny")) });
  });

  test("a cache that cannot be written is reported once, and the data is used", async () => {
    const { options, cache, said } = apart();
    const files: Contents = {};
    const server = await serveFiles(files);
    const { source, contents } = tinyIdx([server.address]);
    Object.assign(files, contents);
    // A file in the place of the folder: no user, not even root, can write below it.
    writeFileSync(join(cache, "datasets"), "");
    chmodSync(join(cache, "datasets"), 0o444);
    expect((await loadIdxDataset(source, options)).test.y.shape).toEqual([2]);
    expect((await loadIdxDataset(source, options)).test.y.shape).toEqual([2]);
    expect(server.requests.length).toBe(8);
    expect(said).toEqual([expect.stringMatching(/cannot be written \(E[A-Z]+\)/)]);
  });

  test("content that contradicts its header is refused", async () => {
    const { options, folder } = apart();
    const { source, contents } = tinyIdx([]);
    const load = async (images: Uint8Array) => {
      const name = source.train.images.name;
      put(folder, "tiny", { ...contents, [name]: images });
      const train = { ...source.train, images: { name, sha256: sha256(images) } };
      return loadIdxDataset({ ...source, train }, options);
    };
    await expect(load(gzipSync(idx([3, 2, 2], [1, 2])))).rejects.toMatchObject({
      code: "D207",
      received: "2 bytes of data",
    });
    await expect(load(gzipSync(idx([12], Array(12).fill(0))))).rejects.toMatchObject({ code: "D207" });
    await expect(load(gzipSync(idx([2, 2, 2], Array(8).fill(0))))).rejects.toMatchObject({
      code: "D207",
      received: "3 labels",
    });
  });
});

describe("CIFAR-10", () => {
  test("planes become channels, from plain or gzipped batches", async () => {
    const { options, folder } = apart();
    const { source, batches } = tinyCifar([]);
    put(folder, "tiny-cifar", {
      "a.bin": batches["a.bin"],
      "b.bin.gz": gzipSync(batches["b.bin"]),
      "test.bin": batches["test.bin"],
    });
    const { train, test: held } = await loadCifar(source, options);
    expect([train.x.shape, train.x.dtype, held.x.shape]).toEqual([[2, 32, 32, 3], "u8", [1, 32, 32, 3]]);
    expect([...train.y.dataSync()]).toEqual([3, 5]);
    const pixel = (image: number, p: number) =>
      [...train.x.dataSync()].slice(image * 3072 + 3 * p, image * 3072 + 3 * p + 3);
    for (const [image, label] of [
      [0, 3],
      [1, 5],
    ]) {
      for (const p of [0, 1, 37, 1023]) {
        expect(pixel(image, p)).toEqual([0, 1, 2].map((c) => (label + c * 1024 + p) % 256));
      }
    }
  });

  test("the archive is downloaded once, unpacked into the cache", async () => {
    const { options, cache } = apart();
    const files: Contents = {};
    const server = await serveFiles(files);
    const { source, contents } = tinyCifar([server.address]);
    Object.assign(files, contents);
    await loadCifar(source, options);
    expect(readdirSync(join(cache, "datasets/tiny-cifar")).sort()).toEqual(["a.bin", "b.bin", "test.bin"]);
    const { train } = await loadCifar(source, { ...options, download: false });
    expect([...train.y.dataSync()]).toEqual([3, 5]);
    expect(server.requests).toEqual(["tiny.tar.gz"]);
  });

  test("a gzipped batch that does not unpack is named", async () => {
    const { options, folder } = apart();
    const { source, batches } = tinyCifar([]);
    put(folder, "tiny-cifar", { "a.bin.gz": gzipSync(batches["a.bin"]).subarray(0, 40) });
    await expect(loadCifar(source, options)).rejects.toMatchObject({
      code: "D201",
      layer: join(folder, "tiny-cifar/a.bin.gz"),
    });
  });

  test("an archive without a batch is refused", async () => {
    const { options } = apart();
    const { source, contents } = tinyCifar([]);
    const server = await serveFiles(contents);
    const more = { ...source, addresses: [server.address], test: [{ name: "c.bin", sha256: "00" }] };
    await expect(loadCifar(more, options)).rejects.toMatchObject({
      code: "D207",
      received: "no such file in the archive",
    });
  });
});

test("the cache follows LAYERWISE_CACHE", () => {
  const before = process.env["LAYERWISE_CACHE"];
  try {
    process.env["LAYERWISE_CACHE"] = "/somewhere";
    expect(cacheFolder()).toBe("/somewhere");
  } finally {
    if (before === undefined) delete process.env["LAYERWISE_CACHE"];
    else process.env["LAYERWISE_CACHE"] = before;
  }
});

const real = process.env["LAYERWISE_DATASETS"];
if (!real) console.warn("LAYERWISE_DATASETS is not set: the real MNIST and CIFAR-10 are not tested");

describe.skipIf(!real)("the real files", () => {
  function histogram(labels: ArrayLike<number>): number[] {
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < labels.length; i++) counts[labels[i]]++;
    return counts;
  }

  test("MNIST", async () => {
    const { train, test: held } = await mnist({ download: false });
    expect([train.x.shape, train.y.shape, held.x.shape, held.y.shape]).toEqual([
      [60000, 28, 28],
      [60000],
      [10000, 28, 28],
      [10000],
    ]);
    expect(histogram(train.y.dataSync())).toEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    expect([...train.y.dataSync().subarray(0, 5)]).toEqual([5, 0, 4, 1, 9]);
  });

  test("CIFAR-10", async () => {
    const { train, test: held } = await cifar10({ download: false });
    expect([train.x.shape, held.x.shape]).toEqual([
      [50000, 32, 32, 3],
      [10000, 32, 32, 3],
    ]);
    expect(histogram(train.y.dataSync())).toEqual(Array(10).fill(5000));
    expect(histogram(held.y.dataSync())).toEqual(Array(10).fill(1000));
    // The first picture, a frog: Keras gives these values for x_train[0, 0, 0] and x_train[0, 0, 1].
    expect([...train.x.dataSync().subarray(0, 6)]).toEqual([59, 62, 63, 43, 46, 45]);
  });
});
