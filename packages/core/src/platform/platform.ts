/** What the host offers: cores, engine version, WebAssembly compilation, workers. The only folder that reaches for Node modules. */

/**
 * Node's built-in modules, without an import statement: a static import would break browser bundles, a dynamic one is
 * asynchronous. Undefined outside Node (Deno and Bun have the function too, but not V8's flags behind it).
 */
function nodeModule<T extends "node:fs" | "node:os" | "node:v8" | "node:worker_threads">(
  name: T,
): T extends "node:fs"
  ? typeof import("node:fs")
  : T extends "node:os"
    ? typeof import("node:os")
    : T extends "node:v8"
      ? typeof import("node:v8")
      : typeof import("node:worker_threads") {
  return process.getBuiltinModule(name) as never;
}

/** True in Node itself, false in browsers, Deno and Bun. */
export function isNode(): boolean {
  const host = globalThis as { process?: NodeJS.Process; Deno?: unknown; Bun?: unknown };
  return (
    typeof host.process?.versions?.node === "string" &&
    typeof host.process.getBuiltinModule === "function" &&
    host.Deno === undefined &&
    host.Bun === undefined
  );
}

/** An environment variable; undefined where there are none, and when it is empty. */
export function environment(name: string): string | undefined {
  return isNode() ? process.env[name] || undefined : undefined;
}

/** Writes a text file; false where there are no files. */
export function writeTextFile(path: string, text: string): boolean {
  if (!isNode()) return false;
  nodeModule("node:fs").writeFileSync(path, text);
  return true;
}

/** Hardware threads this process may use, at least 1. */
export function availableParallelism(): number {
  if (isNode()) return Math.max(1, nodeModule("node:os").availableParallelism());
  return Math.max(1, globalThis.navigator?.hardwareConcurrency ?? 1);
}

/** Major and minor version of V8, e.g. [12, 4]; undefined in other engines. */
export function v8Version(): readonly [number, number] | undefined {
  const host = globalThis as { Deno?: { version?: { v8?: string } }; process?: NodeJS.Process };
  const text = isNode()
    ? host.process!.versions.v8
    : (host.Deno?.version?.v8 ?? /Chrom(?:e|ium)\/(\d+)/.exec(globalThis.navigator?.userAgent ?? "")?.[1]);
  const match = /^(\d+)(?:\.(\d+))?/.exec(text ?? "");
  if (!match) return undefined;
  const major = Number(match[1]);
  // Chrome n carries V8 n/10: Chrome 131 is V8 13.1.
  return match[2] === undefined ? [Math.floor(major / 10), major % 10] : [major, Number(match[2])];
}

/** True where this thread may block in `Atomics.wait`: everywhere except a browser's main thread. */
export function canBlock(): boolean {
  if (!hasSharedMemory()) return false;
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0);
    return true;
  } catch {
    return false;
  }
}

