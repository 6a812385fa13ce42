/** The trainer of one model: compiled losses, metrics, optimizer and step programs, and the entry points of training. */
import { Callback } from "../callbacks/callback.ts";
import type { History } from "../callbacks/history.ts";
import { LayerwiseError } from "../errors.ts";
import { allocate, sizeOf, type TypedArray } from "../graph/types.ts";
import { asHostValues, isHostValue, isTensor, mapTree, treeLeaves } from "../layers/arguments.ts";
import { checkIndices } from "../layers/index-table.ts";
import { inferOutputs, type Open } from "../layers/infer.ts";
import { Mean, type Metric } from "../metrics/index.ts";
import type { Model } from "../models/model.ts";
import { type Optimizer, optimizerRegistry } from "../optimizers/index.ts";
import { currentSettings, onConfigure } from "../tensor/config.ts";
import { type Tensor, tensorFrom } from "../tensor/tensor.ts";
import type { Tree } from "../tensor/tree.ts";
import { Variable } from "../tensor/variable.ts";
import { Yielder } from "../tensor/yielding.ts";
import { BatchOrder } from "./batches.ts";
import { checkBatchSize, checkFinite, checkRows } from "./checks.ts";
import { withClassWeight } from "./class-weight.ts";
import { CompiledLoss } from "./compile-loss.ts";
import { CompiledMetrics } from "./compile-metrics.ts";
import { type DataTree, isRowSource, type RowSource, rowCount, rowSources } from "./data.ts";
import { runFit } from "./fit.ts";
import { checkMistakes } from "./mistakes.ts";
import type { ClassWeight, CompileOptions, EvaluateOptions, FitOptions, Logs, PredictOptions } from "./options.ts";
import {
  compileResults,
  compileStep,
  dataKey,
  type ResultReader,
  type Step,
  type StepData,
  type StepKind,
  type StepParts,
  storedRows,
} from "./step.ts";
import { progressLine } from "./terminal.ts";

/** Compiled steps kept for reuse; more kinds of batches than this are compiled again when they return. */
const maxSteps = 32;

/** Grows with every `configure`, so that programs of the former device are not used. */
let generation = 0;
onConfigure((_, changed) => {
  if (Object.keys(changed).some((k) => k !== "seed" && k !== "silence")) generation++;
});

interface Prepared {
  readonly loss: CompiledLoss | null;
  readonly metrics: CompiledMetrics | null;
  readonly outputTrackers: readonly (Mean | null)[];
}

export class Trainer {
  readonly model: Model;
  private options: CompileOptions | null = null;
  private chosenOptimizer: Optimizer | null = null;
  private prepared: Prepared | null = null;
  private readonly steps = new Map<string, Step>();
  private reader: ResultReader | null = null;
  private readonly lossTracker: Mean;
  private readonly stepCounter = new Variable(new Uint32Array(1), [], "u32", { name: "step", trainable: false });
  /** The end of the queue of fits and evaluations. */
  private queue: Promise<unknown> = Promise.resolve();
  /** While a callback runs, what it calls may use the model at once. */
  insideCallback = false;

  constructor(model: Model) {
    this.model = model;
    this.lossTracker = new Mean({ name: "loss" });
  }

  compile(options: CompileOptions): void {
    this.chosenOptimizer = optimizerRegistry.get(options.optimizer ?? "rmsprop");
    this.options = options;
    this.prepared = null;
    this.invalidate();
  }
  get optimizer(): Optimizer {
    if (!this.chosenOptimizer) throw this.notCompiled("the optimizer");
    return this.chosenOptimizer;
  }
  get isCompiled(): boolean {
    return this.options !== null;
  }
  get compileOptions(): CompileOptions | null {
    return this.options;
  }
  /** The loss tracker, trackers of single outputs, and metrics. */
  get metrics(): Metric[] {
    return [
      this.lossTracker,
      ...this.trackers()
        .slice(1)
        .map((t) => t.metric),
    ];
  }
  /** Programs are compiled again on next use. */
  invalidate(): void {
    for (const step of this.steps.values()) step.release();
    this.steps.clear();
    this.reader?.release();
    this.reader = null;
  }

  // Entry points.

  fit(x: DataTree, y: DataTree | null, options: FitOptions): Promise<History> {
    return this.exclusive(() => runFit(this, x, y, options));
  }

