/** Step programs: one traced function that trains, tests or predicts one batch. */
import { gradients } from "../autodiff/gradients.ts";
import { formatShape, LayerwiseError } from "../errors.ts";
import { type Value, withScope } from "../graph/node.ts";
import { add, scalar } from "../graph/ops/index.ts";
import type { TypedArray } from "../graph/types.ts";
import { isTensor, mapTree, type TensorTree, treeLeaves } from "../layers/arguments.ts";
import type { Layer } from "../layers/layer.ts";
import { type CallScope, inScope } from "../layers/scope.ts";
import { constraintOf } from "../layers/weights.ts";
import type { Mean, Metric } from "../metrics/index.ts";
import type { Optimizer } from "../optimizers/index.ts";
import { compileProgram, type Program } from "../tensor/engine.ts";
import { Tensor } from "../tensor/tensor.ts";
import { Trace, withTrace } from "../tensor/trace.ts";
import type { Tree } from "../tensor/tree.ts";
import type { Variable } from "../tensor/variable.ts";
import type { CompiledLoss } from "./compile-loss.ts";
import type { CompiledMetrics } from "./compile-metrics.ts";
import { batchInputs, gatherRows, isRowSource, type RowSource, type StoredRows } from "./data.ts";

/** The trees one step reads: inputs, targets, sample weights. */
export interface StepData {
  readonly x: Tree<RowSource>;
  readonly y: Tree<RowSource> | null;
  readonly weight: Tree<RowSource> | null;
}

/** What a step needs of the compiled model. */
export interface StepParts {
  readonly model: Layer;
  readonly loss: CompiledLoss | null;
  readonly metrics: CompiledMetrics | null;
  readonly optimizer: Optimizer | null;
  readonly lossTracker: Mean;
  /** Trackers of each output's loss, when there are several. */
  readonly outputTrackers: readonly (Mean | null)[];
  /** Number of training steps so far, u32 []; part of the keys of random layers. */
  readonly stepCounter: Variable;
  readonly seed: number;
}

export type StepKind = "train" | "test" | "predict";

/** A compiled step. */
export interface Step {
  readonly rows: number;
  /** Gathers the rows and runs; the outputs of a predict step, written to `into` if given. */
  run(
    data: readonly StoredRows[],
    order: Uint32Array | null,
    start: number,
    into?: readonly TypedArray[],
  ): TypedArray[];
  /** Shapes of the outputs of a predict step. */
  readonly outputs: readonly Value[];
  readonly outputTree: TensorTree | null;
  /** Whether the variables are still where the program expects them. */
  valid(): boolean;
  release(): void;
}

/** All stored arrays of a step's data, in the order of its inputs. */
export function storedRows(data: StepData): StoredRows[] {
  return sourcesOf(data).flatMap((s) => s.stored);
}

function sourcesOf(data: StepData): RowSource[] {
  return treeLeaves([data.x, data.y, data.weight], isRowSource);
}

/** Equal for data that can use the same program. */
export function dataKey(data: StepData): string {
  const shape = (t: Tree<RowSource> | null) => JSON.stringify(mapTree(t, isRowSource, (s) => s.key));
  return `${shape(data.x)}|${shape(data.y)}|${shape(data.weight)}`;
}

/** Traces and compiles the step for batches of `rows`. */
export function compileStep(kind: StepKind, parts: StepParts, data: StepData, rows: number): Step {
  const stored = storedRows(data);
  const inputs = batchInputs(stored, rows);
  const trace = new Trace({ training: kind === "train" });
  const outputTree = withTrace(trace, () => traceStep(kind, parts, data, inputs, rows));
  const outputs = outputTree === null ? [] : treeLeaves(outputTree, isTensor).map((t) => t.value);
  const program = compileProgram({ name: `${kind} ${rows}`, inputs, outputs, trace });
  return makeStep(program, trace, rows, outputs, outputTree);
}

function makeStep(
  program: Program,
  trace: Trace,
  rows: number,
  outputs: readonly Value[],
  outputTree: TensorTree | null,
): Step {
  const seen = [...trace.initial.keys(), ...trace.members.keys()].map((v) => [v, v.version] as const);
  return {
    rows,
    outputs,
    outputTree,
    run(data, order, start, into) {
      gatherRows(data, program.inputs(), rows, order, start);
      return program.execute(into);
    },
    valid: () => seen.every(([v, version]) => v.version === version),
    release: () => program.release(),
  };
}

