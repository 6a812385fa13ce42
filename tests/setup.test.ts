/** The set-up that `npm start` and `npm test` do: when dependencies are installed, and when not. */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
let checkout: string;

interface Entry {
  readonly version: string;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
}

/** A checkout whose npm only notes that it was called and installs what the lock file says, unless it is told to fail. */
beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), "layerwise-setup-"));
  mkdirSync(join(checkout, "scripts"));
  copyFileSync(join(root, "scripts/setup.mjs"), join(checkout, "scripts/setup.mjs"));
  writeFileSync(
    join(checkout, "npm-cli.js"),
    `const fs = require("node:fs");
fs.appendFileSync("calls", process.argv.slice(2).join(" ") + "\\n");
if (fs.existsSync("offline")) process.exit(1);
const lock = JSON.parse(fs.readFileSync("package-lock.json", "utf8"));
const here = Object.entries(lock.packages).filter(([path, e]) => path && !(e.os && !e.os.includes(process.platform)));
fs.mkdirSync("node_modules", { recursive: true });
for (const [path] of here) fs.mkdirSync(path, { recursive: true });
fs.writeFileSync("node_modules/.package-lock.json", JSON.stringify({ packages: Object.fromEntries(here) }));
`,
  );
});
afterEach(() => rmSync(checkout, { recursive: true, force: true }));

function lock(packages: Record<string, Entry>): void {
  writeFileSync(join(checkout, "package-lock.json"), JSON.stringify({ packages: { "": {}, ...packages } }));
}

function install() {
  const code = `import("./scripts/setup.mjs").then((setup) => { setup.install(); console.log("ready"); })`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["-e", code], {
    cwd: checkout,
    encoding: "utf8",
    env: { ...process.env, npm_execpath: join(checkout, "npm-cli.js") },
  });
  return { status, ready: stdout.includes("ready"), stderr };
}

function calls(): number {
  const file = join(checkout, "calls");
  return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n").length : 0;
}

test("a fresh clone installs once, without scripts", () => {
  lock({ "node_modules/a": { version: "1.0.0" } });
  expect(install().ready).toBe(true);
  expect(readFileSync(join(checkout, "calls"), "utf8")).toMatch(/^ci --ignore-scripts/);
  expect(install().ready).toBe(true);
  expect(calls()).toBe(1);
});

test("a changed lock file, a removed package and a half-made installation install again", () => {
  lock({ "node_modules/a": { version: "1.0.0" } });
  install();
  lock({ "node_modules/a": { version: "1.1.0" } });
  install();
  expect(calls()).toBe(2);
  rmSync(join(checkout, "node_modules/a"), { recursive: true });
  install();
  expect(calls()).toBe(3);
  lock({ "node_modules/a": { version: "1.1.0" }, "node_modules/b": { version: "2.0.0" } });
  install();
  expect(calls()).toBe(4);
  writeFileSync(join(checkout, "node_modules/.package-lock.json"), "{");
  install();
  expect(calls()).toBe(5);
});

test("packages for other machines need not be there, those for this one must", () => {
  const other = { version: "1.0.0", optional: true, os: ["plan9"], cpu: ["pdp11"] };
  lock({ "node_modules/other": other });
  install();
  install();
  expect(calls()).toBe(1);
  const mine = { version: "1.0.0", optional: true, os: [process.platform], cpu: [process.arch] };
  lock({ "node_modules/other": other, "node_modules/mine": mine });
  install();
  expect(calls()).toBe(2);
});

test("an installation that fails ends with a message", () => {
  lock({ "node_modules/a": { version: "1.0.0" } });
  writeFileSync(join(checkout, "offline"), "");
  const { status, ready, stderr } = install();
  expect([status, ready]).toEqual([1, false]);
  expect(stderr).toMatch(/npm ci failed/);
});
