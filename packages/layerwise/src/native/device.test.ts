/** The runtime library's scheduler: many stages, any number of threads, the same bits as one thread. */
import { afterAll, describe, expect, it } from "vitest";
import type { LoopProgram, Stage } from "../../../core/src/compiler/loopir.ts";
import { call, mixKernel, parallel, program, serial } from "../../../core/src/targets/wasm/test-programs.ts";
import type { NativeDevice } from "./device.ts";
import { nativeMissing, openNative } from "./testing.ts";

const regions = 12;
const perRegion = 1024;
const arenaBytes = regions * perRegion * 4;

/** Stages that read some regions of the arena and write others: serial ones, parallel ones of several calls and chunk sizes. */
function manyStages(length: number, seed: number): LoopProgram {
  let state = seed;
  const random = (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >>> 8) % below;
  };
  const kernels = [
    mixKernel("wide", 16, 64, 0.5),
    mixKernel("narrow", 256, 4, -0.25),
    mixKernel("odd", 64, 16, 0.75),
  ].map((k) => ({ ...k, flops: 1e6 }));
  const stages: Stage[] = [];
  for (let s = 0; s < length; s++) {
    const first = random(regions);
    const region = (i: number) => ((first + i) % regions) * perRegion * 4;
    const count = 1 + random(4);
    const calls = Array.from({ length: count }, (_, i) =>
      call(random(3), [region(4 + random(8)), region(4 + random(8)), region(i)]),
    );
    stages.push(random(4) === 0 ? serial(calls) : { calls, serial: false, chunk: calls.map(() => 1 + random(9)) });
  }
  return program(kernels, stages, { arenaBytes });
}

function run(device: NativeDevice, p: LoopProgram, times: number): Buffer[] {
  const executable = device.compile(p);
  const results = Array.from({ length: times }, () => {
    const view = device.view(device.arena(), 0, arenaBytes);
    const floats = new Float32Array(view.buffer, view.byteOffset, regions * perRegion);
    for (let i = 0; i < floats.length; i++) floats[i] = ((i * 2654435761) % 1000) / 1000;
    device.run(executable, []);
    return Buffer.from(view.slice().buffer);
  });
  device.release(executable);
  return results;
}

describe.skipIf(nativeMissing !== null)("native device", () => {
  const open = [1, 2, 3, 7].map((threads) => openNative({ threads, threadsFrom: 0 })!);
  afterAll(() => {
    for (const d of open) d.close();
  });

  it("gives the same bits on 1, 2, 3 and 7 threads, run after run", { timeout: 300_000 }, () => {
    for (const seed of [1, 2, 3]) {
      const p = manyStages(200, seed);
      const [expected] = run(open[0], p, 1);
      for (const device of open) {
        for (const result of run(device, p, 20))
          expect(result.equals(expected), `${device.threads} threads`).toBe(true);
      }
    }
  });

  it("keeps one arena, and gives memory back", () => {
    const device = openNative({ threads: 1 })!;
    const before = device.allocatedBytes;
    const small = device.compile(manyStages(3, 9));
    const grown = device.compile({ ...manyStages(3, 9), arenaBytes: 1 << 24, constants: new Uint8Array(1000) });
    expect(device.allocatedBytes - before).toBe((1 << 24) - 64 + 1000);
    device.release(grown);
    expect(device.allocatedBytes - before).toBe(arenaBytes - 64);
    device.release(small);
    expect(device.allocatedBytes).toBeLessThanOrEqual(before + (1 << 20));
    const block = device.allocate(3 << 20);
    expect(block.address % 64).toBe(0);
    expect(new Set(device.view(block, 0, 3 << 20))).toEqual(new Set([0]));
    device.free(block);
    device.close();
  });

  it("runs programs without stages, and a single serial one", () => {
    const device = open[3];
    device.run(device.compile(program([], [], { arenaBytes: 64 })), []);
    const one = program([mixKernel("one", 16, 64, 0.5)], [parallel([call(0, [0, 4096, 8192])], 16)], { arenaBytes });
    expect(run(device, one, 1)[0].equals(run(open[0], one, 1)[0])).toBe(true);
  });
});