  evaluate(x: DataTree, y: DataTree | null, options: EvaluateOptions): Promise<Logs> {
    return this.exclusive(async () => {
      const data = this.stepData(x, y, options.sampleWeight ?? null, null);
      checkFinite(data.x, "x");
      const order = new BatchOrder(rowCount(data.x), checkBatchSize(options.batchSize ?? 32), null);
      this.prepare(data, "test");
      const line = progressLine(verbosity(options.verbose));
      const started = performance.now();
      const total = Math.min(options.steps ?? order.steps, order.steps);
      line.begin("Evaluate", total);
      const logs = await this.testPass(data, order, total, options.callbacks ?? []);
      line.finish({ logs, seconds: (performance.now() - started) / 1000 });
      return logs;
    });
  }

  predict(x: DataTree, options: PredictOptions): Promise<Tree<Tensor>> {
    return this.exclusive(async () => {
      const data: StepData = { x: this.inputSources(x), y: null, weight: null };
      checkRows(data.x, null, null);
      this.prepare(data, "predict");
      const order = new BatchOrder(rowCount(data.x), checkBatchSize(options.batchSize ?? 32), null);
      const total = Math.min(options.steps ?? order.steps, order.steps);
      const callbacks = this.attach(options.callbacks ?? [], total);
      const stored = storedRows(data);
      const rows = Math.min(order.rows, total * order.batchSize);
      const yielder = new Yielder();
      let out: TypedArray[] = [];
      let tree: Tree<Tensor> | null = null;
      let shapes: (readonly number[])[] = [];
      for (const c of callbacks) await c.onPredictBegin();
      const stepFor = this.stepsOf("predict", data);
      for (let k = 0; k < total; k++) {
        const n = order.rowsOf(k);
        const step = stepFor(n);
        for (const c of callbacks) await c.onPredictBatchBegin(k);
        if (k === 0) {
          shapes = step.outputs.map((v) => [rows, ...v.shape.slice(1)]);
          out = step.outputs.map((v, i) => allocate(v.dtype, sizeOf(shapes[i])));
          tree = step.outputTree;
        }
        const into = out.map((o) => {
          const perRow = o.length / rows;
          return o.subarray(k * order.batchSize * perRow, (k * order.batchSize + n) * perRow) as TypedArray;
        });
        step.run(stored, null, k * order.batchSize, into);
        for (const c of callbacks) await c.onPredictBatchEnd(k);
        if (yielder.due(performance.now())) await yielder.yield();
      }
      for (const c of callbacks) await c.onPredictEnd();
      let next = 0;
      return mapTree(tree, isTensor, (t) => {
        const i = next++;
        return tensorFrom(out[i], shapes[i], t.dtype);
      });
    });
  }

  predictOnBatch(x: DataTree): Promise<Tree<Tensor>> {
    return this.predict(x, { batchSize: Number.MAX_SAFE_INTEGER });
  }

  onBatch(
    kind: "train" | "test",
    x: DataTree,
    y: DataTree | null,
    options: {
      sampleWeight?: DataTree | null | undefined;
      classWeight?: ClassWeight | null | undefined;
      resetMetrics?: boolean | undefined;
    },
  ): Promise<Logs> {
    return this.exclusive(async () => {
      const data = this.stepData(x, y, options.sampleWeight ?? null, options.classWeight ?? null);
      checkFinite(data.x, "x");
      this.prepare(data, kind);
      const step = this.step(kind, data, rowCount(data.x));
      if (options.resetMetrics ?? true) this.resetMetrics();
      step.run(storedRows(data), null, 0);
      return this.results();
    });
  }

  // What fit uses.

  /** Sources of a call's data, with equal numbers of rows and outputs in the model's order. */
  stepData(x: DataTree, y: DataTree | null, sampleWeight: DataTree | null, classWeight: ClassWeight | null): StepData {
    if (!this.options) throw this.notCompiled("training and evaluation");
    const xs = this.inputSources(x);
    const ys = y === null ? null : this.inOutputOrder(rowSources(y, "y"));
    const given = sampleWeight === null ? null : this.inOutputOrder(rowSources(sampleWeight, "sampleWeight"));
    checkRows(xs, ys, given);
    if (ys) checkFinite(ys, "y");
    if (given) checkFinite(given, "sampleWeight");
    return { x: xs, y: ys, weight: classWeight ? withClassWeight(ys, classWeight, given) : given };
  }

