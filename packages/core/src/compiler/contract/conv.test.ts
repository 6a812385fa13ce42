/** Direct and Winograd convolutions and their gradients against the definition, with equal bits for every vector width. */
import { describe, expect, it } from "vitest";
import type { TargetProfile } from "../loopir.ts";
import type { ConvSpec, Lowered } from "../lowered.ts";
import { lowerConv, lowerConvInputGrad } from "./conv.ts";
import { lowerConvKernelGrad } from "./kernelgrad.ts";
import {
  biasAddRelu,
  type Expected,
  expectedConv,
  interpreters,
  numbers,
  runOn,
  sameBits,
  wasmDevices,
  withEpilogue,
  worst,
} from "./test-support.ts";
import { winogradTile } from "./winograd/index.ts";

/** Per spatial dimension: in, kernel, stride, dilation, padLow, padHigh. */
type Dimension = readonly [number, number, number, number, number, number];

function convSpec(batch: number, channels: number, filters: number, groups: number, ...spatial: Dimension[]): ConvSpec {
  return {
    batch,
    inChannels: channels,
    outChannels: filters,
    groups,
    spatial: spatial.map(([size, kernel, stride, dilation, padLow, padHigh]) => ({
      in: size,
      out: Math.max(0, Math.floor((size + padLow + padHigh - ((kernel - 1) * dilation + 1)) / stride) + 1),
      kernel,
      stride,
      dilation,
      padLow,
    })),
  };
}

function check(spec: ConvSpec, convolution: "direct" | "auto", widths = 3): void {
  const size = (side: "in" | "out") => spec.batch * spec.spatial.reduce((p, d) => p * d[side], 1);
  const x = numbers(size("in") * spec.inChannels, 1);
  const dy = numbers(size("out") * spec.outChannels, 2);
  const taps = spec.spatial.reduce((p, d) => p * d.kernel, 1);
  const kernel = numbers((taps * spec.inChannels * spec.outChannels) / spec.groups, 3);
  const expected = expectedConv(spec, x, kernel, dy);
  const devices = [...interpreters({ convolution }).slice(0, widths), ...wasmDevices({ convolution })];
  const compare = (
    lower: (profile: TargetProfile) => Lowered,
    inputs: Float32Array[],
    wanted: Expected,
    outputs: number,
  ): void => {
    const results = devices.map(({ device, profile }) => runOn(device, lower(profile), inputs, outputs));
    expect(worst(results[0], wanted)).toBeLessThanOrEqual(1);
    for (const r of results) expect(sameBits(r, results[0])).toBe(true);
  };
  const fused = (rows: number, columns: number) => ({
    epilogue: biasAddRelu(rows, columns),
    bias: numbers(columns, 4),
    other: numbers(rows * columns, 5),
  });
  const y = fused(size("out"), spec.outChannels);
  const inputs = [x, kernel, y.bias, y.other];
  compare((p) => lowerConv(spec, p, y.epilogue), inputs, withEpilogue(expected.y, y.bias, y.other), dy.length);
  const dx = fused(size("in"), spec.inChannels);
  compare(
    (p) => lowerConvInputGrad(spec, p, dx.epilogue),
    [dy, kernel, dx.bias, dx.other],
    withEpilogue(expected.dx, dx.bias, dx.other),
    x.length,
  );
  compare((p) => lowerConvKernelGrad(spec, p, null), [x, dy], expected.dKernel, kernel.length);
}

