/** Cases of layers: values, gradients, states, losses and facts. */
import { inScope } from "../../../packages/core/src/layers/scope.ts";
import { constantValue } from "../../../packages/core/src/graph/ops/index.ts";
import type { Layer } from "../../../packages/core/src/layers/layer.ts";
import { layerFromConfig, layerRegistry } from "../../../packages/core/src/models/registry.ts";
import { toCamel } from "../../../packages/core/src/config/index.ts";
import type { Tensor } from "../../../packages/core/src/tensor/tensor.ts";
import { type Any, type Case, compare, dtypeOf, goldenLeaves, Skip, tensorTree } from "../cases.ts";
import { evaluate, tensorLeaves } from "../evaluate.ts";

/** Class names in a saved config that no layer here has. */
export function missingLayers(saved: Any): string[] {
  const missing = new Set<string>();
  const visit = (x: Any): void => {
    if (x === null || typeof x !== "object") return;
    if (Array.isArray(x)) x.forEach(visit);
    else {
      const { class_name: name, module } = x;
      const isLayer = typeof name === "string" && /^keras(\.src)?(\.layers|\.models|$)/.test(String(module ?? "keras.layers"));
      if (isLayer && !isPolicy(name) && String(module) !== "keras.losses" && !layerRegistry().find(name)) missing.add(name);
      Object.values(x).forEach(visit);
    }
  };
  visit(saved);
  return [...missing];
}
const isPolicy = (name: string) => name.endsWith("DTypePolicy") || name === "__keras_tensor__" || name === "__tuple__";

function layerOf(c: Case): Layer {
  const name = c.class!;
  if (!layerRegistry().find(name)) throw new Skip(name);
  const saved = c["serialized"];
  const config = saved?.class_name && saved.config ? saved.config : saved;
  const missing = missingLayers(config);
  if (missing.length > 0) throw new Skip(missing[0]);
  return layerFromConfig({ module: "keras.layers", class_name: name, config, registered_name: null });
}

export function layerFactsCase(c: Case): void {
  const layer = layerOf(c);
  const shapes = c["input_shapes"];
  const { facts } = c;
  const style = c["call"]?.style ?? "single";
  const shape = layer.computeOutputShape(style === "single" ? shapes[0] : shapes);
  const expected = facts.compute_output_shape ?? (facts.output_shapes.length === 1 ? facts.output_shapes[0] : facts.output_shapes);
  if (JSON.stringify(shape) !== JSON.stringify(expected)) {
    throw new Error(`output shape ${JSON.stringify(shape)}, expected ${JSON.stringify(expected)}`);
  }
  checkFacts(layer, facts);
}
function checkFacts(layer: Layer, facts: Any): void {
  const check = (what: string, got: number, want: number | null | undefined) => {
    if (want !== null && want !== undefined && got !== want) throw new Error(`${what}: ${got}, expected ${want}`);
  };
  check("parameters", layer.countParams(), facts.params);
  check("trainable weights", layer.trainableWeights.length, facts.trainable_weights);
}

