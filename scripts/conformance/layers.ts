/** Layer, network, model and training-program cases. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import {
  callbacks,
  type Layer,
  layerFromConfig,
  losses as lossModule,
  type Model,
  optimizers,
  type Tensor,
  tensor,
  type Variable,
} from "@layerwise/core";
import { isFloat } from "../../packages/core/src/graph/types.ts";
import { maskOf } from "../../packages/core/src/layers/mask.ts";
import { layerRegistry } from "../../packages/core/src/models/registry.ts";
import { jit } from "../../packages/core/src/tensor/functions.ts";
import {
  type Case,
  camel,
  camelKeys,
  classNames,
  compareNumber,
  compareTree,
  type GoldenTensor,
  Mismatch,
  numberOf,
  revive,
  Skip,
  toTensor,
} from "./cases.ts";
import { backward, leaves } from "./kinds.ts";
import { stream, uniformArray } from "./random.ts";

const out = (c: Case) => c.tol?.output ?? 1e-6;
const gradTol = (c: Case) => c.tol?.grads ?? c.tol?.output ?? 1e-6;

/** Skips when a layer class of a config does not exist here. */
function requireLayers(config: unknown): void {
  const visit = (x: unknown): void => {
    if (Array.isArray(x)) {
      for (const y of x) visit(y);
      return;
    }
    if (x === null || typeof x !== "object") return;
    const o = x as Record<string, unknown>;
    const module = typeof o["module"] === "string" ? o["module"] : "";
    if (
      typeof o["class_name"] === "string" &&
      (module.startsWith("keras.layers") || module.startsWith("keras.src.models")) &&
      !layerRegistry().find(o["class_name"])
    ) {
      throw new Skip(`class ${o["class_name"]}`);
    }
    for (const y of Object.values(o)) visit(y);
  };
  visit(config);
}

function makeLayer(c: Case): Layer {
  if (!layerRegistry().find(c.class!)) throw new Skip(`class ${c.class}`);
  if (c["serialized"]) {
    requireLayers(c["serialized"]);
    return layerRegistry().fromConfig({ class_name: c.class!, config: c["serialized"] }) as Layer;
  }
  return layerRegistry().fromConfig({ class_name: c.class!, config: c["kwargs"] }) as Layer;
}

/** Assigns golden weights in order; where shapes disagree, by name and shape. */
export function assignWeights(
  weights: readonly Variable[],
  all: readonly (GoldenTensor & { path?: string; name?: string })[],
): void {
  // Layerwise draws from keys; it has no generators with a state.
  const golden = all.filter((g) => !g.path?.includes("seed_generator"));
  if (weights.length !== golden.length)
    throw new Mismatch(
      `${weights.length} weights (${weights.map((w) => w.name)}), expected ${golden.length} (${golden.map((g) => g.path)})`,
    );
  const left = new Set(golden.keys());
  weights.forEach((w, i) => {
    const fits = (k: number) => left.has(k) && String(golden[k].shape) === String(w.shape);
    const sameName = (k: number) => (golden[k].name ?? golden[k].path?.split("/").pop()) === w.name;
    const at =
      fits(i) && (golden[i].path === undefined || sameName(i))
        ? i
        : (golden.findIndex((_, k) => fits(k) && sameName(k)) + 1 || golden.findIndex((_, k) => fits(k)) + 1) - 1;
    if (at < 0) throw new Mismatch(`no golden weight for ${w.name} [${w.shape}]`);
    left.delete(at);
    w.overwrite(toTensor(golden[at]).cast(w.dtype).dataSync());
  });
}

function callArguments(c: Case, inputs: readonly Tensor[]): { x: unknown; options: Record<string, unknown> } {
  const call = c["call"];
  const x = call.style === "single" ? inputs[0] : [...inputs];
  const tensors = Object.fromEntries(
    Object.entries(call.tensors ?? {}).map(([k, v]) => [camel(k), revive(v as GoldenTensor)]),
  );
  return {
    x,
    options: {
      ...camelKeys(call.kwargs ?? {}),
      ...tensors,
      ...(call.training === null || call.training === undefined ? {} : { training: call.training }),
    },
  };
}

