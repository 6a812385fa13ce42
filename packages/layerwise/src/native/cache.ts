/** The cache of compiled libraries on disk: private to the user, checked before use, bounded in size. */
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
import { homedir, platform, tmpdir } from "node:os";
import { join } from "node:path";

/** Bytes the cache may hold; what was used longest ago goes first. */
const cacheLimit = 256 * 1024 * 1024;
/** Bytes of one kept program, at most. */
const programLimit = 16 * 1024 * 1024;
/** A kept program begins with the sha256 of what follows this line, and with the length of its text, both in hex. */
const programHead = 64 + 1 + 8 + 1;
const day = 86_400_000;

export function sha256(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const [i, part] of parts.entries()) {
    if (i > 0) hash.update("\0");
    hash.update(part);
  }
  return hash.digest("hex");
}

/** Where compiled libraries are kept unless `LAYERWISE_CACHE` names another folder. */
function defaultFolder(): string {
  const { LAYERWISE_CACHE, XDG_CACHE_HOME } = process.env;
  if (LAYERWISE_CACHE) return LAYERWISE_CACHE;
  if (XDG_CACHE_HOME) return join(XDG_CACHE_HOME, "layerwise");
  return platform() === "darwin"
    ? join(homedir(), "Library", "Caches", "layerwise")
    : join(homedir(), ".cache", "layerwise");
}

/** Which libraries hold the kernels of one program. */
export interface Manifest {
  /** File names, each the sha256 of its content. */
  readonly libraries: readonly string[];
  /** Index of its library, by kernel. */
  readonly kernels: Readonly<Record<string, number>>;
}

/**
 * Libraries are named by their content, so that one that was cut off or altered is seen at once; manifests say which
 * libraries serve a program. Every file appears by a rename: several processes may work on the same folder.
 */
export class LibraryCache {
  /** Null where no folder can be had: nothing is kept then. */
  readonly folder: string | null;
  /** Why there is no folder. */
  readonly refusal: string | null;

  constructor(base: string = defaultFolder()) {
    const folder = join(base, "native");
    this.refusal = refusalOf(folder);
    this.folder = this.refusal === null ? folder : null;
  }

  /** A fresh private folder to compile in; on the cache's file system where there is one. The caller removes it. */
  workFolder(): string {
    return mkdtempSync(join(this.folder ?? tmpdir(), "layerwise-build-"));
  }

  manifest(key: string): Manifest | null {
    if (!this.folder) return null;
    const path = join(this.folder, `${key}.json`);
    try {
      if (!isOurs(path)) return null;
      const found = JSON.parse(readFileSync(path, "utf8")) as Manifest;
      const good = Array.isArray(found.libraries) && found.libraries.every((f) => /^[0-9a-f]{64}\.so$/.test(f));
      if (!good || typeof found.kernels !== "object") return null;
      touch(path);
      return found;
    } catch {
      return null;
    }
  }

  /** Path of a library whose content is what its name says, else null (and what is there is removed). */
  library(file: string): string | null {
    if (!this.folder) return null;
    const path = join(this.folder, file);
    try {
      if (!isOurs(path)) return null;
      if (`${sha256(readFileSync(path))}.so` !== file) {
        rmSync(path, { force: true });
        return null;
      }
      touch(path);
      return path;
    } catch {
      return null;
    }
  }

  /** Moves a freshly built library into the cache; its path and name there. */
  store(built: string): { path: string; file: string } | null {
    if (!this.folder) return null;
    const file = `${sha256(readFileSync(built))}.so`;
    const path = join(this.folder, file);
    try {
      chmodSync(built, 0o600);
      renameSync(built, path);
      this.trim();
      return { path, file };
    } catch {
      return null;
    }
  }

  storeManifest(key: string, manifest: Manifest): void {
    this.write(`${key}.json`, JSON.stringify(manifest));
  }

  /** A program kept under this key; null (and what is there is removed) when it is not as it was stored. */
  program(key: string): { text: string; data: Uint8Array } | null {
    if (!this.folder) return null;
    const path = join(this.folder, `${key}.program`);
    try {
      if (!isOurs(path)) return null;
      const bytes = readFileSync(path);
      const [digest, length] = bytes.subarray(0, programHead).toString("latin1").split(" ");
      const rest = bytes.subarray(programHead);
      if (digest !== sha256(rest)) {
        rmSync(path, { force: true });
        return null;
      }
      touch(path);
      const end = Number.parseInt(length, 16);
      return { text: rest.subarray(0, end).toString("utf8"), data: Uint8Array.from(rest.subarray(end)) };
    } catch {
      return null;
    }
  }

  /** Programs whose constants are large are not kept. */
  storeProgram(key: string, text: string, data: Uint8Array): void {
    const body = Buffer.concat([Buffer.from(text, "utf8"), data]);
    if (body.length > programLimit) return;
    const length = (body.length - data.length).toString(16).padStart(8, "0");
    this.write(`${key}.program`, Buffer.concat([Buffer.from(`${sha256(body)} ${length}\n`, "latin1"), body]));
  }

  private write(file: string, content: string | Uint8Array): void {
    if (!this.folder) return;
    const unfinished = join(this.folder, `.${file}.${process.pid}`);
    try {
      writeFileSync(unfinished, content, { mode: 0o600 });
      renameSync(unfinished, join(this.folder, file));
    } catch {
      rmSync(unfinished, { force: true });
    }
  }

  /** Removes what was used longest ago until the rest fits, and work folders that a killed process left behind. */
  trim(limit = cacheLimit): void {
    if (!this.folder) return;
    try {
      const found = readdirSync(this.folder, { withFileTypes: true }).map((entry) => {
        const path = join(this.folder!, entry.name);
        return { path, isFolder: entry.isDirectory(), stat: statSync(path) };
      });
      let total = 0;
      for (const { path, isFolder, stat } of found.sort((a, b) => b.stat.mtimeMs - a.stat.mtimeMs)) {
        if (isFolder) {
          if (Date.now() - stat.mtimeMs > day) rmSync(path, { recursive: true, force: true });
          continue;
        }
        total += Math.max(4096, stat.size);
        if (total > limit) rmSync(path, { force: true });
      }
    } catch {
      // Another process is trimming too; whatever is left over goes next time.
    }
  }
}

/** Null when the folder is a directory of this user's that can be written, after making it so if possible. */
function refusalOf(folder: string): string | null {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const s = lstatSync(folder);
    if (!s.isDirectory()) return `${folder} is not a folder`;
    if (process.getuid && s.uid !== process.getuid()) return `${folder} belongs to another user`;
    if ((s.mode & 0o077) !== 0) chmodSync(folder, 0o700);
    const probe = join(folder, `.probe-${process.pid}`);
    writeFileSync(probe, "");
    rmSync(probe, { force: true });
    return null;
  } catch (e) {
    return `${folder} cannot be written (${(e as NodeJS.ErrnoException).code ?? e})`;
  }
}

/** A regular file of this user's: nobody else may put code in front of us. */
function isOurs(path: string): boolean {
  const s = lstatSync(path);
  return s.isFile() && (!process.getuid || s.uid === process.getuid());
}

/** Marks a file as used, at most once a day. */
function touch(path: string): void {
  const now = new Date();
  if (now.getTime() - statSync(path).mtimeMs > day) utimesSync(path, now, now);
}
