/** Finds the files of a data set: the folder that was named, then the user's cache, then the network. */
import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LayerwiseError } from "@layerwise/core";
import { type DownloadOptions, digestOf, download } from "./download.ts";
import { cacheFolder, givenFolder } from "./folders.ts";
import { showDownload } from "./notice.ts";
import type { SourceFile } from "./sources.ts";

/** What a call of a data-set function may say. */
export interface DatasetOptions {
  /** Looked into first, in place of `LAYERWISE_DATASETS`; holds one subfolder per data set. */
  readonly folder?: string;
  /** false: never use the network (default true). */
  readonly download?: boolean;
  /** 0: print nothing; 1: downloads are shown on stderr (default). */
  readonly verbose?: 0 | 1;
}

/** Settings of the search that only tests change. */
export interface SearchOptions extends DatasetOptions {
  readonly cache?: string;
  readonly network?: Pick<DownloadOptions, "stallMs" | "pauseMs">;
  readonly say?: (line: string) => void;
}

/** A form in which a file may lie on the disk: a suffix to its name, and the way back to the published bytes. */
export interface StoredForm {
  readonly suffix: string;
  decode(bytes: Uint8Array): Promise<Uint8Array>;
}

const asPublished: StoredForm = { suffix: "", decode: async (bytes) => bytes };

/** Bytes of a file that stands on this disk with the right digest, or undefined where there is none. Throws D201, D206. */
export async function findFile(
  dataset: string,
  file: SourceFile,
  options: SearchOptions,
  forms: readonly StoredForm[] = [asPublished],
): Promise<Uint8Array | undefined> {
  const given = options.folder ?? givenFolder();
  if (given !== undefined) {
    for (const form of forms) {
      const path = join(given, dataset, file.name + form.suffix);
      const bytes = await readIfThere(path);
      // A file that the user put there is never passed over in silence.
      if (bytes !== undefined) return await checked(path, bytes, file, form);
    }
  }
  for (const form of forms) {
    const path = join(cacheOf(dataset, options), file.name + form.suffix);
    const bytes = await readIfThere(path);
    if (bytes === undefined) continue;
    try {
      return await checked(path, bytes, file, form);
    } catch (error) {
      if (options.download === false) throw error;
      tell(options, `${path} is damaged; fetching it again`);
    }
  }
  return undefined;
}

function cacheOf(dataset: string, options: SearchOptions): string {
  return join(options.cache ?? cacheFolder(), "datasets", dataset);
}

/** `findFile`, else the download, kept in the cache for the next time. Throws D201–D205. */
export async function obtainFile(
  dataset: string,
  file: SourceFile,
  addresses: readonly string[],
  options: SearchOptions,
): Promise<Uint8Array> {
  const found = await findFile(dataset, file, options);
  if (found !== undefined) return found;
  const bytes = await fetchFile(dataset, file, addresses, options);
  await keep(dataset, file.name, bytes, options);
  return bytes;
}

/** The download alone, shown on stderr. */
export async function fetchFile(
  dataset: string,
  file: SourceFile,
  addresses: readonly string[],
  options: SearchOptions,
): Promise<Uint8Array> {
  if (options.download === false) {
    throw new LayerwiseError(`${dataset}/${file.name} is not on this machine`, {
      code: "D205",
      layer: dataset,
      received: "download: false",
      expected: `the file in ${join(options.folder ?? givenFolder() ?? "LAYERWISE_DATASETS", dataset)} or in ${cacheOf(dataset, options)}`,
      hint: `allow the download, or put ${file.name} there`,
    });
  }
  const show = options.verbose === 0 ? undefined : showDownload(`${dataset}/${file.name}`, new URL(addresses[0]).host);
  try {
    return await download(file, addresses, { ...options.network, ...(show && { progress: show.progress }) });
  } finally {
    show?.end();
  }
}

/** Folders that were reported as not writable. */
const reported = new Set<string>();

/** Stores verified bytes in the cache: a temporary file, renamed when complete. A cache that cannot be written is named once. */
export async function keep(dataset: string, name: string, bytes: Uint8Array, options: SearchOptions): Promise<void> {
  const folder = cacheOf(dataset, options);
  const unfinished = join(folder, `.${name}.${randomUUID()}`);
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(unfinished, bytes);
    await rename(unfinished, join(folder, name));
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => {});
    if (reported.has(folder)) return;
    reported.add(folder);
    const why = (error as NodeJS.ErrnoException).code ?? String(error);
    tell(
      options,
      `the cache ${folder} cannot be written (${why}): ${dataset} stays in memory and will be fetched again next time`,
    );
  }
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new LayerwiseError(
      `${path} cannot be read`,
      {
        code: "D206",
        layer: path,
        received: code ?? String(error),
        expected: "a readable file",
        hint: "check the permissions of the file and its folder",
      },
      { cause: error },
    );
  }
}

async function checked(path: string, stored: Uint8Array, file: SourceFile, form: StoredForm): Promise<Uint8Array> {
  const damaged = (received: string, cause?: unknown) =>
    new LayerwiseError(
      `${path} is damaged or incomplete`,
      {
        code: "D201",
        layer: path,
        received,
        expected: `sha256 ${file.sha256}`,
        hint: "delete the file, so that it is downloaded again, or copy it anew",
      },
      { cause },
    );
  let bytes: Uint8Array;
  try {
    bytes = await form.decode(stored);
  } catch (error) {
    throw damaged(`${stored.length} bytes that do not unpack (${(error as Error).message})`, error);
  }
  const digest = digestOf(file, bytes);
  if (digest !== file.sha256) throw damaged(`${bytes.length} bytes, sha256 ${digest}`);
  return bytes;
}

function tell(options: SearchOptions, line: string): void {
  if (options.say) options.say(line);
  else if (options.verbose !== 0) console.error(line);
}
