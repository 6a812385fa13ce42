import { describe, expect, it } from "vitest";
import { installOracles } from "../../oracles.ts";
import { configure } from "../../tensor/config.ts";
import * as ops from "../../tensor/ops/index.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import { checkLayer, type LayerCase } from "../check-layer.ts";
import * as l from "../index.ts";
import type { Layer } from "../layer.ts";

installOracles();
configure({ device: "reference", seed: 1 });

type Options = { dtype?: string };
const same = { input: [3, 5, 6, 2], output: [3, 5, 6, 2], random: true };
const wide: [number, number] = [-1000, 1000];
const cases: Record<string, [(o?: Options) => Layer, LayerCase]> = {
  resizing: [
    (o) => l.resizing(4, 7, { ...o, interpolation: "bicubic", antialias: true }) as never,
    { input: [2, 5, 6, 3], output: [2, 4, 7, 3] },
  ],
  "resizing, channels first, padded": [
    (o) => l.resizing(6, 6, { ...o, padToAspectRatio: true, dataFormat: "channelsFirst" }) as never,
    { input: [2, 3, 4, 5], output: [2, 3, 6, 6] },
  ],
  centerCrop: [(o) => l.centerCrop(3, 2, { ...o }) as never, { input: [2, 5, 6, 3], output: [2, 3, 2, 3] }],
  randomFlip: [
    (o) => l.randomFlip("horizontal", { ...o }) as never,
    { ...same, input: [9, 5, 6, 2], output: [9, 5, 6, 2] },
  ],
  randomRotation: [(o) => l.randomRotation(0.2, { ...o }) as never, same],
  "randomRotation, channels first": [
    (o) => l.randomRotation([-0.1, 0.3], { ...o, dataFormat: "channelsFirst", fillMode: "constant" }) as never,
    { ...same, input: [3, 2, 5, 6], output: [3, 2, 5, 6] },
  ],
  randomZoom: [(o) => l.randomZoom(0.3, [-0.2, 0.5], { ...o, fillMode: "nearest" }) as never, same],
  randomTranslation: [(o) => l.randomTranslation(0.3, 0.3, { ...o, fillMode: "wrap" }) as never, same],
  randomContrast: [(o) => l.randomContrast(0.5, { ...o, valueRange: wide }) as never, same],
  randomBrightness: [(o) => l.randomBrightness(0.5, { ...o, valueRange: wide }) as never, same],
};

describe("layers on images", () => {
  for (const [name, [make, c]] of Object.entries(cases)) it(name, () => checkLayer(make, c));
});

/** [N, H, W, 1], each pixel a number of its own. */
const picture = (n: number, h: number, w: number): Tensor =>
  tensor(
    Float32Array.from({ length: n * h * w }, (_, i) => i),
    [n, h, w, 1],
  );
const train = (layer: Layer, x: Tensor): Tensor => layer.apply<Tensor>(x, { training: true });
const numbers = (x: Tensor): number[] => [...x.dataSync()];

