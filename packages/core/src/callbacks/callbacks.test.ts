import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Model } from "../models/model.ts";
import type { Logs } from "../training/options.ts";
import type { Callback } from "./callback.ts";
import {
  CSVLogger,
  EarlyStopping,
  earlyStopping,
  LambdaCallback,
  LearningRateScheduler,
  ReduceLROnPlateau,
  TerminateOnNaN,
} from "./index.ts";

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

interface Case {
  id: string;
  class: string;
  kwargs?: Record<string, unknown>;
  initial_lr: number;
  epoch_logs?: Record<string, number | string>[];
  batch_losses?: (number | string)[][];
  expected: {
    trace?: {
      lr_during: number;
      lr_after: number;
      stop: boolean;
      logs_after: Record<string, number | string>;
      stop_batch?: number | null;
    }[];
    final_marker?: number;
    attributes?: Record<string, number | null>;
    file_text?: string;
  };
}

const folder = process.env["LAYERWISE_CONFORMANCE"];
const file = folder ? `${folder}/keras/callbacks.json` : "";
const cases: Case[] = file && existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).cases : [];
if (cases.length === 0)
  console.warn("callbacks: LAYERWISE_CONFORMANCE names no folder with keras/callbacks.json; Keras' cases are skipped");

const camel = (s: string) => s.replace(/_([a-z])/g, (_, c: string) => c.toUpperCase());
const num = (x: number | string) => (typeof x === "string" ? Number(x) : x);

async function play(callback: Callback, c: Case): Promise<void> {
  const model = new Stand();
  model.optimizer.learningRate = c.initial_lr;
  callback.setModel(model as unknown as Model);
  await callback.onTrainBegin({});
  const epochs = c.epoch_logs ?? c.batch_losses!.map((b) => ({ loss: b[b.length - 1] }));
  const trace = c.expected.trace!;
  for (const [e, given] of epochs.entries()) {
    if (e >= trace.length) break;
    const want = trace[e];
    const logs: Logs = Object.fromEntries(Object.entries(given).map(([k, v]) => [k, num(v)]));
    await callback.onEpochBegin(e, {});
    expect(model.optimizer.learningRate, `rate during epoch ${e}`).toBeCloseTo(want.lr_during, 6);
    for (const [b, loss] of (c.batch_losses?.[e] ?? []).entries()) {
      if (model.stopTraining) break;
      await callback.onTrainBatchEnd(b, { loss: num(loss) });
      if (model.stopTraining) expect(b).toBe(want.stop_batch);
    }
    model.weight = e + 1;
    await callback.onEpochEnd(e, logs);
    expect(model.stopTraining, `stop after epoch ${e}`).toBe(want.stop);
    expect(model.optimizer.learningRate, `rate after epoch ${e}`).toBeCloseTo(want.lr_after, 6);
    if (c.class !== "TerminateOnNaN") {
      expect(Object.keys(logs).sort()).toEqual(Object.keys(want.logs_after).sort());
      for (const [k, v] of Object.entries(want.logs_after)) expect(logs[k]).toBeCloseTo(num(v), 5);
    }
    if (model.stopTraining) break;
  }
  await callback.onTrainEnd({});
  if (c.expected.final_marker !== undefined) expect(model.weight).toBe(c.expected.final_marker);
  for (const [name, value] of Object.entries(c.expected.attributes ?? {})) {
    const got = (callback as unknown as Record<string, number | null>)[camel(name)];
    if (value !== null && got !== undefined) expect(got, name).toBeCloseTo(value, 5);
  }
}

describe.skipIf(cases.length === 0)("callbacks as Keras'", () => {
  const classes = { EarlyStopping, ReduceLROnPlateau } as const;
  for (const c of cases) {
    const options = Object.fromEntries(Object.entries(c.kwargs ?? {}).map(([k, v]) => [camel(k), v]));
    if (c.class in classes) it(c.id, () => play(new classes[c.class as keyof typeof classes](options), c));
    if (c.class === "TerminateOnNaN") it(c.id, () => play(new TerminateOnNaN(), c));
    if (c.class === "CSVLogger") {
      it(c.id, async () => {
        let text = "";
        const logger = new CSVLogger((t) => {
          text += t;
        });
        for (const [e, logs] of c.epoch_logs!.entries()) await logger.onEpochEnd(e, logs as Logs);
        expect(text).toBe(c.expected.file_text);
      });
    }
  }
  it("sets the learning rate by a schedule", () => {
    const c = cases.find((x) => x.id === "callbacks/LearningRateScheduler/00")!;
    return play(new LearningRateScheduler((epoch, rate) => (epoch > 0 && epoch % 2 === 0 ? rate * 0.5 : rate)), c);
  });
});

describe("callbacks", () => {
  it("refuses unknown options with the nearest name", () => {
    expect(() => earlyStopping({ patiance: 3 } as never)).toThrow(/did you mean "patience"/);
  });
  it("makes a callback of functions", async () => {
    const seen: number[] = [];
    const c = new LambdaCallback({ onEpochEnd: (e) => void seen.push(e) });
    await c.onEpochEnd(3, {});
    await c.onTrainBegin();
    expect(seen).toEqual([3]);
  });
});