/** True where memory can be shared with workers; browsers demand cross-origin isolation for it. */
export function hasSharedMemory(): boolean {
  if (typeof SharedArrayBuffer === "undefined") return false;
  return (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated !== false;
}

const revectorizing = "--experimental-wasm-revectorize";
const plainly = "--no-experimental-wasm-revectorize";

/**
 * Whether this V8 can fuse pairs of 128-bit operations into 256-bit ones, on x64 in Node: version 13.6 (Node 24), whose errors
 * are known and kept clear of, and later ones where the command line has V8's own flag. Not with the flag's negation. Whether
 * the results are right is for the caller to check.
 */
export function offersRevectorization(): boolean {
  if (!isNode() || process.arch !== "x64") return false;
  const flags = commandLine();
  if (flags.includes(plainly)) return false;
  const [major, minor] = v8Version() ?? [0, 0];
  if (major === 13 && minor === 6) return true;
  return flags.includes(revectorizing) && (major > 13 || (major === 13 && minor > 6));
}

/** V8's flags that the user has set. */
function commandLine(): string {
  return `${process.execArgv.join(" ")} ${process.env["NODE_OPTIONS"] ?? ""}`.replaceAll("_", "-");
}

/** A flag of V8, and what restores its default. */
type Flag = readonly [set: string, restore: string];

/** Flags for a compilation in Node. */
function compileFlags(revectorize: boolean): readonly Flag[] {
  const version = v8Version();
  if (!version) return [];
  const flags: Flag[] = [
    // Left alone, V8 starts in its baseline compiler and cannot replace code on the stack: a long call stays slow.
    ["--no-liftoff", "--liftoff"],
    ["--no-wasm-lazy-compilation", "--wasm-lazy-compilation"],
  ];
  // Asked for on the command line, it holds for every compilation; those that must not have it take it away.
  if (revectorize) flags.push([revectorizing, plainly]);
  else if (commandLine().includes(revectorizing)) flags.push([plainly, revectorizing]);
  if (needsRelaxedFlag(version)) {
    flags.push(["--experimental-wasm-relaxed-simd", "--no-experimental-wasm-relaxed-simd"]);
  }
  return flags;
}

/** Relaxed SIMD became a default in V8 11.4; 11.x of Node 20 has it behind a flag. Unknown flags print to stderr. */
function needsRelaxedFlag([major, minor]: readonly [number, number]): boolean {
  return major === 11 && minor < 4;
}

/** Runs `body` with V8 set to optimise WebAssembly at once. */
function withCompileFlags<T>(revectorize: boolean, body: () => T): T {
  return isNode() ? withFlags(compileFlags(revectorize), body) : body();
}

/** How much later V8 optimises JavaScript within `optimizeLater`. */
const patience = 8;

/** What a function must do before V8 optimises it, with the defaults of the versions in which they are known. */
function thresholds([major, minor]: readonly [number, number]): readonly (readonly [flag: string, usual: number])[] {
  if (major === 11 && minor === 3) return [["--interrupt-budget", 67584]];
  if (major === 13 && minor === 6)
    return [
      ["--invocation-count-for-turbofan", 3000],
      ["--invocation-count-for-maglev", 400],
    ];
  return [];
}

/**
 * Runs `body`, which a process runs a few times (lowering, emission), with V8 slow to optimise JavaScript: its optimising
 * compiler takes longer than such functions run, on processors that the kernels' compilation needs.
 */
export function optimizeLater<T>(body: () => T): T {
  const version = isNode() ? v8Version() : undefined;
  if (!version) return body();
  const flags = thresholds(version).map(([flag, usual]): Flag => [`${flag}=${usual * patience}`, `${flag}=${usual}`]);
  return flags.length > 0 ? withFlags(flags, body) : body();
}

/** Runs `body` with V8's flags set, except what the user has set on the command line, and restores the defaults. */
function withFlags<T>(wanted: readonly Flag[], body: () => T): T {
  const v8 = nodeModule("node:v8");
  const given = commandLine();
  const flags = wanted.filter(([set]) => !given.includes(set.split("=")[0]!));
  for (const [set] of flags) v8.setFlagsFromString(set);
  try {
    return body();
  } finally {
    for (const [, restore] of flags) v8.setFlagsFromString(restore);
  }
}

/** Compiles synchronously; in Node straight to optimised code, `revectorize`d only where that is offered. */
export function compileWasm(bytes: Uint8Array, revectorize = false): WebAssembly.Module {
  return withCompileFlags(revectorize, () => new WebAssembly.Module(bytes as BufferSource));
}

let relaxedSimd: boolean | undefined;

/** True where `f32x4.relaxed_madd` compiles. */
export function hasRelaxedSimd(): boolean {
  relaxedSimd ??= withCompileFlags(false, () => WebAssembly.validate(relaxedProbe as BufferSource));
  return relaxedSimd;
}

/** (module (func (param v128 v128 v128) (result v128) local.get 0 local.get 1 local.get 2 f32x4.relaxed_madd)) */
// biome-ignore format: one section a line
const relaxedProbe = new Uint8Array([
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
  1, 8, 1, 0x60, 3, 0x7b, 0x7b, 0x7b, 1, 0x7b,
  3, 2, 1, 0,
  10, 13, 1, 11, 0, 0x20, 0, 0x20, 1, 0x20, 2, 0xfd, 0x85, 2, 0x0b,
]);

/** A running worker. Its code talks to us through shared memory; messages go one way, from here to it. */
export interface WorkerHandle {
  post(message: unknown): void;
  terminate(): void;
}

/**
 * Starts a worker that does not keep the process alive. `source` is the text of a function `(port, data) => void`,
 * where `port.receive(callback)` delivers what `post` sends. `failed` is called when the worker dies.
 */
export function spawnWorker(source: string, data: unknown, failed: () => void): WorkerHandle {
  return isNode() ? spawnNodeWorker(source, data, failed) : spawnWebWorker(source, data, failed);
}

function spawnNodeWorker(source: string, data: unknown, failed: () => void): WorkerHandle {
  const { Worker } = nodeModule("node:worker_threads");
  const glue = `const { parentPort, workerData } = require("node:worker_threads");
(${source})({ receive: (callback) => parentPort.on("message", callback) }, workerData);`;
  // No loaders of the main thread: the worker runs this text only.
  const worker = new Worker(glue, { eval: true, workerData: data, execArgv: [], name: "layerwise" });
  worker.on("error", failed);
  worker.on("exit", failed);
  worker.unref();
  return {
    post: (message) => worker.postMessage(message),
    terminate: () => {
      worker.off("error", failed);
      worker.off("exit", failed);
      worker.on("error", () => {});
      void worker.terminate();
    },
  };
}

function spawnWebWorker(source: string, data: unknown, failed: () => void): WorkerHandle {
  // The first message is the data; messages that follow wait in the worker's queue until `receive` has been called.
  const glue = `onmessage = (first) => {
  (${source})({ receive: (callback) => { onmessage = (event) => callback(event.data); } }, first.data);
};`;
  const url = URL.createObjectURL(new Blob([glue], { type: "text/javascript" }));
  const worker = new Worker(url);
  worker.onerror = (event) => {
    event.preventDefault();
    failed();
  };
  worker.postMessage(data);
  // Bun and Deno would wait for workers and timers at the end of the process.
  (worker as { unref?: () => void }).unref?.();
  // Revoked later: some browsers fetch the script after the constructor has returned.
  const timer = setTimeout(() => URL.revokeObjectURL(url), 10_000) as unknown;
  (timer as { unref?: () => void }).unref?.();
  return {
    post: (message) => worker.postMessage(message),
    terminate: () => {
      worker.onerror = null;
      worker.terminate();
    },
  };
}
