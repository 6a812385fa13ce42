/** Builds the packages: one bundled file per public entry point, and the type declarations. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { fail, install, root } from "./setup.mjs";

/** In the order of their dependencies. `external` packages are imported, not bundled. */
const packages = [
  { folder: "packages/core", entries: ["index", "oracles", "target-kit"], platform: "neutral", external: [] },
  { folder: "packages/layerwise", entries: ["index"], platform: "node", external: ["@layerwise/core"] },
];

/** Bundles what is older than its sources; with `types` also emits declarations; with `force` all of it. */
export async function build({ types = false, force = false } = {}) {
  const newest = Math.max(...packages.map((p) => newestSource(join(root, p.folder))));
  const stale = (file) => force || !existsSync(file) || statSync(file).mtimeMs < newest;
  if (packages.some((p) => stale(join(root, p.folder, "dist/index.js")))) {
    for (const p of packages) await bundle(p);
  }
  if (types && packages.some((p) => stale(join(root, p.folder, "dist/types/index.d.ts")))) {
    for (const p of packages) declare(p);
  }
}

/** Time of the last change to a package's sources or manifest, in ms. */
function newestSource(folder) {
  return Math.max(...[join(folder, "package.json"), ...sourcesOf(folder)].map((file) => statSync(file).mtimeMs));
}

/** Paths of a package's sources; tests do not count. */
function sourcesOf(folder) {
  return readdirSync(join(folder, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".test.ts"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** What a bundle of the packages' sources is compiled with: a name of this state of them, for programs kept on disk. */
export function definitions() {
  const hash = createHash("sha256");
  for (const p of packages) for (const file of sourcesOf(join(root, p.folder))) hash.update(readFileSync(file));
  return { __LAYERWISE_BUILD__: JSON.stringify(hash.digest("hex").slice(0, 32)) };
}

async function bundle({ folder, entries, platform, external }) {
  const { build } = await import("esbuild");
  // Bundles of an earlier build carry other hashes.
  for (const file of existsSync(join(root, folder, "dist")) ? readdirSync(join(root, folder, "dist")) : []) {
    if (/^chunk-.*\.js(\.map)?$/.test(file)) rmSync(join(root, folder, "dist", file));
  }
  await build({
    absWorkingDir: root,
    entryPoints: entries.map((name) => `${folder}/src/${name}.ts`),
    outdir: `${folder}/dist`,
    bundle: true,
    // What several entry points share is one module: there is one engine and one set of settings.
    splitting: entries.length > 1,
    format: "esm",
    target: "es2022",
    platform,
    external,
    define: definitions(),
    // Dependencies of the Node package stay imports too.
    packages: "external",
    sourcemap: true,
    legalComments: "none",
    logLevel: "warning",
  });
}

function declare({ folder }) {
  rmSync(join(root, folder, "dist/types"), { recursive: true, force: true });
  const result = spawnSync(
    process.execPath,
    [join(root, "node_modules/typescript/bin/tsc"), "-p", `${folder}/tsconfig.build.json`],
    {
      cwd: root,
      stdio: ["ignore", "inherit", "inherit"],
    },
  );
  if (result.status !== 0) fail(`the declarations of ${folder} could not be built`);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  install();
  await build({ types: true, force: true });
}
