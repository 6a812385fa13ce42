/**
 * GFLOP/s of contractions on WebAssembly, one thread, shape by shape, beside the peak of a register-only FMA loop.
 *
 *   npm run bench:micro -- [--only SUBSTRING] [--convolution direct|auto] [--tile 4,2,1] [--seconds 0.3] [--kernels]
 *
 * FLOPs are those of the definition (2·outputs·terms), so Winograd's numbers may exceed the peak.
 */
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { affine, KernelBuilder } from "../packages/core/src/compiler/builder.ts";
import {
  lowerConv,
  lowerConvInputGrad,
  lowerConvKernelGrad,
  lowerDot,
} from "../packages/core/src/compiler/contract/index.ts";
import { type Kernel, storageBytes, type TargetProfile, taskCount } from "../packages/core/src/compiler/loopir.ts";
import type { ConvSpec, DotSpec, Lowered } from "../packages/core/src/compiler/lowered.ts";
import { scratchBytes } from "../packages/core/src/compiler/scratch.ts";
import { emitKernel, kernelParameters } from "../packages/core/src/targets/wasm/emit.ts";

const { values: args } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    convolution: { type: "string", default: "auto" },
    tile: { type: "string" },
    seconds: { type: "string", default: "0.3" },
    kernels: { type: "boolean", default: false },
  },
});

const v8Major = Number(process.versions.v8.split(".")[0]);
setFlagsFromString("--no-liftoff");
setFlagsFromString("--no-wasm-lazy-compilation");
if (v8Major < 12) setFlagsFromString("--experimental-wasm-relaxed-simd");

const [rows, vectors, unroll] = (args.tile ?? (v8Major >= 13 ? "6,2,4" : "4,2,1")).split(",").map(Number);
const profile: TargetProfile = {
  name: "wasm",
  lanes: 4,
  tile: { rows, vectors, unroll },
  strict: false,
  convolution: args.convolution === "direct" ? "direct" : "auto",
};

const memory = new WebAssembly.Memory({ initial: 16384, maximum: 16384 });
const heap = new Float32Array(memory.buffer);

function leb(n: number): number[] {
  const out: number[] = [];
  do {
    const low = n & 127;
    n >>>= 7;
    out.push(n > 0 ? low | 128 : low);
  } while (n > 0);
  return out;
}
const section = (id: number, bytes: number[]) => [id, ...leb(bytes.length), ...bytes];
const text = (s: string) => [...leb(s.length), ...new TextEncoder().encode(s)];

/** A module with the kernel as its only function. */
function instantiate(kernel: Kernel): { run: (...args: number[]) => void; bytes: number } {
  const body = emitKernel(kernel, { relaxedFma: true, strict: false });
  const parameters = kernelParameters(kernel);
  const code = [...leb(body.length), ...body];
  const module = new Uint8Array([
    0,
    0x61,
    0x73,
    0x6d,
    1,
    0,
    0,
    0,
    ...section(1, [1, 0x60, ...leb(parameters), ...new Array<number>(parameters).fill(0x7f), 0]),
    ...section(2, [1, ...text("env"), ...text("memory"), 2, 1, ...leb(16384), ...leb(16384)]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...text("run"), 0, 0]),
    ...section(10, [1, ...code]),
  ]);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module), { env: { memory } });
  return { run: exports["run"] as (...args: number[]) => void, bytes: body.length };
}

/** Memory for one measurement after another, from the start each time. */
let top = 0;
function place(bytes: number): number {
  const at = top;
  top += Math.ceil((bytes + 128) / 64) * 64;
  if (top > memory.buffer.byteLength) throw new Error("bench: out of memory");
  return at;
}

interface Ready {
  readonly run: () => void;
  readonly steps: { name: string; bytes: number; tasks: number; run: () => void }[];
}
function prepare(lowered: Lowered, inputs: number[], output: number): Ready {
  top = 64;
  const inputAt = inputs.map((n) => {
    const at = place(n * 4);
    for (let i = 0; i < n; i++) heap[at / 4 + i] = Math.random() - 0.5;
    return at;
  });
  const outputAt = place(output * 4);
  const temps = lowered.temps.map((t) => place(t.size * storageBytes[t.type]));
  const steps = lowered.steps.map((step) => {
    const { run, bytes } = instantiate(step.kernel);
    const saved = top;
    const scratch = place(scratchBytes(step.kernel));
    top = saved;
    const pointers = step.roles.map((r) =>
      r.role === "input" ? inputAt[r.index] : r.role === "output" ? outputAt : temps[r.index],
    );
    const tasks = taskCount(step.kernel);
    return { name: step.kernel.name, bytes, tasks, run: () => run(0, tasks, scratch, ...pointers) };
  });
  return { steps, run: () => steps.forEach((s) => void s.run()) };
}

/**
 * Milliseconds of processor time of a call, first quartile: other work on the machine takes wall time and caches, but only
 * ever adds.
 */
function time(run: () => void, seconds = Number(args.seconds)): number {
  run();
  const begin = performance.now();
  run();
  const repeat = Math.max(1, Math.ceil(4 / Math.max(performance.now() - begin, 0.0005)));
  const samples: number[] = [];
  const end = performance.now() + seconds * 1000;
  do {
    const start = process.cpuUsage();
    for (let i = 0; i < repeat; i++) run();
    const { user, system } = process.cpuUsage(start);
    samples.push((user + system) / 1000 / repeat);
  } while (performance.now() < end);
  samples.sort((p, q) => p - q);
  return samples[samples.length >> 2];
}

