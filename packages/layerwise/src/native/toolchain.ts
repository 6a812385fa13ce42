/** Finds the system's C compiler, compiles sources to shared libraries, and keeps them in a checked cache on disk. */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { arch, cpus, homedir, platform, tmpdir } from "node:os";
import { join } from "node:path";
import { LayerwiseError } from "@layerwise/core";
import { runtimeAbi } from "./runtime-source.ts";

export interface Toolchain {
  readonly command: string;
  readonly version: string;
  readonly flags: readonly string[];
  /** CPU model and features; programs are compiled for this machine. */
  readonly cpu: string;
}

const flags = [
  "-std=gnu11",
  "-O2",
  "-march=native",
  "-ffp-contract=off",
  "-fno-math-errno",
  "-fno-trapping-math",
  "-fPIC",
  "-fvisibility=hidden",
  "-w",
];

/** Bytes the cache may hold; the libraries used longest ago go first. */
const cacheLimit = 256 * 1024 * 1024;

let found: Toolchain | null | undefined;

/** `$CC`, cc, gcc or clang, whichever answers first; null when there is none. */
export function findToolchain(): Toolchain | null {
  if (found !== undefined) return found;
  found = null;
  const candidates = process.env["CC"] ? [process.env["CC"]] : ["cc", "gcc", "clang"];
  for (const command of candidates) {
    const r = spawnSync(command, ["--version"], { encoding: "utf8", timeout: 20_000 });
    if (r.status === 0) {
      found = { command, version: r.stdout.split("\n")[0] ?? "", flags, cpu: cpuFeatures() };
      break;
    }
  }
  return found;
}

/** For tests: look for the compiler again. */
export function forgetToolchain(): void {
  found = undefined;
}

function cpuFeatures(): string {
  let features = `${arch()} ${platform()} ${cpus()[0]?.model ?? ""}`;
  try {
    const info = readFileSync("/proc/cpuinfo", "utf8");
    features += ` ${/^(?:flags|Features)\s*:\s*(.*)$/m.exec(info)?.[1] ?? ""}`;
  } catch {
    // Not Linux: the model name stands for the features.
  }
  return features;
}

/** Lanes of the widest vectors worth using: 16 with AVX-512, 8 with AVX2 and FMA, else 4. */
export function machineLanes(toolchain: Toolchain): 4 | 8 | 16 {
  const f = toolchain.cpu;
  if (/\bavx512f\b/.test(f)) return 16;
  return /\bavx2\b/.test(f) && /\bfma\b/.test(f) ? 8 : 4;
}

/** The cache folder: private to the user, or null where it cannot be had. */
export function cacheFolder(): string | null {
  const base =
    process.env["LAYERWISE_CACHE"] ??
    (process.env["XDG_CACHE_HOME"]
      ? join(process.env["XDG_CACHE_HOME"], "layerwise")
      : platform() === "darwin"
        ? join(homedir(), "Library", "Caches", "layerwise")
        : join(homedir(), ".cache", "layerwise"));
  const folder = join(base, "native");
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const s = lstatSync(folder);
    if (!s.isDirectory() || s.isSymbolicLink()) return null;
    if (process.getuid && s.uid !== process.getuid()) return null;
    if ((s.mode & 0o077) !== 0) chmodSync(folder, 0o700);
    const probe = join(folder, `.probe-${process.pid}`);
    writeFileSync(probe, "");
    rmSync(probe);
    return folder;
  } catch {
    return null;
  }
}

export interface Library {
  readonly path: string;
  readonly cached: boolean;
}

/** Name of the library these sources would have. */
export function libraryKey(sources: readonly string[], t: Toolchain): string {
  const hash = createHash("sha256");
  for (const part of [`abi ${runtimeAbi}`, t.version, t.flags.join(" "), t.cpu, ...sources])
    hash.update(part).update("\0");
  return hash.digest("hex").slice(0, 40);
}

