/**
 * Runs a TypeScript program of this repository: `node scripts/run.mjs FILE ARGUMENTS`. With `--packages` before the file
 * name it runs on the built packages, as it would for somebody who installed them; otherwise on the sources.
 */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { build, definitions } from "./build.mjs";
import { fail, findTestData, install, root } from "./setup.mjs";

const args = process.argv.slice(2);
const packaged = args[0] === "--packages";
if (packaged) args.shift();
const file = args.shift() ?? fail("usage: node scripts/run.mjs [--packages] FILE [ARGUMENTS]");

install();
findTestData();
if (packaged) await build();

const folder = join(root, "node_modules/.cache/layerwise");
mkdirSync(folder, { recursive: true });
const outfile = join(folder, `${basename(file, ".ts")}.${packaged ? "packages" : "sources"}.mjs`);
const esbuild = await import("esbuild");
const result = await esbuild
  .build({
    absWorkingDir: root,
    entryPoints: [file],
    outfile,
    write: false,
    bundle: true,
    format: "esm",
    target: "es2022",
    platform: "node",
    sourcemap: "inline",
    logLevel: "warning",
    ...(packaged
      ? { external: ["layerwise", "@layerwise/core"] }
      : { conditions: ["layerwise-source"], external: ["esbuild", "koffi"], define: definitions() }),
  })
  .catch(() => fail(`${file} could not be bundled`));
await esbuild.stop();
// Renamed into place, so that a second run of the same program never reads half a file.
const unfinished = `${outfile}.${process.pid}`;
writeFileSync(unfinished, result.outputFiles[0].contents);
renameSync(unfinished, outfile);

process.argv = [process.execPath, outfile, ...args];
process.setSourceMapsEnabled(true);
await import(pathToFileURL(outfile).href);