export function layerCase(c: Case): void {
  const layer = layerOf(c);
  const { call, tol } = c;
  const inputs = c["inputs"].map(tensorTree);
  const flat = tensorLeaves(inputs);
  const style = call.style as "single" | "list" | "args";
  const shapesOf = (x: Any): Any => (Array.isArray(x) ? x.map(shapesOf) : x.shape);
  const shapes = inputs.map(shapesOf);
  layer.buildFor(style === "single" ? shapes[0] : shapes);
  assignWeights(layer, c["weights"]);
  const again = layerFromConfig(layer.toConfig());
  if (JSON.stringify(again.toConfig()) !== JSON.stringify(layer.toConfig())) throw new Error("the config does not come back the same");

  const further = {
    ...camelKeys(call.kwargs ?? {}, (x) => x),
    ...camelKeys(call.tensors ?? {}, tensorTree),
  };
  const scope = {
    training: call.training ?? false,
    losses: [] as Tensor[],
    path: "",
    calls: 0,
    seed: 0,
    step: () => constantValue(new Uint32Array(1), { shape: [], dtype: "u32" }),
  };
  const cotangents = c["grads"] ? c["cotangent"] : null;
  const run = evaluate(
    flat,
    (xs) =>
      inScope(scope, () => {
        let next = 0;
        const refill = (x: Any): Any => (Array.isArray(x) ? x.map(refill) : xs[next++]);
        const args = inputs.map(refill);
        const out = layer.apply<Tensor>(style === "single" ? args[0] : args, { training: call.training ?? false, ...further });
        return { outputs: tensorLeaves(out), extra: [...scope.losses, ...layer.weightLosses()] };
      }),
    cotangents,
    layer.trainableWeights,
    call.training ?? false,
  );
  const wanted = goldenLeaves(c["output"]);
  if (wanted.length !== run.outputs.length) throw new Error(`${run.outputs.length} outputs, expected ${wanted.length}`);
  wanted.forEach((w, i) => {
    compare(`output ${i}`, run.outputs[i], w, tol!.output!);
  });
  (c["output_dtypes"] ?? []).forEach((name: string, i: number) => {
    if (dtypeOf(name) !== run.outputs[i].dtype) throw new Error(`output dtype ${run.outputs[i].dtype}, expected ${name}`);
  });
  if (c["grads"]) checkGradients(c, run.weightGrads, run.inputGrads);
  if (c["losses"]) {
    if (c["losses"].length !== run.extra.length) throw new Error(`${run.extra.length} losses, expected ${c["losses"].length}`);
    c["losses"].forEach((w: Any, i: number) => {
      compare(`loss ${i}`, run.extra[i], typeof w === "object" ? w : { shape: [], dtype: "float32", data: [w] }, tol!.output!);
    });
  }
  checkState(layer, c["state_after"], tol!.output!);
  if (c["facts"]) checkFacts(layer, c["facts"]);
}

function camelKeys(o: Any, f: (x: Any) => Any): Any {
  return Object.fromEntries(Object.entries(o).map(([k, v]) => [toCamel(k), f(v)]));
}
export function checkGradients(c: Case, weightGrads: readonly Any[], inputGrads: readonly Any[]): void {
  const tolerance = c.tol!.grads ?? c.tol!.output!;
  (c["grads"].weights ?? []).forEach((w: Any, i: number) => {
    if (w) compare(`gradient of ${c["grad_weight_paths"]?.[i] ?? `weight ${i}`}`, weightGrads[i], w, tolerance);
  });
  (c["grads"].inputs ?? []).forEach((w: Any, i: number) => {
    if (w) compare(`gradient of input ${i}`, inputGrads[i], w, tolerance);
  });
}

/** Sets the weights: by path where all paths are known, else in order. */
export function assignWeights(layer: Layer, weights: readonly Any[]): void {
  const paths = layer.weightPaths;
  const named = weights.map((w) => paths.indexOf(w.path));
  const byPath = weights.length === paths.length && new Set(named).size === paths.length && !named.includes(-1);
  const ordered = byPath ? paths.map((_, i) => weights[named.indexOf(i)]) : weights;
  layer.setWeights(ordered.map(tensorTree));
}
function checkState(layer: Layer, state: Any, tolerance: number): void {
  if (!state) return;
  const entries: [string, Any][] = Array.isArray(state) ? state.map((s: Any) => [s.path, s]) : Object.entries(state);
  const paths = layer.weightPaths;
  for (const [path, want] of entries) {
    const v = layer.weights[paths.indexOf(path)];
    if (!v) throw new Error(`no variable ${path} among ${paths.join(", ")}`);
    compare(`state ${path}`, { shape: v.shape, dtype: v.dtype, data: v.snapshot() }, want, tolerance);
  }
}

/** Stateful layers: calls one after another, with resets between. */
export function layerCallsCase(c: Case): void {
  const layer = layerOf(c) as Layer & { resetState?(): void };
  const first = tensorTree(c["steps"].find((s: Any) => s.input).input) as Tensor;
  layer.buildFor(first.shape);
  assignWeights(layer, c["weights"]);
  layer.resetState?.();
  c["steps"].forEach((step: Any, k: number) => {
    if (step.reset_state) {
      layer.resetState!();
      return;
    }
    const run = evaluate([tensorTree(step.input)], ([x]) => ({ outputs: tensorLeaves(layer.apply(x)) }), null);
    goldenLeaves(c["steps_out"][k]).forEach((w, i) => {
      compare(`step ${k} output ${i}`, run.outputs[i], w, c.tol!.output!);
    });
  });
}
