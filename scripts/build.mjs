/** Builds the packages: one bundled file per public entry point, and the type declarations. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
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

/** Time of the last change to a package's sources (tests do not count) or manifest, in ms. */
function newestSource(folder) {
  let newest = statSync(join(folder, "package.json")).mtimeMs;
  for (const entry of readdirSync(join(folder, "src"), { recursive: true, withFileTypes: true })) {
    if (entry.isFile() && !entry.name.endsWith(".test.ts")) {
      newest = Math.max(newest, statSync(join(entry.parentPath, entry.name)).mtimeMs);
    }
  }
  return newest;
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
