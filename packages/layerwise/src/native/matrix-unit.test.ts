/** The switch for the matrix unit, as a program sets it. */
import { configure, ops, tensor } from "@layerwise/core";
import { afterAll, describe, expect, it } from "vitest";
import { installNative } from "./index.ts";
import { nativeMissing, openNative } from "./testing.ts";

afterAll(() => configure({ device: "auto", matrixUnit: true }));

const side = 640;
const factor = (step: number) =>
  tensor(
    Float32Array.from({ length: side * side }, (_, i) => Math.sin(i * step)),
    [side, side],
  );

async function product(device: string, matrixUnit: boolean): Promise<Float32Array> {
  configure({ device, matrixUnit, strict: false });
  return (await ops.matmul(factor(0.37), factor(0.73)).data()) as Float32Array;
}

describe.skipIf(nativeMissing !== null)("configure({ matrixUnit })", () => {
  it("false gives a large product the bits of wasm; true those of the unit, where there is one", {
    timeout: 120_000,
  }, async () => {
    installNative();
    const wasm = await product("wasm", true);
    expect(await product("native", false)).toEqual(wasm);
    const unit = await product("native", true);
    const differing = unit.filter((x, i) => x !== wasm[i]).length;
    const device = openNative({ threads: 1 });
    if (device?.profile.matrix) expect(differing).toBeGreaterThan(0);
    else expect(differing).toBe(0);
    device?.close();
    expect(unit.filter((x, i) => Math.abs(x - wasm[i]) > 1e-3)).toHaveLength(0);
  });
});
