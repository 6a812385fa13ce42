/** The runtime library, compiled and opened once per process, and its functions as koffi sees them. */
import { LayerwiseError } from "@layerwise/core";
import { LibraryCache } from "./cache.ts";
import { type Koffi, loadKoffi, type NativeFunction, type NativeLibrary } from "./ffi.ts";
import { buildLibrary, KernelLibraries, type Loader, toolchainKey } from "./libraries.ts";
import { runtimeAbi, runtimeSource } from "./runtime-source.ts";
import type { Toolchain } from "./toolchain.ts";

export interface Runtime {
  readonly koffi: Koffi;
  readonly alloc: NativeFunction;
  readonly free: NativeFunction;
  readonly pool: NativeFunction;
  readonly poolFree: NativeFunction;
  readonly program: NativeFunction;
  readonly programFree: NativeFunction;
  readonly place: NativeFunction;
  readonly run: NativeFunction;
  readonly time: NativeFunction;
  /** Whether there is a matrix unit that kernels may use (`TargetProfile.matrix`). */
  readonly matrix: boolean;
  /** Kernels compiled after this prelude; shared by all devices of the process. */
  libraries(prelude: string): KernelLibraries;
}

let runtime: Runtime | null = null;

/** Throws N101, N102, N105 or N106. */
export function openRuntime(toolchain: Toolchain): Runtime {
  if (runtime) return runtime;
  const koffi = loadKoffi();
  const cache = new LibraryCache();
  const lib = openLibrary(koffi, toolchain, cache);
  if (cache.refusal) console.warn(`layerwise: compiled programs are not kept: ${cache.refusal}`);
  const open = lib.func("void *lw_open(const char *path)");
  const error = lib.func("const char *lw_error()");
  const symbol = lib.func("uint64_t lw_symbol(void *library, const char *name)");
  const loader: Loader = {
    open(path) {
      const library = open(path);
      if (!library) throw unloadable(String(error()));
      return library;
    },
    symbol: (library, name) => BigInt(symbol(library, name)),
  };
  const kernels = new Map<string, KernelLibraries>();
  runtime = {
    koffi,
    alloc: lib.func("void *lw_alloc(int64_t bytes)"),
    free: lib.func("void lw_free(void *p, int64_t bytes)"),
    pool: lib.func("void *lw_pool(int32_t threads)"),
    poolFree: lib.func("void lw_pool_free(void *pool)"),
    program: lib.func(
      "void *lw_program(const int32_t *table, const int64_t *offsets, const uint64_t *functions, int64_t scratch)",
    ),
    programFree: lib.func("void lw_program_free(void *program)"),
    place: lib.func("void lw_place(void *program, const uint64_t *slots)"),
    run: lib.func("int32_t lw_run(void *pool, void *program, int32_t threads)"),
    time: lib.func("int32_t lw_time(void *pool, void *program, _Out_ double *nanoseconds)"),
    matrix: Number(lib.func("int32_t lw_matrix()")()) === 1,
    libraries(prelude) {
      const known = kernels.get(prelude) ?? new KernelLibraries(toolchain, cache, loader, prelude);
      kernels.set(prelude, known);
      return known;
    },
  };
  return runtime;
}

/** The runtime library, from the cache or compiled; it stays in memory for good, for its threads run in it. */
function openLibrary(koffi: Koffi, toolchain: Toolchain, cache: LibraryCache): NativeLibrary {
  const pinned = (path: string): NativeLibrary => {
    let lib: NativeLibrary;
    try {
      lib = koffi.load(path);
    } catch (cause) {
      throw unloadable(String((cause as Error).message));
    }
    if (!lib.func("int32_t lw_pin(const char *path)")(path)) throw unloadable("the runtime library cannot be kept");
    return lib;
  };
  const key = toolchainKey(toolchain, `abi ${runtimeAbi}`, runtimeSource).slice(0, 40);
  const path = cache.library(cache.manifest(key)?.libraries[0] ?? "");
  if (path !== null) {
    try {
      return pinned(path);
    } catch {
      // Built again below.
    }
  }
  const loader: Loader = { open: pinned, symbol: () => 0n };
  const { library, file } = buildLibrary([runtimeSource], toolchain, cache, loader);
  if (file !== null) cache.storeManifest(key, { libraries: [file], kernels: {} });
  return library as NativeLibrary;
}

function unloadable(message: string): LayerwiseError {
  return new LayerwiseError("a compiled library cannot be loaded", {
    code: "N106",
    received: message,
    expected: "a library made for this machine, in a folder from which code may run",
    hint: "set LAYERWISE_CACHE to a folder on a file system without noexec",
  });
}
