/** The programs that people start from the command line. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const scratch = mkdtempSync(join(tmpdir(), "layerwise-programs-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function run(args: readonly string[], environment: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/run.mjs", ...args], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  return { status, stdout, stderr };
}

/** Without a compiler, programs say once that they run on wasm. */
const unexpected = (stderr: string) => stderr.replace(/^layerwise runs on wasm, not as native code: N10[13].*\n/, "");

test("npm start says in one line that MNIST cannot be had, and trains on drawn digits", { timeout: 240_000 }, () => {
  const folder = join(scratch, "data");
  mkdirSync(join(folder, "mnist"), { recursive: true });
  // A damaged file ends the search without asking the network.
  writeFileSync(join(folder, "mnist/train-images-idx3-ubyte.gz"), "no picture");
  const environment = { LAYERWISE_DATASETS: folder, LAYERWISE_CACHE: join(scratch, "cache") };
  const { status, stdout, stderr } = run(["scripts/start.ts", "--epochs", "1"], environment);
  expect(unexpected(stderr)).toBe("");
  expect(stdout.split("\n").filter((line) => line.includes("synthetic digits"))).toEqual([
    expect.stringMatching(
      /^MNIST cannot be had \(D201: .*train-images-idx3-ubyte\.gz is damaged or incomplete; 10 bytes/,
    ),
  ]);
  const accuracy = Number(/^test accuracy (\d\.\d{4})$/m.exec(stdout)?.[1]);
  expect(accuracy).toBeGreaterThan(0.9);
  expect(stdout).toMatch(/^label │/m);
  expect(stdout.match(/predicted \d, is \d/g)?.length).toBe(8);
  expect(status).toBe(0);
});

test("a wrong argument is answered with the usage, without a stack", () => {
  for (const args of [
    ["scripts/example.ts", "R99"],
    ["scripts/example.ts", "R1", "--epochs", "many"],
    ["bench/main.ts", "nothing"],
  ]) {
    const { status, stderr } = run(args);
    expect(status).toBe(1);
    expect(stderr).not.toContain("    at ");
    expect(stderr).toMatch(/usage: npm run|--epochs wants a whole number/);
  }
});
