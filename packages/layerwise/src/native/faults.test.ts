/** What can go wrong around the compiler and its cache: none of it loses a run. Every run is a process of its own. */
import { spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nativeMissing } from "./testing.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../../..");
const scratch = mkdtempSync(join(tmpdir(), "layerwise-faults-"));
/** Inside the repository, so that koffi is found; and outside, where it is not. */
const cache = join(root, "node_modules/.cache/layerwise");
const bundle = join(cache, `native-faults.${process.pid}.mjs`);
const lonely = join(scratch, "without-koffi.mjs");
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
  rmSync(bundle, { force: true });
});

const program = `
import { writeFileSync } from "node:fs";
import { activeDevice, configure, layers, sequential, tensor } from "layerwise";
configure({ seed: 1, threads: 2, ...JSON.parse(process.env.CONFIGURE ?? "{}") });
const model = sequential([layers.dense(3, { inputShape: [4], activation: "tanh" }), layers.dense(1)]);
model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
const x = tensor(Float32Array.from({ length: 64 }, (_, i) => (i % 7) / 7), [16, 4]);
const y = tensor(Float32Array.from({ length: 16 }, (_, i) => i / 16), [16, 1]);
const { history } = await model.fit(x, y, { epochs: 3, batchSize: 8, verbose: 0 });
const loss = [...history.loss];
const before = activeDevice();
if (process.env.BREAK) {
  writeFileSync(process.env.BREAK, "");
  for (const batchSize of [4, 8]) loss.push(...(await model.fit(x, y, { epochs: 2, batchSize, verbose: 0 })).history.loss);
}
console.log(JSON.stringify({ before, device: activeDevice(), loss }));
`;

/** The program above as one file; bundles of different `name`s do not share what they keep on disk. */
async function bundled(outfile: string, name: string, plugins: Plugin[] = []): Promise<string> {
  await build({
    stdin: { contents: program, resolveDir: join(root, "tests"), loader: "ts" },
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    conditions: ["layerwise-source"],
    external: ["koffi"],
    define: { __LAYERWISE_BUILD__: JSON.stringify(name) },
    plugins,
    logLevel: "error",
  });
  return outfile;
}

beforeAll(async () => {
  mkdirSync(cache, { recursive: true });
  for (const outfile of [bundle, lonely]) await bundled(outfile, "one");
});

let folders = 0;
const freshFolder = () => join(scratch, `cache-${folders++}`);

interface Outcome {
  readonly status: number | null;
  /** The device of the first fit, and the one at the end. */
  readonly before?: string;
  readonly device?: string;
  readonly loss?: readonly number[];
  readonly stderr: string;
}

