import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { afterEach, describe, expect, it } from "vitest";
import type { LoopProgram, Stage } from "../../compiler/loopir.ts";
import { LayerwiseError } from "../../errors.ts";
import type { Block } from "../device.ts";
import { makeSchedule } from "./control.ts";
import { createWasmDevice, type WasmDevice, type WasmDeviceOptions } from "./device.ts";
import { call, heavyKernel, mixKernel, parallel, program, serial, trapKernel } from "./test-programs.ts";

const open: WasmDevice[] = [];
function device(options: WasmDeviceOptions): WasmDevice {
  const d = createWasmDevice(options);
  open.push(d);
  return d;
}
afterEach(() => {
  for (const d of open.splice(0)) d.close();
});

function floats(d: WasmDevice, block: Block, offset: number, count: number): Float32Array {
  const bytes = d.view(block, offset, count * 4);
  return new Float32Array(bytes.buffer, bytes.byteOffset, count);
}

/** `length` stages that read earlier regions of the arena and write others, some serial, some of several calls. */
function manyStages(length: number, seed: number): { program: LoopProgram; regions: number; floatsPerRegion: number } {
  let state = seed;
  const random = (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >>> 8) % below;
  };
  const kernels = [
    mixKernel("mix_wide", 16, 64, 0.5),
    mixKernel("mix_narrow", 256, 4, -0.25),
    mixKernel("mix_odd", 64, 16, 0.75),
  ];
  const floatsPerRegion = 1024;
  const regions = 12;
  const stages: Stage[] = [];
  for (let s = 0; s < length; s++) {
    // Calls of one stage write disjoint regions and read none that the stage writes.
    const order = Array.from({ length: regions }, (_, i) => i).sort(() => random(3) - 1);
    const count = 1 + random(4);
    const calls = Array.from({ length: count }, (_, i) => {
      const source = () => order[count + random(regions - count)]! * floatsPerRegion * 4;
      return call(random(3), [source(), source(), order[i]! * floatsPerRegion * 4]);
    });
    stages.push(random(4) === 0 ? serial(calls) : { calls, serial: false, chunk: calls.map(() => 1 + random(9)) });
  }
  return { program: program(kernels, stages, { arenaBytes: regions * floatsPerRegion * 4 }), regions, floatsPerRegion };
}

/** The same stages with costs that make every parallel stage worth sharing. */
function expensive(p: LoopProgram): LoopProgram {
  return { ...p, kernels: p.kernels.map((k) => ({ ...k, flops: 1e6 })) };
}

function fillArena(d: WasmDevice, block: Block, count: number): void {
  const x = floats(d, block, 0, count);
  for (let i = 0; i < count; i++) x[i] = Math.sin(i * 0.7) * 3;
}

