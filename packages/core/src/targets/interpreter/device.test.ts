/** The interpreting device: programs over arena, constants and stores, and its accounts. */
import { expect, it } from "vitest";
import { KernelBuilder, scaled } from "../../compiler/builder.ts";
import type { LoopProgram } from "../../compiler/loopir.ts";
import { createInterpreterDevice } from "./device.ts";

/** store += constants · arena, in two calls; the second doubles it through scratch. */
function program(): LoopProgram {
  const size = 8;
  const axpy = new KernelBuilder("axpy");
  const [x, c, y] = ["x", "c", "y"].map((name) => axpy.buffer(name, "f32", size, name === "y" ? "readwrite" : "read"));
  axpy.loop("i", 2, (i) => {
    const at = scaled(i, 4);
    axpy.store(y, at, axpy.fma(axpy.load(x, at, 4), axpy.load(c, at, 4), axpy.load(y, at, 4)));
  });
  const twice = new KernelBuilder("twice");
  const own = twice.buffer("own", "f32", 4, "scratch");
  const z = twice.buffer("z", "f32", size, "readwrite");
  const t = twice.task("t", 2);
  twice.store(own, 0, twice.load(z, scaled(t, 4), 4));
  twice.store(z, scaled(t, 4), twice.add(twice.load(own, 0, 4), twice.load(own, 0, 4)));
  const cost = { flops: 1, bytes: 1 };
  return {
    kernels: [axpy.finish(cost), twice.finish(cost)],
    stages: [
      {
        calls: [{ kernel: 0, bindings: [0, 1, 2].map((slot) => ({ slot, offset: slot === 0 ? 64 : 0 })), label: "" }],
        serial: true,
        chunk: [1],
      },
      { calls: [{ kernel: 1, bindings: [{ slot: 2, offset: 0 }], label: "" }], serial: false, chunk: [1] },
    ],
    arenaBytes: 64 + 96,
    constants: new Uint8Array(Float32Array.from([1, 2, 3, 4, 5, 6, 7, 8]).buffer),
    scratchBytes: 128,
    slots: 3,
  };
}

it("runs a program on its slots and gives memory back", () => {
  const device = createInterpreterDevice();
  const store = device.allocate(32);
  const other = device.allocate(32);
  const executable = device.compile(program());
  const floats = (block: typeof store, offset: number): Float32Array => {
    const v = device.view(block, offset, 32);
    return new Float32Array(v.buffer, v.byteOffset, 8);
  };
  floats(store, 0).fill(10);
  floats(other, 0).fill(0);
  floats(device.arena(executable), 64).fill(0.5);
  device.run(executable, [store]);
  expect([...floats(store, 0)]).toEqual([21, 22, 23, 24, 25, 26, 27, 28]);
  device.run(executable, [other]);
  device.run(executable, [other]);
  expect([...floats(other, 0)]).toEqual([3, 6, 9, 12, 15, 18, 21, 24]);
  device.free(store);
  device.free(other);
  device.release(executable);
  expect(device.allocatedBytes).toBe(64 + 96);
});