function run(environment: Record<string, string | undefined>, file = bundle): Promise<Outcome> {
  const env: NodeJS.ProcessEnv = { ...process.env, LAYERWISE_DEVICE: undefined, LAYERWISE_CACHE: freshFolder() };
  delete env["NODE_OPTIONS"];
  for (const [name, value] of Object.entries(environment)) env[name] = value;
  for (const name of Object.keys(env)) if (env[name] === undefined) delete env[name];
  const child = spawn(process.execPath, [file], { env, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (text) => {
    stdout += text;
  });
  child.stderr.on("data", (text) => {
    stderr += text;
  });
  return new Promise((resolve) => {
    child.on("close", (status) => {
      resolve({ status, stderr, ...(stdout.startsWith("{") ? JSON.parse(stdout) : {}) });
    });
  });
}

/** A compiler that notes each call, and does `extra` before it goes on to the real one. */
function compiler(extra = ""): { cc: string; compilations: () => number } {
  const folder = mkdtempSync(join(scratch, "cc-"));
  const cc = join(folder, "cc");
  const log = join(folder, "log");
  writeFileSync(cc, `#!/bin/sh\n[ "$1" = --version ] || echo "$@" >> '${log}'\n${extra}\nexec cc "$@"\n`);
  chmodSync(cc, 0o755);
  const compilations = () =>
    existsSync(log)
      ? readFileSync(log, "utf8")
          .split("\n")
          .filter((l) => l.includes(" -c ")).length
      : 0;
  return { cc, compilations };
}

const libraries = (folder: string) =>
  readdirSync(join(folder, "native"))
    .filter((f) => f.endsWith(".so"))
    .map((f) => join(folder, "native", f));
const messages = (o: Outcome) => o.stderr.split("\n").filter((l) => l.startsWith("layerwise")).length;

describe("without what the native target needs", () => {
  it("a missing compiler means wasm and one message", async () => {
    const empty = join(scratch, "empty");
    mkdirSync(empty, { recursive: true });
    const out = await run({ PATH: empty, CC: undefined });
    expect(out).toMatchObject({ status: 0, device: "wasm" });
    expect(messages(out)).toBe(1);
    expect(out.stderr).toContain("N103: the native target needs a C compiler");
    const silenced = await run({ PATH: empty, CC: undefined, CONFIGURE: '{"silence":["N103"]}' });
    expect(silenced).toMatchObject({ status: 0, device: "wasm", stderr: "" });
    const asked = await run({ PATH: empty, CC: undefined, LAYERWISE_DEVICE: "native" });
    expect(asked.status).not.toBe(0);
    expect(asked.stderr).toContain("N103");
    expect(asked.stderr).toContain("none of cc, gcc, clang answers");
  });

  it("a missing koffi means wasm and one message", async () => {
    const out = await run({}, lonely);
    expect(out).toMatchObject({ status: 0, device: "wasm" });
    // Without a compiler either, the compiler is what it misses first.
    if (nativeMissing === null) expect(out.stderr).toContain("N101: the native target needs the package koffi");
    expect(messages(out)).toBe(1);
    if (nativeMissing !== null) return;
    const asked = await run({ CONFIGURE: '{"device":"native"}' }, lonely);
    expect(asked.status).not.toBe(0);
    expect(asked.stderr).toContain("npm install koffi");
  });
});

describe.skipIf(nativeMissing !== null)("with a compiler", () => {
  let expected: readonly number[];
  beforeAll(async () => {
    const out = await run({ LAYERWISE_DEVICE: "wasm" });
    expect(out).toMatchObject({ status: 0, device: "wasm", stderr: "" });
    expected = out.loss!;
  });

  it("the native target is chosen, and LAYERWISE_DEVICE and configure choose otherwise", async () => {
    const { cc, compilations } = compiler();
    const wasm = await run({ CC: cc, LAYERWISE_DEVICE: "wasm" });
    expect(wasm).toMatchObject({ status: 0, device: "wasm", stderr: "" });
    expect(compilations()).toBe(0);
    const both = await run({ CC: cc, LAYERWISE_DEVICE: "wasm", CONFIGURE: '{"device":"native"}' });
    expect(both).toMatchObject({ status: 0, device: "native", stderr: "", loss: expected });
    const automatic = await run({ CC: `${cc} -O1 -DLW_NO_FUTEX` });
    expect(automatic).toMatchObject({ status: 0, device: "native", stderr: "", loss: expected });
  });

  it("two processes may start at once on an empty cache, and leave it whole", async () => {
    const folder = freshFolder();
    const { cc, compilations } = compiler();
    const both = await Promise.all([
      run({ LAYERWISE_CACHE: folder, CC: cc }),
      run({ LAYERWISE_CACHE: folder, CC: cc }),
    ]);
    for (const out of both) expect(out).toMatchObject({ status: 0, device: "native", stderr: "", loss: expected });
    const before = compilations();
    const third = await run({ LAYERWISE_CACHE: folder, CC: cc });
    expect(third).toMatchObject({ status: 0, device: "native", loss: expected });
    expect(compilations()).toBe(before);
    expect(readdirSync(join(folder, "native")).filter((f) => !/\.(so|json|program)$/.test(f))).toEqual([]);
  });

  it.each([
    ["cut off", (path: string) => truncateSync(path, 5000)],
    ["empty", (path: string) => truncateSync(path, 0)],
    [
      "altered",
      (path: string) => {
        const bytes = readFileSync(path);
        bytes[bytes.length >> 1] ^= 1;
        writeFileSync(path, bytes);
      },
    ],
  ])("a cached library that is %s is built again", async (_, spoil) => {
    const folder = freshFolder();
    const { cc, compilations } = compiler();
    await run({ LAYERWISE_CACHE: folder, CC: cc });
    const before = compilations();
    const found = libraries(folder);
    expect(found.length).toBeGreaterThan(1);
    for (const path of found) spoil(path);
    const out = await run({ LAYERWISE_CACHE: folder, CC: cc });
    expect(out).toMatchObject({ status: 0, device: "native", stderr: "", loss: expected });
    expect(compilations()).toBe(2 * before);
    expect(libraries(folder).sort()).toEqual(found.sort());
  });

  it("manifests that are not what they should be are written again", async () => {
    const folder = freshFolder();
    const { cc } = compiler();
    await run({ LAYERWISE_CACHE: folder, CC: cc });
    const manifests = readdirSync(join(folder, "native")).filter((f) => f.endsWith(".json"));
    const texts = ["", "{", "[]", '{"libraries":["../../x.so"],"kernels":{}}', '{"libraries":[],"kernels":{}}'];
    for (const [i, f] of manifests.entries()) writeFileSync(join(folder, "native", f), texts[i % texts.length]);
    const out = await run({ LAYERWISE_CACHE: folder, CC: cc });
    expect(out).toMatchObject({ status: 0, device: "native", stderr: "", loss: expected });
  });

  /** A build whose compiler refuses to work: it can only run programs that it finds ready. */
  async function lazy<T>(name: string, use: (file: string) => Promise<T>): Promise<T> {
    const idle: Plugin = {
      name: "idle",
      setup: (b) => {
        b.onLoad({ filter: /[/\\]compiler[/\\]compile\.ts$/ }, () => ({
          contents: 'export function compileGraph() { throw new Error("the compiler was called"); }',
          loader: "ts",
        }));
      },
    };
    const file = await bundled(join(cache, `native-faults-lazy.${process.pid}.mjs`), name, [idle]);
    return use(file).finally(() => rmSync(file, { force: true }));
  }

  it("a program that was compiled before is not compiled again, neither by us nor by the C compiler", async () => {
    const folder = freshFolder();
    const { cc, compilations } = compiler();
    await run({ LAYERWISE_CACHE: folder, CC: cc });
    const before = compilations();
    await lazy("one", async (file) => {
      const again = await run({ LAYERWISE_CACHE: folder, CC: cc }, file);
      expect(again).toMatchObject({ status: 0, device: "native", stderr: "", loss: expected });
      const other = await run({ LAYERWISE_CACHE: folder, CC: cc, CONFIGURE: '{"strict":true}' }, file);
      expect(other.stderr).toContain("the compiler was called");
    });
    expect(compilations()).toBe(before);
    await lazy("another", async (file) => {
      const out = await run({ LAYERWISE_CACHE: folder, CC: cc }, file);
      expect(out.stderr).toContain("the compiler was called");
    });
  });

  it("kept programs that are not what they should be are made again", async () => {
    const folder = freshFolder();
    const { cc, compilations } = compiler();
    await run({ LAYERWISE_CACHE: folder, CC: cc });
    const before = compilations();
    const kept = readdirSync(join(folder, "native")).filter((f) => f.endsWith(".program"));
    expect(kept.length).toBeGreaterThan(0);
    const whole = kept.map((f) => readFileSync(join(folder, "native", f)));
    const spoilt = [
      (b: Buffer) => b.subarray(0, b.length - 1),
      () => Buffer.alloc(0),
      (b: Buffer) => Buffer.from(b.toString("latin1").replace('"offset":0', '"offset":8'), "latin1"),
    ];
    for (const spoil of spoilt) {
      for (const [i, f] of kept.entries()) writeFileSync(join(folder, "native", f), spoil(whole[i]));
      const out = await run({ LAYERWISE_CACHE: folder, CC: cc });
      expect(out).toMatchObject({ status: 0, device: "native", stderr: "", loss: expected });
      for (const [i, f] of kept.entries()) expect(readFileSync(join(folder, "native", f))).toEqual(whole[i]);
    }
    expect(compilations()).toBe(before);
  });

  it("a cache folder that cannot be had costs the compilation, not the run", async () => {
    const blocked = join(scratch, "file");
    writeFileSync(blocked, "not a folder");
    const out = await run({ LAYERWISE_CACHE: join(blocked, "inside") });
    expect(out).toMatchObject({ status: 0, device: "native", loss: expected });
    expect(messages(out)).toBe(1);
    expect(out.stderr).toMatch(/compiled programs are not kept: .* cannot be written \(ENOTDIR\)/);
  });

  it("a cache folder of somebody else, or a link to one, is not used", async () => {
    const linked = freshFolder();
    mkdirSync(linked);
    mkdirSync(join(scratch, "elsewhere"));
    symlinkSync(join(scratch, "elsewhere"), join(linked, "native"));
    const out = await run({ LAYERWISE_CACHE: linked });
    expect(out).toMatchObject({ status: 0, device: "native", loss: expected });
    expect(out.stderr).toContain("is not a folder");
    expect(readdirSync(join(scratch, "elsewhere"))).toEqual([]);
    // Only the superuser can give a folder away.
    if (process.getuid?.() !== 0) return;
    const theirs = freshFolder();
    mkdirSync(join(theirs, "native"), { recursive: true });
    chownSync(join(theirs, "native"), 12345, 12345);
    const other = await run({ LAYERWISE_CACHE: theirs });
    expect(other).toMatchObject({ status: 0, device: "native", loss: expected });
    expect(other.stderr).toContain("belongs to another user");
    expect(readdirSync(join(theirs, "native"))).toEqual([]);
  });

  it.each([
    ["crashes", "echo 'internal compiler error: Segmentation fault' >&2; exit 4"],
    ["is killed", "echo 'cc: fatal error: Killed signal terminated program cc1' >&2; kill -9 $$"],
    // The runtime library compiles; the first program does not.
    [
      "fails on a program",
      `case "$*" in *s1.c*|*s0.c*) grep -q lw_pool "$(dirname "$(pwd)/x")/s0.c" || { echo 'fatal error: out of memory' >&2; exit 1; };; esac`,
    ],
  ])("a compiler that %s means wasm, with its command and message", async (_, script) => {
    const { cc } = compiler(`[ "$1" = --version ] || { ${script}; }`);
    const out = await run({ CC: cc });
    expect(out).toMatchObject({ status: 0, device: "wasm", loss: expected });
    expect(messages(out)).toBe(1);
    expect(out.stderr).toContain("N102: the C compiler failed");
    expect(out.stderr).toContain(`${cc} -std=gnu11`);
    expect(out.stderr).toMatch(/Segmentation fault|Killed signal|out of memory/);
    const asked = await run({ CC: cc, LAYERWISE_DEVICE: "native" });
    expect(asked.status).not.toBe(0);
    expect(asked.stderr).toContain("N102");
  });

  it("a compiler that fails between two fits loses nothing of the first", async () => {
    const broken = join(scratch, "broken");
    const wasm = await run({ LAYERWISE_DEVICE: "wasm", BREAK: join(scratch, "unused") });
    const { cc } = compiler(
      `[ "$1" != --version ] && [ -e '${broken}' ] && { echo 'fatal error: no space' >&2; exit 1; }`,
    );
    const out = await run({ CC: cc, BREAK: broken });
    expect(out).toMatchObject({ status: 0, before: "native", device: "wasm", loss: wasm.loss });
    expect(out.loss).toHaveLength(7);
    expect(messages(out)).toBe(1);
    expect(out.stderr).toContain("no space");
  });
});
