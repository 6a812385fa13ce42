/** docs/errors.md and the sources name the same error codes. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function codesOfSources(): string[] {
  const codes = new Set<string>();
  for (const folder of ["packages/core/src", "packages/layerwise/src"]) {
    for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith(".ts") || entry.name.endsWith(".test.ts")) continue;
      const text = readFileSync(join(entry.parentPath, entry.name), "utf8").replaceAll(/\/\*.*?\*\//gs, "");
      for (const [, code] of text.matchAll(/"([A-Z]\d{3})"/g)) codes.add(code);
    }
  }
  return [...codes].sort();
}

test("every code is documented, and every documented code exists", () => {
  const page = readFileSync(join(root, "docs/errors.md"), "utf8");
  const documented = [...page.matchAll(/^\| ([A-Z]\d{3}) \|/gm)].map(([, code]) => code);
  expect(new Set(documented).size).toBe(documented.length);
  expect(documented.sort()).toEqual(codesOfSources());
});
