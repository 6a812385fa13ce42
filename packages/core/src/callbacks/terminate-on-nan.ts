/** TerminateOnNaN: ends training when the loss is NaN or infinite. */
import type { Logs } from "../training/options.ts";
import { Callback } from "./callback.ts";

export class TerminateOnNaN extends Callback {
  override readonly batchLogs = true;

  override onTrainBatchEnd(batch: number, logs?: Logs): void {
    const loss = logs?.["loss"];
    if (loss === undefined || Number.isFinite(loss)) return;
    console.warn(`Batch ${batch}: the loss is ${loss}; training ends`);
    this.model.stopTraining = true;
  }
}

/** Ends training at the first batch whose running loss is NaN or infinite. */
export function terminateOnNaN(): TerminateOnNaN {
  return new TerminateOnNaN();
}
