/**
 * Whether the engine's revectorization may be used. V8's pass is experimental and not free of errors; `PairPlan` keeps
 * kernels clear of them. Here it is given kernels of the kinds that programs are made of, and taken only where it leaves
 * the same bits as the plain compiler.
 */
import { type Index, KernelBuilder, scaled } from "../../compiler/builder.ts";
import { lowerDot } from "../../compiler/contract/dot.ts";
import { sumLanes } from "../../compiler/contract/dotproducts.ts";
import type { Kernel, LoopProgram, TargetProfile } from "../../compiler/loopir.ts";
import { scratchBytes } from "../../compiler/scratch.ts";
import type { Device } from "../device.ts";

// Columns of a last tile are stored 8, 4, 2 and 1 at a time: code of both widths with more values than registers, which is
// where V8 13.6 goes wrong when they are not kept apart.
const rows = 32;
const depth = 24;
const columns = 31;
const mapRows = 13;
const [sizeX, sizeY, sizeOut, sizeMap] = [rows * depth, depth * columns, rows * columns, mapRows * (depth + 1)];
const bytesOf = (count: number) => Math.ceil((4 * count + 64) / 64) * 64;
const inputs = bytesOf(sizeX) + bytesOf(sizeY);
const places = { x: 0, y: bytesOf(sizeX), product: inputs, map: inputs + bytesOf(sizeOut) };
const arenaBytes = places.map + bytesOf(sizeMap);

/** A matrix product with edges, and rows of what fusion makes: selects, clamps, spread scalars, integers, sums of lanes. */
function program(profile: TargetProfile): LoopProgram {
  const spec = {
    batch: [],
    m: rows,
    n: columns,
    k: depth,
    a: { size: sizeX, offset: 0, batch: [], m: depth, k: 1 },
    b: { size: sizeY, offset: 0, batch: [], k: columns, n: 1 },
  };
  const kernels = [lowerDot(spec, profile, null).steps[0].kernel, rowKernel()];
  const bindings = [
    [places.x, places.y, places.product],
    [places.x, places.y, places.map],
  ];
  return {
    kernels,
    stages: kernels.map((_, kernel) => ({
      calls: [{ kernel, bindings: bindings[kernel].map((offset) => ({ slot: 0, offset })), label: "self-check" }],
      serial: true,
      chunk: [1],
    })),
    arenaBytes,
    constants: new Uint8Array(0),
    scratchBytes: Math.max(...kernels.map(scratchBytes)),
    slots: 2,
  };
}

function rowKernel(): Kernel {
  const b = new KernelBuilder("rows");
  const x = b.buffer("x", "f32", sizeX, "read");
  const y = b.buffer("y", "f32", sizeY, "read");
  const out = b.buffer("out", "f32", sizeMap, "write");
  const row = b.task("row", mapRows);
  const total = b.var(b.f32(0, 16));
  const part = (first: Index, count: number): void => {
    const at = { constant: 0, terms: [{ variable: row, stride: depth }] };
    const from = typeof first === "number" ? { ...at, constant: first } : at;
    const left = b.load(x, from, 16);
    const right = b.load(y, scaled(from, 2), 16, { stride: 2 });
    const factor = b.splat(b.load(y, row), 16);
    const mixed = b.fma(left, factor, b.sub(right, left));
    const kept = b.select(b.compare("gt", left, b.f32(0, 16)), mixed, b.neg(right));
    const clamped = b.max(b.min(kept, b.f32(0.75, 16)), b.div(right, b.unary("sqrt", b.unary("abs", left))));
    const whole = b.convert(b.mul(clamped, b.f32(1000, 16)), "i32");
    const bits = b.binary("xor", b.bitcast(clamped, "i32"), b.binary("and", whole, b.i32(7, 16)));
    const result = b.bitcast(b.binary("add", bits, b.i32(1, 16)), "f32");
    b.store(out, from, result, count < 16 ? { count } : {});
    const valid = b.compare("lt", b.iota(16), b.i32(count, 16));
    b.assign(total, b.add(total, b.select(valid, clamped, b.f32(0, 16))));
  };
  part(0, 16);
  part(16, depth - 16);
  b.store(out, { constant: mapRows * depth, terms: [{ variable: row, stride: 1 }] }, sumLanes(b, total));
  return b.finish({ flops: 0, bytes: 0 });
}

/** Values of all magnitudes, with zeros of both signs, infinities and NaN among them. */
function fill(words: Float32Array): void {
  const special = [0, -0, Number.POSITIVE_INFINITY, Number.NaN, 1e-41, Number.NEGATIVE_INFINITY];
  let state = 1;
  for (let i = 0; i < words.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[i] = i % 29 === 28 ? special[((i / 29) % special.length) | 0] : (state / 2 ** 31 - 1) * 2 ** ((i % 9) - 4);
  }
}

function resultsOn(device: Device): Uint8Array {
  const executable = device.compile(program(device.profile));
  const arena = device.arena(executable);
  const bytes = device.view(arena, 0, arenaBytes);
  fill(new Float32Array(bytes.buffer, bytes.byteOffset, arenaBytes / 4));
  device.run(executable, []);
  const out = device.view(arena, places.product, arenaBytes - places.product).slice();
  device.release(executable);
  return out;
}

/** Compares the two compilers; the devices differ in `profile.lanes` too, so the modules are never the same bytes. */
export function sameResults(plain: Device, revectorized: Device): boolean {
  const expected = resultsOn(plain);
  return resultsOn(revectorized).every((byte, i) => byte === expected[i]);
}
