import { beforeAll, describe, expect, it } from "vitest";
import { installOracles } from "../oracles.ts";
import { configure } from "../tensor/config.ts";
import { valueAndGrad } from "../tensor/functions.ts";
import * as ops from "../tensor/ops/index.ts";
import { notePreActivation } from "../tensor/pre-activation.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import {
  binaryCrossentropy,
  categoricalCrossentropy,
  huber,
  lossFromFunction,
  lossRegistry,
  meanSquaredError,
  sparseCategoricalCrossentropy,
} from "./index.ts";

installOracles();

beforeAll(() => configure({ device: "reference" }));

describe("losses", () => {
  it("reduces as asked", () => {
    const t = tensor([
      [0, 0],
      [0, 0],
    ]);
    const p = tensor([
      [1, 1],
      [2, 4],
    ]);
    expect(meanSquaredError().apply(t, p).item()).toBeCloseTo(5.5, 6);
    expect(meanSquaredError({ reduction: "sum" }).apply(t, p).item()).toBeCloseTo(11, 6);
    expect(meanSquaredError({ reduction: "none" }).apply(t, p).arraySync()).toEqual([1, 10]);
    expect(meanSquaredError({ reduction: null }).apply(t, p).shape).toEqual([2]);
    const weights = tensor([1, 3]);
    expect(meanSquaredError().apply(t, p, weights).item()).toBeCloseTo(15.5, 6);
    expect(meanSquaredError({ reduction: "meanWithSampleWeight" }).apply(t, p, weights).item()).toBeCloseTo(7.75, 6);
    // A mask divides by what is left.
    expect(
      meanSquaredError()
        .apply(t, p, null, tensor([true, false]))
        .item(),
    ).toBeCloseTo(1, 6);
  });
  it("weighs all time steps of a sample alike", () => {
    const t = ops.zeros([2, 3, 1]);
    const p = ops.ones([2, 3, 1]);
    expect(
      meanSquaredError()
        .apply(t, p, tensor([0, 2]))
        .item(),
    ).toBeCloseTo(1, 6);
  });
  it("never broadcasts", () => {
    const p = ops.zeros([4, 2]);
    expect(() => meanSquaredError().apply(ops.zeros([4]), p)).toThrow(/L105/);
    expect(() => meanSquaredError().apply(ops.zeros([1, 2]), p)).toThrow(/never broadcast/);
    expect(
      meanSquaredError()
        .apply(ops.zeros([4]), ops.zeros([4, 1]))
        .item(),
    ).toBe(0);
    expect(() => meanSquaredError().apply(p, p, ops.zeros([3]))).toThrow(/L105/);
    expect(() => sparseCategoricalCrossentropy().apply(p, p)).toThrow(/L104/);
    expect(() => categoricalCrossentropy().apply(ops.zeros([4, 1]), p)).toThrow(/L105/);
  });
  it("is exact after softmax and sigmoid where probabilities have rounded to 0", () => {
    const logits = tensor([[200, 0, -200]]);
    const y = tensor([2], undefined, "i32");
    const softmax = (x: Tensor) => notePreActivation(ops.softmax(x), "softmax", x);
    expect(sparseCategoricalCrossentropy().apply(y, softmax(logits)).item()).toBeCloseTo(400, 3);
    expect(
      categoricalCrossentropy()
        .apply(tensor([[0, 0, 1]]), softmax(logits))
        .item(),
    ).toBeCloseTo(400, 3);
    // fromLogits on top of a softmax does not apply it twice.
    expect(sparseCategoricalCrossentropy({ fromLogits: true }).apply(y, softmax(logits)).item()).toBeCloseTo(400, 3);
    const x = tensor([[-90]]);
    const sigmoid = notePreActivation(ops.sigmoid(x), "sigmoid", x);
    expect(
      binaryCrossentropy()
        .apply(tensor([[1]]), sigmoid)
        .item(),
    ).toBeCloseTo(90, 4);
    // A probability of which nothing is known is clipped.
    expect(
      binaryCrossentropy()
        .apply(tensor([[1]]), tensor([[0]]))
        .item(),
    ).toBeCloseTo(-Math.log(1e-7), 3);
  });
  it("has the gradient softmax minus one-hot", () => {
    const loss = sparseCategoricalCrossentropy({ fromLogits: true });
    const y = tensor([1], undefined, "i32");
    const { value, grad } = valueAndGrad((x: Tensor) => loss.apply(y, x))(tensor([[1, 2, 3]]));
    const e = [1, 2, 3].map(Math.exp);
    const sum = e[0] + e[1] + e[2];
    expect(value.item()).toBeCloseTo(Math.log(sum) - 2, 5);
    const want = [e[0] / sum, e[1] / sum - 1, e[2] / sum];
    Array.from(grad.dataSync()).forEach((g, i) => {
      expect(g).toBeCloseTo(want[i], 5);
    });
  });
  it("leaves ignored classes out of the mean", () => {
    const loss = sparseCategoricalCrossentropy({ ignoreClass: -1 });
    const p = tensor([
      [0.5, 0.5],
      [0.9, 0.1],
    ]);
    expect(loss.apply(tensor([0, -1], undefined, "i32"), p).item()).toBeCloseTo(Math.LN2, 5);
  });
  it("goes over from quadratic to linear", () => {
    expect(
      huber({ delta: 2 })
        .apply(tensor([[0, 0]]), tensor([[1, 5]]))
        .item(),
    ).toBeCloseTo((0.5 + 8) / 2, 6);
  });
  it("takes functions and names", () => {
    const loss = lossFromFunction((t, p) => ops.mean(ops.abs(ops.subtract(t, p)), -1));
    expect(loss.apply(tensor([[0, 0]]), tensor([[1, 3]])).item()).toBeCloseTo(2, 6);
    expect(lossRegistry.get("mse")).toBeInstanceOf(lossRegistry.classOf("MeanSquaredError"));
    expect(lossRegistry.get("mean_squared_error").toConfig().config).toEqual({
      reduction: "sum_over_batch_size",
      name: "mean_squared_error",
      dtype: null,
    });
    expect(() => lossRegistry.get("categoricalcrosentropy")).toThrow(/did you mean "categoricalCrossentropy"/);
  });
});
