/** What is published: the browser bundle of core, the contents of the packages, their declarations, and the lock file. */
import { type ExecFileSyncOptionsWithStringEncoding, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const scratch = mkdtempSync(join(tmpdir(), "layerwise-packaging-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const forBrowsers = {
  absWorkingDir: root,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  platform: "browser",
  write: false,
  logLevel: "silent",
} as const;

describe("core in a browser", () => {
  let code: Uint8Array;
  beforeAll(async () => {
    const result = await build({ ...forBrowsers, entryPoints: ["packages/core/src/index.ts"] });
    code = result.outputFiles[0].contents;
  });

  // What puts kernels together to one, some 4 kB, is in this page for pooling; the compiler of loops is not.
  test("a page that trains a convolutional network carries less than 155 kB, minified and gzipped", async () => {
    const contents = `
      import { sequential, tensor } from "./packages/core/src/index.ts";
      import { conv2d, dense, flatten, maxPooling2d, rescaling } from "./packages/core/src/layers/index.ts";
      const model = sequential([rescaling(1 / 255), conv2d(32, 3), maxPooling2d(2), flatten(), dense(10)]);
      model.compile({ optimizer: "adam", loss: "sparseCategoricalCrossentropy", metrics: ["accuracy"] });
      await model.fit(tensor([[1]]), tensor([1]));`;
    const page = await build({ ...forBrowsers, metafile: true, stdin: { contents, resolveDir: root, loader: "ts" } });
    const kilobytes = (x: Uint8Array) => (gzipSync(x, { level: 9 }).length / 1000).toFixed(1);
    const trained = kilobytes(page.outputFiles[0].contents);
    console.info(
      `gzipped for a browser: ${trained} kB to train a CNN, ${kilobytes(code)} kB for all of @layerwise/core`,
    );
    expect(Number(trained)).toBeLessThan(155);
    // What stands beside the op records is for tests and the oracle.
    const carried = Object.values(page.metafile.outputs).flatMap(({ inputs }) => Object.keys(inputs));
    expect(carried.filter((f) => /graph\/(reference\/|ops\/sample\.ts)/.test(f))).toEqual([]);
    expect(carried).toContain("packages/core/src/graph/ops/unary.ts");
  });

  test("nothing in it imports a module of Node", async () => {
    const text = Buffer.from(code).toString("utf8");
    expect(text.match(/\b(?:import|from)\s*\(?\s*["']node:[^"']*["']/g)).toBeNull();
    expect(
      text.match(/\brequire\s*\(\s*["'][^"']*/g)?.filter((call) => !call.includes("node:worker_threads")) ?? [],
    ).toEqual([]);
  });

  test("it loads where there is no process, no Buffer and no require", () => {
    const file = join(scratch, "browser.mjs");
    writeFileSync(file, code);
    const script = `
      for (const name of ["process", "Buffer", "require", "global", "setImmediate"]) delete globalThis[name];
      const core = await import(${JSON.stringify(file)});
      console.log(typeof core.sequential, typeof core.tensor);
    `;
    const out = execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
    expect(out.trim()).toBe("function function");
  });
});

describe("the packages", () => {
  beforeAll(() => {
    execFileSync(process.execPath, ["scripts/build.mjs"], { cwd: root, stdio: "inherit" });
  });

  for (const [name, folder] of [
    ["@layerwise/core", "core"],
    ["layerwise", "layerwise"],
  ]) {
    test(`${name} holds its build, its licence and nothing else`, () => {
      const manifest = JSON.parse(readFileSync(join(root, "packages", folder, "package.json"), "utf8"));
      const packed = JSON.parse(npm(["pack", "--dry-run", "--json", "--ignore-scripts", "-w", name]));
      const entry = Array.isArray(packed) ? packed[0] : packed[name];
      const files: string[] = entry.files.map((f: { path: string }) => f.path);
      expect(files).toEqual(
        expect.arrayContaining(["LICENSE", "README.md", "package.json", "dist/index.js", "dist/types/index.d.ts"]),
      );
      const strange = files.filter(
        (f) => !/^(LICENSE|README\.md|package\.json|dist\/[\w-]+\.js(\.map)?|dist\/types\/.*\.d\.ts)$/.test(f),
      );
      expect(strange).toEqual([]);
      expect(files.filter((f) => /test|testing/.test(f))).toEqual([]);
      expect(manifest.license).toBe("Apache-2.0");
      expect(manifest.scripts?.install ?? manifest.scripts?.postinstall).toBeUndefined();
      console.info(`${name}: ${(entry.size / 1000).toFixed(0)} kB packed, ${files.length} files`);
    });
  }

  test("both carry one version, and core has no dependencies", () => {
    const read = (folder: string) => JSON.parse(readFileSync(join(root, "packages", folder, "package.json"), "utf8"));
    expect(read("core").dependencies ?? {}).toEqual({});
    expect(read("layerwise").version).toBe(read("core").version);
    expect(read("layerwise").dependencies["@layerwise/core"]).toBe(read("core").version);
  });

  test("the declarations type-check in a strict project of a user's own", () => {
    const project = join(scratch, "user");
    mkdirSync(join(project, "node_modules/@layerwise"), { recursive: true });
    symlinkSync(join(root, "packages/core"), join(project, "node_modules/@layerwise/core"), "dir");
    symlinkSync(join(root, "packages/layerwise"), join(project, "node_modules/layerwise"), "dir");
    symlinkSync(join(root, "node_modules/@types"), join(project, "node_modules/@types"), "dir");
    writeFileSync(
      join(project, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          target: "es2022",
          module: "nodenext",
          strict: true,
          exactOptionalPropertyTypes: true,
          noEmit: true,
          types: ["node"],
        },
        files: ["main.ts"],
      }),
    );
    writeFileSync(join(project, "package.json"), '{ "type": "module" }');
    writeFileSync(
      join(project, "main.ts"),
      `import { datasets, layers, sequential, type Tensor } from "layerwise";
const model = sequential([layers.dense(10, { activation: "softmax", inputShape: [784] })]);
model.compile({ optimizer: "adam", loss: "sparseCategoricalCrossentropy", metrics: ["accuracy"] });
const { train } = await datasets.mnist();
const y: Tensor = train.y;
await model.fit(train.x, y, { epochs: 1, batchSize: 32 });
// @ts-expect-error there is no such activation
layers.dense(1, { activation: "rellu" });
`,
    );
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    const check = () => execFileSync(process.execPath, [tsc, "-p", project], { encoding: "utf8", stdio: "pipe" });
    let messages = "";
    try {
      check();
    } catch (error) {
      messages = (error as { stdout: string }).stdout;
    }
    expect(messages).toBe("");
  });
});

test("the lock file names no address of a registry", () => {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  const addresses = Object.values<{ resolved?: string; link?: boolean }>(lock.packages)
    .filter((entry) => entry.resolved !== undefined && !entry.link)
    .map((entry) => entry.resolved);
  expect(addresses).toEqual([]);
  expect(readFileSync(join(root, "package-lock.json"), "utf8")).not.toMatch(/https?:\/\/[^"]*registry/);
});

function npm(args: readonly string[]): string {
  const cli = process.env["npm_execpath"];
  const options: ExecFileSyncOptionsWithStringEncoding = {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  };
  return cli?.endsWith("npm-cli.js")
    ? execFileSync(process.execPath, [cli, ...args], options)
    : execFileSync("npm", args, { ...options, shell: process.platform === "win32" });
}
