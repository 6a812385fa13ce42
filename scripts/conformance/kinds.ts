/** How each small kind of case is run: ops, losses, metrics, optimizers, and the miscellany. */
import {
  activations,
  constraints,
  grad,
  initializers,
  losses,
  metrics,
  ops,
  optimizers,
  regularizers,
  schedules,
  Tensor,
  tensor,
  Variable,
} from "@layerwise/core";
import { gradients } from "../../packages/core/src/autodiff/gradients.ts";
import { isFloat } from "../../packages/core/src/graph/types.ts";
import { layerRegistry } from "../../packages/core/src/models/registry.ts";
import { jit } from "../../packages/core/src/tensor/functions.ts";
import {
  type Case,
  camel,
  compareNumber,
  compareTree,
  type GoldenTensor,
  Mismatch,
  numberOf,
  Skip,
  toTensor,
} from "./cases.ts";
import { callOp } from "./op-table.ts";

const out = (c: Case) => c.tol?.output ?? 1e-6;
const gradTol = (c: Case) => c.tol?.grads ?? c.tol?.output ?? 1e-6;

/** An object of a registry from Keras' class name and keyword arguments. */
// biome-ignore lint/suspicious/noExplicitAny: registries of all kinds.
export function construct(registry: any, name: string, kwargs: Record<string, unknown>): any {
  layerRegistry(); // adds what programs that do not name it need not carry
  if (!registry.find(name)) throw new Skip(`class ${name}`);
  return registry.fromConfig({ class_name: name, config: kwargs });
}

/** Flattened tensors of a result tree. */
export function leaves(x: unknown): Tensor[] {
  if (x instanceof Tensor) return [x];
  if (Array.isArray(x)) return x.flatMap(leaves);
  if (x !== null && typeof x === "object") return Object.values(x).flatMap(leaves);
  return [];
}

/** Gradients of Σ outputs·cotangents with respect to values, as tensors (zeros where none flows). */
export function backward(
  outputs: Tensor[],
  cotangents: readonly (GoldenTensor | null)[],
  targets: readonly Tensor[],
): Tensor[] {
  const seeds = outputs.map((o, i) => {
    const g = cotangents[i];
    return g && isFloat(o.dtype) ? toTensor(g).reshape(o.shape).cast(o.dtype).value : null;
  });
  const found = gradients(
    outputs.map((o) => o.value),
    seeds,
    targets.map((t) => t.value),
  );
  return found.map((v, i) => (v ? new Tensor(v) : ops.zerosLike(targets[i])));
}

/** Functions whose result's shape depends on values: they cannot be traced. */
const ofValues = new Set(["nonzero", "bincount"]);

export function runOp(c: Case): void {
  const inputs = (c["inputs"] as GoldenTensor[]).map(toTensor);
  const f = (...xs: Tensor[]) => callOp(c.op!, c["args"], c["kwargs"], xs);
  const wantsGradients = c["grads"]?.inputs;
  const compute = jit((...xs: Tensor[]) => {
    const result = f(...xs);
    const floats = xs.filter((x) => isFloat(x.dtype));
    const cotangents = Array.isArray(c["cotangent"]) ? c["cotangent"] : [c["cotangent"]];
    const grads = wantsGradients ? backward(leaves(result), cotangents, floats) : [];
    return { result: result as Tensor, grads };
  });
  const probe = leaves(f(...inputs)).length > 0;
  if (!probe || ofValues.has(c.op!)) {
    compareTree("output", f(...inputs), c["output"], out(c));
    return;
  }
  const { result, grads } = compute(...inputs) as { result: unknown; grads: Tensor[] };
  compareTree("output", result, c["output"], out(c));
  if (wantsGradients)
    (c["grads"].inputs as (GoldenTensor | null)[]).forEach((g, i) =>
      compareTree(`gradient ${i}`, grads[i], g, gradTol(c)),
    );
}

