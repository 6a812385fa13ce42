/** The profiler of `fit`: what it prints and writes, and that it changes nothing. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { conv2d, dense, flatten } from "../layers/index.ts";
import { sequential } from "../models/index.ts";
import { configure } from "../tensor/config.ts";
import { tensor } from "../tensor/tensor.ts";
import { chromeTrace, Profiler, profileTable } from "./profile.ts";

const rows = 24 * 8;
const x = tensor(
  Float32Array.from({ length: rows * 36 }, (_, i) => Math.sin(i)),
  [rows, 6, 6, 1],
);
const y = tensor(
  Int32Array.from({ length: rows }, (_, i) => i % 3),
  [rows],
  "i32",
);

function makeModel() {
  configure({ seed: 5, device: "wasm" });
  const model = sequential([
    conv2d(4, 3, { activation: "relu", inputShape: [6, 6, 1], name: "edges" }),
    flatten(),
    dense(3, { activation: "softmax", name: "scores" }),
  ]);
  model.compile({ optimizer: "adam", loss: "sparseCategoricalCrossentropy" });
  return model;
}
const options = { batchSize: 8, epochs: 1, verbose: 0 } as const;

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

function printed(): string[] {
  const lines: string[] = [];
  vi.spyOn(console, "log").mockImplementation((line: string) => void lines.push(line));
  return lines;
}

test("profile: true prints time per kernel with layer names, and the same model comes out", async () => {
  const plain = makeModel();
  await plain.fit(x, y, options);
  const lines = printed();
  const model = makeModel();
  await model.fit(x, y, { ...options, profile: true });
  const text = lines.join("\n");
  expect(text).toMatch(
    /train 8 on wasm: [\d.]+ ms in kernels on one thread, first quartiles of 20 runs; peak [\d.]+ GFLOP\/s/,
  );
  expect(text).toMatch(/[\d.]+ {2} *[\d.]+ % {2}\S*edges +conv_6x6x1_3x3x4 +[\d.]+ +\d+ % +[\d.]+/);
  for (const part of ["scores", "optimizer"]) expect(text).toContain(part);
  const weights = (m: typeof model) => m.getWeights().map((w) => Array.from(w.dataSync()));
  expect(weights(model)).toEqual(weights(plain));
});

test("a file name writes a Chrome trace besides", async () => {
  const lines = printed();
  const folder = mkdtempSync(join(tmpdir(), "layerwise-profile-"));
  const file = join(folder, "trace.json");
  try {
    await makeModel().fit(x, y, { ...options, profile: file });
    expect(lines.at(-1)).toBe(`trace written to ${file}`);
    const { traceEvents } = JSON.parse(readFileSync(file, "utf8"));
    const calls = traceEvents.filter((e: { ph: string }) => e.ph === "X");
    expect(calls.some((e: { name: string }) => e.name.includes("edges"))).toBe(true);
    // One after the other, without overlaps.
    let end = 0;
    for (const { ts, dur, tid } of calls) {
      if (tid !== calls[0].tid) continue;
      expect(ts).toBeCloseTo(end, 6);
      end = ts + dur;
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("LAYERWISE_PROFILE=1 does it without a change of the program; profile: false wins over it", async () => {
  vi.stubEnv("LAYERWISE_PROFILE", "1");
  const lines = printed();
  await makeModel().fit(x, y, options);
  expect(lines.join("\n")).toContain("train 8 on wasm");
  lines.length = 0;
  await makeModel().fit(x, y, { ...options, profile: false });
  expect(lines).toEqual([]);
});

test("figures: rates, shares, what is left out of the table", async () => {
  const profiler = new Profiler();
  await makeModel().fit(x, y, options);
  const [train] = profiler.stop().filter((p) => p.program === "train 8");
  const sum = train.kernels.reduce((s, k) => s + k.share, 0);
  expect(sum).toBeCloseTo(1, 6);
  for (const k of train.kernels)
    if (k.milliseconds > 0) {
      expect(k.gflops).toBeCloseTo(k.flops / k.milliseconds / 1e6, 6);
      expect(k.ofPeak).toBeCloseTo(k.gflops / train.peak, 6);
    }
  const conv = train.kernels.find((k) => k.kernel === "conv_6x6x1_3x3x4")!;
  expect(conv.flops).toBe(2 * 8 * 4 * 4 * 4 * 9);
  const made = {
    ...train,
    milliseconds: 1000,
    kernels: [
      { ...conv, milliseconds: 995, share: 0.995 },
      { ...conv, milliseconds: 5, share: 0.005 },
    ],
  };
  expect(profileTable([made])).toMatch(/5\.0000 +0\.5 % +1 more/);
  expect(JSON.parse(chromeTrace([made])).traceEvents).toHaveLength(3);
});

test("a fit too short to be timed says so", async () => {
  const lines = printed();
  await makeModel().fit(x, y, { ...options, stepsPerEpoch: 2, profile: true });
  expect(lines).toEqual(["profile: no program ran often enough to be timed (the first 3 runs are left out)"]);
});
