/** The test battery of every layer: building, shapes, configuration, dtypes, gradients, masks, the trainable switch. */
import { expect } from "vitest";
import { gradients } from "../autodiff/gradients.ts";
import type { Value } from "../graph/node.ts";
import { inputValue, onesLike, reduceSum } from "../graph/ops/index.ts";
import { type DType, isFloat, sizeOf } from "../graph/types.ts";
import { Generator } from "../initializers/generator.ts";
import { layerFromConfig } from "../models/registry.ts";
import { compileProgram, runProgram } from "../tensor/engine.ts";
import { Tensor, tensorFrom } from "../tensor/tensor.ts";
import { Trace, withTrace } from "../tensor/trace.ts";
import { isShape, isTensor, mapTree, type ShapeTree, shapesOf, type TensorTree, treeLeaves } from "./arguments.ts";
import type { CallOptions, Layer } from "./layer.ts";
import { maskOf, setMask } from "./mask.ts";

export interface LayerCase {
  /** Shape (tree) of the inputs, with the batch. */
  readonly input: ShapeTree;
  /** Expected shape of the output. */
  readonly output: readonly number[];
  /** Dtype of the inputs (default f32); integers are drawn from 0 … 4. */
  readonly dtype?: DType;
  /** Expected numbers of weights. */
  readonly trainable?: number;
  readonly frozen?: number;
  /** Whether the layer draws random numbers in training. */
  readonly random?: boolean;
  /** Whether gradients reach float inputs (default true). */
  readonly differentiable?: boolean;
}

function samples(shape: ShapeTree, dtype: DType): TensorTree {
  const g = new Generator("layer test");
  return mapTree(shape, isShape, (s) => {
    const sizes = s as readonly number[];
    const data = Array.from({ length: sizeOf(sizes) }, () => (isFloat(dtype) ? g.normal() : g.integer(5)));
    return tensorFrom(dtype === "f32" ? Float32Array.from(data) : Int32Array.from(data), sizes, dtype);
  });
}
const firstOutput = (layer: Layer, x: TensorTree, options: CallOptions = {}): Tensor =>
  treeLeaves(layer.apply<TensorTree>(x, options), isTensor)[0];

/** Gradient of Σ output² in every trainable weight and float input, or null where none flows. */
function gradientsOf(
  layer: Layer,
  x: TensorTree,
  training: boolean,
): { names: string[]; values: (Float32Array | null)[] } {
  const trace = new Trace({ training });
  const weights = layer.trainableWeights;
  const leaves = treeLeaves(x, isTensor);
  const inputs = leaves.map((t, i) => inputValue(`x${i}`, { shape: t.shape, dtype: t.dtype }));
  const found = withTrace(trace, () => {
    let next = 0;
    const y = firstOutput(
      layer,
      mapTree(x, isTensor, () => new Tensor(inputs[next++])),
      { training },
    );
    const loss = reduceSum(y.mul(y).value);
    const targets: Value[] = [...weights.map((v) => v.value()), ...inputs.filter((v) => isFloat(v.dtype))];
    return gradients([loss], [onesLike(loss)], targets);
  });
  const present = found.filter((v): v is Value => v !== null);
  const program = compileProgram({ name: "gradients", inputs, outputs: present, trace });
  const results = runProgram(
    program,
    leaves.map((t) => t.dataSync()),
  );
  let next = 0;
  return {
    names: [...weights.map((v) => v.name), ...leaves.filter((t) => isFloat(t.dtype)).map((_, i) => `input ${i}`)],
    values: found.map((v) => (v === null ? null : (results[next++] as Float32Array))),
  };
}

