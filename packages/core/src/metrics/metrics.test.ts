import { beforeAll, describe, expect, it } from "vitest";
import { installOracles } from "../oracles.ts";
import { configure } from "../tensor/config.ts";
import { jit } from "../tensor/functions.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import {
  auc,
  f1Score,
  mean,
  meanIou,
  metricFromFunction,
  metricRegistry,
  precision,
  r2Score,
  recall,
  sparseCategoricalAccuracy,
  sparseTopKCategoricalAccuracy,
} from "./index.ts";

installOracles();

beforeAll(() => configure({ device: "reference" }));

const classes = (x: number[]) => tensor(x, undefined, "i32");

describe("metrics", () => {
  it("counts over batches until reset", () => {
    const m = sparseCategoricalAccuracy();
    m.updateState(
      classes([0, 1]),
      tensor([
        [0.9, 0.1],
        [0.8, 0.2],
      ]),
    );
    m.updateState(classes([1]), tensor([[0.1, 0.9]]));
    expect(m.result().item()).toBeCloseTo(2 / 3, 6);
    expect(m.name).toBe("sparse_categorical_accuracy");
    m.resetState();
    expect(m.result().item()).toBe(0);
  });
  it("updates inside a traced function", () => {
    const m = sparseCategoricalAccuracy();
    const step = jit((t: Tensor, p: Tensor) => {
      m.updateState(t, p);
      return p;
    });
    for (let i = 0; i < 3; i++)
      step(
        classes([0, 1]),
        tensor([
          [0.9, 0.1],
          [0.8, 0.2],
        ]),
      );
    expect(m.result().item()).toBeCloseTo(0.5, 6);
    expect(m.variables.map((v) => v.snapshot()[0])).toEqual([3, 6]);
  });
  it("weighs scalars by their weight", () => {
    const m = mean({ name: "loss" });
    m.updateState(tensor(2, []), 3);
    m.updateState(tensor(4, []), 1);
    expect(m.result().item()).toBeCloseTo(2.5, 6);
  });
  it("finds classes among the k highest", () => {
    const m = sparseTopKCategoricalAccuracy({ k: 2 });
    m.updateState(
      classes([0, 1, 2]),
      tensor([
        [0.1, 0.5, 0.4],
        [0.1, 0.5, 0.4],
        [0.1, 0.5, 0.4],
      ]),
    );
    expect(m.result().item()).toBeCloseTo(2 / 3, 6);
  });
  it("computes precision, recall and F1", () => {
    const t = tensor([[1], [1], [0], [0], [1]]);
    const p = tensor([[0.9], [0.4], [0.8], [0.1], [0.7]]);
    const [a, b] = [precision(), recall()];
    a.updateState(t, p);
    b.updateState(t, p);
    expect(a.result().item()).toBeCloseTo(2 / 3, 6);
    expect(b.result().item()).toBeCloseTo(2 / 3, 6);
    const several = precision({ thresholds: [0.5, 0.85] });
    several.updateState(t, p);
    expect((several.result().arraySync() as number[])[1]).toBeCloseTo(1, 6);
    const f = f1Score({ threshold: 0.5 });
    f.updateState(t, p);
    expect(f.result().shape).toEqual([1]);
    expect(Number(f.result().dataSync()[0])).toBeCloseTo(2 / 3, 5);
  });
  it("computes the area under the ROC curve", () => {
    const m = auc({ numThresholds: 3 });
    m.updateState(tensor([[0], [0], [1], [1]]), tensor([[0], [0.5], [0.3], [0.9]]));
    // Keras documents 0.75 for this example.
    expect(m.result().item()).toBeCloseTo(0.75, 5);
  });
  it("computes overlaps and R²", () => {
    const iou = meanIou({ numClasses: 2 });
    iou.updateState(classes([0, 0, 1, 1]), classes([0, 1, 0, 1]));
    expect(iou.result().item()).toBeCloseTo(1 / 3, 5);
    const r2 = r2Score();
    r2.updateState(tensor([[1], [4], [3]]), tensor([[2], [4], [4]]));
    expect(r2.result().item()).toBeCloseTo(0.57142854, 5);
  });
  it("refuses shapes that would broadcast", () => {
    expect(() => precision().updateState(tensor([1, 0]), tensor([[0.5, 0.5]]))).toThrow(/L105/);
    expect(() => f1Score().updateState(tensor([1, 0]), tensor([0.5, 0.5]))).toThrow(/one-hot/);
  });
  it("takes functions and names", () => {
    const m = metricFromFunction((t, p) => p.sub(t), "bias");
    m.updateState(tensor([1, 2]), tensor([2, 4]));
    expect(m.result().item()).toBeCloseTo(1.5, 6);
    expect(m.name).toBe("bias");
    expect(metricRegistry.get("mae").name).toBe("mean_absolute_error");
    expect(() => metricRegistry.get("precison")).toThrow(/did you mean "precision"/);
  });
});
