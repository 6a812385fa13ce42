/** Kernels as machine code: found in memory, in the cache on disk, or compiled, all that are missing at once. */
import { rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { LayerwiseError } from "@layerwise/core";
import type { ProgramShelf } from "@layerwise/core/target-kit";
import { type LibraryCache, type Manifest, sha256 } from "./cache.ts";
import { compileLibrary, type Toolchain } from "./toolchain.ts";

/** A function of a program library; `name` is a function of the text and of all else that decides the machine code. */
export interface KernelSource {
  readonly name: string;
  /** C from the parameter list on; null for one that is in memory. */
  readonly text: string | null;
}

/** How libraries are opened: by the runtime library, or by koffi for the runtime library itself. */
export interface Loader {
  /** Throws when the system does not take it. */
  open(path: string): unknown;
  /** Address of an exported function, 0 when there is none. */
  symbol(library: unknown, name: string): bigint;
}

/** Sources are compiled side by side in this many pieces for each core, so that the pieces end at about the same time. */
const shardsPerCore = 1;

export class KernelLibraries {
  private readonly toolchain: Toolchain;
  private readonly cache: LibraryCache;
  private readonly loader: Loader;
  private readonly prelude: string;
  /** Decides the machine code besides a kernel's text. */
  private readonly base: string;
  private readonly known = new Map<string, { readonly address: bigint; readonly file: string | null }>();
  private readonly opened = new Map<string, unknown>();

  constructor(toolchain: Toolchain, cache: LibraryCache, loader: Loader, prelude: string) {
    this.toolchain = toolchain;
    this.cache = cache;
    this.loader = loader;
    this.prelude = prelude;
    this.base = toolchainKey(toolchain, prelude);
  }

  /** The name of a kernel with this text. */
  nameOf(text: string): string {
    return `lw_${sha256(this.base, text).slice(0, 32)}`;
  }

  address(name: string): bigint {
    return this.known.get(name)!.address;
  }

  /** Where programs are kept that these libraries serve; null where nothing is kept. */
  shelf(symbols: ProgramShelf["symbols"]): ProgramShelf | null {
    const { cache, base } = this;
    if (!cache.folder) return null;
    const nameOf = (key: readonly (string | Uint8Array)[]) => sha256(base, ...key).slice(0, 40);
    return {
      get: (key) => cache.program(nameOf(key)),
      put: (key, text, data) => cache.storeProgram(nameOf(key), text, data),
      symbols,
      load: (names) => names.every((n) => this.known.has(n)) || this.fromCache(names),
    };
  }

  /** Makes sure that all kernels of these programs are in memory. */
  load(programs: readonly (readonly KernelSource[])[]): void {
    const incomplete = programs.filter((kernels) => kernels.some((k) => !this.known.has(k.name)));
    const built = incomplete.filter((kernels) => !this.fromCache(kernels.map((k) => k.name)));
    if (built.length === 0) return;
    const missing = new Map<string, KernelSource>();
    for (const k of built.flat()) if (!this.known.has(k.name)) missing.set(k.name, k);
    this.build([...missing.values()]);
    for (const kernels of built) this.remember(kernels);
  }

  /** Loads what the manifest of a program names; false when something is missing or not what it should be. */
  private fromCache(names: readonly string[]): boolean {
    const manifest = this.cache.manifest(programKey(names));
    if (!manifest) return false;
    for (const name of names) {
      if (this.known.has(name)) continue;
      const file = manifest.libraries[manifest.kernels[name]];
      if (file === undefined || !this.register(name, file)) return false;
    }
    return true;
  }

  private register(name: string, file: string): boolean {
    try {
      let library = this.opened.get(file);
      if (library === undefined) {
        const path = this.cache.library(file);
        if (path === null) return false;
        library = this.loader.open(path);
        this.opened.set(file, library);
      }
      const address = this.loader.symbol(library, name);
      if (address === 0n) return false;
      this.known.set(name, { address, file });
      return true;
    } catch {
      return false;
    }
  }

  private build(kernels: readonly KernelSource[]): void {
    const shards = shardsOf(kernels).map((shard) =>
      [this.prelude, ...shard.map((k) => `__attribute__((visibility("default"))) void ${k.name}${k.text}`)].join("\n"),
    );
    const { library, file } = buildLibrary(shards, this.toolchain, this.cache, this.loader);
    if (file !== null) this.opened.set(file, library);
    for (const { name } of kernels) this.known.set(name, { address: this.loader.symbol(library, name), file });
  }

  /** Writes the manifest of a program whose kernels all lie in the cache. */
  private remember(kernels: readonly KernelSource[]): void {
    const libraries: string[] = [];
    const where: Record<string, number> = {};
    for (const { name } of kernels) {
      const { file } = this.known.get(name)!;
      if (file === null) return;
      if (!libraries.includes(file)) libraries.push(file);
      where[name] = libraries.indexOf(file);
    }
    const key = programKey(kernels.map((k) => k.name));
    this.cache.storeManifest(key, { libraries, kernels: where } satisfies Manifest);
  }
}

/** All that decides what a compiler makes of a source besides the source. */
export function toolchainKey(t: Toolchain, ...more: readonly string[]): string {
  return sha256(t.command.join(" "), t.version, t.flags.join(" "), t.cpu, ...more);
}

const programKey = (names: readonly string[]) => sha256(...[...names].sort()).slice(0, 40);

/** Compiles and opens a library, from the cache's folder where it can be kept; `file` is null where it cannot. */
export function buildLibrary(
  sources: readonly string[],
  toolchain: Toolchain,
  cache: LibraryCache,
  loader: Loader,
): { library: unknown; file: string | null } {
  let work: string;
  try {
    work = cache.workFolder();
  } catch (cause) {
    throw new LayerwiseError(
      "there is no folder to compile in",
      {
        code: "N105",
        received: String((cause as Error).message),
        expected: "a folder that can be written",
        hint: "set LAYERWISE_CACHE or TMPDIR to one",
      },
      { cause },
    );
  }
  try {
    const built = compileLibrary(sources, toolchain, work);
    const stored = cache.store(built);
    // An open library stays usable when its file is removed.
    return { library: loader.open(stored?.path ?? built), file: stored?.file ?? null };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const lengthOf = (k: KernelSource) => k.text?.length ?? 0;

/** Cuts kernels into shards of about the same length of text, longest first, in the order given within each. */
function shardsOf(kernels: readonly KernelSource[]): KernelSource[][] {
  const count = Math.max(1, Math.min(availableParallelism() * shardsPerCore, Math.ceil(kernels.length / 4)));
  const shards = Array.from({ length: count }, () => ({ length: 0, kernels: [] as KernelSource[] }));
  for (const k of [...kernels].sort((a, b) => lengthOf(b) - lengthOf(a))) {
    const shortest = shards.reduce((least, s) => (s.length < least.length ? s : least));
    shortest.length += lengthOf(k);
    shortest.kernels.push(k);
  }
  return shards.map((s) => s.kernels);
}