export function runLoss(c: Case): void {
  const loss = construct(losses.lossRegistry, c.class!, c["kwargs"]);
  const yTrue = toTensor(c["y_true"]);
  const weight = c["sample_weight"] ? toTensor(c["sample_weight"]) : null;
  const compute = jit((yPred: Tensor) => {
    const value = loss.apply(yTrue, yPred, weight) as Tensor;
    const cotangent = c["cotangent"] ?? { shape: value.shape, dtype: "float32", data: new Array(value.size).fill(1) };
    const [dPred] = backward([value], [cotangent], [yPred]);
    return { value, dPred };
  });
  const { value, dPred } = compute(toTensor(c["y_pred"])) as { value: Tensor; dPred: Tensor };
  compareTree("value", value, c["value"], out(c));
  if (c["grad_y_pred"]) compareTree("gradient", dPred, c["grad_y_pred"], gradTol(c));
}

export function runMetric(c: Case): void {
  const metric = construct(metrics.metricRegistry, c.class!, c["kwargs"]);
  const result = (): unknown => metric.result();
  (c["batches"] as { args: GoldenTensor[]; sample_weight?: GoldenTensor }[]).forEach((b, i) => {
    const args = b.args.map(toTensor);
    if (args.length === 1) metric.updateState(args[0], b.sample_weight ? toTensor(b.sample_weight) : null);
    else metric.updateState(args[0], args[1], b.sample_weight ? toTensor(b.sample_weight) : null);
    compareTree(`result after batch ${i}`, result(), c["result_after_each_batch"][i], out(c));
  });
  metric.resetState();
  if (c["result_after_reset"] !== null && c["result_after_reset"] !== undefined)
    compareTree("result after reset", result(), c["result_after_reset"], out(c));
}

export function runOptimizer(c: Case): void {
  const optimizer = construct(optimizers.optimizerRegistry, c.class!, c["config"] ?? c["kwargs"]);
  const variables = (c["variables"] as GoldenTensor[]).map(
    (v, i) => new Variable(toTensor(v).dataSync(), v.shape, "f32", { name: `v${i}` }),
  );
  optimizer.build(variables);
  const tol = out(c);
  const values = () => variables.map((v) => v.read());
  (c["gradients_per_step"] as (GoldenTensor | null)[][]).forEach((step, s) => {
    optimizer.apply(
      step.map((g) => (g === null ? null : toTensor(g))),
      variables,
    );
    values().forEach((v, i) => compareTree(`variable ${i} after step ${s}`, v, c["variables_after_step"][s][i], tol));
    if (s === 0 && c["slots_after_step1"]) compareSlots(optimizer, c["slots_after_step1"], tol, "step 1");
    if (c["learning_rate_after_step"])
      compareNumber(
        `learning rate after step ${s}`,
        optimizer.learningRate,
        numberOf(c["learning_rate_after_step"][s]),
        tol,
      );
  });
  if (c["slots_after"]) compareSlots(optimizer, c["slots_after"], tol, "the last step");
  if (c["variables_after_finalize"]) {
    optimizer.finalizeVariableValues(variables);
    values().forEach((v, i) => compareTree(`variable ${i} after finalize`, v, c["variables_after_finalize"][i], tol));
  }
}

/** Slots by meaning: `v0_momentum`, `v0_velocity`, … or shared ones; iteration and learning rate apart. */
// biome-ignore lint/suspicious/noExplicitAny: any optimizer.
function compareSlots(optimizer: any, golden: (GoldenTensor & { path: string })[], tol: number, when: string): void {
  for (const [i, g] of golden.entries()) {
    const name = g.path.split("/").pop()!;
    if (name === "iteration") compareTree(`iteration after ${when}`, optimizer.iterations.read(), g, tol);
    else if (name === "learning_rate")
      compareNumber(`learning rate after ${when}`, optimizer.learningRate, numberOf(g.data[0]), tol);
    else {
      const m = /^v(\d+)_(.*)$/.exec(name);
      // Keras gives some slots no name of their own (row and column means, products): these are found by their place.
      const slot = m ? optimizer.slot(m[2], Number(m[1])) : optimizer.variables[i];
      if (!slot) throw new Mismatch(`no slot ${name}`);
      compareTree(`${name} after ${when}`, slot.read(), g, tol);
    }
  }
}