export function runLayer(c: Case): void {
  const layer = makeLayer(c);
  const inputs = (c["inputs"] as GoldenTensor[]).map(toTensor);
  const first = callArguments(c, inputs);
  // biome-ignore lint/suspicious/noExplicitAny: styles of call differ by layer.
  if (!layer.built) layer.buildFor((Array.isArray(first.x) ? inputs.map((i) => i.shape) : inputs[0].shape) as any);
  assignWeights(layer.weights, c["weights"]);
  checkFacts(layer, c);
  const golden = c["grads"];
  const run = jit((...xs: Tensor[]) => {
    const { x, options } = callArguments(c, xs);
    const targets = [...layer.trainableWeights.map((v) => v.read()), ...xs.filter((t) => isFloat(t.dtype))];
    // biome-ignore lint/suspicious/noExplicitAny: styles of call differ by layer.
    const y = layer.apply(x as any, options) as unknown;
    const grads = golden ? backward(leaves(y), c["cotangent"], targets) : [];
    return { y: y as Tensor, grads };
  });
  const { y, grads } = run(...inputs) as unknown as { y: unknown; grads: Tensor[] };
  compareTree("output", y, c["output"], out(c));
  if (golden) {
    const n = layer.trainableWeights.length;
    (golden.weights as GoldenTensor[]).forEach((g, i) =>
      compareTree(`gradient of ${layer.trainableWeights[i]?.name}`, grads[i], g, gradTol(c)),
    );
    (golden.inputs as GoldenTensor[]).forEach((g, i) =>
      compareTree(`gradient of input ${i}`, grads[n + i], g, gradTol(c)),
    );
  }
  for (const g of (c["state_after"] ?? []) as (GoldenTensor & { name: string })[]) {
    const v = layer.nonTrainableWeights.find((w) => w.name === g.name && String(w.shape) === String(g.shape));
    if (!v) throw new Mismatch(`no state ${g.name}`);
    compareTree(`state ${g.name}`, v.read(), g, out(c));
  }
  if (c["losses"]) {
    const { x, options } = callArguments(c, inputs);
    // biome-ignore lint/suspicious/noExplicitAny: styles of call differ by layer.
    layer.apply(x as any, options);
    compareSet(
      "losses",
      layer.losses.map((l) => l.item()),
      (c["losses"] as GoldenTensor[]).map((l) => numberOf(l.data[0])),
      out(c),
    );
  }
}
/** The same numbers in any order. */
function compareSet(what: string, got: number[], want: number[], tol: number): void {
  if (got.length !== want.length) throw new Mismatch(`${what}: ${got.length}, expected ${want.length}`);
  const sorted = [...got].sort((a, b) => a - b);
  [...want].sort((a, b) => a - b).forEach((w, i) => compareNumber(`${what}[${i}]`, sorted[i], w, tol));
}

function checkFacts(layer: Layer, c: Case): void {
  const f = c["facts"];
  if (!f) return;
  const equal = (what: string, got: unknown, want: unknown): void => {
    if (want !== undefined && want !== null && got !== want) throw new Mismatch(`${what}: ${got}, expected ${want}`);
  };
  equal("trainable weights", layer.trainableWeights.length, f.trainable_weights);
  equal("non-trainable weights", layer.nonTrainableWeights.length, f.non_trainable_weights);
  equal(
    "parameters",
    layer.weights.reduce((n, w) => n + w.size, 0),
    f.params,
  );
}

export function runLayerFacts(c: Case): void {
  const layer = makeLayer(c);
  const shapes = c["input_shapes"] as number[][];
  // biome-ignore lint/suspicious/noExplicitAny: styles of call differ by layer.
  layer.buildFor((c["call"].style === "single" ? shapes[0] : shapes) as any);
  checkFacts(layer, c);
  const want = c["facts"].output_shapes as number[][];
  // biome-ignore lint/suspicious/noExplicitAny: styles of call differ by layer.
  const got = layer.computeOutputShape((c["call"].style === "single" ? shapes[0] : shapes) as any) as unknown;
  const list = Array.isArray(got) && got.every((d) => typeof d === "number" || d === null) ? [got] : (got as unknown[]);
  if (String(list) !== String(want)) throw new Mismatch(`output shapes [${list}], expected [${want}]`);
}

