/** The real text data sets, where they lie on this machine; and files that are not what they should be. */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import gpt2Cases from "./gpt2-cases.json" with { type: "json" };
import * as datasets from "./index.ts";

const real = process.env["LAYERWISE_DATASETS"];
if (!real) console.warn("LAYERWISE_DATASETS is not set: the real text data sets are not tested");

const counts = (y: ArrayLike<number>) => {
  const out: number[] = [];
  for (let i = 0; i < y.length; i++) out[y[i]] = (out[y[i]] ?? 0) + 1;
  return out;
};

test.runIf(real)("film reviews, questions, messages, hotels", async () => {
  const rt = await datasets.rtPolarity();
  expect([rt.train, rt.dev, rt.test].map((s) => s.x.length)).toEqual([8530, 1066, 1066]);
  expect(counts(rt.test.y.dataSync())).toEqual([533, 533]);
  const again = await datasets.rtPolarity({ seed: 1 });
  expect(again.test.x).not.toEqual(rt.test.x);
  expect((await datasets.rtPolarity()).test.x).toEqual(rt.test.x);
  expect(new Set([...rt.train.x, ...rt.dev.x, ...rt.test.x]).size).toBeGreaterThan(10_600);

  const sst = await datasets.sst2();
  expect([sst.train, sst.dev, sst.test].map((s) => s.x.length)).toEqual([6920, 872, 1821]);
  expect(sst.dev.x[0]).toBe("one long string of cliches .");
  expect(sst.dev.y.dataSync()[0]).toBe(0);

  const trec = await datasets.trec();
  expect([trec.train.x.length, trec.test.x.length]).toEqual([5452, 500]);
  expect(counts(trec.train.y.dataSync())).toEqual([1162, 1250, 86, 1223, 835, 896]);
  expect(trec.classes[trec.test.y.dataSync()[0]]).toBe("number");
  expect(trec.test.x[0]).toBe("How far is it from Denver to Aspen ?");

  const sms = await datasets.smsSpam();
  const smsAll = [sms.train, sms.dev, sms.test].map((s) => counts(s.y.dataSync()));
  expect(smsAll.reduce((n, c) => n + c[1], 0)).toBe(747);
  expect(smsAll.reduce((n, c) => n + c[0], 0)).toBe(4827);

  const hotel = await datasets.chnSentiCorp();
  const parts = [hotel.train, hotel.dev, hotel.test].map((s) => counts(s.y.dataSync()));
  expect(parts).toEqual([
    [1955, 4258],
    [245, 532],
    [244, 532],
  ]);
  const all = [...hotel.train.x, ...hotel.dev.x, ...hotel.test.x];
  expect(all).toContain('距离川沙公路较近,但是公交指示不对,如果是"蔡陆线"的话,会非常麻烦.建议用别的路线.房间较为简单.');
});

test.runIf(real)("Shakespeare and the byte pairs of GPT-2", async () => {
  const { train, test: held } = await datasets.tinyShakespeare();
  expect([train.length + held.length, held.length]).toEqual([1_115_394, 111_540]);
  const pairs = await datasets.gpt2Tokenizer();
  expect(pairs.vocabularySize).toBe(50_257);
  expect(pairs.idOf("<|endoftext|>")).toBe(50_256);
  for (const [text, ids] of gpt2Cases as [string, number[]][]) {
    expect([text, [...pairs.encode(text)]]).toEqual([text, ids]);
    expect(pairs.decode(ids)).toBe(text);
  }
  const ids = pairs.encode(train + held);
  // The ids of tiktoken 0.14 for the whole text.
  expect(createHash("sha256").update(new Uint8Array(ids.buffer)).digest("hex")).toBe(
    "0c00ab83dc7f46665805762aa7688fb7852f03f28c4a5d84061871e85ea7c815",
  );
  expect(pairs.decode(ids)).toBe(train + held);
});

test("a damaged file is named", async () => {
  const folder = mkdtempSync(join(tmpdir(), "layerwise-texts-"));
  try {
    mkdirSync(join(folder, "sst2"));
    writeFileSync(join(folder, "sst2", "stsa.binary.train"), Uint8Array.of(0x31, 0x20, 0xff));
    await expect(datasets.sst2({ folder, download: false })).rejects.toThrow(/D201.*stsa\.binary\.train/s);
    await expect(datasets.trec({ folder, download: false, verbose: 0 })).rejects.toThrow(/D205|D201/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
