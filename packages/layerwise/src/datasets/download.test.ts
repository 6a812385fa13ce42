import { afterEach, expect, test } from "vitest";
import { download, sha256 } from "./download.ts";
import type { SourceFile } from "./sources.ts";
import { cleanUp, serve, serveFiles } from "./testing.ts";

afterEach(cleanUp);

const content = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7) % 251);
const file: SourceFile = { name: "data.bin", sha256: sha256(content) };
const quick = { pauseMs: 1, stallMs: 2000 };

test("delivers the bytes and tells how far it is", async () => {
  const { address } = await serveFiles({ "data.bin": content });
  const seen: [number, number | undefined][] = [];
  const bytes = await download(file, [address], { ...quick, progress: (...args) => seen.push(args) });
  expect(sha256(bytes)).toBe(file.sha256);
  expect(seen.at(-1)).toEqual([content.length, content.length]);
});

test("follows a redirect", async () => {
  const { address } = await serveFiles({ "data.bin": content });
  const front = await serve((_, response) => response.writeHead(302, { location: `${address}data.bin` }).end());
  expect((await download(file, [front], quick)).length).toBe(content.length);
});

test("goes on where a connection broke", async () => {
  const ranges: (string | undefined)[] = [];
  const address = await serve((request, response) => {
    ranges.push(request.headers.range);
    if (ranges.length === 1) {
      response.writeHead(200, { "content-length": content.length });
      response.write(content.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 20));
    } else {
      const from = Number(/bytes=(\d+)-/.exec(request.headers.range!)![1]);
      response.writeHead(206, { "content-length": content.length - from }).end(content.subarray(from));
    }
  });
  const bytes = await download(file, [address], quick);
  expect(sha256(bytes)).toBe(file.sha256);
  expect(ranges).toEqual([undefined, expect.stringMatching(/^bytes=\d+-$/)]);
});

test("starts again where the server cannot go on", async () => {
  let calls = 0;
  const address = await serve((_, response) => {
    response.writeHead(200, { "content-length": content.length });
    if (++calls === 1) response.write(content.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 20));
    else response.end(content);
  });
  expect(sha256(await download(file, [address], quick))).toBe(file.sha256);
});

test("gives up on a connection that breaks again and again, and says where", async () => {
  const address = await serve((_, response) => {
    response.writeHead(200, { "content-length": content.length });
    response.write(content.subarray(0, 1000), () => setTimeout(() => response.destroy(), 10));
  });
  await expect(download(file, [address], quick)).rejects.toMatchObject({
    code: "D202",
    received: expect.stringContaining("bytes"),
  });
});

test("a server that stalls is a broken connection", async () => {
  const address = await serve((_, response) => {
    response.writeHead(200, { "content-length": content.length });
    response.write(content.subarray(0, 1000));
  });
  await expect(download(file, [address], { pauseMs: 1, stallMs: 60 })).rejects.toMatchObject({ code: "D202" });
});

test("404 is an error that names the address, and the mirror is tried", async () => {
  const empty = await serveFiles({});
  await expect(download(file, [empty.address], quick)).rejects.toMatchObject({
    code: "D203",
    message: expect.stringContaining(`${empty.address}data.bin`),
    received: "HTTP 404 Not Found",
  });
  const mirror = await serveFiles({ "data.bin": content });
  expect((await download(file, [empty.address, mirror.address], quick)).length).toBe(content.length);
});

test("another file under that name is refused, with both digests", async () => {
  const wrong = Uint8Array.of(1, 2, 3);
  const { address } = await serveFiles({ "data.bin": wrong });
  await expect(download(file, [address], quick)).rejects.toMatchObject({
    code: "D204",
    received: `3 bytes, sha256 ${sha256(wrong)}`,
    expected: `sha256 ${file.sha256}`,
  });
});

test("without network the error says what to do, and a server's answer comes first", async () => {
  // Nothing listens on the port of a server that has been closed.
  const { address } = await serveFiles({});
  await cleanUp();
  await expect(download(file, [address], quick)).rejects.toMatchObject({
    code: "D202",
    received: expect.stringContaining("ECONNREFUSED"),
    hint: expect.stringContaining("LAYERWISE_DATASETS"),
  });
  const there = await serveFiles({});
  await expect(download(file, [there.address, address], quick)).rejects.toMatchObject({ code: "D203" });
});