/** Runs the battery on fresh layers from `make`. */
export function checkLayer(make: (options?: { dtype?: string }) => Layer, c: LayerCase): void {
  const dtype = c.dtype ?? "f32";
  const x = samples(c.input, dtype);
  const open = mapTree(c.input, isShape, (s) => [null, ...s.slice(1)]) as ShapeTree;

  // Building and shapes: inferred without data, and as computed.
  const layer = make();
  expect(layer.computeOutputShape(open)).toEqual([null, ...c.output.slice(1)]);
  expect(layer.built).toBe(true);
  const y = firstOutput(layer, x);
  expect(y.shape).toEqual(c.output);
  expect([layer.trainableWeights.length, layer.nonTrainableWeights.length]).toEqual([c.trainable ?? 0, c.frozen ?? 0]);
  const before = y.dataSync();
  expect([...before].every((v) => Number.isFinite(v))).toBe(true);

  // Configuration: a copy with the same weights computes the same.
  const saved = layer.toConfig();
  expect(JSON.parse(JSON.stringify(saved))).toEqual(saved);
  const copy = layerFromConfig(saved);
  expect(copy.toConfig()).toEqual(saved);
  copy.buildFor(open);
  copy.setWeights(layer.getWeights());
  expect(firstOutput(copy, x).dataSync()).toEqual(before);

  // Weights of the wrong number or shape change nothing.
  if (layer.weights.length > 0) {
    const values = layer.weights.map((v) => v.snapshot());
    expect(() => layer.setWeights(values.slice(1))).toThrow(/E107/);
    expect(() => layer.setWeights([...values.slice(0, -1), new Float32Array(values.at(-1)!.length + 1)])).toThrow(
      /E107/,
    );
    expect(layer.weights.map((v) => v.snapshot())).toEqual(values);
  }

  // Gradients reach every trainable weight and every float input.
  const flow = gradientsOf(layer, x, false);
  flow.values.forEach((g, i) => {
    if (g === null && flow.names[i].startsWith("input") && c.differentiable === false) return;
    expect(g, `gradient of ${flow.names[i]}`).not.toBeNull();
    expect(
      [...g!].every((v) => Number.isFinite(v)),
      `gradient of ${flow.names[i]} is finite`,
    ).toBe(true);
    expect(
      [...g!].some((v) => v !== 0),
      `gradient of ${flow.names[i]} is not zero`,
    ).toBe(true);
  });

  // Training mode: same shape; random layers change with every call and draw the same in programs of the same step.
  const trained = firstOutput(layer, x, { training: true });
  expect(trained.shape).toEqual(c.output);
  if (c.random) {
    const a = trained.dataSync();
    expect(firstOutput(layer, x, { training: true }).dataSync()).not.toEqual(a);
    expect(a).not.toEqual(before);
  }

  // The switch: no trainable weights, and their own flags follow.
  layer.trainable = false;
  expect(layer.trainableWeights).toEqual([]);
  layer.trainable = true;
  expect(layer.trainableWeights.length).toBe(c.trainable ?? 0);

  // Dtypes: weights stay f32, outputs come in the compute dtype.
  const mixed = make({ dtype: "mixed_bfloat16" });
  const narrow = firstOutput(mixed, x);
  if (dtype === "f32") expect(narrow.dtype).toBe("bf16");
  expect(mixed.weights.every((v) => v.dtype === "f32" || !isFloat(v.dtype))).toBe(true);

  // Masks: refused, used up, or passed.
  if (isShape(c.input) && c.input.length >= 2) {
    const [n, t] = c.input as readonly number[];
    const mask = tensorFrom(
      Uint8Array.from({ length: n * t }, (_, i) => (i % t === 0 ? 1 : 0)),
      [n, t],
      "bool",
    );
    const masked = setMask(tensorFrom((x as Tensor).dataSync(), c.input as readonly number[], dtype), mask);
    if (layer.masking === "refuse") expect(() => firstOutput(layer, masked)).toThrow(/E106/);
    else if (layer.masking === "pass") expect(maskOf(firstOutput(layer, masked))).toBe(mask);
    else expect(maskOf(firstOutput(layer, masked))).toBeNull();
  }
  expect(shapesOf(x)).toEqual(c.input);
}