export function runLayerCalls(c: Case): void {
  // biome-ignore lint/suspicious/noExplicitAny: stateful layers have resetState.
  const layer = makeLayer(c) as any;
  const steps = c["steps"] as ({ input: GoldenTensor } | { reset_state: true })[];
  const firstInput = steps.find((s) => "input" in s) as { input: GoldenTensor };
  layer.buildFor(firstInput.input.shape);
  assignWeights(layer.weights, c["weights"]);
  layer.resetState?.();
  steps.forEach((s, i) => {
    if ("reset_state" in s) layer.resetState();
    else compareTree(`step ${i}`, layer.apply(toTensor(s.input)), c["steps_out"][i], out(c));
  });
}

export function runNetwork(c: Case): void {
  requireLayers(c["config"]);
  const model = layerFromConfig(c["config"]) as Model;
  const inputs = ((Array.isArray(c["inputs"]) ? c["inputs"] : [c["inputs"]]) as GoldenTensor[]).map(toTensor);
  // biome-ignore lint/suspicious/noExplicitAny: one or several inputs.
  if (!model.built) model.buildFor((inputs.length === 1 ? inputs[0].shape : inputs.map((i) => i.shape)) as any);
  assignWeights(model.weights, c["weights"]);
  const golden = c["grads"];
  const masks: (Tensor | null)[] = [];
  const run = jit((...xs: Tensor[]) => {
    const targets = [...model.trainableWeights.map((v) => v.read()), ...xs.filter((t) => isFloat(t.dtype))];
    // biome-ignore lint/suspicious/noExplicitAny: one or several inputs.
    const y = model.apply((xs.length === 1 ? xs[0] : xs) as any, { training: false }) as unknown;
    const found = leaves(y).map((t) => maskOf(t));
    const grads = golden ? backward(leaves(y), c["cotangent"], targets) : [];
    return {
      y: y as Tensor,
      grads,
      masks: found.filter((m): m is Tensor => m !== null),
      present: found.map((m) => tensor(m ? 1 : 0)),
    };
  });
  const r = run(...inputs) as unknown as { y: unknown; grads: Tensor[]; masks: Tensor[]; present: Tensor[] };
  let next = 0;
  for (const p of r.present) masks.push(p.item() ? r.masks[next++] : null);
  compareTree("output", r.y, c["output"], out(c));
  if (c["output_masks"]) {
    const want = (
      Array.isArray(c["output_masks"]) ? c["output_masks"] : [c["output_masks"]]
    ) as (GoldenTensor | null)[];
    want.forEach((m, i) => {
      if ((m === null) !== (masks[i] === null))
        throw new Mismatch(`mask of output ${i}: ${masks[i] ? "one" : "none"}, expected ${m ? "one" : "none"}`);
      if (m) compareTree(`mask of output ${i}`, masks[i], m, 0);
    });
  }
  if (golden) {
    const n = model.trainableWeights.length;
    (golden.weights as GoldenTensor[]).forEach((g, i) =>
      compareTree(`gradient of ${model.trainableWeights[i]?.name}`, r.grads[i], g, gradTol(c)),
    );
    ((golden.inputs ?? []) as GoldenTensor[]).forEach((g, i) =>
      compareTree(`gradient of input ${i}`, r.grads[n + i], g, gradTol(c)),
    );
  }
}