/** Compiles sources side by side and links them, or finds the result in the cache. The file stays where it is until the process ends. */
export function buildLibrary(sources: readonly string[], t: Toolchain, extra: readonly string[] = []): Library {
  const key = libraryKey([...sources, ...extra], t);
  const folder = cacheFolder();
  if (folder) {
    const hit = lookUp(folder, key);
    if (hit) return { path: hit, cached: true };
  }
  const work = mkdtempSync(join(folder ?? tmpdir(), "build-"));
  if (!folder) chmodSync(work, 0o700);
  try {
    const output = join(work, "out.so");
    compile(sources, t, extra, work, output);
    if (!folder) {
      process.once("exit", () => rmSync(work, { recursive: true, force: true }));
      return { path: output, cached: false };
    }
    const path = join(folder, `${key}.so`);
    const digest = sha256(readFileSync(output));
    const digestFile = join(work, "digest");
    writeFileSync(digestFile, digest, { mode: 0o600 });
    chmodSync(output, 0o600);
    // The digest first: a library without one is not used, one with a wrong one is built again.
    renameSync(digestFile, `${path}.sha256`);
    renameSync(output, path);
    trim(folder);
    return { path, cached: false };
  } finally {
    if (folder) rmSync(work, { recursive: true, force: true });
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The cached library when it is whole and ours. */
function lookUp(folder: string, key: string): string | null {
  const path = join(folder, `${key}.so`);
  try {
    const s = lstatSync(path);
    if (!s.isFile() || (process.getuid && s.uid !== process.getuid())) return null;
    if (readFileSync(`${path}.sha256`, "utf8") !== sha256(readFileSync(path))) return null;
    const now = new Date();
    utimesSync(path, now, now);
    return path;
  } catch {
    return null;
  }
}

function compile(
  sources: readonly string[],
  t: Toolchain,
  extra: readonly string[],
  work: string,
  output: string,
): void {
  const objects = sources.map((source, i) => {
    writeFileSync(join(work, `s${i}.c`), source, { mode: 0o600 });
    return join(work, `s${i}.o`);
  });
  const quote = (s: string) => `'${s.replaceAll("'", "'\\''")}'`;
  const one = (i: number) =>
    [t.command, ...t.flags, ...extra, "-c", join(work, `s${i}.c`), "-o", objects[i]].map(quote).join(" ");
  // The shell runs the compilers side by side and reports the first failure.
  const script = `${objects.map((_, i) => `${one(i)} & p${i}=$!`).join("\n")}\n${objects.map((_, i) => `wait $p${i} || exit 1`).join("\n")}\n`;
  const run = spawnSync("/bin/sh", ["-c", script], { encoding: "utf8", timeout: 300_000 });
  if (run.status !== 0) fail(t, one(0), run.stderr || String(run.error ?? "killed"));
  const link = [...t.flags, "-shared", "-o", output, ...objects, "-lpthread"];
  try {
    execFileSync(t.command, link, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], timeout: 120_000 });
  } catch (e) {
    fail(t, [t.command, ...link].join(" "), String((e as { stderr?: string }).stderr ?? e));
  }
}

function fail(t: Toolchain, command: string, message: string): never {
  throw new LayerwiseError("the C compiler failed", {
    code: "N102",
    received: `${command.slice(0, 300)}\n            ${message.trim().split("\n").slice(0, 2).join("\n            ").slice(0, 400)}`,
    expected: `a library from ${t.version}`,
    hint: 'run with LAYERWISE_DEVICE=wasm, or name another compiler in "CC"',
  });
}

/** Removes the libraries used longest ago until the cache fits its limit. */
function trim(folder: string): void {
  try {
    const files = readdirSync(folder)
      .filter((f) => f.endsWith(".so"))
      .map((f) => ({ path: join(folder, f), ...pick(statSync(join(folder, f))) }))
      .sort((a, b) => b.mtimeMs - a.mtimeMs);
    let total = 0;
    for (const f of files) {
      total += f.size;
      if (total <= cacheLimit) continue;
      rmSync(f.path, { force: true });
      rmSync(`${f.path}.sha256`, { force: true });
    }
  } catch {
    // Another process is trimming too; whatever is left over goes next time.
  }
}

function pick(s: { size: number; mtimeMs: number }): { size: number; mtimeMs: number } {
  return { size: s.size, mtimeMs: s.mtimeMs };
}
