/**
 * GFLOP/s of kernels, one thread, shape by shape, beside the peak of a register-only loop of the same multiply-adds in the same
 * run: `npm run bench -- micro`. FLOPs are those of the definition (2·outputs·terms), so Winograd's may exceed the peak.
 */
import { writeFileSync } from "node:fs";
import { compileGraph } from "../packages/core/src/compiler/compile.ts";
import {
  lowerConv,
  lowerConvInputGrad,
  lowerConvKernelGrad,
  lowerDot,
} from "../packages/core/src/compiler/contract/index.ts";
import { type LoopProgram, storageBytes, type TargetProfile, taskCount } from "../packages/core/src/compiler/loopir.ts";
import type { ConvSpec, DotSpec, Lowered } from "../packages/core/src/compiler/lowered.ts";
import { peakProgram } from "../packages/core/src/compiler/peak.ts";
import { scratchBytes } from "../packages/core/src/compiler/scratch.ts";
import { inputValue } from "../packages/core/src/graph/ops/source.ts";
import { sizeOf } from "../packages/core/src/graph/types.ts";
import type { Device } from "../packages/core/src/targets/device.ts";
import { createWasmDevice } from "../packages/core/src/targets/wasm/device.ts";
import * as ops from "../packages/core/src/tensor/ops/index.ts";
import { Tensor } from "../packages/core/src/tensor/tensor.ts";
import { createNativeDevice } from "../packages/layerwise/src/native/device.ts";

export interface MicroOptions {
  readonly device: string;
  /** Part of the names of the shapes to measure. */
  readonly only: string | undefined;
  readonly json: string | undefined;
  readonly convolution: string | undefined;
  /** "off" keeps products from the matrix unit. */
  readonly matrix: string | undefined;
  /** Rows, vectors and unrolling of the register tile, instead of the device's own. */
  readonly tile: string | undefined;
  /** Times of single kernels too. */
  readonly kernels: boolean | undefined;
  /** How long to measure a shape; 2.5 by default. */
  readonly seconds: string | undefined;
}

/** Something to measure: its FLOPs and bytes, and what its time is compared with. */
interface Candidate {
  readonly name: string;
  readonly flops: number;
  readonly bytes: number;
  readonly run: () => void;
  readonly limited: "arithmetic" | "memory";
}

export interface MicroFigures {
  readonly name: string;
  readonly milliseconds: number;
  readonly gflops: number;
  /** Share of the peak measured beside it; null where arithmetic is not the point. */
  readonly share: number | null;
  readonly gbytes: number;
}

function open(name: string): Device {
  if (name === "native") return createNativeDevice({ threads: 1 });
  if (name.startsWith("wasm")) return createWasmDevice({ threads: 1 });
  throw new Error(`micro measures wasm and native, not "${name}"`);
}

/** Milliseconds of processor time of a call: other work on the machine takes wall time and caches, but only ever adds. */
function timed(run: () => void, repeat: number): number {
  const start = process.cpuUsage();
  for (let i = 0; i < repeat; i++) run();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000 / repeat;
}

/** How often to run so that one sample lasts about `ms`. */
function repeats(run: () => void, ms: number): number {
  run();
  const begin = performance.now();
  run();
  return Math.max(1, Math.ceil(ms / Math.max(performance.now() - begin, 0.0005)));
}

/** A program with its input filled, ready to run. */
function ready(device: Device, program: LoopProgram, fill: readonly { at: number; count: number }[]): () => void {
  const executable = device.compile(program);
  const arena = device.arena(executable);
  for (const { at, count } of fill) {
    const bytes = device.view(arena, at, count * 4);
    const view = new Float32Array(bytes.buffer, bytes.byteOffset, count);
    for (let i = 0; i < count; i++) view[i] = Math.random() - 0.5;
  }
  return () => device.run(executable, []);
}