export async function runModel(c: Case): Promise<void> {
  requireLayers(c["config"]);
  const compile = c["compile"] ?? c["compile_keras"];
  for (const name of classNames(compile)) if (!knownToCompile(name)) throw new Skip(`class ${name}`);
  const model = layerFromConfig(c["config"]) as Model;
  const x = revive(c["x"]);
  const y = revive(c["y"]);
  const shapes = Array.isArray(x) ? x.map((t: Tensor) => t.shape) : (x as Tensor).shape;
  // biome-ignore lint/suspicious/noExplicitAny: one or several inputs.
  if (!model.built) model.buildFor(shapes as any);
  assignWeights(model.weights, c["weights_before"]);
  const tol = out(c) || c.tol?.["all"] || 1e-5;
  const { class_weight, sample_weight, batch_size, epochs, validation_split, ...rest } = c["fit"];
  const { optimizer, loss, metrics, weighted_metrics, loss_weights } = compile;
  model.compile({
    optimizer: optimizers.optimizerRegistry.fromConfig({ class_name: optimizer.class_name, config: optimizer.config }),
    loss,
    ...(metrics ? { metrics } : {}),
    ...(weighted_metrics ? { weightedMetrics: weighted_metrics } : {}),
    ...(loss_weights ? { lossWeights: loss_weights } : {}),
    // biome-ignore lint/suspicious/noExplicitAny: read from Keras' configuration.
  } as any);
  const perBatch: Record<string, number>[] = [];
  const watcher = callbacks.lambdaCallback({
    batchLogs: true,
    onTrainBatchEnd: (_, logs) => void perBatch.push({ ...logs }),
  });
  const history = await model.fit(
    x as Tensor,
    y as Tensor,
    {
      epochs,
      batchSize: batch_size,
      shuffle: false,
      verbose: 0,
      ...(class_weight ? { classWeight: class_weight } : {}),
      ...(sample_weight ? { sampleWeight: revive(sample_weight) } : {}),
      ...(validation_split ? { validationSplit: validation_split } : {}),
      callbacks: [watcher],
      // biome-ignore lint/suspicious/noExplicitAny: read from Keras' configuration.
    } as any,
  );
  void rest;
  (c["logs_after_each_batch"] as Record<string, number>[] | undefined)?.forEach((logs, i) => {
    for (const [k, v] of Object.entries(logs))
      compareNumber(`${k} after batch ${i}`, perBatch[i]?.[k] ?? Number.NaN, numberOf(v), tol);
  });
  for (const [k, values] of Object.entries((c["history"] ?? {}) as Record<string, number[]>)) {
    values.forEach((v, e) =>
      compareNumber(
        `history ${k} of epoch ${e}`,
        (history.history as Record<string, number[]>)[k]?.[e] ?? Number.NaN,
        numberOf(v),
        tol,
      ),
    );
  }
  if (c["weights_after"]) {
    const variables = model.weights;
    const paths = (c["weights_before"] as { path?: string }[]).map((g) => g.path);
    const after = (c["weights_after"] as GoldenTensor[]).filter((_, i) => !paths[i]?.includes("seed_generator"));
    after.forEach((g, i) => {
      const v =
        String(variables[i].shape) === String(g.shape)
          ? variables[i]
          : variables.find((w) => String(w.shape) === String(g.shape))!;
      compareTree(`weight ${v.name} after`, v.read(), g, tol);
    });
  }
  if (c["evaluate_after"]) {
    const logs = (await model.evaluate(x as Tensor, y as Tensor, { batchSize: batch_size, verbose: 0 })) as Record<
      string,
      number
    >;
    for (const [k, v] of Object.entries(c["evaluate_after"] as Record<string, number>))
      compareNumber(`evaluate ${k}`, logs[k] ?? Number.NaN, numberOf(v), tol);
  }
  if (c["predict_after"])
    compareTree("predict", await model.predict(x as Tensor, { batchSize: batch_size }), c["predict_after"], tol);
}
function knownToCompile(name: string): boolean {
  return (
    Boolean(optimizers.optimizerRegistry.find(name) ?? lossModule.lossRegistry.find(name)) ||
    /Decay|Accuracy|Metric|Mean|Error|Restarts|entropy|Precision|Recall|F1Score|AUC|Sum/.test(name)
  );
}

/** The idx and CIFAR files that seed programs read, as rows of pixels/255 and labels. */
function readRows(c: Case, part: "train" | "test"): { x: Float32Array | Int32Array; y: Int32Array; rows: number } {
  if (c["data"].kind === "tokens") return tokenRows(part);
  const root = process.env["LAYERWISE_DATASETS"];
  if (!root || !existsSync(root)) throw new Skip("data: LAYERWISE_DATASETS is not set");
  const d = c["data"];
  const start = d[`${part}_start`] as number;
  const count = d[`${part}_count`] as number;
  if (d.kind === "mnist") {
    const prefix = part === "train" ? "train" : "t10k";
    const images = gunzipSync(readFileSync(join(root, "mnist", `${prefix}-images-idx3-ubyte.gz`))).subarray(16);
    const labels = gunzipSync(readFileSync(join(root, "mnist", `${prefix}-labels-idx1-ubyte.gz`))).subarray(8);
    const size = 784;
    return {
      x: Float32Array.from(images.subarray(start * size, (start + count) * size), (b) => Math.fround(b / 255)),
      y: Int32Array.from(labels.subarray(start, start + count)),
      rows: count,
    };
  }
  if (d.kind === "cifar10" || String(d.kind).startsWith("cifar")) {
    const file = gunzipSync(
      readFileSync(join(root, "cifar10", part === "train" ? "data_batch_1.bin.gz" : "test_batch.bin.gz")),
    );
    const x = new Float32Array(count * 3072);
    const y = new Int32Array(count);
    for (let i = 0; i < count; i++) {
      const at = (start + i) * 3073;
      y[i] = file[at];
      for (let ch = 0; ch < 3; ch++)
        for (let p = 0; p < 1024; p++) x[i * 3072 + p * 3 + ch] = Math.fround(file[at + 1 + ch * 1024 + p] / 255);
    }
    return { x, y, rows: count };
  }
  throw new Skip(`data ${d.kind}`);
}