describe("running programs", () => {
  it("gives the same bits on 1, 2, 3 and 7 threads", () => {
    const { program: p, regions, floatsPerRegion } = manyStages(300, 5);
    const costly = expensive(p);
    const schedule = makeSchedule(costly);
    expect(schedule.stages.some((s) => s.serial)).toBe(true);
    expect(schedule.stages.filter((s) => s.chunks > 8).length).toBeGreaterThan(50);
    const count = regions * floatsPerRegion;
    let reference: Uint8Array | undefined;
    for (const threads of [1, 2, 3, 7]) {
      const d = device({ threads, threadsFrom: 0 });
      const e = d.compile(costly);
      for (let repeat = 0; repeat < 40; repeat++) {
        fillArena(d, d.arena(e), count);
        d.run(e, []);
        const bytes = d.view(d.arena(e), 0, count * 4).slice();
        reference ??= bytes;
        expect(Buffer.compare(bytes, reference)).toBe(0);
      }
      if (threads > 1) {
        expect(d.chunkCounts().reduce((a, b) => a + b)).toBe(
          40 * schedule.stages.reduce((sum, s) => sum + s.chunks, 0),
        );
      }
    }
    expect(reference!.some((x) => x !== 0)).toBe(true);
  });

  it("lets every worker work", () => {
    const kernel = heavyKernel("heavy", 64, 256, 200);
    const p = program([kernel], [parallel([call(0, [0, 65536])], 2)], { arenaBytes: 131072 });
    for (const threads of [2, 3, 7]) {
      const d = device({ threads, threadsFrom: 0 });
      d.everyWorkerOnce = true;
      const e = d.compile(p);
      d.run(e, []);
      const counts = d.chunkCounts();
      expect(counts.length).toBe(threads);
      expect(Math.min(...counts)).toBeGreaterThan(0);
      expect(counts.reduce((a, b) => a + b)).toBe(32);
    }
  });

  it("reads stores and constants, and keeps their addresses per run", () => {
    const d = device({ threads: 1 });
    const constants = new Uint8Array(new Float32Array(64).fill(10).buffer);
    const p = program(
      [mixKernel("mix", 1, 64, 2)],
      [
        serial([
          call(0, [
            [2, 0],
            [1, 0],
            [3, 256],
          ]),
        ]),
      ],
      {
        arenaBytes: 64,
        slots: 4,
        constants,
      },
    );
    const e = d.compile(p);
    for (const value of [1, 2]) {
      const input = d.allocate(256);
      const output = d.allocate(512);
      floats(d, input, 0, 64).fill(value);
      d.run(e, [input, output]);
      expect([...floats(d, output, 256, 64)]).toEqual(new Array(64).fill(2 * value + 10));
      expect([...floats(d, output, 0, 64)]).toEqual(new Array(64).fill(0));
      d.free(input);
      d.free(output);
    }
    expect(() => d.run(e, [])).toThrow(/stores/);
  });

  it("times each call", () => {
    const d = device({ threads: 2 });
    const { program: p } = manyStages(30, 4);
    const e = d.compile(p);
    const times = d.timeCalls(e, []);
    expect(times.map((t) => t.kernel)).toEqual(p.stages.flatMap((s) => s.calls.map((c) => p.kernels[c.kernel]!.name)));
    expect(times.every((t) => t.milliseconds >= 0 && t.bytes > 0)).toBe(true);
  });

  it("lets a thread arrive when the step is over and its control block holds something else", () => {
    const d = device({ threads: 2, threadsFrom: 0 });
    const e = d.compile(expensive(manyStages(5, 4).program));
    d.run(e, []);
    const { code, control } = e as unknown as {
      code: { step(thread: number, control: number, generation: number, sync: number): number };
      control: number;
    };
    const { sync, generation } = (d as unknown as { pool: { sync: number; generation: number } }).pool;
    d.release(e);
    const { memory } = d as unknown as { memory: { view(address: number, bytes: number): Uint8Array } };
    memory.view(control, 256).fill(0xeb);
    expect(code.step(1, control, generation, sync)).toBe(0);
    expect(code.step(1, control, generation - 1, sync)).toBe(0);
  });

  it("gives each thread scratch of its own", () => {
    // A kernel without scratch buffers still gets the pointer; two programs of different needs share one block.
    const d = device({ threads: 3, threadsFrom: 0 });
    const small = d.compile(program([mixKernel("a", 4, 4, 1)], [serial([call(0, [0, 0, 64])])], { arenaBytes: 128 }));
    const before = d.allocatedBytes;
    const large = d.compile(
      program([mixKernel("a", 4, 4, 1)], [serial([call(0, [0, 0, 64])])], { arenaBytes: 128, scratchBytes: 10_000 }),
    );
    expect(d.allocatedBytes - before).toBeGreaterThanOrEqual(30_000);
    d.run(small, []);
    d.run(large, []);
  });
});

describe("memory", () => {
  it("shares code among equal programs and gives everything back", () => {
    const d = device({ threads: 2 });
    const before = d.processBytes;
    const p = manyStages(20, 3).program;
    const first = d.compile(p);
    const once = d.allocatedBytes;
    const second = d.compile(p);
    expect((second as unknown as { code: unknown }).code).toBe((first as unknown as { code: unknown }).code);
    expect(d.allocatedBytes - once).toBeLessThan(once);
    d.release(first);
    d.run(second, []);
    expect(() => d.run(first, [])).toThrow(/released/);
    d.release(second);
    expect(d.allocatedBytes).toBe(0);
    expect(d.processBytes).toBe(before);
  });

  it("stays flat over 10,000 small steps", () => {
    const d = device({ threads: 2, threadsFrom: 0 });
    const { program: p } = manyStages(4, 9);
    const e = d.compile(expensive(p));
    for (let i = 0; i < 1000; i++) d.run(e, []);
    const before = d.processBytes;
    const heap = process.memoryUsage().heapUsed;
    for (let i = 0; i < 10_000; i++) d.run(e, []);
    expect(d.processBytes).toBe(before);
    // No bytes per step: a single object a step would be some 500 kB, less what the collector has taken already.
    expect(process.memoryUsage().heapUsed - heap).toBeLessThan(4e6);
  });

  it("keeps one arena, as large as the largest live program", () => {
    const d = device({ threads: 1 });
    const make = (bytes: number) =>
      d.compile(program([mixKernel("a", 4, 4, 1)], [serial([call(0, [0, 64, 128])])], { arenaBytes: bytes }));
    const small = make(1000);
    const large = make(5_000_000);
    expect(d.arena(small)).toBe(d.arena(large));
    expect(d.arena(small).bytes).toBe(5_000_000);
    d.release(large);
    const next = make(2000);
    expect(d.arena(next).bytes).toBe(2000);
    d.run(small, []);
    d.run(next, []);
  });

  it("refuses a block twice released", () => {
    const d = device({ threads: 1 });
    const block = d.allocate(100);
    d.free(block);
    expect(() => d.free(block)).toThrow(/E502/);
  });
});

