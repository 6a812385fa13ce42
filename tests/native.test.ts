/** The native target on whole trainings: the bits of WebAssembly and of the interpreter, for any number of threads. */
import { spawnSync } from "node:child_process";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { nativeMissing } from "../packages/layerwise/src/native/testing.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Lines of `device loss digest`, one for each device. */
function train(...args: string[]): string[][] {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["scripts/run.mjs", "tests/children/reference-bits.ts", ...args],
    { cwd: root, encoding: "utf8" },
  );
  expect(stderr).toBe("");
  expect(status).toBe(0);
  const lines = stdout.trim().split("\n");
  return lines.map((line) => line.split(" "));
}

function expectEqual(lines: string[][], devices: readonly string[]): void {
  expect(lines.map(([device]) => device)).toEqual(devices.map((d) => d.split("/")[0]));
  expect(Number.isFinite(Number(lines[0][1]))).toBe(true);
  for (const [device, loss, digest] of lines) expect([device, loss, digest]).toEqual([device, ...lines[0].slice(1)]);
}

const title = nativeMissing === null ? "native" : `native (skipped: ${nativeMissing})`;
describe.skipIf(nativeMissing !== null)(title, () => {
  const all = ["wasm/2", "native/1", "native/2", "native/3", "native/7"];
  test.each([
    ["R1", "32"],
    ["R6", "128"],
  ])("20 steps of %s: the bits of wasm, with 1, 2, 3 and 7 threads", { timeout: 600_000 }, (name, batch) => {
    expectEqual(train(name, "fma", batch, ...all), all);
    expectEqual(train(name, "strict", batch, ...all), all);
  });
  test.each(["R2", "R3", "R5"])("20 steps of %s: the bits of wasm", { timeout: 600_000 }, (name) => {
    expectEqual(train(name, "fma", "16", "wasm/2", "native/2"), ["wasm/2", "native/2"]);
  });
  // The interpreter would need minutes for R6's batches of 128.
  test.each([
    ["R1", "32"],
    ["R6", "4"],
  ])("20 steps of %s, strict: the interpreter's bits", { timeout: 600_000 }, (name, batch) => {
    const devices = ["wasm", "native", "interpreter"];
    expectEqual(train(name, "strict", batch, ...devices), devices);
  });
});
