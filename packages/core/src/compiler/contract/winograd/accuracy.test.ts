/** Rounding errors of Winograd convolutions beside those of direct ones, and zeros that must stay zeros. */
import { describe, expect, it } from "vitest";
import { createWasmDevice } from "../../../targets/wasm/device.ts";
import type { ConvSpec } from "../../lowered.ts";
import { lowerConv, lowerConvInputGrad } from "../conv.ts";
import { lowerConvKernelGrad } from "../kernelgrad.ts";
import { type Expected, expectedConv, interpreters, numbers, runOn } from "../test-support.ts";
import { winogradTile } from "./index.ts";

function convSpec(batch: number, size: number, channels: number, filters: number, pad = 0): ConvSpec {
  const dim = { in: size, out: size + 2 * pad - 2, kernel: 3, stride: 1, dilation: 1, padLow: pad };
  return { batch, inChannels: channels, outChannels: filters, groups: 1, spatial: [dim, dim] };
}

/** Root of the mean square error, relative to the largest result. */
function error(actual: Float32Array, { value }: Expected): number {
  let squares = 0;
  let most = 0;
  actual.forEach((x, i) => {
    squares += (x - value[i]) ** 2;
    most = Math.max(most, Math.abs(value[i]));
  });
  return Math.sqrt(squares / actual.length) / most;
}

const device = createWasmDevice({ threads: 1 });
const profiles = {
  winograd: { ...device.profile, convolution: "auto" },
  direct: { ...device.profile, convolution: "direct" },
} as const;

describe("the error of Winograd's algorithm beside the direct one's", () => {
  // Results are at most this many times as far from float64 as those of the direct algorithm; few tiles make short sums,
  // so that the transforms of a kernel's gradient weigh more than they do in practice.
  const most = { forward: 2.5, input: 2.5, kernel: 4.5 };
  const cases: [string, ConvSpec, number][] = [
    ["F(4×4), 32 → 64 channels", convSpec(8, 14, 32, 64), 4],
    ["F(3×3), 64 → 64 channels", convSpec(32, 5, 64, 64), 3],
    ["F(2×2), 28 → 32 channels", convSpec(24, 4, 28, 32), 2],
  ];
  for (const [name, spec, m] of cases)
    it(name, () => {
      const [d] = spec.spatial;
      const x = numbers(spec.batch * d.in * d.in * spec.inChannels, 1);
      const kernel = numbers(9 * spec.inChannels * spec.outChannels, 2);
      const dy = numbers(spec.batch * d.out * d.out * spec.outChannels, 3);
      const expected = expectedConv(spec, x, kernel, dy);
      const both = (lower: typeof lowerConv, inputs: Float32Array[], wanted: Expected) => {
        const run = (p: (typeof profiles)["winograd" | "direct"]) =>
          error(runOn(device, lower(spec, p, null), inputs, wanted.value.length), wanted);
        return { winograd: run(profiles.winograd), direct: run(profiles.direct) };
      };
      expect(winogradTile(spec, "forward", profiles.winograd)).toBe(m);
      const errors = {
        forward: both(lowerConv, [x, kernel], expected.y),
        input: both(lowerConvInputGrad, [dy, kernel], expected.dx),
        kernel: both(lowerConvKernelGrad, [x, dy], expected.dKernel),
      };
      for (const direction of ["forward", "input", "kernel"] as const) {
        const { winograd, direct } = errors[direction];
        expect(direct, `direct, ${direction}`).toBeLessThan(1e-6);
        expect(winograd, `${direction}: direct has ${direct}`).toBeLessThan(most[direction] * direct);
      }
    });
});

describe("results whose inputs are all zero", () => {
  const cases: [string, ConvSpec][] = [
    ["F(4×4)", convSpec(4, 14, 16, 32)],
    ["F(4×4), cut and padded", convSpec(4, 13, 10, 20, 1)],
    ["F(3×3)", convSpec(32, 5, 24, 16)],
    ["F(2×2)", convSpec(24, 4, 28, 32)],
    ["in stages", convSpec(6, 8, 150, 162, 1)],
  ];
  for (const [name, spec] of cases)
    it(`are zero: ${name}`, () => {
      const [d] = spec.spatial;
      const { batch, inChannels: c, outChannels: f } = spec;
      // One pixel in eight is not zero, some in their last channel alone.
      const x = numbers(batch * d.in * d.in * c, 1).map((v, i) => {
        const pixel = Math.floor(i / c);
        if ((pixel * 2654435761) % 2 ** 32 > 2 ** 29) return i % 2 === 0 ? 0 : -0;
        return pixel % 3 === 0 && i % c !== c - 1 ? 0 : v;
      });
      const kernel = numbers(9 * c * f, 2);
      const { scale } = expectedConv(spec, x, kernel, new Float32Array(batch * d.out * d.out * f)).y;
      const empty = scale.filter((s) => s === 0).length;
      expect(empty / scale.length).toBeGreaterThan(0.1);
      expect(empty / scale.length).toBeLessThan(0.9);
      const others = name === "in stages" ? [] : interpreters();
      for (const { device: on, profile } of [{ device, profile: profiles.winograd }, ...others]) {
        expect(winogradTile(spec, "forward", profile)).toBeDefined();
        const y = runOn(on, lowerConv(spec, profile, null), [x, kernel], scale.length);
        expect(y.every((v, i) => (v === 0) === (scale[i] === 0))).toBe(true);
      }
    });
});