/** P1c: 648 rows of 40 words out of 2,000; the label says whether more than half are below 1,000. The last 8 test. */
function tokenRows(part: "train" | "test"): { x: Int32Array; y: Int32Array; rows: number } {
  const u = stream("P1c/share/tokens");
  const tokens = Int32Array.from({ length: 648 * 40 }, () => Math.floor(u() * 2000));
  const [from, to] = part === "train" ? [0, 640] : [640, 648];
  const x = tokens.slice(from * 40, to * 40);
  const y = Int32Array.from({ length: to - from }, (_, i) =>
    x.subarray(i * 40, (i + 1) * 40).reduce((n, t) => n + (t < 1000 ? 1 : 0), 0) > 20 ? 1 : 0,
  );
  return { x, y, rows: to - from };
}

export async function runSeedProgram(c: Case): Promise<void> {
  requireLayers(c["config"]);
  const train = readRows(c, "train");
  const test = readRows(c, "test");
  const model = layerFromConfig(c["config"]) as Model;
  const shape = (c["data"].input_shape ?? [40]) as number[];
  if (!model.built) model.buildFor([null, ...shape]);
  model.weights.forEach((v, i) => {
    const tag = `${c["weight_seed_prefix"]}/${i}`;
    const bias = v.shape.length === 1;
    let values: Float32Array;
    if (bias) {
      values = new Float32Array(v.size);
      if (/lstm/i.test(c["weights_check"][i].path)) values.fill(1, v.size / 4, v.size / 2);
    } else if (v.name === "embeddings") values = uniformArray(tag, v.size, -0.05, 0.05);
    else {
      const [fanIn, fanOut] = v.shape.slice(-2);
      const receptive = v.shape.slice(0, -2).reduce((p, n) => p * n, 1);
      const limit = Math.sqrt(6 / (receptive * (fanIn + fanOut)));
      values = uniformArray(tag, v.size, -limit, limit);
    }
    const check = c["weights_check"][i];
    compareNumber(
      `sum of ${v.name}`,
      values.reduce((s, x) => s + x, 0),
      check.sum,
      1e-6,
    );
    v.overwrite(values);
  });
  model.compile({
    optimizer: optimizers.optimizerRegistry.fromConfig({
      class_name: c["optimizer"].class_name,
      config: c["optimizer"].config,
    }),
    loss: "sparseCategoricalCrossentropy",
  });
  const rowSize = shape.reduce((p, n) => p * n, 1);
  const testX = tensor(test.x, [test.rows, ...shape]);
  const golden = (rows: number[][]): GoldenTensor => ({
    shape: [rows.length, rows[0].length],
    dtype: "float32",
    data: rows.flat(),
  });
  if (c["predict_before"])
    compareTree(
      "predictions before",
      await model.predictOnBatch(testX),
      golden(c["predict_before"]),
      c.tol?.["predict_before"] ?? out(c),
    );
  const b = c["batch_size"] as number;
  for (let s = 0; s < c["steps"]; s++) {
    const x = tensor(train.x.subarray(s * b * rowSize, (s + 1) * b * rowSize).slice(), [b, ...shape]);
    const y = tensor(train.y.subarray(s * b, (s + 1) * b).slice(), [b], "i32");
    const logs = (await model.trainOnBatch(x, y)) as Record<string, number>;
    compareNumber(`loss of step ${s}`, logs["loss"], c["losses"][s], c["loss_tol_per_step"][s]);
  }
  if (c["predict_after"])
    compareTree("predictions after", await model.predictOnBatch(testX), golden(c["predict_after"]), out(c));
}