describe("what they do in training", () => {
  it("randomFlip gives each image one of its mirrors, and all of them happen", () => {
    const one = picture(1, 2, 3);
    const mirrors = [[], [2], [1], [1, 2]].map((axes) => String(numbers(axes.length > 0 ? ops.flip(one, axes) : one)));
    const many = ops.tile(one, [64, 1, 1, 1]);
    const seen = (mode: "horizontal" | "vertical" | "horizontalAndVertical") => {
      const y = numbers(train(l.randomFlip(mode, { seed: 3 }) as never, many));
      return new Set(Array.from({ length: 64 }, (_, i) => mirrors.indexOf(String(y.slice(6 * i, 6 * i + 6)))));
    };
    expect([...seen("horizontal")].sort()).toEqual([0, 1]);
    expect([...seen("vertical")].sort()).toEqual([0, 2]);
    expect([...seen("horizontalAndVertical")].sort()).toEqual([0, 1, 2, 3]);
  });

  it("randomCrop takes a piece, from everywhere; outside of training the whole goes on", () => {
    const x = picture(2, 5, 4);
    const starts = new Set<number>();
    const layer = l.randomCrop(3, 2) as never as Layer;
    for (let i = 0; i < 40; i++) {
      const y = train(layer, x);
      expect(y.shape).toEqual([2, 3, 2, 1]);
      const v = numbers(y);
      starts.add(v[0]);
      // One piece, at the same place in both images.
      expect(v.map((p) => p - v[0])).toEqual([0, 1, 4, 5, 8, 9, 20, 21, 24, 25, 28, 29]);
    }
    expect(starts.size).toBeGreaterThan(6);
    expect(layer.apply<Tensor>(x).shape).toEqual([2, 5, 4, 1]);
    expect(train(l.randomCrop(8, 8) as never, x).shape).toEqual([2, 8, 8, 1]);
  });

  it("randomRotation turns counter-clockwise, zoom and translation move as they say", () => {
    const x = tensor([
      [
        [[1], [2]],
        [[3], [4]],
      ],
    ]);
    const quarter = train(l.randomRotation([0.25, 0.25]) as never, x);
    // 1 2 / 3 4 a quarter counter-clockwise is 2 4 / 1 3.
    numbers(quarter).forEach((v, i) => {
      expect(v).toBeCloseTo([2, 4, 1, 3][i], 4);
    });
    const line = picture(1, 1, 4);
    const right = train(l.randomTranslation(0, [0.25, 0.25], { fillMode: "constant", fillValue: 9 }) as never, line);
    expect(numbers(right)).toEqual([9, 0, 1, 2]);
    const down = train(l.randomTranslation([0.5, 0.5], 0, { fillMode: "nearest" }) as never, picture(1, 4, 1));
    expect(numbers(down)).toEqual([0, 0, 0, 1]);
    // Twice as much of the width is shown: neighbours are two pixels apart, around the middle.
    const out = train(l.randomZoom(0, [1, 1], { fillMode: "constant", fillValue: -1 }) as never, line);
    expect(numbers(out)).toEqual([-1, 0.5, 2.5, -1]);
  });

  it("contrast and brightness keep within the range and move as far as they may", () => {
    const x = picture(50, 2, 2)
      .mul(0)
      .add(
        tensor([
          [
            [[50], [150]],
            [[50], [150]],
          ],
        ]),
      );
    const dark = numbers(train(l.randomBrightness([-0.5, -0.25]) as never, x));
    dark.forEach((v, i) => {
      const moved = (i % 2 === 0 ? 50 : 150) - v;
      expect(moved).toBeLessThanOrEqual(i % 2 === 0 ? 50 : 127.51);
      expect(v).toBeGreaterThanOrEqual(0);
    });
    const spread = numbers(train(l.randomContrast([0.5, 0]) as never, x));
    spread.forEach((v, i) => {
      const f = (v - 100) / (i % 2 === 0 ? -50 : 50);
      expect(f).toBeGreaterThanOrEqual(0.499);
      expect(f).toBeLessThanOrEqual(1.001);
    });
    expect(new Set(spread.map((v) => v.toFixed(3))).size).toBeGreaterThan(40);
  });

  it("integers: resizing rounds and keeps the dtype, the others compute", () => {
    const x = tensor(Uint8Array.of(0, 255), [1, 1, 2, 1], "u8");
    const y = l.resizing(1, 4, { interpolation: "bicubic" }).apply<Tensor>(x);
    expect(y.dtype).toBe("u8");
    expect(Math.max(...numbers(y))).toBe(255);
    expect((l.centerCrop(1, 1) as never as Layer).apply<Tensor>(x).dtype).toBe("f32");
  });

  it("one image without a batch", () => {
    const x = ops.squeeze(picture(1, 4, 4), 0);
    expect(train(l.randomRotation(0.1) as never, x).shape).toEqual([4, 4, 1]);
    expect(l.resizing(2, 2).apply<Tensor>(x).shape).toEqual([2, 2, 1]);
  });

  it("wrong options are refused", () => {
    expect(() => l.randomRotation(2)).toThrow(/E202/);
    expect(() => l.randomZoom([0.1, 0.2, 0.3])).toThrow(/E202/);
    expect(() => l.randomContrast(-1)).toThrow(/E202/);
    expect(() => l.resizing(0, 3)).toThrow(/E202/);
  });
});