/** The kernels of a lowering as a program: inputs, then the output, then temporaries, one after the other. */
function programOf(lowered: Lowered, inputs: readonly number[], output: number) {
  let bytes = 0;
  const place = (size: number): number => {
    const at = bytes;
    bytes += Math.ceil((size + 128) / 64) * 64;
    return at;
  };
  const inputAt = inputs.map((n) => place(n * 4));
  const outputAt = place(output * 4);
  const temps = lowered.temps.map((t) => place(t.size * storageBytes[t.type]));
  const program: LoopProgram = {
    kernels: lowered.steps.map((s) => s.kernel),
    stages: lowered.steps.map((s, i) => {
      const bindings = s.roles.map((r) => ({
        slot: 0,
        offset: r.role === "input" ? inputAt[r.index] : r.role === "output" ? outputAt : temps[r.index],
      }));
      return {
        calls: [{ kernel: i, bindings, label: s.kernel.name }],
        serial: true,
        chunk: [taskCount(s.kernel)],
      };
    }),
    arenaBytes: Math.max(64, bytes),
    constants: new Uint8Array(0),
    scratchBytes: lowered.steps.reduce((most, s) => Math.max(most, scratchBytes(s.kernel)), 0),
    slots: 2,
  };
  return { program, fill: inputAt.map((at, i) => ({ at, count: inputs[i] })) };
}

