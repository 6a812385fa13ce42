/** The native device for tests, or a loud word that there is none: without koffi or a C compiler its tests are skipped. */
import { LayerwiseError } from "@layerwise/core";
import type { Kernel } from "../../../core/src/compiler/loopir.ts";
import { taskCount } from "../../../core/src/compiler/loopir.ts";
import { scratchBytes } from "../../../core/src/compiler/scratch.ts";
import {
  type compared,
  differenceOf,
  fill,
  layOut,
  type Memory,
  runInterpreter,
} from "../../../core/src/targets/test-kernels.ts";
import { createNativeDevice, type NativeDevice, type NativeOptions } from "./device.ts";

/** Why the native device cannot be opened here; null where it can. A compiler that is there but fails is a failure. */
export const nativeMissing: string | null = (() => {
  try {
    createNativeDevice({ threads: 1 }).close();
    return null;
  } catch (e) {
    if (!(e instanceof LayerwiseError) || (e.code !== "N101" && e.code !== "N103")) throw e;
    const why = e.message.split("\n")[0];
    console.warn(`tests of the native target are SKIPPED: ${why}`);
    return why;
  }
})();

export function openNative(options: NativeOptions = {}): NativeDevice | null {
  return nativeMissing === null ? createNativeDevice(options) : null;
}

/** A program of one kernel that keeps its buffers where `layOut` puts them. */
function programOf(kernel: Kernel) {
  const { offsets, scratch, pages } = layOut(kernel);
  const bindings = offsets.filter((o) => o >= 0).map((offset) => ({ slot: 0, offset }));
  const chunk = [Math.max(1, taskCount(kernel))];
  return {
    offsets,
    scratch,
    bytes: pages * 65536,
    program: {
      kernels: [kernel],
      stages: [{ calls: [{ kernel: 0, bindings, label: kernel.name }], serial: true, chunk }],
      arenaBytes: pages * 65536,
      constants: new Uint8Array(0),
      scratchBytes: scratchBytes(kernel),
      slots: 2,
    },
  };
}

/** The first difference between these kernels as native code and in the interpreter, or null. Compiled all at once. */
export function nativeDifference(cases: typeof compared, options: NativeOptions): string | null {
  const device = createNativeDevice({ ...options, threads: 1 });
  try {
    const programs = cases.map((c) => programOf(c.kernel));
    device.precompile(programs.map((p) => p.program));
    for (const [i, { kernel, contents }] of cases.entries()) {
      const { offsets, scratch, bytes, program } = programs[i];
      const executable = device.compile(program);
      const view = device.view(device.arena(), 0, bytes);
      const host = new ArrayBuffer(bytes);
      const regions = fill(kernel, host, offsets, contents);
      view.set(new Uint8Array(host));
      device.run(executable, []);
      const after: Memory = { bytes: view.slice().buffer, regions };
      new Uint8Array(after.bytes).fill(0, scratch, scratch + scratchBytes(kernel));
      device.release(executable);
      const found = differenceOf(
        kernel,
        runInterpreter(kernel, contents, { fma: !options.strict }),
        { ...after, regions: regions.map((r) => ({ ...r, memory: new DataView(after.bytes) })) },
        "native",
      );
      if (found) return `${kernel.name}, case ${i}: ${found}`;
    }
    return null;
  } finally {
    device.close();
  }
}
