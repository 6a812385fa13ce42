/** The training loop: epochs, batches, validation, callbacks, the progress line. */
import type { Callback } from "../callbacks/callback.ts";
import { History } from "../callbacks/history.ts";
import { LayerwiseError } from "../errors.ts";
import { currentSettings } from "../tensor/config.ts";
import { compileTogether } from "../tensor/device-program.ts";
import type { Tree } from "../tensor/tree.ts";
import { Yielder } from "../tensor/yielding.ts";
import { BatchOrder } from "./batches.ts";
import { checkBatchSize, checkCount, checkFinite } from "./checks.ts";
import { type DataTree, type RowSource, rowCount, sliceRows } from "./data.ts";
import type { FitOptions, Logs } from "./options.ts";
import { Profiler, profileWish, reportProfile } from "./profile.ts";
import { type StepData, storedRows } from "./step.ts";
import { progressLine } from "./terminal.ts";
import { overrides, type Trainer, verbosity } from "./trainer.ts";

interface Validation {
  readonly data: StepData;
  readonly order: BatchOrder;
  readonly steps: number;
  /** Whether to validate after epoch e (from 0). */
  readonly due: (epoch: number) => boolean;
}

export async function runFit(trainer: Trainer, x: DataTree, y: DataTree | null, options: FitOptions): Promise<History> {
  const { model } = trainer;
  const epochs = checkCount(options.epochs ?? 1, "epochs");
  const initialEpoch = checkCount(options.initialEpoch ?? 0, "initialEpoch");
  const batchSize = checkBatchSize(options.batchSize ?? 32);
  const all = trainer.stepData(x, y, options.sampleWeight ?? null, options.classWeight ?? null);
  const { train, held } = split(all, options);
  checkFinite(all.x, "x");
  const seed = (options.shuffle ?? true) ? currentSettings().seed : null;
  const order = new BatchOrder(rowCount(train.x), batchSize, seed);
  const stepsPerEpoch =
    options.stepsPerEpoch === undefined ? order.steps : checkCount(options.stepsPerEpoch, "stepsPerEpoch", 1);
  const validation = validationOf(trainer, held, options, batchSize);
  trainer.prepare(train, "train");
  if (validation) trainer.prepare(validation.data, "test");

  // Every program that will be needed is compiled before the first step.
  const sizes = order.sizes(stepsPerEpoch);
  const steps = compileTogether(() => {
    const made = new Map(sizes.map((rows) => [rows, trainer.step("train", train, rows)]));
    for (const rows of validation?.order.sizes(validation.steps) ?? []) trainer.step("test", validation!.data, rows);
    trainer.readerOfResults();
    return made;
  });

  const verbose = verbosity(options.verbose);
  const history = new History();
  const callbacks = trainer.attach([...(options.callbacks ?? []), history], stepsPerEpoch, epochs, verbose);
  const beginners = callbacks.filter((c) => overrides(c, "onTrainBatchBegin"));
  const enders = callbacks.filter((c) => overrides(c, "onTrainBatchEnd"));
  const wantsLogs = enders.some((c) => c.batchLogs);
  const stored = storedRows(train);
  const line = progressLine(verbose);
  const yielder = new Yielder();
  const wish = profileWish(options.profile);
  const profiler = wish === false ? null : new Profiler();
  model.stopTraining = false;
  model.history = history;
  let batch = 0; // position in the pass over the data
  let pass = initialEpoch;
  let rowOrder = order.order(pass);
  try {
    await each(trainer, callbacks, (c) => c.onTrainBegin({}));
    for (let epoch = initialEpoch; epoch < epochs && !model.stopTraining; epoch++) {
      trainer.resetMetrics();
      await each(trainer, callbacks, (c) => c.onEpochBegin(epoch, {}));
      line.epochBegin({ epoch: epoch + 1, epochs, steps: stepsPerEpoch });
      const started = performance.now();
      for (let k = 0; k < stepsPerEpoch && !model.stopTraining; k++) {
        if (batch === order.steps) {
          batch = 0;
          rowOrder = order.order(++pass);
        }
        const rows = order.rowsOf(batch);
        const known = steps.get(rows)!;
        // A callback may have frozen layers or replaced weights.
        const step = known.valid() ? known : trainer.step("train", train, rows);
        if (step !== known) steps.set(rows, step);
        if (beginners.length > 0) await each(trainer, beginners, (c) => c.onTrainBatchBegin(k, {}));
        step.run(stored, rowOrder, batch * order.batchSize);
        batch++;
        if (enders.length > 0) {
          const logs = wantsLogs ? trainer.results() : {};
          await each(trainer, enders, (c) => c.onTrainBatchEnd(k, c.batchLogs ? logs : {}));
        }
        const now = performance.now();
        if (yielder.due(now)) await yielder.yield();
        if (line.due()) line.step({ step: k + 1, logs: trainer.results(), elapsedMs: now - started });
      }
      const logs: Logs = trainer.results();
      if (validation?.due(epoch)) {
        line.note("validating");
        const found = await trainer.testPass(
          validation.data,
          validation.order,
          validation.steps,
          options.callbacks ?? [],
        );
        trainer.attach(callbacks, stepsPerEpoch, epochs, verbose);
        for (const [name, value] of Object.entries(found)) logs[`val_${name}`] = value;
      }
      line.epochEnd({ logs, seconds: (performance.now() - started) / 1000 });
      await each(trainer, callbacks, (c) => c.onEpochEnd(epoch, logs));
      await yielder.yield();
    }
    trainer.optimizer.finalizeVariableValues();
    await each(trainer, callbacks, (c) => c.onTrainEnd({}));
  } finally {
    line.end();
    if (profiler && wish !== false) reportProfile(profiler.stop(), wish);
  }
  return history;
}

