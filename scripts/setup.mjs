/** Brings a checkout into working order: installs what the lock file names if it is not there, and says where test data lies. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Installs the dependencies if `node_modules` is missing or differs from the lock file. Exits with a message if that fails. */
export function install() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    fail(`Layerwise needs Node 20.19 or newer; this is ${process.version}`);
  }
  const missing = firstDifference();
  if (missing === undefined) return;
  console.error(`installing dependencies (${missing})`);
  // No install scripts: no dependency needs one, and newer npm refuses them anyway.
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const cli = process.env.npm_execpath;
  const result = cli?.endsWith("npm-cli.js")
    ? spawnSync(process.execPath, [cli, ...args], { cwd: root, stdio: ["ignore", 2, 2] })
    : spawnSync("npm", args, { cwd: root, stdio: ["ignore", 2, 2], shell: process.platform === "win32" });
  if (result.error) fail(`npm could not be started: ${result.error.message}`);
  if (result.status !== 0) fail("npm ci failed (its message is above); is the network there?");
}

/**
 * What is wrong with `node_modules`, or undefined. Compared by content with the record that npm keeps of its last
 * installation: file times say nothing after a checkout.
 */
function firstDifference() {
  const record = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(record)) return "there is no node_modules";
  const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  let installed;
  try {
    installed = JSON.parse(readFileSync(record, "utf8")).packages;
  } catch {
    return "node_modules is incomplete";
  }
  for (const [path, entry] of Object.entries(wanted)) {
    if (!path.startsWith("node_modules/")) continue;
    const found = installed[path];
    if (found === undefined) {
      if (!entry.optional || isForThisMachine(entry)) return `${path} is missing`;
    } else if (found.version !== entry.version || found.integrity !== entry.integrity) {
      return `${path} is not the version of package-lock.json`;
    } else if (!existsSync(join(root, path))) {
      return `${path} is missing`;
    }
  }
  return undefined;
}

/** True for a platform package that npm certainly installs here. One that names a libc is left to npm. */
function isForThisMachine(entry) {
  if (!entry.os || !entry.cpu || entry.libc) return false;
  return entry.os.includes(process.platform) && entry.cpu.includes(process.arch);
}

/** Names the folders of test data where the variables do not and the folders stand beside the checkout. */
export function findTestData() {
  const folders = { LAYERWISE_DATASETS: "datasets", LAYERWISE_MODELS: "models", LAYERWISE_CONFORMANCE: "conformance" };
  for (const [variable, name] of Object.entries(folders)) {
    const folder = join(dirname(root), "shared", name);
    if (!process.env[variable] && existsSync(folder)) process.env[variable] = folder;
  }
}

/** Ends the program with one line on stderr. */
export function fail(message) {
  console.error(message);
  process.exit(1);
}