  /** Row sources of x, after the model's host stage. All rows pass it at once, so sequences are padded to one length. */
  private inputSources(x: DataTree): Tree<RowSource> {
    const { model } = this;
    if (!model.hostStage) return this.withIndicesChecked(rowSources(x, "x"));
    const given = asHostValues(x);
    if (treeLeaves(given, isHostValue).length === 0) return rowSources(x, "x"); // which says that there is no data
    const opened = mapTree(given, isHostValue, (t) => (t.ndim === 0 ? [] : [null, ...t.shape.slice(1)]));
    if (!model.built) model.buildFor(opened as never);
    return this.withIndicesChecked(rowSources(model.hostStage.run(given) as DataTree, "x"));
  }
  /** Row numbers that go straight to an embedding must lie in its table. */
  private withIndicesChecked(xs: Tree<RowSource>): Tree<RowSource> {
    const leaves = treeLeaves(xs, isRowSource);
    for (const { input, table } of this.model.indexInputs) {
      const [stored, ...more] = leaves[input]?.stored ?? [];
      if (stored && more.length === 0 && stored.dtype === leaves[input].dtype)
        checkIndices(stored.data, stored.rowSize, table);
    }
    return xs;
  }

  /** Builds what is not built: layers, losses, metrics, optimizer; checks targets against outputs. */
  prepare(data: StepData, kind: StepKind): void {
    const { model } = this;
    const open = mapTree(
      data.x,
      isRowSource,
      (s): Open => ({ shape: [null, ...s.rowShape], dtype: s.dtype, maskShape: null }),
    );
    if (!model.built) model.buildFor(mapTree(data.x, isRowSource, (s) => [null, ...s.rowShape]) as never);
    if (kind === "predict") return;
    const outputs = treeLeaves(inferOutputs(model, open, { staged: true }), isOpen);
    const targets = data.y === null ? [] : treeLeaves(data.y, isRowSource);
    const names = model.outputNames;
    const loss = this.prepared?.loss ?? new CompiledLoss(this.options!, names, outputs.length);
    checkMistakes(model, loss, targets, outputs);
    if (!this.prepared) {
      const yTrue = outputs.map((_, i) => (targets[i] ? [null, ...targets[i].rowShape] : null));
      const metrics = new CompiledMetrics(this.options!, names, { yTrue, yPred: outputs.map((o) => o.shape) });
      const outputTrackers = loss.losses.map((l, i) =>
        loss.several && l ? new Mean({ name: `${names[i] ?? `output_${i}`}_loss` }) : null,
      );
      this.prepared = { loss, metrics, outputTrackers };
    }
    if (kind === "train") this.optimizer.build(model.trainableWeights);
  }

  /** The compiled step for batches of `rows`. */
  step(kind: StepKind, data: StepData, rows: number): Step {
    const trainable = kind === "train" ? this.model.trainableWeights.map((v) => v.id).join() : "";
    const key = `${generation}|${currentSettings().seed}|${kind}|${rows}|${dataKey(data)}|${trainable}`;
    const known = this.steps.get(key);
    if (known?.valid()) return known;
    known?.release();
    this.steps.delete(key);
    const step = compileStep(kind, this.parts(), data, rows);
    this.steps.set(key, step);
    if (this.steps.size > maxSteps) {
      const [oldest, victim] = this.steps.entries().next().value!;
      victim.release();
      this.steps.delete(oldest);
    }
    return step;
  }

  /** Steps for one pass over some data, by number of rows: the key of a step takes longer to make than a small step to run. */
  private stepsOf(kind: StepKind, data: StepData): (rows: number) => Step {
    const known = new Map<number, Step>();
    return (rows) => {
      let step = known.get(rows);
      if (!step?.valid()) {
        step = this.step(kind, data, rows);
        known.set(rows, step);
      }
      return step;
    };
  }

