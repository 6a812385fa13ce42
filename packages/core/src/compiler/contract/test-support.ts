/** For the tests of contractions: runs a lowering on devices, and the float64 results it must come near. */
import type { Device } from "../../targets/device.ts";
import { createInterpreterDevice } from "../../targets/interpreter/device.ts";
import { createWasmDevice } from "../../targets/wasm/device.ts";
import { type LoopProgram, storageBytes, type TargetProfile, taskCount } from "../loopir.ts";
import type { ConvSpec, DotSpec, Epilogue, Lowered } from "../lowered.ts";
import { scratchBytes } from "../scratch.ts";

/** Numbers in [-1, 1), the same for the same seed. */
export function numbers(count: number, seed: number): Float32Array {
  let state = seed * 2654435761 + 12345;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Runs a lowering; memory is NaN before, so that whatever reads what nobody wrote shows. */
export function runOn(
  device: Device,
  lowered: Lowered,
  inputs: readonly Float32Array[],
  outputs: number,
): Float32Array {
  let bytes = 0;
  const place = (size: number): number => {
    const at = bytes;
    bytes += Math.ceil((size + 64) / 64) * 64;
    return at;
  };
  const inputAt = inputs.map((x) => place(x.byteLength));
  const outputAt = place(outputs * 4);
  const temps = lowered.temps.map((t) => place(t.size * storageBytes[t.type]));
  const program: LoopProgram = {
    kernels: lowered.steps.map((s) => s.kernel),
    stages: lowered.steps.map((s, i) => {
      const bindings = s.roles.map((r) => ({
        slot: 0,
        offset: r.role === "input" ? inputAt[r.index] : r.role === "output" ? outputAt : temps[r.index],
      }));
      const chunk = [Math.max(1, Math.ceil(taskCount(s.kernel) / 8))];
      return { calls: [{ kernel: i, bindings, label: s.kernel.name }], serial: false, chunk };
    }),
    arenaBytes: Math.max(64, bytes),
    constants: new Uint8Array(0),
    scratchBytes: lowered.steps.reduce((most, s) => Math.max(most, scratchBytes(s.kernel)), 0),
    slots: 2,
  };
  const executable = device.compile(program);
  const arena = device.arena(executable);
  const view = (at: number, count: number) => {
    const v = device.view(arena, at, count * 4);
    return new Float32Array(v.buffer, v.byteOffset, count);
  };
  view(0, bytes / 4).fill(Number.NaN);
  inputs.forEach((x, i) => {
    view(inputAt[i], x.length).set(x);
  });
  device.run(executable, []);
  const out = view(outputAt, outputs).slice();
  device.release(executable);
  return out;
}

/** Interpreters with 4, 8 and 16 lanes, each with the register tile of a real target. */
export function interpreters(
  options: { strict?: boolean; convolution?: "direct" | "auto" } = {},
): { device: Device; profile: TargetProfile }[] {
  const tiles = [
    [4, { rows: 4, vectors: 2, unroll: 1 }],
    [8, { rows: 6, vectors: 2, unroll: 4 }],
    [16, { rows: 12, vectors: 2, unroll: 4 }],
  ] as const;
  return tiles.map(([lanes, tile]) => {
    const device = createInterpreterDevice({ lanes, strict: options.strict ?? false });
    return { device, profile: { ...device.profile, tile, ...options } };
  });
}

/** The wasm device on one thread, with the tiles of both kinds of engine. */
export function wasmDevices(options: { convolution?: "direct" | "auto" } = {}) {
  const device = createWasmDevice({ threads: 1 });
  return [
    { device, profile: { ...device.profile, ...options, tile: { rows: 4, vectors: 2, unroll: 1 } } },
    { device, profile: { ...device.profile, ...options, tile: { rows: 6, vectors: 2, unroll: 4 } } },
  ];
}

/** Sums in float64, and the sums of absolute terms that bound their rounding errors. */
export interface Expected {
  readonly value: Float64Array;
  readonly scale: Float64Array;
  readonly terms: number;
}

/** The largest error as a share of 1e-6·√K·max(1, Σ|terms|). NaN counts as infinite. */
export function worst(actual: Float32Array, expected: Expected): number {
  let most = 0;
  actual.forEach((x, i) => {
    const allowed = 1e-6 * Math.sqrt(Math.max(1, expected.terms)) * Math.max(1, expected.scale[i]);
    const share = Math.abs(x - expected.value[i]) / allowed;
    most = Math.max(most, Number.isNaN(share) ? Number.POSITIVE_INFINITY : share);
  });
  return most;
}

export function sameBits(a: Float32Array, b: Float32Array): boolean {
  return Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength));
}

/** relu(result + bias[column] + other[row, column]) */
export function biasAddRelu(rows: number, columns: number): Epilogue {
  return {
    inputs: [
      { name: "bias", type: "f32", size: columns },
      { name: "other", type: "f32", size: rows * columns },
    ],
    outType: "f32",
    emit(b, value, [bias, other], row, column) {
      const at = { row: typeof row === "number" ? b.i32(row) : b.index(row), column: b.index(column) };
      const whole = b.index({
        constant: 0,
        terms: [],
        dynamic: b.add(b.binary("mul", at.row, b.i32(columns)), at.column),
      });
      const dynamicAt = { constant: 0, terms: [], dynamic: whole };
      const sum = b.add(b.add(value, b.load(bias, column, value.lanes)), b.load(other, dynamicAt, value.lanes));
      return b.max(sum, b.f32(0, value.lanes));
    },
  };
}

