/** LambdaCallback: a callback from plain functions. */
import type { Logs } from "../training/options.ts";
import { Callback } from "./callback.ts";

type Reply = void | Promise<void>;
export interface LambdaCallbackOptions {
  readonly onEpochBegin?: (epoch: number, logs?: Logs) => Reply;
  readonly onEpochEnd?: (epoch: number, logs: Logs) => Reply;
  readonly onTrainBegin?: (logs?: Logs) => Reply;
  readonly onTrainEnd?: (logs?: Logs) => Reply;
  readonly onTrainBatchBegin?: (batch: number, logs?: Logs) => Reply;
  readonly onTrainBatchEnd?: (batch: number, logs?: Logs) => Reply;
  /** Whether `onTrainBatchEnd` needs the logs of each batch (costs a read of the device per step). */
  readonly batchLogs?: boolean;
}

export class LambdaCallback extends Callback {
  override readonly batchLogs: boolean;

  constructor(options: LambdaCallbackOptions) {
    super();
    this.batchLogs = options.batchLogs ?? false;
    const { onEpochBegin, onEpochEnd, onTrainBegin, onTrainEnd, onTrainBatchBegin, onTrainBatchEnd } = options;
    if (onEpochBegin) this.onEpochBegin = onEpochBegin;
    if (onEpochEnd) this.onEpochEnd = onEpochEnd;
    if (onTrainBegin) this.onTrainBegin = onTrainBegin;
    if (onTrainEnd) this.onTrainEnd = onTrainEnd;
    if (onTrainBatchBegin) this.onTrainBatchBegin = onTrainBatchBegin;
    if (onTrainBatchEnd) this.onTrainBatchEnd = onTrainBatchEnd;
  }
}

/** A callback from functions. */
export function lambdaCallback(options: LambdaCallbackOptions): LambdaCallback {
  return new LambdaCallback(options);
}
