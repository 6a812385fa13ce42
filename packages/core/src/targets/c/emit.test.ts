/** C kernels against the interpreter for the operations that every kind of vector has instructions of its own for. */
import { describe, expect, it } from "vitest";
import { nativeDifference, nativeMissing } from "../../../../layerwise/src/native/testing.ts";
import { affine, KernelBuilder, scaled } from "../../compiler/builder.ts";
import type { Affine, Operand } from "../../compiler/loopir.ts";
import { emitKernel } from "./emit.ts";

const special = [0, -0, 1, -1, 2.5, -2.5, 1e-42, -1e-42, 2147483520, 2147483648, -2147483648, -2147483904, 3e38, -3e38];
const values = [...special, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];
const pairs = values.flatMap((x) => values.map((y) => [x, y]));
while (pairs.length % 16 !== 0) pairs.push([7, 8]);
const contents = {
  x: Float32Array.from(pairs, ([x]) => x),
  y: Float32Array.from(pairs, ([, y]) => y),
};

/** `f` of all pairs of values that might be special, `lanes` at a time. */
function kernel(lanes: number, type: "f32" | "i32", f: (b: KernelBuilder, x: Operand, y: Operand) => Operand) {
  const b = new KernelBuilder("pairs");
  const x = b.buffer("x", "f32", pairs.length, "read");
  const y = b.buffer("y", "f32", pairs.length, "read");
  const z = b.buffer("z", type, pairs.length, "write");
  b.loop("i", pairs.length / lanes, (i) => {
    const at = scaled(i, lanes);
    b.store(z, at, f(b, b.load(x, at, lanes), b.load(y, at, lanes)));
  });
  return b.finish({ flops: 1, bytes: 1 });
}

describe.skipIf(nativeMissing !== null).each([4, 8, 16] as const)("%i lanes", (lanes) => {
  it("give the interpreter's bits for minima, maxima, choices and conversions of all special values", () => {
    const constants = [0, -0, 1, -2.5, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];
    const kernels = [
      kernel(lanes, "f32", (b, x, y) => b.min(x, y)),
      kernel(lanes, "f32", (b, x, y) => b.max(x, y)),
      kernel(lanes, "f32", (b, x, y) => b.select(b.compare("lt", x, y), x, b.f32(0, lanes))),
      kernel(lanes, "i32", (b, x) => b.convert(x, "i32")),
      ...constants.flatMap((c) => [
        kernel(lanes, "f32", (b, x) => b.min(x, b.f32(c, lanes))),
        kernel(lanes, "f32", (b, x) => b.max(b.f32(c, lanes), x)),
      ]),
    ];
    const cases = kernels.map((k) => ({ kernel: k, contents }));
    expect(nativeDifference(cases, { lanes })).toBeNull();
  });
});

it("takes one operation for a minimum or maximum with a constant, where that gives the right zero", () => {
  const text = (f: (b: KernelBuilder, x: Operand) => Operand) =>
    emitKernel(kernel(16, "f32", f), { lanes: 16, strict: false });
  expect(text((b, x) => b.min(x, b.f32(3, 16)))).toMatch(/= below_f16\(splat_f16\(3\S+\), v0\);/);
  expect(text((b, x) => b.max(x, b.f32(0, 16)))).toMatch(/= above_f16\(splat_f16\(0.0f\), v0\) \+ splat_f16\(0.0f\);/);
  expect(text((b, x) => b.min(x, b.f32(-0, 16)))).toMatch(/= min_f16/);
});

/** Copies `size` elements and writes one more in front, so that no whole vector but the first begins with a line of the cache. */
function copy(size: number, type: "f32" | "i32" | "u32", shifted: boolean) {
  const b = new KernelBuilder("copy");
  const x = b.buffer("x", "f32", size, "read");
  const z = b.buffer("z", type, size + 1, "write");
  const put = (at: Affine | number, value: Operand) => b.store(z, at, type === "f32" ? value : b.bitcast(value, type));
  if (shifted) put(0, b.f32(7));
  else put(size, b.f32(7));
  b.loop("i", size / 16, (i) => put(affine(scaled(i, 16), shifted ? 1 : 0), b.load(x, scaled(i, 16), 16)));
  return b.finish({ flops: 1, bytes: 1 });
}

describe.skipIf(nativeMissing !== null)("large results", () => {
  it("leave the bits of small ones on their way past the caches", () => {
    const size = 1_000_000;
    const x = Float32Array.from({ length: size }, (_, i) => Math.sin(i));
    const cases = (["f32", "i32", "u32"] as const).flatMap((type) =>
      [false, true].map((shifted) => ({ kernel: copy(size, type, shifted), contents: { x } })),
    );
    expect(nativeDifference(cases, { lanes: 16 })).toBeNull();
  });
});

it("streams results of four megabytes that the kernel does not read, with a fence behind them", () => {
  const text = (size: number) => emitKernel(copy(size, "f32", false), { lanes: 16, strict: false });
  expect(text(1_000_000)).toMatch(/stream_f16\([\s\S]*STREAM_END;/);
  expect(text(16_000)).not.toMatch(/stream|STREAM/);
  const b = new KernelBuilder("again");
  const z = b.buffer("z", "f32", 1_000_000, "write");
  b.store(z, 0, b.f32(1, 16));
  b.store(z, 16, b.load(z, 0, 16));
  expect(emitKernel(b.finish({ flops: 1, bytes: 1 }), { lanes: 16, strict: false })).not.toMatch(/stream|STREAM/);
});