export async function micro(options: MicroOptions): Promise<void> {
  const device = open(options.device);
  const [rows, vectors, unroll] = options.tile?.split(",").map(Number) ?? [];
  const { matrix: _, ...withoutUnit } = device.profile;
  const profile: TargetProfile = {
    ...(options.matrix === "off" ? withoutUnit : device.profile),
    ...(options.tile ? { tile: { rows, vectors, unroll } } : {}),
    convolution: options.convolution === "direct" ? "direct" : "auto",
  };
  const only = options.only ?? "";
  const { program: loop, flops: peakFlops } = peakProgram(device.profile);
  const peak = { run: ready(device, loop, [{ at: 0, count: loop.arenaBytes / 4 }]), flops: peakFlops };
  const peakRepeat = repeats(peak.run, 4);
  const results: MicroFigures[] = [];
  const { tile } = profile;
  console.log(
    `Node ${process.version}, V8 ${process.versions.v8}, ${options.device}, ${profile.lanes} lanes, tile ${tile.rows}×${tile.vectors * profile.lanes} unroll ${tile.unroll}, peak ${(peak.flops / timed(peak.run, peakRepeat) / 1e6).toFixed(1)} GFLOP/s`,
  );

  /**
   * Measures candidates and the peak in turns, a few milliseconds each, and reports the fastest slice of each: other work on
   * the machine only ever adds, and where it comes and goes every one of them meets quiet moments.
   */
  function report(candidates: readonly Candidate[]): void {
    const racing = candidates.map((c) => ({ ...c, repeat: repeats(c.run, 4), ms: Number.POSITIVE_INFINITY }));
    let top = Number.POSITIVE_INFINITY;
    const end = performance.now() + 1000 * Number(options.seconds ?? 2.5) * racing.length;
    let turns = 0;
    do {
      for (const c of racing) {
        top = Math.min(top, timed(peak.run, peakRepeat));
        // What the others have put out of the caches comes back unmeasured.
        c.run();
        c.ms = Math.min(c.ms, timed(c.run, c.repeat));
      }
    } while (performance.now() < end || ++turns < 5);
    for (const { name, flops, bytes, limited, ms } of racing) {
      const share = limited === "arithmetic" ? flops / ms / (peak.flops / top) : null;
      const figures = { name, milliseconds: ms, gflops: flops / ms / 1e6, share, gbytes: bytes / ms / 1e6 };
      results.push(figures);
      console.log(
        `${name.padEnd(36)} ${ms.toFixed(3).padStart(9)} ms ${figures.gflops.toFixed(1).padStart(7)} GFLOP/s ${share === null ? "   – " : `${(100 * share).toFixed(0).padStart(4)} %`} ${figures.gbytes.toFixed(1).padStart(6)} GB/s`,
      );
    }
  }

  function lowering(
    name: string,
    flops: number,
    lowered: Lowered,
    inputs: readonly number[],
    output: number,
  ): Candidate[] {
    const { program, fill } = programOf(lowered, inputs, output);
    const bytes = lowered.steps.reduce((sum, s) => sum + s.kernel.bytes, 0);
    const kernels = lowered.steps.map(({ kernel }, i): Candidate => {
      const run = ready(device, { ...program, stages: [program.stages[i]] }, fill);
      return {
        name: `    ${kernel.name.slice(0, 30)}`,
        flops: kernel.flops,
        bytes: kernel.bytes,
        run,
        limited: "arithmetic",
      };
    });
    const whole: Candidate = { name, flops, bytes, run: ready(device, program, fill), limited: "arithmetic" };
    return options.kernels ? [whole, ...kernels] : [whole];
  }

  function dense(name: string, m: number, k: number, n: number): void {
    const spec = (form: "NN" | "TN" | "NT", rowCount: number, columns: number, depth: number): DotSpec => ({
      batch: [],
      m: rowCount,
      n: columns,
      k: depth,
      a: {
        size: rowCount * depth,
        offset: 0,
        batch: [],
        m: form === "TN" ? 1 : depth,
        k: form === "TN" ? rowCount : 1,
      },
      b: { size: depth * columns, offset: 0, batch: [], k: form === "NT" ? 1 : columns, n: form === "NT" ? depth : 1 },
    });
    const all = [
      ["y", spec("NN", m, n, k)],
      ["dx", spec("NT", m, k, n)],
      ["dW", spec("TN", k, n, m)],
    ] as const;
    const candidates = all.flatMap(([what, s]) => {
      const label = `${name} ${what} ${s.m}x${s.k}x${s.n}`;
      if (!label.includes(only)) return [];
      return lowering(label, 2 * s.m * s.n * s.k, lowerDot(s, profile, null), [s.a.size, s.b.size], s.m * s.n);
    });
    if (candidates.length > 0) report(candidates);
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
      ["y", () => lowerConv(spec, profile, null), [x, k], y],
      ["dx", () => lowerConvInputGrad(spec, profile, null), [y, k], x],
      ["dK", () => lowerConvKernelGrad(spec, profile, null), [x, y], k],
    ] as const;
    const candidates = all.flatMap(([what, lower, inputs, output]) => {
      const label = `${name} ${what} ${batch}x${size}x${channels} ${kernel}x${filters}`;
      if ((what === "dx" && !gradOfInput) || !label.includes(only)) return [];
      return lowering(label, flops, lower(), inputs, output);
    });
    if (candidates.length > 0) report(candidates);
  }

  /** A composition of ops as one program, after fusion. */
  function composed(
    name: string,
    shapes: readonly (readonly number[])[],
    body: (...x: Tensor[]) => readonly Tensor[],
    limited: "arithmetic" | "memory",
  ): void {
    if (!name.includes(only)) return;
    const inputs = shapes.map((shape, i) => inputValue(`x${i}`, { dtype: "f32", shape }));
    const outputs = body(...inputs.map((v) => new Tensor(v))).map((t) => t.value);
    const graph = compileGraph({ name, inputs, outputs, writes: [] }, profile);
    const fill = inputs.flatMap((v, i) =>
      graph.inputs[i] < 0 ? [] : [{ at: graph.inputs[i], count: sizeOf(v.shape) }],
    );
    const kernels = graph.program.stages.flatMap((s) => s.calls.map((c) => graph.program.kernels[c.kernel]));
    const total = (of: "flops" | "bytes") => kernels.reduce((sum, k) => sum + k[of], 0);
    const run = ready(device, graph.program, fill);
    report([{ name, flops: total("flops"), bytes: total("bytes"), run, limited }]);
  }

  dense("square", 1024, 1024, 1024);
  dense("GPTa", 4096, 384, 384);
  dense("GPTb", 4096, 384, 1536);
  dense("GPTc", 4096, 1536, 384);
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
  composed("softmax 4096x1000", [[4096, 1000]], (x) => [ops.softmax(x)], "memory");
  composed(
    "lstm cell 32x64",
    [
      [32, 64],
      [32, 64],
      [32, 256],
      [64, 256],
    ],
    (h, c, projected, kernel) => {
      const z = projected.add(ops.matmul(h, kernel));
      const gate = (i: number) => ops.slice(z, [0, 64 * i], [32, 64]);
      const next = ops.add(
        ops.multiply(ops.sigmoid(gate(1)), c),
        ops.multiply(ops.sigmoid(gate(0)), ops.tanh(gate(2))),
      );
      return [ops.multiply(ops.sigmoid(gate(3)), ops.tanh(next)), next];
    },
    "arithmetic",
  );
  if (options.json)
    writeFileSync(
      options.json,
      `${JSON.stringify({ device: options.device, node: process.version, lanes: profile.lanes, tile, results }, null, 2)}\n`,
    );
}
