/** Callback cases: a callback watches a stand-in for a model with one weight. */
import { callbacks, type Model } from "@layerwise/core";
import { type Case, camel, compareNumber, Mismatch, numberOf, Skip } from "./cases.ts";

/** What callbacks touch of a model: one weight, a learning rate kept in float32, the wish to stop. */
class Stand {
  stopTraining = false;
  weight = 0;
  metrics = [];
  optimizer = {
    rate: 0.1,
    get learningRate() {
      return this.rate;
    },
    set learningRate(x: number) {
      this.rate = Math.fround(x);
    },
  };
  get weights() {
    return [{ snapshot: () => Float32Array.of(this.weight) }];
  }
  setWeights(values: readonly Float32Array[]) {
    this.weight = values[0][0];
  }
}

type Logs = Record<string, number>;
/** The schedules of the LearningRateScheduler cases, by the meaning that the case states. */
function schedule(meaning: string): (epoch: number, rate: number) => number {
  const f = new Function("epoch", "lr", `return (${meaning.replace(/^.*?=>/, "")})`) as (
    e: number,
    r: number,
  ) => number;
  return f;
}

export async function runCallback(c: Case): Promise<void> {
  const options = Object.fromEntries(Object.entries((c["kwargs"] ?? {}) as Logs).map(([k, v]) => [camel(k), v]));
  switch (c.class) {
    case "EarlyStopping":
      return play(new callbacks.EarlyStopping(options), c);
    case "ReduceLROnPlateau":
      return play(new callbacks.ReduceLROnPlateau(options), c);
    case "TerminateOnNaN":
      return play(new callbacks.TerminateOnNaN(), c);
    case "LearningRateScheduler":
      return play(new callbacks.LearningRateScheduler(schedule(c["function_meaning"])), c);
    case "CSVLogger": {
      let text = "";
      const logger = new callbacks.CSVLogger((t) => {
        text += t;
      });
      for (const [e, logs] of (c["epoch_logs"] as Logs[]).entries()) await logger.onEpochEnd(e, logs);
      if (text !== c["expected"].file_text) throw new Mismatch(`file text ${JSON.stringify(text)}`);
      return;
    }
    default:
      throw new Skip(`class ${c.class}`);
  }
}

async function play(callback: callbacks.Callback, c: Case): Promise<void> {
  const model = new Stand();
  model.optimizer.learningRate = c["initial_lr"];
  callback.setModel(model as unknown as Model);
  await callback.onTrainBegin({});
  const batches = c["batch_losses"] as (number | string)[][] | undefined;
  const epochs = (c["epoch_logs"] ?? batches!.map((b) => ({ loss: b[b.length - 1] }))) as Record<
    string,
    number | string
  >[];
  const { trace, final_marker, attributes } = c["expected"];
  const same = (what: string, got: unknown, want: unknown): void => {
    if (got !== want) throw new Mismatch(`${what}: ${got}, expected ${want}`);
  };
  for (const [e, given] of epochs.entries()) {
    if (e >= trace.length) break;
    const want = trace[e];
    const logs: Logs = Object.fromEntries(Object.entries(given).map(([k, v]) => [k, numberOf(v)]));
    await callback.onEpochBegin(e, {});
    compareNumber(`rate during epoch ${e}`, model.optimizer.learningRate, want.lr_during, 1e-7);
    for (const [b, loss] of (batches?.[e] ?? []).entries()) {
      if (model.stopTraining) break;
      await callback.onTrainBatchEnd(b, { loss: numberOf(loss) });
      if (model.stopTraining) same("stopping batch", b, want.stop_batch);
    }
    model.weight = e + 1;
    await callback.onEpochEnd(e, logs);
    same(`stop after epoch ${e}`, model.stopTraining, want.stop);
    compareNumber(`rate after epoch ${e}`, model.optimizer.learningRate, want.lr_after, 1e-7);
    if (c.class !== "TerminateOnNaN") {
      same(`log keys of epoch ${e}`, String(Object.keys(logs).sort()), String(Object.keys(want.logs_after).sort()));
      for (const [k, v] of Object.entries(want.logs_after))
        compareNumber(`log ${k} of epoch ${e}`, logs[k], numberOf(v as number), 1e-6);
    }
    if (model.stopTraining) break;
  }
  await callback.onTrainEnd({});
  if (final_marker !== undefined && final_marker !== null) same("final weight", model.weight, final_marker);
  for (const [name, value] of Object.entries((attributes ?? {}) as Record<string, number | null>)) {
    const got = (callback as unknown as Record<string, number | null>)[camel(name)];
    if (value !== null && got !== undefined) compareNumber(name, got as number, value, 1e-6);
  }
}
