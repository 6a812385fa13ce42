/** A loop of multiply-adds that never leaves registers: what a target can do at most, to compare kernels with. */
import { KernelBuilder } from "./builder.ts";
import type { LoopProgram, TargetProfile } from "./loopir.ts";

/** One kernel of `flops` FLOPs: as many independent chains of multiply-adds as keep all units busy. */
export function peakProgram(profile: TargetProfile): { program: LoopProgram; flops: number } {
  const { lanes } = profile;
  // Latency times units is at most 10 on CPUs of today; more chains would not fit the registers of 128-bit machines.
  const chains = profile.name === "c" ? 12 : 10;
  const rounds = 100000;
  const size = (chains + 1) * lanes;
  const b = new KernelBuilder("peak");
  const out = b.buffer("out", "f32", size, "readwrite");
  const x = b.var(b.load(out, 0, lanes));
  const sums = Array.from({ length: chains }, (_, i) => b.var(b.load(out, (i + 1) * lanes, lanes)));
  b.loop("k", rounds, () => {
    for (const s of sums) b.assign(s, b.fma(x, x, s));
  });
  sums.forEach((s, i) => {
    b.store(out, (i + 1) * lanes, s);
  });
  const flops = 2 * rounds * chains * lanes;
  const program: LoopProgram = {
    kernels: [b.finish({ flops, bytes: 0 })],
    stages: [{ calls: [{ kernel: 0, bindings: [{ slot: 0, offset: 0 }], label: "peak" }], serial: true, chunk: [1] }],
    arenaBytes: 4 * size,
    constants: new Uint8Array(0),
    scratchBytes: 0,
    slots: 2,
  };
  return { program, flops };
}
