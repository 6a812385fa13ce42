import { resolveObjectURL } from "node:buffer";
import { spawnSync } from "node:child_process";
import v8 from "node:v8";
import { Worker as NodeWorker } from "node:worker_threads";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createWasmDevice } from "../targets/wasm/device.ts";
import { call, heavyKernel, parallel, program } from "../targets/wasm/test-programs.ts";
import {
  availableParallelism,
  canBlock,
  compileWasm,
  hasRelaxedSimd,
  isNode,
  offersRevectorization,
  optimizeLater,
  v8Version,
} from "./platform.ts";

describe("Node", () => {
  it("knows where it runs", () => {
    expect(isNode()).toBe(true);
    expect(availableParallelism()).toBeGreaterThan(0);
    expect(canBlock()).toBe(true);
    const [major, minor] = process.versions.v8.split(".").map(Number);
    expect(v8Version()).toEqual([major, minor]);
  });

  it("offers revectorization in the one version of V8 whose errors are known, or where the command line asks", () => {
    const [major, minor] = process.versions.v8.split(".").map(Number);
    const version = 10 * major + minor;
    const x64 = process.arch === "x64";
    const given = process.execArgv;
    try {
      process.execArgv = [];
      expect(offersRevectorization()).toBe(x64 && version === 136);
      process.execArgv = ["--experimental-wasm-revectorize"];
      expect(offersRevectorization()).toBe(x64 && version >= 136);
      process.execArgv = ["--no-experimental-wasm-revectorize"];
      expect(offersRevectorization()).toBe(false);
    } finally {
      process.execArgv = given;
    }
  });

  it("compiles relaxed SIMD where it says so, without a word on stderr", () => {
    const write = vi.spyOn(process.stderr, "write");
    expect(hasRelaxedSimd()).toBe(true);
    const empty = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
    expect(compileWasm(empty)).toBeInstanceOf(WebAssembly.Module);
    expect(() => compileWasm(Uint8Array.of(1, 2, 3))).toThrow(WebAssembly.CompileError);
    expect(write).not.toHaveBeenCalled();
    write.mockRestore();
  });

  it("lets V8 optimise JavaScript later, in the versions whose defaults it knows, and restores them", () => {
    const write = vi.spyOn(process.stderr, "write");
    const set = vi.spyOn(v8, "setFlagsFromString");
    const values = () => new Map(set.mock.calls.map(([flag]) => flag.split("=") as [string, string]));
    const given = process.execArgv;
    try {
      process.execArgv = [];
      const within = optimizeLater(values);
      const known = [113, 136].includes(10 * v8Version()![0] + v8Version()![1]);
      expect(within.size > 0).toBe(known);
      const after = values();
      for (const [flag, value] of within) {
        expect(Number(value)).toBe(8 * Number(after.get(flag)));
        // V8 prints its defaults when it is asked for the list of its flags.
        const listed = spawnSync(process.execPath, ["--v8-options"], { encoding: "utf8" }).stdout;
        expect(listed).toContain(`default: ${flag}=${after.get(flag)}\n`);
      }
      set.mockClear();
      expect(() => optimizeLater(() => JSON.parse(""))).toThrow(SyntaxError);
      expect(values()).toEqual(after);
      // What the user has set stays.
      process.execArgv = [...within.keys()].map((flag) => `${flag}=1000`);
      set.mockClear();
      expect(optimizeLater(() => 7)).toBe(7);
      expect(set).not.toHaveBeenCalled();
      expect(write).not.toHaveBeenCalled();
    } finally {
      process.execArgv = given;
      set.mockRestore();
      write.mockRestore();
    }
  });
});

/** A browser's Worker on top of Node's: loads its script from a blob URL, asynchronously, and has `onmessage`. */
class BlobWorker {
  private readonly started: Promise<NodeWorker>;
  onerror: ((event: { preventDefault(): void }) => void) | null = null;

  constructor(url: string) {
    this.started = resolveObjectURL(url)!
      .text()
      .then((text) => {
        const shim = `require("node:worker_threads").parentPort.on("message", (data) => globalThis.onmessage({ data }));`;
        const worker = new NodeWorker(`${shim}\n${text}`, { eval: true });
        worker.unref();
        return worker;
      });
  }
  postMessage(message: unknown): void {
    void this.started.then((worker) => worker.postMessage(message));
  }
  terminate(): void {
    void this.started.then((worker) => worker.terminate());
  }
}

describe("browsers", () => {
  afterEach(() => vi.unstubAllGlobals());

  it("starts workers from a blob, which join when their event loop has the program", async () => {
    vi.stubGlobal("Deno", {}); // "not Node"
    vi.stubGlobal("Worker", BlobWorker);
    expect(isNode()).toBe(false);
    // Without Node's flag Node 20 compiles no relaxed SIMD; strict needs none.
    const device = createWasmDevice({ threads: 3, threadsFrom: 0, strict: true });
    const kernel = heavyKernel("heavy", 64, 256, 200);
    const e = device.compile(program([kernel], [parallel([call(0, [0, 65536])], 2)], { arenaBytes: 131072 }));
    let counts: number[] = [];
    for (let round = 0; round < 200 && Math.min(...counts, counts.length - 1) < 1; round++) {
      device.run(e, []);
      counts = device.chunkCounts();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(Math.min(...counts)).toBeGreaterThan(0);
    device.close();
  });
});
