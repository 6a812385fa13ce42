/** Whole trainings in processes of their own: equal bits for one seed, and memory that stays flat. */
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function child(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["scripts/run.mjs", join("tests/children", program), ...args],
    { cwd: root, encoding: "utf8" },
  );
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return stdout.trim();
}

test("one seed gives the same losses, bit by bit, with 1, 2, 3 and 7 threads, and again", () => {
  const one = child("losses.ts", "wasm", "1");
  expect(one.split(" ")).toHaveLength(9);
  expect(new Set(one.split(" ")).size).toBe(9);
  expect(child("losses.ts", "wasm", "1")).toBe(one);
  for (const threads of ["2", "3", "7"]) expect(child("losses.ts", "wasm", threads), `${threads} threads`).toBe(one);
});

test("after 2,000 small steps, 8,000 more and 8,000 more change nothing in memory", { timeout: 120_000 }, () => {
  const grown = JSON.parse(child("flat.ts", "wasm")) as Record<string, Record<"arena" | "heap" | "resident", number>>;
  for (const [loop, { arena, heap, resident }] of Object.entries(grown)) {
    expect(arena, `${loop}: bytes of the device`).toBe(0);
    expect(heap, `${loop}: heap after a collection`).toBeLessThan(1e6);
    expect(resident, `${loop}: resident memory`).toBeLessThan(16e6);
  }
});