export function runActivation(c: Case): void {
  // biome-ignore lint/suspicious/noExplicitAny: looked up by name.
  const f = (activations as any)[camel(c.class!)] as ((x: Tensor) => Tensor) | undefined;
  if (!f) throw new Skip(`class ${c.class}`);
  const x = toTensor(c["input"]);
  compareTree("output", f(x), c["output"], out(c));
  if (c["grad"]) {
    const cotangent = tensor(Float32Array.from(c["grad_cotangent"] as number[], numberOf), x.shape);
    const dx = grad((v: Tensor) => ops.sum(ops.multiply(f(v), cotangent)))(x);
    compareTree("gradient", dx, c["grad"], gradTol(c));
  }
}

export function runSchedule(c: Case): void {
  const schedule = construct(schedules.scheduleRegistry, c.class!, c["kwargs"]);
  (c["steps"] as number[]).forEach((step, i) =>
    compareNumber(`step ${step}`, schedule.at(step), numberOf(c["values"][i]), out(c)),
  );
}

export function runRegularizer(c: Case): void {
  const r = construct(regularizers.regularizerRegistry, c.class!, c["kwargs"]);
  const x = toTensor(c["input"]);
  compareTree("value", r.call(x), c["value"], out(c));
  const golden = c["grad_with_cotangent"] ?? c["grad"];
  if (golden) {
    const factor = c["cotangent"] && c["grad_with_cotangent"] ? numberOf(c["cotangent"].data[0]) : 1;
    compareTree("gradient", grad((v: Tensor) => (r.call(v) as Tensor).mul(factor))(x), golden, gradTol(c));
  }
}

export function runConstraint(c: Case): void {
  const constraint = construct(constraints.constraintRegistry, c.class!, c["kwargs"]);
  compareTree("output", constraint.call(toTensor(c["input"])), c["output"], out(c));
}

export function runInitializer(c: Case): void {
  const initializer = construct(initializers.initializerRegistry, c.class!, c["kwargs"] ?? {});
  const values = initializer.values(c["shape"]) as Float32Array;
  if (c["value"]) {
    compareTree("value", tensor(values, c["shape"]), c["value"], out(c));
    return;
  }
  if (c["orthogonal"]) {
    const { flatten_to, equals_identity_times, gram, tol } = c["orthogonal"];
    const a = tensor(values, flatten_to);
    const product = (gram as string).startsWith("W^T")
      ? ops.matmul(ops.transpose(a), a)
      : ops.matmul(a, ops.transpose(a));
    const target = ops.multiply(ops.eye(product.shape[0]), equals_identity_times);
    const off = ops.max(ops.abs(ops.subtract(product, target))).item();
    if (!(off <= tol)) throw new Mismatch(`gram matrix is off by ${off}`);
    return;
  }
  const n = values.length;
  const mean = values.reduce((s, v) => s + v, 0) / n;
  const variance = values.reduce((s, v) => s + (v - mean) ** 2, 0) / n;
  const { mean_abs_tol, variance_rel_tol } = c["check"];
  if (!(Math.abs(mean - c["mean"]) <= mean_abs_tol))
    throw new Mismatch(`mean ${mean}, expected ${c["mean"]} ± ${mean_abs_tol}`);
  if (!(Math.abs(variance / c["variance"] - 1) <= variance_rel_tol))
    throw new Mismatch(`variance ${variance}, expected ${c["variance"]} ± ${variance_rel_tol} relative`);
  const bound = c["bound_around_mean"];
  if (bound !== null && !values.every((v) => Math.abs(v - c["mean"]) <= bound * (1 + 1e-6)))
    throw new Mismatch(`values beyond ${bound} of the mean`);
}