describe("direct convolutions", () => {
  const cases: [string, ConvSpec][] = [
    ["one channel", convSpec(2, 1, 8, 1, [6, 3, 1, 1, 0, 0], [6, 3, 1, 1, 0, 0])],
    ["three channels, padded", convSpec(3, 3, 5, 1, [7, 3, 1, 1, 1, 1], [8, 3, 1, 1, 1, 1])],
    ["stride 2, padded unevenly", convSpec(2, 4, 6, 1, [9, 3, 2, 1, 0, 1], [8, 3, 2, 1, 1, 1])],
    ["stride and dilation", convSpec(2, 4, 6, 1, [9, 3, 2, 2, 2, 1], [10, 2, 3, 1, 0, 0])],
    ["stride 2, dilation 3", convSpec(2, 4, 6, 1, [11, 3, 2, 3, 2, 3], [10, 3, 4, 2, 1, 2])],
    ["dilation", convSpec(2, 4, 6, 1, [9, 3, 1, 2, 2, 2], [10, 5, 1, 1, 2, 2])],
    ["kernel 1", convSpec(2, 4, 6, 1, [9, 1, 1, 1, 0, 0], [10, 1, 1, 1, 0, 0])],
    ["kernel 1, stride 2", convSpec(2, 4, 6, 1, [9, 1, 2, 1, 0, 0], [10, 1, 2, 1, 0, 0])],
    ["many small images", convSpec(16, 8, 16, 1, [5, 3, 1, 1, 0, 0], [5, 3, 1, 1, 0, 0])],
    ["many small images, padded", convSpec(16, 8, 16, 1, [5, 3, 1, 1, 1, 1], [5, 3, 1, 1, 1, 1])],
    ["parts over images", convSpec(17, 9, 20, 1, [10, 3, 1, 1, 1, 1], [9, 3, 1, 1, 1, 1])],
    ["adjoint with strides", convSpec(5, 8, 12, 1, [7, 3, 2, 1, 1, 2], [8, 4, 3, 2, 2, 1])],
    ["two groups", convSpec(7, 16, 16, 2, [9, 3, 1, 1, 1, 0], [9, 3, 2, 1, 0, 1])],
    ["three groups", convSpec(3, 12, 24, 3, [6, 3, 2, 1, 1, 1], [6, 3, 1, 1, 1, 1])],
    ["depthwise", convSpec(3, 10, 10, 10, [9, 3, 1, 1, 1, 1], [9, 3, 1, 1, 1, 1])],
    ["depthwise, stride 2", convSpec(3, 10, 10, 10, [9, 3, 2, 1, 0, 1], [9, 3, 2, 1, 0, 0])],
    ["depthwise, 3 filters each", convSpec(3, 5, 15, 5, [9, 3, 2, 1, 0, 1], [9, 3, 1, 2, 2, 2])],
    ["small groups", convSpec(3, 6, 4, 2, [5, 3, 1, 1, 0, 1], [7, 3, 1, 1, 0, 0])],
    ["one dimension", convSpec(4, 3, 7, 1, [20, 5, 1, 1, 2, 2])],
    ["one dimension, causal, dilated", convSpec(2, 16, 8, 1, [50, 3, 1, 2, 4, 0])],
    ["three dimensions", convSpec(2, 3, 4, 1, [4, 2, 1, 1, 0, 1], [5, 3, 2, 1, 1, 1], [6, 3, 1, 1, 1, 1])],
    ["three dimensions, depthwise", convSpec(2, 6, 6, 6, [4, 2, 1, 1, 0, 1], [5, 3, 2, 1, 1, 1], [6, 3, 1, 1, 1, 1])],
    ["one result", convSpec(1, 4, 4, 1, [3, 3, 1, 1, 0, 0], [3, 3, 1, 1, 0, 0])],
    ["stride beyond the kernel", convSpec(1, 4, 4, 1, [8, 2, 4, 1, 0, 0], [7, 1, 3, 1, 0, 0])],
    ["padding beyond the kernel", convSpec(2, 4, 4, 1, [8, 2, 1, 1, 3, 3], [8, 1, 1, 1, 2, 0])],
  ];
  for (const [name, spec] of cases) it(name, () => check(spec, "direct"));
  it("no results: gradients are zero", () => {
    const spec = convSpec(1, 4, 4, 1, [2, 3, 1, 1, 0, 0], [3, 3, 1, 1, 0, 0]);
    check(spec, "direct");
  });
  it("nothing to compute makes no kernels", () => {
    const { profile } = interpreters()[0];
    const spec = convSpec(0, 4, 4, 1, [8, 2, 1, 1, 0, 0], [8, 2, 1, 1, 0, 0]);
    expect(lowerConv(spec, profile, null).steps).toEqual([]);
    expect(lowerConvInputGrad(spec, profile, null).steps).toEqual([]);
  });
});

describe("Winograd convolutions", () => {
  const cases: [string, ConvSpec][] = [
    ["F(2×2)", convSpec(24, 28, 32, 1, [4, 3, 1, 1, 0, 0], [4, 3, 1, 1, 0, 0])],
    ["F(4×4), whole tiles", convSpec(4, 16, 32, 1, [10, 3, 1, 1, 0, 0], [10, 3, 1, 1, 0, 0])],
    ["F(4×4), cut tiles", convSpec(4, 16, 20, 1, [13, 3, 1, 1, 0, 0], [9, 3, 1, 1, 0, 0])],
    ["padded, uneven channels", convSpec(5, 21, 26, 1, [9, 3, 1, 1, 1, 1], [8, 3, 1, 1, 0, 2])],
    ["F(3×3), one tile each", convSpec(32, 16, 16, 1, [5, 3, 1, 1, 0, 0], [5, 3, 1, 1, 0, 0])],
    ["uneven parts", convSpec(23, 12, 16, 1, [10, 3, 1, 1, 1, 1], [6, 3, 1, 1, 1, 1])],
    ["bands of tiles", convSpec(4, 16, 16, 1, [30, 3, 1, 1, 1, 1], [27, 3, 1, 1, 1, 1])],
  ];
  for (const [name, spec] of cases)
    it(name, () => {
      const { profile } = interpreters()[0];
      expect(winogradTile(spec, "forward", profile)).toBeDefined();
      check(spec, "auto");
    });
  it("many channels, in stages", () => {
    const spec = convSpec(6, 150, 162, 1, [6, 3, 1, 1, 0, 0], [6, 3, 1, 1, 1, 0]);
    for (const d of ["forward", "input"] as const)
      expect(winogradTile(spec, d, interpreters()[0].profile)).toBeDefined();
    check(spec, "auto", 1);
  });
  it("is chosen by shape, never in strict or direct profiles", () => {
    const { profile } = interpreters()[0];
    const spec = convSpec(32, 64, 64, 1, [5, 3, 1, 1, 0, 0], [5, 3, 1, 1, 0, 0]);
    expect(winogradTile(spec, "forward", profile)).toBe(3);
    expect(winogradTile(spec, "forward", { ...profile, strict: true })).toBeUndefined();
    expect(winogradTile(spec, "forward", { ...profile, convolution: "direct" })).toBeUndefined();
    const large = convSpec(128, 32, 64, 1, [26, 3, 1, 1, 0, 0], [26, 3, 1, 1, 0, 0]);
    for (const d of ["forward", "input", "kernel"] as const) expect(winogradTile(large, d, profile)).toBe(4);
    expect(winogradTile({ ...large, inChannels: 1 }, "forward", profile)).toBeUndefined();
  });
});