function traceStep(
  kind: StepKind,
  parts: StepParts,
  data: StepData,
  inputs: readonly Value[],
  rows: number,
): TensorTree | null {
  let next = 0;
  const take = (tree: Tree<RowSource> | null) =>
    tree === null
      ? null
      : mapTree(tree, isRowSource, (s) => new Tensor(s.build(inputs.slice(next, (next += s.stored.length)), rows)));
  const x = take(data.x) as TensorTree;
  const y = take(data.y);
  const weight = take(data.weight);
  let randomUsed = false;
  const scope: CallScope = {
    training: kind === "train",
    losses: [],
    path: "",
    calls: 0,
    seed: parts.seed,
    step: () => {
      randomUsed = true;
      return parts.stepCounter.value();
    },
  };
  const { model, loss, metrics, optimizer } = parts;
  const outputs = inScope(scope, () => model.apply<TensorTree>(x, { training: kind === "train", staged: true }));
  if (kind === "predict") return outputs;
  const yPred = treeLeaves(outputs, isTensor);
  const yTrue = aligned(y, yPred.length, "y");
  const weights = aligned(weight, yPred.length, "sampleWeight", true);
  const { total, each } = withScope("loss", () =>
    loss!.compute(yTrue, yPred, weights, [...scope.losses, ...model.weightLosses()]),
  );
  if (kind === "train") {
    update(optimizer!, model.trainableWeights, total);
    if (randomUsed) parts.stepCounter.assign(new Tensor(add(parts.stepCounter.value(), scalar(1, "u32"))));
  }
  withScope("metrics", () => parts.lossTracker.updateState(total, rows));
  parts.outputTrackers.forEach((tracker, i) => {
    const value = each[i];
    if (value) tracker?.updateState(value, rows);
  });
  withScope("metrics", () => metrics?.update(yTrue, yPred, weights));
  return null;
}

/** One optimizer step, then the constraints. */
function update(optimizer: Optimizer, variables: readonly Variable[], loss: Tensor): void {
  if (loss.ndim !== 0) {
    throw new LayerwiseError("a loss must be one number per batch", {
      code: "E304",
      received: formatShape(loss.shape),
      expected: "[]",
      hint: "average over the batch, or use a reduction",
    });
  }
  const targets = variables.map((v) => v.value());
  // The optimizer divides by the loss scale again, after gradients too small for half precision have survived.
  const { lossScaleFactor } = optimizer.options as { lossScaleFactor?: number | null };
  const found = gradients([loss.value], [scalar(lossScaleFactor ?? 1, loss.dtype)], targets);
  withScope("optimizer", () =>
    optimizer.apply(
      found.map((g) => (g === null ? null : new Tensor(g))),
      variables,
    ),
  );
  for (const v of variables) {
    const constraint = constraintOf(v);
    if (constraint) v.assign(constraint.call(v.read()));
  }
}

/** Leaves of a tree, one per output. A single tensor may stand for all when `spread`. */
function aligned(tree: Tree<Tensor> | null, count: number, what: string, spread = false): (Tensor | null)[] {
  if (tree === null) return new Array(count).fill(null);
  const leaves = treeLeaves(tree, isTensor);
  if (leaves.length === count) return leaves;
  if (spread && leaves.length === 1) return new Array(count).fill(leaves[0]);
  throw new LayerwiseError(`${what} has another number of parts than the model has outputs`, {
    code: "E302",
    received: String(leaves.length),
    expected: String(count),
  });
}

/** A program that reads the results of metrics; compiled once, run when logs are wanted. */
export interface ResultReader {
  read(): Record<string, number>;
  valid(): boolean;
  release(): void;
}

export function compileResults(metrics: readonly { readonly name: string; readonly metric: Metric }[]): ResultReader {
  const trace = new Trace();
  const results = withTrace(trace, () => metrics.map(({ metric }) => metric.result()));
  const program = compileProgram({ name: "metrics", inputs: [], outputs: results.map((t) => t.value), trace });
  const seen = [...trace.initial.keys()].map((v) => [v, v.version] as const);
  return {
    read() {
      const values = program.execute();
      const logs: Record<string, number> = {};
      metrics.forEach(({ name }, i) => {
        // Metrics with one value per class are logged as name_0, name_1, …
        if (values[i].length === 1) logs[name] = values[i][0];
        else for (let k = 0; k < values[i].length; k++) logs[`${name}_${k}`] = values[i][k];
      });
      return logs;
    },
    valid: () => seen.every(([v, version]) => v.version === version),
    release: () => program.release(),
  };
}
