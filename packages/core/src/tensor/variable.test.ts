/** Variables: roots, members of flat roots, and programs that read and write both. */
import { afterAll, describe, expect, test } from "vitest";
import { installOracles } from "../oracles.ts";
import { configure } from "./config.ts";
import { jit } from "./functions.ts";
import * as ops from "./ops/index.ts";
import { type Tensor, tensorFrom } from "./tensor.ts";
import { flatten, Variable } from "./variable.ts";

installOracles();

const ramp = (n: number, scale = 1) => Float32Array.from({ length: n }, (_, i) => scale * Math.sin(i + 1));
const make = (shape: number[], name: string) =>
  new Variable(ramp(shape.reduce((a, b) => a * b, 1)), shape, "f32", { name });

afterAll(() => configure({ device: "auto" }));

describe.each(["reference", "wasm"])("variables on %s", (device) => {
  test("members of a flat root keep their values and are written together", () => {
    configure({ device });
    const a = make([3], "a");
    const b = make([2, 2], "b");
    const before = [a.snapshot(), b.snapshot()];
    const root = flatten([a, b], "both");
    expect([a.snapshot(), b.snapshot()]).toEqual(before);
    jit((x: Tensor) => {
      root.assign(root.read().mul(x));
      return [] as Tensor[];
    })(tensorFrom(Float32Array.of(2), [], "f32"));
    expect(Array.from(b.snapshot())).toEqual(Array.from(before[1], (v) => Math.fround(v * 2)));
    b.overwrite(before[1]);
    expect(b.snapshot()).toEqual(before[1]);
    expect(Array.from(a.snapshot())).toEqual(Array.from(before[0], (v) => Math.fround(v * 2)));
  });

  test("kernels of convolutions and products may lie anywhere in a root", () => {
    configure({ device });
    const shapes = [[5], [3, 3, 2, 4], [3, 3, 4, 6], [54, 7]];
    const x = tensorFrom(ramp(2 * 7 * 7 * 2), [2, 7, 7, 2], "f32");
    const run = (flat: boolean) => {
      const [, k1, k2, w] = shapes
        .map((s, i) => make(s, `w${i}`))
        .map((v, _, all) => {
          if (flat && v === all[0]) flatten(all, "all");
          return v;
        });
      const f = jit((t: Tensor) =>
        ops.matmul(ops.reshape(ops.conv(ops.conv(t, k1.read()), k2.read()), [2, -1]), w.read()),
      );
      return Array.from(f(x).dataSync());
    };
    const separate = run(false);
    run(true).forEach((v, i) => {
      expect(v).toBeCloseTo(separate[i], 4);
    });
  });

  test("a later read in a program sees the earlier write; outside, a read is a snapshot", () => {
    configure({ device });
    const v = make([2], "v");
    const early = v.read();
    const f = jit(() => {
      v.assign(v.read().add(1));
      const once = v.read();
      v.assign(once.mul(2));
      return [once, v.read()];
    });
    const start = Array.from(early.dataSync());
    const [once, twice] = f() as [Tensor, Tensor];
    expect(Array.from(once.dataSync())).toEqual(start.map((s) => Math.fround(s + 1)));
    expect(Array.from(twice.dataSync())).toEqual(start.map((s) => Math.fround(Math.fround(s + 1) * 2)));
    expect(Array.from(v.snapshot())).toEqual(Array.from(twice.dataSync()));
    expect(Array.from(early.dataSync())).toEqual(start);
  });
});
