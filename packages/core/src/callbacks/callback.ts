/** The base of callbacks: what training tells, and when. */
import type { Model } from "../models/model.ts";
import type { Logs } from "../training/options.ts";

/** What a fit is about to do. */
export interface FitParams {
  readonly epochs: number;
  readonly steps: number;
  readonly verbose: 0 | 1 | 2;
}

type Reply = void | Promise<void>;

/**
 * Told of every stage of `fit`. Epochs and batches are counted from 0. Methods may be asynchronous; training waits. A
 * callback may change `logs` at the end of an epoch (later callbacks and the history see it) and set
 * `this.model.stopTraining`. Logs of single batches cost a read of the device, so they are empty unless `batchLogs` is true.
 */
export abstract class Callback {
  readonly batchLogs: boolean = false;
  private current: Model | null = null;
  private fitParams: FitParams = { epochs: 1, steps: 0, verbose: 0 };

  get model(): Model {
    return this.current!;
  }
  get params(): FitParams {
    return this.fitParams;
  }
  setModel(model: Model): void {
    this.current = model;
  }
  setParams(params: FitParams): void {
    this.fitParams = params;
  }
  onTrainBegin(_logs?: Logs): Reply {}
  onTrainEnd(_logs?: Logs): Reply {}
  onEpochBegin(_epoch: number, _logs?: Logs): Reply {}
  onEpochEnd(_epoch: number, _logs: Logs): Reply {}
  onTrainBatchBegin(_batch: number, _logs?: Logs): Reply {}
  onTrainBatchEnd(_batch: number, _logs?: Logs): Reply {}
  onTestBegin(_logs?: Logs): Reply {}
  onTestEnd(_logs?: Logs): Reply {}
  onTestBatchBegin(_batch: number, _logs?: Logs): Reply {}
  onTestBatchEnd(_batch: number, _logs?: Logs): Reply {}
  onPredictBegin(_logs?: Logs): Reply {}
  onPredictEnd(_logs?: Logs): Reply {}
  onPredictBatchBegin(_batch: number, _logs?: Logs): Reply {}
  onPredictBatchEnd(_batch: number, _logs?: Logs): Reply {}
}
