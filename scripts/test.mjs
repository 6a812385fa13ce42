/** `npm test`: sets everything up, runs Vitest with the arguments given, and closes with one plain line of counts. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "./build.mjs";
import { findTestData, install, root } from "./setup.mjs";

install();
findTestData();
await build({ types: true });
const { stop } = await import("esbuild");
await stop();

const folder = join(root, "node_modules/.cache/layerwise");
mkdirSync(folder, { recursive: true });
const report = join(folder, `tests.${process.pid}.json`);
const { status } = spawnSync(
  process.execPath,
  [
    join(root, "node_modules/vitest/vitest.mjs"),
    "run",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
    ...process.argv.slice(2),
  ],
  { cwd: root, stdio: ["ignore", "inherit", "inherit"] },
);
let code = status ?? 1;
try {
  const counts = JSON.parse(readFileSync(report, "utf8"));
  rmSync(report);
  // A file that does not load has no tests to fail.
  const broken = counts.testResults.filter((f) => f.status === "failed" && f.assertionResults.length === 0).length;
  const failed = counts.numFailedTests + broken;
  const skipped = counts.numPendingTests + counts.numTodoTests;
  console.log(`${counts.numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  if (counts.numTotalTests === 0) {
    console.error("no test ran");
    code ||= 1;
  }
} catch {
  console.error("Vitest left no report");
  code ||= 1;
}
process.exitCode = code;