  /** Compiles the reader of logs, so that it is ready before the first step. */
  readerOfResults(): ResultReader {
    if (!this.reader?.valid()) {
      this.reader?.release();
      this.reader = compileResults(this.trackers());
    }
    return this.reader;
  }
  /** The logs so far, from the device. */
  results(): Logs {
    return this.readerOfResults().read();
  }
  resetMetrics(): void {
    for (const { metric } of this.trackers()) metric.resetState();
  }
  /** One pass over test data; metrics start afresh. */
  async testPass(data: StepData, order: BatchOrder, total: number, given: readonly Callback[]): Promise<Logs> {
    const callbacks = this.attach(given, total);
    const stored = storedRows(data);
    const yielder = new Yielder();
    const watchers = callbacks.filter((c) => overrides(c, "onTestBatchBegin") || overrides(c, "onTestBatchEnd"));
    this.resetMetrics();
    for (const c of callbacks) await this.inCallback(() => c.onTestBegin());
    const stepFor = this.stepsOf("test", data);
    for (let k = 0; k < total; k++) {
      const step = stepFor(order.rowsOf(k));
      for (const c of watchers) await this.inCallback(() => c.onTestBatchBegin(k));
      step.run(stored, null, k * order.batchSize);
      for (const c of watchers) await this.inCallback(() => c.onTestBatchEnd(k, c.batchLogs ? this.results() : {}));
      if (yielder.due(performance.now())) await yielder.yield();
    }
    const logs = this.results();
    for (const c of callbacks) await this.inCallback(() => c.onTestEnd(logs));
    return logs;
  }
  /** Introduces callbacks to the model. */
  attach(callbacks: readonly Callback[], steps: number, epochs = 1, verbose: 0 | 1 | 2 = 0): readonly Callback[] {
    for (const c of callbacks) {
      if (!(c instanceof Callback)) {
        throw new LayerwiseError("this is not a callback", {
          code: "E202",
          received: typeof c,
          expected: "an object of a subclass of Callback",
          hint: "lambdaCallback({ onEpochEnd }) makes one from functions",
        });
      }
      c.setModel(this.model);
      c.setParams({ epochs, steps, verbose });
    }
    return callbacks;
  }
  /** Runs a callback; what it calls on this model need not wait for the fit it is part of. */
  async inCallback(body: () => void | Promise<void>): Promise<void> {
    const saved = this.insideCallback;
    this.insideCallback = true;
    try {
      await body();
    } finally {
      this.insideCallback = saved;
    }
  }

  // Inside.

  private async exclusive<T>(body: () => Promise<T>): Promise<T> {
    if (this.insideCallback) return body();
    const before = this.queue;
    let done: () => void = () => {};
    this.queue = new Promise<void>((resolve) => {
      done = resolve;
    });
    try {
      await before;
      return await body();
    } finally {
      done();
    }
  }
  private trackers(): { name: string; metric: Metric }[] {
    const { prepared } = this;
    return [
      { name: "loss", metric: this.lossTracker },
      ...(prepared?.outputTrackers ?? []).flatMap((metric) => (metric ? [{ name: metric.name, metric }] : [])),
      ...(prepared?.metrics?.attached ?? []).map(({ name, metric }) => ({ name, metric })),
    ];
  }
  private parts(): StepParts {
    return {
      model: this.model,
      loss: this.prepared?.loss ?? null,
      metrics: this.prepared?.metrics ?? null,
      outputTrackers: this.prepared?.outputTrackers ?? [],
      optimizer: this.chosenOptimizer,
      lossTracker: this.lossTracker,
      stepCounter: this.stepCounter,
      seed: currentSettings().seed,
    };
  }
  /** A record by output name as a list in the model's order. */
  private inOutputOrder(tree: Tree<RowSource>): Tree<RowSource> {
    if (isRowSource(tree) || Array.isArray(tree)) return tree;
    const names = this.model.outputNames;
    const record = tree as { [name: string]: Tree<RowSource> };
    if (names.length === 0 || !names.every((n) => n in record)) return tree;
    return names.map((n) => record[n]);
  }
  private notCompiled(what: string): LayerwiseError {
    return new LayerwiseError(`${what} of ${this.model.describe()} needs compile() first`, {
      code: "E207",
      layer: this.model.name,
      received: "a model that is not compiled",
      expected: 'model.compile({ optimizer: "adam", loss: "…" })',
    });
  }
}

export function verbosity(verbose: 0 | 1 | 2 | "auto" | undefined): 0 | 1 | 2 {
  return verbose === undefined || verbose === "auto" ? 1 : verbose;
}

/** Whether a callback has its own version of a method. */
export function overrides(callback: Callback, method: keyof Callback): boolean {
  return callback[method] !== Callback.prototype[method];
}

const isOpen = (x: unknown): x is Open => x !== null && typeof x === "object" && "shape" in x && "dtype" in x;