describe("faults", () => {
  const good = heavyKernel("heavy", 64, 256, 100);

  /** A trap in one task of 64, after a healthy stage. */
  function trapping(bad: number): LoopProgram {
    const trap = { ...trapKernel("bad_gather", 64, bad), flops: 1e6 };
    return program([good, trap], [parallel([call(0, [0, 65536])], 4), parallel([call(1, [0, 512])], 1)], {
      arenaBytes: 131072,
    });
  }

  function attempt(d: WasmDevice, p: LoopProgram): LayerwiseError {
    const e = d.compile(p);
    try {
      d.run(e, []);
    } catch (error) {
      expect(error).toBeInstanceOf(LayerwiseError);
      return error as LayerwiseError;
    } finally {
      d.release(e);
    }
    throw new Error("the trap was not noticed");
  }

  it.each([1, 2, 3, 7])("names the kernel that trapped and works afterwards, %i threads", (threads) => {
    const d = device({ threads, threadsFrom: 0 });
    const healthy = d.compile(program([good], [parallel([call(0, [0, 65536])], 2)], { arenaBytes: 131072 }));
    for (let round = 0; round < 6; round++) {
      const error = attempt(d, trapping(round * 11));
      expect(error.code).toBe("E501");
      expect(error.message).toContain('kernel "bad_gather"');
      expect(error.received).toContain("memory access out of bounds");
      expect(error.layer).toBe("call of kernel 1");
      floats(d, d.arena(healthy), 0, 16384).fill(1);
      d.run(healthy, []);
      expect(floats(d, d.arena(healthy), 65536, 16384).every((x) => x > 0.999 && x < 1.001)).toBe(true);
    }
  });

  it("notices a trap inside a worker", () => {
    const d = device({ threads: 2, threadsFrom: 0 });
    d.everyWorkerOnce = true;
    // Two chunks: each thread takes exactly one, so over many rounds both the caller and the worker trap.
    const trap = { ...trapKernel("bad_gather", 2, 1), flops: 1e6 };
    const p = program([trap], [parallel([call(0, [0, 512])], 1)], { arenaBytes: 1024 });
    let inWorker = 0;
    for (let round = 0; round < 40 && inWorker === 0; round++) {
      const error = attempt(d, p);
      expect(error.message).toContain("bad_gather");
      // A trap of the caller is the error's cause; a worker's arrives as text.
      if (error.cause === undefined) inWorker++;
    }
    expect(inWorker).toBeGreaterThan(0);
  });

  it("replaces a worker that died between steps", async () => {
    const d = device({ threads: 3, threadsFrom: 0 });
    d.everyWorkerOnce = true;
    const e = d.compile(program([good], [parallel([call(0, [0, 65536])], 2)], { arenaBytes: 131072 }));
    d.run(e, []);
    const pool = () =>
      (d as unknown as { pool: { broken: boolean; workers: { post(message: unknown): void }[] } }).pool;
    const before = pool();
    // The worker's handler throws on null, outside of any step.
    before.workers[0]!.post(null);
    // A ring sends the workers to their event loop; compiling another program is what does it in practice.
    d.compile(program([good], [parallel([call(0, [0, 65536])], 1)], { arenaBytes: 131072 }));
    (before as unknown as { post(message: unknown): void }).post({ id: -1 });
    while (!before.broken) await new Promise((resolve) => setTimeout(resolve, 5));
    d.run(e, []);
    expect(pool()).not.toBe(before);
    expect(Math.min(...d.chunkCounts())).toBeGreaterThan(0);
  });

  it("rejects a thread count that makes no sense", () => {
    expect(() => createWasmDevice({ threads: 0 })).toThrow(/E504/);
    expect(() => createWasmDevice({ threads: 1.5 })).toThrow(/E504/);
  });
});

describe("the process", () => {
  it("ends by itself although workers exist, from one bundled file", () => {
    const folder = mkdtempSync(join(tmpdir(), "layerwise-"));
    try {
      const file = join(folder, "bundle.mjs");
      const here = JSON.stringify(import.meta.dirname);
      buildSync({
        stdin: {
          contents: `
            import { createWasmDevice } from "./device.ts";
            import { call, heavyKernel, parallel, program } from "./test-programs.ts";
            const d = createWasmDevice({ threads: 3, threadsFrom: 0 });
            d.everyWorkerOnce = true;
            const p = program([heavyKernel("heavy", 64, 256, 200)], [parallel([call(0, [0, 65536])], 2)], { arenaBytes: 131072 });
            const e = d.compile(p);
            d.run(e, []);
            console.log(JSON.stringify(d.chunkCounts()));`,
          resolveDir: JSON.parse(here),
          loader: "ts",
        },
        bundle: true,
        minify: true,
        format: "esm",
        platform: "neutral",
        outfile: file,
      });
      const out = execFileSync(process.execPath, [file], { timeout: 30_000, encoding: "utf8", env: {} });
      const counts = JSON.parse(out) as number[];
      expect(Math.min(...counts)).toBeGreaterThan(0);
      expect(counts.reduce((a, b) => a + b)).toBe(32);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