function each(
  trainer: Trainer,
  callbacks: readonly Callback[],
  call: (c: Callback) => void | Promise<void>,
): Promise<void> {
  return trainer.inCallback(async () => {
    for (const c of callbacks) {
      const reply = call(c);
      if (reply !== undefined) await reply;
    }
  });
}

/** Training rows, and the tail that `validationSplit` keeps back. */
function split(all: StepData, options: FitOptions): { train: StepData; held: StepData | null } {
  const share = options.validationSplit ?? 0;
  if (share === 0 || options.validationData !== undefined) return { train: all, held: null };
  const rows = rowCount(all.x);
  const at = Math.floor(rows * (1 - share));
  if (!(share > 0 && share < 1) || at === 0 || at === rows) {
    throw new LayerwiseError("the validation split leaves nothing on one side", {
      code: "E306",
      received: `validationSplit ${share} of ${rows} rows`,
      expected: "a share between 0 and 1 with at least one row on each side",
    });
  }
  const part = (tree: Tree<RowSource> | null, from: number, to: number) =>
    tree === null ? null : sliceRows(tree, from, to);
  const cut = (from: number, to: number): StepData => ({
    x: sliceRows(all.x, from, to),
    y: part(all.y, from, to),
    weight: part(all.weight, from, to),
  });
  return { train: cut(0, at), held: cut(at, rows) };
}

function validationOf(
  trainer: Trainer,
  held: StepData | null,
  options: FitOptions,
  batchSize: number,
): Validation | null {
  const given = options.validationData;
  if (given !== undefined && (!Array.isArray(given) || given.length < 2 || given.length > 3)) {
    throw new LayerwiseError("validationData is not valid", {
      code: "E306",
      received: `${Array.isArray(given) ? given.length : typeof given} parts`,
      expected: "[x, y] or [x, y, sampleWeight]",
    });
  }
  const data = given ? trainer.stepData(given[0], given[1], given[2] ?? null, null) : held;
  if (!data) return null;
  if (given) checkFinite(data.x, "the validation data");
  const order = new BatchOrder(rowCount(data.x), checkBatchSize(options.validationBatchSize ?? batchSize), null);
  const steps = Math.min(options.validationSteps ?? order.steps, order.steps);
  const frequency = options.validationFreq ?? 1;
  const due =
    typeof frequency === "number" ? (e: number) => (e + 1) % frequency === 0 : (e: number) => frequency.includes(e + 1);
  return { data, order, steps, due };
}
