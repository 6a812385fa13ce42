/** Products on a matrix unit: no less exact than multiply-adds, ordinary results where something is not finite, equal bits natively. */
import { afterAll, describe, expect, it } from "vitest";
import { nativeMissing, openNative } from "../../../../layerwise/src/native/testing.ts";
import { createInterpreterDevice } from "../../targets/interpreter/device.ts";
import type { TargetProfile } from "../loopir.ts";
import type { DotSpec, Epilogue, Lowered } from "../lowered.ts";
import { lowerDot } from "./dot.ts";
import { matrixUnit } from "./matrix.ts";
import {
  biasAddRelu,
  dotSpec,
  expectedDot,
  type Form,
  numbers,
  runOn,
  sameBits,
  withEpilogue,
  worst,
} from "./test-support.ts";

const interpreter = createInterpreterDevice({ lanes: 16 });
const direct: TargetProfile = { ...interpreter.profile, tile: { rows: 12, vectors: 2, unroll: 4 } };
const profile: TargetProfile = { ...direct, matrix: matrixUnit };
const device = openNative({ threads: 2, threadsFrom: 0 });
const native = device?.profile.matrix ? device : null;
const title =
  native !== null ? "and natively" : `(natively skipped: ${nativeMissing ?? "this machine has no matrix unit"})`;
afterAll(() => device?.close());

const cases: [Form, number[], number, number, number, boolean][] = [
  ["NN", [], 64, 64, 64, false],
  ["NT", [], 70, 49, 96, true],
  ["TN", [], 33, 100, 64, true],
  ["TT", [], 40, 35, 576, false],
  ["NN", [], 400, 32, 64, true],
  ["TN", [2], 64, 64, 1056, false],
  ["NN", [3], 48, 160, 64, true],
];

describe(`products on a matrix unit in the interpreter ${title}`, () => {
  it.each(cases)("%s %j %d×%d×%d, epilogue %s", { timeout: 60_000 }, (form, batch, m, n, k, fused) => {
    const spec = dotSpec(form, batch, m, n, k);
    const rows = batch.reduce((p, x) => p * x, m);
    const epilogue: Epilogue | null = fused ? biasAddRelu(rows, n) : null;
    const [a, b] = [numbers(spec.a.size, 1), numbers(spec.b.size, 2)];
    const [bias, other] = [numbers(n, 3), numbers(rows * n, 4)];
    const inputs = fused ? [a, b, bias, other] : [a, b];
    const plain = expectedDot(spec, a, b);
    const expected = fused ? withEpilogue(plain, bias, other) : plain;
    const lowered = matrixUnit.product("dot", spec, profile, epilogue);
    const result = runOn(interpreter, lowered, inputs, rows * n);
    const ordinary = runOn(interpreter, lowerDot(spec, direct, epilogue), inputs, rows * n);
    const squares = (x: Float32Array) => x.reduce((sum, y, i) => sum + (y - expected.value[i]) ** 2, 0);
    expect(worst(result, expected)).toBeLessThanOrEqual(1);
    expect(squares(result)).toBeLessThanOrEqual(squares(ordinary));
    if (native) expect(sameBits(runOn(native, lowered, inputs, rows * n), result)).toBe(true);
  });

  it.each<Form>(["NN", "NT", "TN"])("%s: what is not finite is what multiply-adds make of it", (form) => {
    const spec = dotSpec(form, [], 64, 70, 64);
    const [a, b] = [numbers(spec.a.size, 1), numbers(spec.b.size, 2)];
    a[3 + 77] = Number.POSITIVE_INFINITY;
    a[3 + 64 * 40] = 3.4028235e38;
    b[5 + 99] = Number.NaN;
    b[5 + 2000] = Number.NEGATIVE_INFINITY;
    b[5 + 3000] = 0;
    const run = (lowered: Lowered, on = interpreter) => runOn(on, lowered, [a, b], 64 * 70);
    const lowered = matrixUnit.product("dot", spec, profile, null);
    const result = run(lowered);
    const ordinary = run(lowerDot(spec, direct, null));
    let odd = 0;
    ordinary.forEach((x, i) => {
      if (Number.isFinite(x)) expect(Number.isFinite(result[i])).toBe(true);
      else {
        expect(result[i]).toBe(x);
        odd++;
      }
    });
    expect(odd).toBeGreaterThan(100);
    if (native) expect(run(lowered, native)).toEqual(result);
  });

  it("tiny factors lose digits, not the result", () => {
    const spec = dotSpec("NN", [], 32, 32, 64);
    const a = numbers(spec.a.size, 1).map((x) => x * 2 ** -100);
    const b = numbers(spec.b.size, 2).map((x) => x * 2 ** 100);
    const expected = expectedDot(spec, a, b);
    expect(
      worst(runOn(interpreter, matrixUnit.product("dot", spec, profile, null), [a, b], 32 * 32), expected),
    ).toBeLessThanOrEqual(1);
  });

  it("is for large products, where the profile has one and is not strict", () => {
    const names = (spec: DotSpec, p: TargetProfile) => lowerDot(spec, p, null).steps.map((s) => s.kernel.name);
    // Too few rows for a factor that is packed once without the unit.
    const large = dotSpec("NN", [], 480, 608, 512);
    const one = ["dot_480x608x512"];
    expect(names(large, profile)).toEqual(["dot_480x608x512_pack", ...one]);
    expect(names(large, direct)).toEqual(one);
    expect(names(large, { ...profile, strict: true })).toEqual(one);
    expect(matrixUnit.fits(dotSpec("NN", [], 512, 512, 520))).toBe(false);
    expect(matrixUnit.fits(dotSpec("NN", [], 256, 256, 256))).toBe(false);
    expect(matrixUnit.fits(dotSpec("TN", [], 64, 256, 64000))).toBe(false);
    expect(matrixUnit.fits(dotSpec("NN", [], 64000, 256, 64))).toBe(false);
    expect(matrixUnit.fits(dotSpec("NN", [], 128, 128, 9216))).toBe(true);
    expect(matrixUnit.fits(dotSpec("NN", [192], 128, 128, 64))).toBe(false);
    const strict = openNative({ threads: 1, strict: true });
    expect(strict?.profile.matrix).toBeUndefined();
    strict?.close();
  });
});
