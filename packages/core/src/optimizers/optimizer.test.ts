import { beforeAll, describe, expect, it } from "vitest";
import { installOracles } from "../oracles.ts";
import { configure } from "../tensor/config.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { Variable } from "../tensor/variable.ts";
import { adadelta, adafactor, adam, adamW, lamb, optimizerRegistry, rmsprop, scheduleFreeAdamW, sgd } from "./index.ts";

installOracles();

beforeAll(() => configure({ device: "reference" }));

const variable = (values: number[], name: string, shape = [values.length]) =>
  new Variable(Float32Array.from(values), shape, "f32", { name });
const pair = () => [variable([1, 2, 3, 4, 5, 6], "kernel", [3, 2]), variable([0.5, -0.5], "bias")] as const;
const gradients = (scale = 1): Tensor[] => [
  tensor([1, -1, 2, -2, 3, -3].map((x) => x * scale)).reshape([3, 2]),
  tensor([0.5, 0.25].map((x) => x * scale)),
];
const values = (v: Variable) => Array.from(v.snapshot());
const close = (got: number[], want: number[]) => {
  expect(got.length).toBe(want.length);
  got.forEach((x, i) => {
    expect(x).toBeCloseTo(want[i], 5);
  });
};

describe("optimizers", () => {
  it("updates all weights in one flat root, with slots beside it", () => {
    const [kernel, bias] = pair();
    const optimizer = sgd({ learningRate: 0.1, momentum: 0.5 });
    optimizer.build([kernel, bias]);
    expect(kernel.parent!.root).toBe(bias.parent!.root);
    expect(kernel.parent!.offset).toBe(0);
    expect(bias.parent!.offset).toBe(16);
    optimizer.apply(gradients(), [kernel, bias]);
    optimizer.apply(gradients(), [kernel, bias]);
    // v1 = -0.1·g, v2 = -0.15·g: together -0.25·g.
    close(values(kernel), [0.75, 2.25, 2.5, 4.5, 4.25, 6.75]);
    close(values(bias), [0.5 - 0.125, -0.5 - 0.0625]);
    close(values(optimizer.slot("momentum", 1)!), [-0.075, -0.0375]);
    expect(optimizer.iterations.snapshot()[0]).toBe(2);
    expect(optimizer.variables.map((v) => v.name)).toEqual(["iteration", "learning_rate", "momentum", "momentum"]);
  });
  it("takes the order of variables as given, whatever their place in the root", () => {
    const [kernel, bias] = pair();
    const optimizer = sgd({ learningRate: 1 });
    optimizer.build([kernel, bias]);
    const [gk, gb] = gradients();
    optimizer.apply([gb, gk], [bias, kernel]);
    close(values(bias), [0, -0.75]);
    close(values(kernel), [0, 3, 1, 6, 2, 9]);
  });
  it("leaves variables without gradient alone, slots included", () => {
    const [kernel, bias] = pair();
    const optimizer = adamW({ learningRate: 0.1, weightDecay: 0.1 });
    optimizer.build([kernel, bias]);
    optimizer.apply([gradients()[0], null], [kernel, bias]);
    close(values(bias), [0.5, -0.5]);
    close(values(optimizer.slot("momentum", 1)!), [0, 0]);
    expect(values(kernel)[0]).toBeCloseTo(1 - 0.01 - 0.1, 4);
  });
  it("keeps slots when layers are frozen and freed", () => {
    const [kernel, bias] = pair();
    const optimizer = sgd({ learningRate: 0.1, momentum: 0.9 });
    optimizer.build([kernel, bias]);
    optimizer.apply(gradients(), [kernel, bias]);
    optimizer.build([kernel]);
    optimizer.apply([gradients()[0]], [kernel]);
    close(
      values(optimizer.slot("momentum", 0)!),
      [1, -1, 2, -2, 3, -3].map((g) => -0.19 * g),
    );
    close(values(bias), [0.45, -0.525]);
    expect(() => optimizer.apply(gradients(), [kernel, bias])).toThrow(/"bias" is not among/);
  });
  it("excludes from weight decay by name", () => {
    const [kernel, bias] = pair();
    const optimizer = sgd({ learningRate: 1, weightDecay: 0.5 });
    optimizer.excludeFromWeightDecay({ names: ["bias"] });
    optimizer.build([kernel, bias]);
    optimizer.apply(gradients(0), [kernel, bias]);
    close(values(kernel), [0.5, 1, 1.5, 2, 2.5, 3]);
    close(values(bias), [0.5, -0.5]);
  });
  it("clips per variable and over all", () => {
    const [kernel, bias] = pair();
    const single = sgd({ learningRate: 1, clipnorm: 1 });
    single.build([kernel, bias]);
    single.apply(gradients(), [kernel, bias]);
    const norm = Math.sqrt(28);
    close(
      values(kernel),
      [1, 2, 3, 4, 5, 6].map((x, i) => x - [1, -1, 2, -2, 3, -3][i] / norm),
    );
    close(values(bias), [0, -0.75]);
    expect(() => sgd({ clipnorm: 1, clipvalue: 1 })).toThrow(/one way only/);
  });
  it("accumulates gradients over steps", () => {
    const [kernel, bias] = pair();
    const optimizer = sgd({ learningRate: 1, gradientAccumulationSteps: 2 });
    optimizer.build([kernel, bias]);
    optimizer.apply(gradients(1), [kernel, bias]);
    close(values(bias), [0.5, -0.5]);
    optimizer.apply(gradients(3), [kernel, bias]);
    close(values(bias), [0.5 - 1, -0.5 - 0.5]);
    close(values(optimizer.slot("gradient_accumulator", 1)!), [0, 0]);
  });
  it("ends with the moving average", () => {
    const v = variable([0], "w");
    const optimizer = sgd({ learningRate: 1, useEma: true, emaMomentum: 0.5 });
    optimizer.build([v]);
    for (let i = 0; i < 3; i++) optimizer.apply([tensor([-1])], [v]);
    expect(values(v)).toEqual([3]);
    optimizer.finalizeVariableValues();
    // 1, then (1 + 2)/2, then (1.5 + 3)/2.
    expect(values(v)[0]).toBeCloseTo(2.25, 6);
  });
  it("lets the learning rate be set between steps, unless it follows a schedule", () => {
    const v = variable([0], "w");
    const optimizer = sgd({ learningRate: 0.1 });
    optimizer.build([v]);
    optimizer.apply([tensor([1])], [v]);
    expect(optimizer.learningRate).toBe(0.1);
    optimizer.learningRate = 0.2;
    optimizer.apply([tensor([1])], [v]);
    expect(values(v)[0]).toBeCloseTo(-0.3, 6);
    const scheduled = optimizerRegistry.fromConfig({
      class_name: "SGD",
      config: {
        learning_rate: {
          module: "keras.optimizers.schedules",
          class_name: "ExponentialDecay",
          config: { initial_learning_rate: 1, decay_steps: 1, decay_rate: 0.5 },
          registered_name: null,
        },
      },
    });
    const w = variable([0], "w");
    scheduled.build([w]);
    scheduled.apply([tensor([1])], [w]);
    scheduled.apply([tensor([1])], [w]);
    expect(values(w)[0]).toBeCloseTo(-1.5, 6);
    expect(scheduled.learningRate).toBeCloseTo(0.25, 6);
    expect(() => {
      scheduled.learningRate = 1;
    }).toThrow(/follows a schedule/);
    expect((scheduled.toConfig().config["learning_rate"] as { class_name: string }).class_name).toBe(
      "ExponentialDecay",
    );
  });
  it("starts Adam with steps of the size of the rate", () => {
    const [kernel, bias] = pair();
    const optimizer = adam({ learningRate: 0.01 });
    optimizer.build([kernel, bias]);
    optimizer.apply(gradients(1000), [kernel, bias]);
    expect(values(bias)[0]).toBeCloseTo(0.49, 5);
  });
  it("applies rules that look at whole variables to each of them", () => {
    for (const make of [lamb, adafactor]) {
      const [kernel, bias] = pair();
      const together = make({ learningRate: 0.01 });
      together.build([kernel, bias]);
      together.apply(gradients(), [kernel, bias]);
      const [alone] = pair();
      const single = make({ learningRate: 0.01 });
      single.build([alone]);
      single.apply([gradients()[0]], [alone]);
      close(values(kernel), values(alone));
      expect(values(kernel)).not.toEqual([1, 2, 3, 4, 5, 6]);
    }
  });
  it("writes members of one root together", () => {
    const [kernel, bias] = pair();
    // First a flat root, as training makes it; then a rule that updates each variable.
    sgd().build([kernel, bias]);
    const optimizer = lamb({ learningRate: 0.01 });
    optimizer.build([kernel, bias]);
    optimizer.apply(gradients(), [kernel, bias]);
    const [k2, b2] = pair();
    const reference = lamb({ learningRate: 0.01 });
    reference.build([k2, b2]);
    reference.apply(gradients(), [k2, b2]);
    close(values(kernel), values(k2));
    close(values(bias), values(b2));
    expect(kernel.parent).not.toBeNull();
  });
  it("starts the iterate of the schedule-free rule at the weights", () => {
    const v = variable([3], "w");
    const optimizer = scheduleFreeAdamW();
    optimizer.build([v]);
    expect(values(optimizer.slot("momentum", 0)!)).toEqual([3]);
  });
  it("round-trips its configuration", () => {
    const original = rmsprop({ learningRate: 0.5, rho: 0.8, clipvalue: 2 });
    original.learningRate = 0.25;
    const saved = original.toConfig();
    expect(saved.class_name).toBe("RMSprop");
    expect(saved.config).toMatchObject({
      name: "rm_sprop",
      learning_rate: 0.25,
      rho: 0.8,
      clipvalue: 2,
      use_ema: false,
    });
    expect(optimizerRegistry.fromConfig(saved).getConfig()).toEqual(saved.config);
    expect(() => optimizerRegistry.get("adm")).toThrow(/did you mean "adam"/);
  });

  it("lets averages of weights that get no gradients become zero, not subnormal numbers that slow every update down", () => {
    const rules = [
      adam({ beta1: 0.5, beta2: 0.5 }),
      rmsprop({ rho: 0.5, momentum: 0.5 }),
      adadelta({ rho: 0.5 }),
      sgd({ momentum: 0.5 }),
    ];
    for (const optimizer of rules) {
      const x = variable([1, 2], "kernel");
      optimizer.apply([tensor([1e-3, 1e-3])], [x]);
      for (let i = 0; i < 130; i++) optimizer.apply([tensor([0, 1e-3])], [x]);
      for (const slot of optimizer.variables.filter((v) => v.size === 2)) {
        expect(values(slot)[0]).toBe(0);
        expect(values(slot)[1]).not.toBe(0);
      }
    }
  });
});
