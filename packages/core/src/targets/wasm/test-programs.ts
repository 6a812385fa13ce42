/** Artificial LoopPrograms for the tests and measurements of the device: element-wise stages, a matrix product, a trap. */
import { dynamic, KernelBuilder, scaled } from "../../compiler/builder.ts";
import type { Kernel, KernelCall, LoopProgram, Stage } from "../../compiler/loopir.ts";

/** out[i] = a[i]·factor + b[i] over `tasks` tasks of `width` elements each (a multiple of 4). */
export function mixKernel(name: string, tasks: number, width: number, factor: number): Kernel {
  const k = new KernelBuilder(name);
  const size = tasks * width;
  const a = k.buffer("a", "f32", size, "read");
  const b = k.buffer("b", "f32", size, "read");
  const out = k.buffer("out", "f32", size, "write");
  const t = k.task("t", tasks);
  k.loop("i", width / 4, (i) => {
    const at = { constant: 0, terms: [...scaled(t, width).terms, ...scaled(i, 4).terms] };
    k.store(out, at, k.add(k.mul(k.load(a, at, 4), k.f32(factor, 4)), k.load(b, at, 4)), { count: 4 });
  });
  return k.finish({ flops: 2 * size, bytes: 12 * size });
}

/** Like `mixKernel`, with `rounds` dependent multiply-adds per element: arithmetic without memory traffic. */
export function heavyKernel(name: string, tasks: number, width: number, rounds: number): Kernel {
  const k = new KernelBuilder(name);
  const size = tasks * width;
  const a = k.buffer("a", "f32", size, "read");
  const out = k.buffer("out", "f32", size, "write");
  const t = k.task("t", tasks);
  k.loop("i", width / 16, (i) => {
    const base = [...scaled(t, width).terms, ...scaled(i, 16).terms];
    const values = [0, 4, 8, 12].map((c) => k.var(k.load(a, { constant: c, terms: base }, 4)));
    k.loop("r", rounds, () => {
      for (const v of values) k.assign(v, k.fma(v, k.f32(0.999, 4), k.f32(0.001, 4)));
    });
    for (const [c, v] of values.entries()) k.store(out, { constant: 4 * c, terms: base }, v);
  });
  return k.finish({ flops: 2 * rounds * size, bytes: 8 * size });
}

/** Task `bad` loads far outside the memory through a dynamic index; the others copy. */
export function trapKernel(name: string, tasks: number, bad: number): Kernel {
  const k = new KernelBuilder(name);
  const a = k.buffer("a", "f32", tasks, "read");
  const out = k.buffer("out", "f32", tasks, "write");
  const t = k.task("t", tasks);
  const far = k.select(k.compare("eq", k.index(t), k.i32(bad)), k.i32(0x2000_0000), k.index(t));
  k.store(out, t, k.load(a, dynamic(far)));
  return k.finish({ flops: 0, bytes: 8 * tasks });
}

export function program(
  kernels: readonly Kernel[],
  stages: readonly Stage[],
  options: { arenaBytes: number; slots?: number; constants?: Uint8Array; scratchBytes?: number },
): LoopProgram {
  return {
    kernels,
    stages,
    arenaBytes: options.arenaBytes,
    constants: options.constants ?? new Uint8Array(0),
    scratchBytes: options.scratchBytes ?? 0,
    slots: options.slots ?? 2,
  };
}

/** Offsets in bytes, all in slot 0 unless a pair says otherwise. */
export function call(
  kernel: number,
  offsets: readonly (number | readonly [slot: number, offset: number])[],
): KernelCall {
  return {
    kernel,
    bindings: offsets.map((o) => (typeof o === "number" ? { slot: 0, offset: o } : { slot: o[0], offset: o[1] })),
    label: `call of kernel ${kernel}`,
  };
}

export function parallel(calls: readonly KernelCall[], chunk: number): Stage {
  return { calls, serial: false, chunk: calls.map(() => chunk) };
}

export function serial(calls: readonly KernelCall[]): Stage {
  return { calls, serial: true, chunk: calls.map(() => 1) };
}