/** GFLOP/s of independent multiply-adds in registers. */
function peak(): number {
  const b = new KernelBuilder("peak");
  const out = b.buffer("out", "f32", 64, "write");
  const x = b.var(b.load(out, 0, 4));
  const sums = Array.from({ length: 10 }, (_, i) => b.var(b.load(out, affine(i * 4), 4)));
  b.loop("k", 100000, () => {
    for (const s of sums) b.assign(s, b.fma(x, x, s));
  });
  sums.forEach((s, i) => {
    b.store(out, i * 4, s);
  });
  const { run } = instantiate(b.finish({ flops: 0, bytes: 0 }));
  top = 64;
  const at = place(256);
  heap.fill(0.5, at / 4, at / 4 + 64);
  return (100000 * 10 * 4 * 2) / (time(() => run(0, 1, 0, at)) * 1e6);
}

const top0 = peak();
console.log(
  `node ${process.version}, V8 ${process.versions.v8}, tile ${rows}×${vectors * 4} unroll ${unroll}: peak ${top0.toFixed(1)} GFLOP/s`,
);

function report(name: string, flops: number, ready: Ready): void {
  const ms = time(ready.run);
  const rate = flops / (ms * 1e6);
  const size = ready.steps.reduce((n, s) => n + s.bytes, 0);
  console.log(
    `${name.padEnd(34)} ${ms.toFixed(3).padStart(9)} ms ${rate.toFixed(1).padStart(7)} GFLOP/s ${((100 * rate) / top0).toFixed(0).padStart(4)} %  ${(size / 1024).toFixed(1).padStart(5)} kB  tasks ${ready.steps.map((s) => s.tasks).join(",")}`,
  );
  if (args.kernels)
    for (const s of ready.steps)
      console.log(`    ${s.name.padEnd(40)} ${time(s.run, 0.1).toFixed(3)} ms  ${s.bytes} bytes`);
}

function dense(name: string, m: number, k: number, n: number): void {
  const spec = (form: "NN" | "TN" | "NT", rows: number, columns: number, depth: number): DotSpec => ({
    batch: [],
    m: rows,
    n: columns,
    k: depth,
    a: { size: rows * depth, offset: 0, batch: [], m: form === "TN" ? 1 : depth, k: form === "TN" ? rows : 1 },
    b: { size: depth * columns, offset: 0, batch: [], k: form === "NT" ? 1 : columns, n: form === "NT" ? depth : 1 },
  });
  const all = [
    ["y", spec("NN", m, n, k)],
    ["dx", spec("NT", m, k, n)],
    ["dW", spec("TN", k, n, m)],
  ] as const;
  for (const [what, s] of all) {
    const label = `${name} ${what} ${s.m}x${s.k}x${s.n}`;
    if (!label.includes(args.only)) continue;
    report(label, 2 * s.m * s.n * s.k, prepare(lowerDot(s, profile, null), [s.a.size, s.b.size], s.m * s.n));
  }
}

function conv(
  name: string,
  batch: number,
  size: number,
  channels: number,
  filters: number,
  gradOfInput = true,
  pad = 0,
  kernel = 3,
  stride = 1,
  groups = 1,
): void {
  const out = Math.floor((size + 2 * pad - kernel) / stride) + 1;
  const dim = { in: size, out, kernel, stride, dilation: 1, padLow: pad };
  const spec: ConvSpec = { batch, inChannels: channels, outChannels: filters, groups, spatial: [dim, dim] };
  const x = batch * size * size * channels;
  const y = batch * out * out * filters;
  const k = (kernel * kernel * channels * filters) / groups;
  const flops = (2 * y * kernel * kernel * channels) / groups;
  const all = [
    ["y", () => prepare(lowerConv(spec, profile, null), [x, k], y)],
    ["dx", () => prepare(lowerConvInputGrad(spec, profile, null), [y, k], x)],
    ["dK", () => prepare(lowerConvKernelGrad(spec, profile, null), [x, y], k)],
  ] as const;
  for (const [what, ready] of all) {
    const label = `${name} ${what} ${batch}x${size}x${channels} ${kernel}x${filters}`;
    if (what === "dx" && !gradOfInput) continue;
    if (label.includes(args.only)) report(label, flops, ready());
  }
}

dense("R1a", 32, 784, 32);
dense("R1b", 32, 32, 10);
conv("R2a", 32, 28, 1, 32, false);
conv("R2b", 32, 13, 32, 64);
conv("R2c", 32, 5, 64, 64);
dense("R2d", 32, 576, 64);
conv("R5a", 128, 28, 1, 32, false);
conv("R5b", 128, 26, 32, 64);
dense("R5c", 128, 9216, 128);
dense("R5d", 128, 128, 10);
dense("R6c", 128, 5408, 128);
conv("R7a", 32, 32, 3, 32, false);
conv("R7b", 32, 15, 32, 64);
conv("R7c", 32, 6, 64, 64);
dense("R7d", 32, 1024, 64);
dense("square", 1024, 1024, 1024);
conv("same", 16, 28, 64, 64, true, 1);
conv("pointwise", 16, 14, 256, 256, true, 0, 1);
conv("strided", 16, 28, 64, 128, true, 1, 3, 2);
conv("depthwise", 16, 28, 128, 128, true, 1, 3, 1, 128);
conv("resnet224", 4, 224, 3, 64, false, 3, 7, 2);
conv("resnet56", 8, 56, 64, 64, true, 1);
conv("resnet28", 8, 28, 128, 128, true, 1);
conv("resnet14", 8, 14, 256, 256, true, 1);
conv("resnet7", 8, 7, 512, 512, true, 1);
conv("single14", 1, 14, 256, 256, true, 1);
conv("single56", 1, 56, 64, 64, true, 1);
conv("five", 32, 16, 32, 64, true, 2, 5);
conv("patch", 4, 224, 3, 192, false, 0, 16, 16);
dense("matvec", 1, 4096, 1024);
dense("one unit", 128, 1024, 1);