export function withEpilogue(e: Expected, bias: Float32Array, other: Float32Array): Expected {
  return {
    ...e,
    value: e.value.map((x, i) => Math.max(0, x + bias[i % bias.length] + other[i])),
    scale: e.scale.map((x) => x + 2),
  };
}

export function expectedDot(spec: DotSpec, a: Float32Array, b: Float32Array): Expected {
  const { m, n, k, batch } = spec;
  const count = batch.reduce((p, x) => p * x, 1);
  const value = new Float64Array(count * m * n);
  const scale = new Float64Array(count * m * n);
  for (let c = 0; c < count; c++) {
    let rest = c;
    let atA = spec.a.offset;
    let atB = spec.b.offset;
    for (let i = batch.length - 1; i >= 0; i--) {
      atA += (rest % batch[i]) * spec.a.batch[i];
      atB += (rest % batch[i]) * spec.b.batch[i];
      rest = Math.floor(rest / batch[i]);
    }
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++)
        for (let q = 0; q < k; q++) {
          const term = a[atA + i * spec.a.m + q * spec.a.k] * b[atB + q * spec.b.k + j * spec.b.n];
          value[(c * m + i) * n + j] += term;
          scale[(c * m + i) * n + j] += Math.abs(term);
        }
  }
  return { value, scale, terms: k };
}

/** y, dx and dKernel of a convolution by its definition. */
export function expectedConv(spec: ConvSpec, x: Float32Array, kernel: Float32Array, dy: Float32Array) {
  const { batch, inChannels, outChannels, groups, spatial } = spec;
  const size = (of: (d: (typeof spatial)[number]) => number) => spatial.reduce((p, d) => p * of(d), 1);
  const coordinates = (index: number, of: (d: (typeof spatial)[number]) => number): number[] => {
    const out: number[] = [];
    for (let i = spatial.length - 1; i >= 0; i--) {
      out[i] = index % of(spatial[i]);
      index = Math.floor(index / of(spatial[i]));
    }
    return out;
  };
  const ins = size((d) => d.in);
  const outs = size((d) => d.out);
  const taps = size((d) => d.kernel);
  const perIn = inChannels / groups;
  const perOut = outChannels / groups;
  const make = (count: number, terms: number): Expected => ({
    value: new Float64Array(count),
    scale: new Float64Array(count),
    terms,
  });
  const y = make(batch * outs * outChannels, taps * perIn);
  const dx = make(batch * ins * inChannels, taps * perOut);
  const dKernel = make(taps * perIn * outChannels, batch * outs);
  const add = (e: Expected, at: number, term: number): void => {
    e.value[at] += term;
    e.scale[at] += Math.abs(term);
  };
  for (let o = 0; o < outs; o++) {
    const at = coordinates(o, (d) => d.out);
    for (let t = 0; t < taps; t++) {
      const tap = coordinates(t, (d) => d.kernel);
      let i = 0;
      let inside = true;
      spatial.forEach((d, s) => {
        const p = at[s] * d.stride + tap[s] * d.dilation - d.padLow;
        if (p < 0 || p >= d.in) inside = false;
        i = i * d.in + p;
      });
      if (!inside) continue;
      for (let n = 0; n < batch; n++)
        for (let f = 0; f < outChannels; f++)
          for (let c = 0; c < perIn; c++) {
            const atX = (n * ins + i) * inChannels + Math.floor(f / perOut) * perIn + c;
            const atY = (n * outs + o) * outChannels + f;
            const atK = (t * perIn + c) * outChannels + f;
            add(y, atY, x[atX] * kernel[atK]);
            add(dx, atX, dy[atY] * kernel[atK]);
            add(dKernel, atK, x[atX] * dy[atY]);
          }
    }
  }
  return { y, dx, dKernel };
}

/** Which factors lie row by row (N) and which transposed (T). */
export type Form = "NN" | "TN" | "NT" | "TT";

/** A product whose factors begin some elements into their buffers; `broadcast`: all of a batch share B. */
export function dotSpec(
  form: Form,
  batch: readonly number[],
  m: number,
  n: number,
  k: number,
  broadcast = false,
): DotSpec {
  const count = batch.reduce((p, x) => p * x, 1);
  const strides = (size: number) => batch.map((_, i) => size * batch.slice(i + 1).reduce((p, x) => p * x, 1));
  return {
    batch,
    m,
    n,
    k,
    a: {
      size: count * m * k + 3,
      offset: 3,
      batch: strides(m * k),
      ...(form[0] === "N" ? { m: k, k: 1 } : { m: 1, k: m }),
    },
    b: {
      size: (broadcast ? 1 : count) * k * n + 5,
      offset: 5,
      batch: broadcast ? batch.map(() => 0) : strides(k * n),
      ...(form[1] === "N" ? { k: n, n: 1 } : { k: 1, n: k }),
    },
  };
}
